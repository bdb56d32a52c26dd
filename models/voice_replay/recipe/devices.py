"""Loudspeakers and microphones out of seeded draws: response, distortion, limiter, noise.

Nothing here was measured on a real device. The ranges follow what small transducers do: a second-order
high-pass at the box resonance, cone break-up peaks, distortion that grows with the excursion of the cone
(largest at low frequencies, so that it also modulates the rest), a limiter in front of it.

Source of the distortion's form: Klippel, "Loudspeaker Nonlinearities: Causes, Parameters, Symptoms",
Journal of the Audio Engineering Society 54, 2006 (stiffness, force factor and Doppler as low-order
polynomials of displacement).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from scipy import signal

RATE, WIDE = 16_000, 32_000
# family: box resonance (Hz), its Q, number of peaks, their height (dB), distortion, top (Hz)
FAMILIES: dict[str, tuple[tuple[float, float], ...]] = {
    "phone": ((350, 800), (0.8, 2.0), (4, 9), (3, 10), (0.06, 0.30), (7000, 15000)),
    "laptop": ((180, 450), (0.7, 1.6), (4, 9), (3, 9), (0.04, 0.22), (8000, 15500)),
    "bluetooth": ((70, 200), (0.7, 1.5), (3, 7), (2, 7), (0.03, 0.18), (9000, 15500)),
    "shelf": ((45, 90), (0.6, 1.0), (2, 5), (1, 4), (0.005, 0.05), (12000, 15800)),
    "television": ((120, 260), (0.7, 1.6), (4, 8), (3, 8), (0.03, 0.18), (9000, 15500)),
}
TEST_FAMILY = "television"


def peak(x: np.ndarray, hz: float, gain_db: float, q: float, rate: int) -> np.ndarray:
    """Apply one peaking biquad (bilinear transform of a second-order resonance)."""
    amount, w = 10 ** (gain_db / 40), 2 * np.pi * hz / rate
    alpha = np.sin(w) / (2 * q)
    b = [1 + alpha * amount, -2 * np.cos(w), 1 - alpha * amount]
    a = [1 + alpha / amount, -2 * np.cos(w), 1 - alpha / amount]
    return signal.lfilter(b, a, x)


def high_pass(x: np.ndarray, hz: float, q: float, rate: int) -> np.ndarray:
    """Apply a second-order high-pass of quality ``q``: a closed box."""
    w = 2 * np.pi * hz / rate
    alpha, c = np.sin(w) / (2 * q), np.cos(w)
    return signal.lfilter([(1 + c) / 2, -(1 + c), (1 + c) / 2], [1 + alpha, -2 * c, 1 - alpha], x)


def limit(x: np.ndarray, threshold: float, ratio: float, release_s: float, rate: int) -> np.ndarray:
    """Compress above ``threshold`` (of the 5 ms level); the gain recovers with ``release_s``."""
    step = rate // 200
    blocks = np.pad(x, (0, -len(x) % step)).reshape(-1, step)
    level, held = np.sqrt((blocks**2).mean(1)) + 1e-9, 0.0
    fall = np.exp(-0.005 / release_s)
    for i, value in enumerate(level):
        held = max(value, held * fall)
        level[i] = held
    gain = np.minimum(1.0, (level / threshold) ** (1 / ratio - 1))
    at = np.arange(len(level)) * step + step / 2
    return x * np.interp(np.arange(len(x)), at, gain)


@dataclass(frozen=True)
class Loudspeaker:
    """One model of loudspeaker; the same seed and family give the same one."""

    family: str
    seed: int

    def play(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return what comes out in front of it, 16 kHz; ``rng`` draws the volume."""
        own = np.random.default_rng([7, self.seed])
        (f0, q, peaks, height, distortion, top) = FAMILIES[self.family]
        f0_hz, box_q = own.uniform(*f0), own.uniform(*q)
        x = soxr.resample(x / (np.sqrt(np.mean(x**2)) + 1e-9), RATE, WIDE)
        x = limit(x, own.uniform(0.7, 2.0), own.uniform(3, 12), own.uniform(0.05, 0.3), WIDE)
        x = high_pass(x, f0_hz, box_q, WIDE)
        x = self._bend(x, own, own.uniform(*distortion), f0_hz, rng.uniform(0.4, 1.6))
        for _ in range(int(own.integers(int(peaks[0]), int(peaks[1]) + 1))):
            hz = f0_hz * (7500 / f0_hz) ** own.random()
            x = peak(
                x, hz, own.choice([-1, 1], p=[0.4, 0.6]) * own.uniform(*height), own.uniform(1.5, 9), WIDE
            )
        x = signal.sosfilt(signal.butter(2, own.uniform(*top), fs=WIDE, output="sos"), x)
        for _ in range(2):  # reflections inside the case and at its edges
            delay = int(own.uniform(0.1e-3, 1.2e-3) * WIDE)
            x = x + own.uniform(-0.3, 0.3) * np.pad(x, (delay, 0))[: len(x)]
        return soxr.resample(x, WIDE, RATE)

    @staticmethod
    def _bend(
        x: np.ndarray, own: np.random.Generator, amount: float, f0_hz: float, volume: float
    ) -> np.ndarray:
        """Distort by the cone's displacement: second and third order, then soft stops."""
        cone = signal.sosfilt(signal.butter(2, 2.0 * f0_hz, fs=WIDE, output="sos"), x)
        second, third = own.uniform(-1, 1), own.uniform(-1, 0)
        a = amount * volume
        y = x + a * second * cone * x + a * third * cone**2 * x / 3
        stop = own.uniform(2.0, 6.0) / volume
        return stop * np.tanh(y / stop)


def loudspeaker(test: bool, rng: np.random.Generator) -> Loudspeaker:
    """Draw a model: 300 for training; 60 others for the test, a quarter of a family training never sees."""
    known = [name for name in FAMILIES if name != TEST_FAMILY]
    if test:
        family = TEST_FAMILY if rng.random() < 0.25 else str(rng.choice(known))
        return Loudspeaker(family, 10_000 + int(rng.integers(60)))
    return Loudspeaker(str(rng.choice(known)), int(rng.integers(300)))


def microphone(x: np.ndarray, seed: int) -> np.ndarray:
    """Apply one microphone's response, 16 kHz: low cut, presence, a few ripples, sometimes an early top."""
    own = np.random.default_rng([8, seed])
    x = high_pass(x, own.choice([own.uniform(20, 120), own.uniform(120, 600)]), own.uniform(0.6, 1.5), RATE)
    if own.random() < 0.7:
        x = peak(x, own.uniform(2500, 6500), own.uniform(-3, 8), own.uniform(0.7, 2), RATE)
    for _ in range(int(own.integers(0, 6))):
        x = peak(x, own.uniform(150, 7000), own.uniform(-6, 6), own.uniform(1, 5), RATE)
    if own.random() < 0.35:
        top = signal.butter(int(own.integers(2, 7)), own.uniform(3500, 7600), fs=RATE, output="sos")
        x = signal.sosfilt(top, x)
    return x


def seed_of_microphone(test: bool, rng: np.random.Generator) -> int:
    """Draw a microphone: 300 for training, 80 others for the test."""
    return 10_000 + int(rng.integers(80)) if test else int(rng.integers(300))
