"""Room impulse responses of shoe-box rooms: images for the first 60 ms, then a decaying diffuse tail.

Source: Allen and Berkley, "Image method for efficiently simulating small-room acoustics", Journal of the
Acoustical Society of America 65, 1979. Absorption from the reverberation time by Eyring's formula. The tail
decays faster at high frequencies, as air and soft furniture make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import signal

RATE, SOUND = 16_000, 343.0
EARLY_S, LENGTH_S = 0.06, 0.6


@dataclass(frozen=True)
class Room:
    """One room; the same seed gives the same size, walls and reverberation time."""

    seed: int

    @property
    def size(self) -> np.ndarray:
        """Return length, width and height in metres."""
        own = np.random.default_rng([9, self.seed])
        return own.uniform([2.2, 1.8, 2.2], [7.0, 6.0, 3.2])

    @property
    def rt60_s(self) -> float:
        """Return the time in which the sound falls by 60 dB."""
        return float(np.random.default_rng([10, self.seed]).uniform(0.12, 0.65))


def room(test: bool, rng: np.random.Generator) -> Room:
    """Draw a room: 150 for training, 40 others for the test."""
    return Room(10_000 + int(rng.integers(40)) if test else int(rng.integers(150)))


@lru_cache
def _images() -> tuple[np.ndarray, np.ndarray]:
    """Return the signs (8, 3) and the grid (M, 3) of image sources."""
    n = np.arange(-5, 6)
    grid = np.stack(np.meshgrid(n, n, n, indexing="ij"), -1).reshape(-1, 3)
    signs = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    return signs, grid


def impulse(where: Room, distance_m: float, rng: np.random.Generator) -> np.ndarray:
    """Return the response (N,) at ``distance_m`` from the source, direct sound 1 at its start."""
    size, rt60 = where.size, where.rt60_s
    source = rng.uniform(0.15, 0.85, 3) * size
    direction = rng.standard_normal(3)
    receiver = source + distance_m * direction / np.linalg.norm(direction)
    receiver = np.clip(receiver, 0.05, size - 0.05)
    volume, area = float(np.prod(size)), 2 * float(size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    wall = float(np.sqrt(np.exp(-0.161 * volume / (area * rt60))))
    signs, grid = _images()
    n = int(LENGTH_S * RATE)
    h = np.zeros(n)
    direct = float(np.linalg.norm(receiver - source))
    for sign in signs:
        image = (1 - 2 * sign) * source + 2 * grid * size
        far = np.linalg.norm(image - receiver, axis=1)
        bounces = np.abs(grid - sign).sum(1) + np.abs(grid).sum(1)
        late = (far - direct) / SOUND * RATE
        keep = late < EARLY_S * RATE
        gain = wall ** bounces[keep] * direct / far[keep]
        at = late[keep].astype(int)
        part = late[keep] - at
        np.add.at(h, at, gain * (1 - part))
        np.add.at(h, at + 1, gain * part)
    return _with_tail(h, rt60, rng)


def _with_tail(h: np.ndarray, rt60: float, rng: np.random.Generator) -> np.ndarray:
    """Continue the images with noise of the level they end at; high frequencies decay sooner."""
    t = np.arange(len(h)) / RATE
    noise = rng.standard_normal(len(h))
    low = signal.sosfilt(signal.butter(1, 1500, fs=RATE, output="sos"), noise)
    tail = low * np.exp(-6.91 * t / rt60) + (noise - low) * np.exp(-6.91 * t / (rt60 * rng.uniform(0.5, 0.9)))
    edge, begin = slice(int(0.035 * RATE), int(0.06 * RATE)), int(0.05 * RATE)
    level = np.sqrt(np.mean(h[edge] ** 2)) / (np.sqrt(np.mean(tail[edge] ** 2)) + 1e-12)
    fade = np.clip((t - 0.05) / 0.01, 0, 1)
    out = h * (1 - fade) + tail * level * fade
    out[:begin] = h[:begin]
    return out
