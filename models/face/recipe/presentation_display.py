"""A face shown on a display and filmed from it, and the same face filmed directly: both simulated.

Both classes go through the same geometry, lens and sensor (``Shot``): what tells them apart is only what the
display adds. The displays of ``HELD_OUT`` are kept from training; they calibrate and measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from data import CHIP_SIZE_PX
from finish import jpeg

# points of the picture plane per sensor pixel and axis
OVER = 3
# display pixels per sensor pixel; a telephone that fills the picture has more and shows no grid at all
PITCH = (0.35, 2.4)
TRAINED = ("stripes", "stripes_bgr", "pentile", "turned")
HELD_OUT = ("four_colours", "delta", "print")
# sub-pixels or ink cover this much of a cell; the rest is black matrix
_FILL = (0.7, 0.98)
# the finest pattern, in periods per sensor pixel, that the points of the plane carry without a beat
_FINEST = 0.45 * OVER


@dataclass(frozen=True)
class Shot:
    """One draw of where a face stands and of the lens and sensor that see it.

    Args:
        matrix: 3x3 homography from chip pixels to sensor pixels.
        blur_px: spread of the lens, sensor pixels.
        bayer: whether the sensor has a colour mosaic.
        exposure: mean brightness that the camera aims at, linear.
        noise_seed: of the sensor's noise.
    """

    matrix: np.ndarray
    blur_px: float
    bayer: bool
    exposure: float
    noise_seed: int

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return landmarks (P, 2) where the sensor sees them."""
        flat = np.column_stack([points, np.ones(len(points))]) @ self.matrix.T
        return (flat[:, :2] / flat[:, 2:]).astype(np.float32)


def draw_shot(rng: np.random.Generator) -> Shot:
    """Return one random shot: a little turned, shifted, nearer or farther, seen from a little aside."""
    turn, zoom = np.deg2rad(rng.normal(0, 2.5)), rng.uniform(0.92, 1.06)
    half = CHIP_SIZE_PX / 2
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = half - linear @ [half, half] + rng.normal(0, 2, 2)
    matrix[2, :2] = rng.normal(0, 1.5e-4, 2)
    matrix[2, 2] = 1 - matrix[2, :2] @ [half, half]
    return Shot(
        matrix=matrix,
        blur_px=float(rng.uniform(0.25, 0.9)),
        bayer=bool(rng.random() < 0.8),
        exposure=float(rng.uniform(0.1, 0.32)),
        noise_seed=int(rng.integers(2**32)),
    )


def direct(chip: np.ndarray, shot: Shot, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (200, 200, 3): the face filmed directly, now and then with a lamp in the picture."""
    u, v = _plane(shot)
    return _sensor(_lamps(_look(chip, u, v), 0.1, rng), shot)


def recaptured(chip: np.ndarray, shot: Shot, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (200, 200, 3): the face filmed from a display (or print) of ``kind``."""
    shown = jpeg(chip, int(rng.integers(45, 98))) if rng.random() < 0.8 else chip
    u, v = _plane(shot)
    light = _panel(_look(shown, u, v), kind, rng)
    pitch = float(np.exp(rng.uniform(*np.log(PITCH))))
    offset = rng.uniform(0, 1, 2).astype(np.float32)
    light = light * _cells(kind, u * pitch + offset[0], v * pitch + offset[1], pitch, rng)
    return _sensor(_reflections(light, rng), shot)


def _plane(shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Return the chip coordinates of every point of the sensor, float32 (600, 600) each."""
    side = CHIP_SIZE_PX * OVER
    back = np.linalg.inv(shot.matrix)
    at = (np.arange(side) + 0.5) / OVER - 0.5
    x, y = np.meshgrid(at, at)
    below = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    u = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / below
    v = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / below
    return u.astype(np.float32), v.astype(np.float32)


def _look(chip: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the chip's linear light at each point, float32 (600, 600, 3)."""
    linear = (chip.astype(np.float32) / 255) ** 2.2
    return cv2.remap(linear, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _cells(kind: str, a: np.ndarray, b: np.ndarray, pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Return what each point of a display lets through, float32 (600, 600, 3), on average 1.

    Args:
        kind: of ``TRAINED`` or ``HELD_OUT``.
        a: display pixels across, counted at each point.
        b: the same downwards.
        pitch: display pixels per sensor pixel.
        rng: draws how much of a cell is lit.
    """
    fill = float(rng.uniform(*_FILL))
    if kind == "turned":
        a, b = b, a
    rows = _pulse(b, fill, pitch)
    if kind == "print":
        cells = _rosette(a, b, pitch, rng)
    elif kind == "pentile":
        odd = _wave(a / 2, 0.5 * pitch) * _wave(b / 2, 0.5 * pitch)
        grid = _pulse(a, 0.8 * fill, pitch) * _pulse(b, 0.8 * fill, pitch)
        green = _pulse(a + 0.5, 0.6, pitch) * _pulse(b + 0.5, 0.6, pitch)
        cells = [(1 + 1.4 * odd) * grid, green, (1 - 1.4 * odd) * grid]
    elif kind == "delta":
        aside = 4 / np.pi * _wave(b / 2, 0.5 * pitch)
        cells = [(1 + 1.5 * aside * _wave(a - at / 3, pitch)) * rows for at in range(3)]
    elif kind == "four_colours":
        white = _pulse(a - 0.75, fill / 4, pitch)
        cells = [(_pulse(a - at / 4, fill / 4, pitch) + 0.5 * white) * rows for at in range(3)]
    else:
        order = (2, 1, 0) if kind == "stripes_bgr" else (0, 1, 2)
        cells = [_pulse(a - at / 3, fill / 3, pitch) * rows for at in order]
    # a few harmonics swing below nothing; the lens, which takes most of them, comes after this
    lit = np.stack(cells, axis=-1).astype(np.float32)
    return lit / lit.mean(axis=(0, 1))


def _wave(phase: np.ndarray, pitch: float) -> np.ndarray:
    """Return cos(2 pi phase), or nothing where the points are too far apart to carry it."""
    return np.cos(2 * np.pi * phase, dtype=np.float32) if pitch < _FINEST else np.zeros_like(phase)


def _pulse(phase: np.ndarray, duty: float, pitch: float) -> np.ndarray:
    """Return lit stripes of ``duty`` of a period, mean 1, as far as the points carry their harmonics."""
    out = np.ones_like(phase)
    for k in range(1, 4):
        out = out + 2 * np.sinc(k * duty) * _wave(k * phase, k * pitch)
    return out


def _rosette(a: np.ndarray, b: np.ndarray, pitch: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return a print's dots: three inks at three angles."""
    inks = []
    for angle in np.deg2rad(np.array([15.0, 75.0, 45.0]) + rng.normal(0, 2)):
        p, q = np.cos(angle) * a + np.sin(angle) * b, np.cos(angle) * b - np.sin(angle) * a
        inks.append(1 + 0.4 * _wave(p, pitch) * _wave(q, pitch))
    return inks


def _panel(light: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the light of a panel: its gamma, colours, black, uneven brightness and refresh."""
    out = np.maximum(light, 0) ** float(rng.uniform(0.85, 1.2))
    grey = out.mean(axis=-1, keepdims=True)
    out = grey + (out - grey) * float(rng.uniform(0.7, 1.1))
    out = out * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    side = light.shape[0]
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    tilt = rng.normal(0, 0.06, 2)
    out = out * (1 + tilt[0] * ramp[None, :] + tilt[1] * ramp[:, None])[..., None]
    if kind != "print" and rng.random() < 0.4:
        lines = np.arange(side) / OVER
        wave = np.cos(2 * np.pi * (lines / rng.uniform(25, 400) + rng.random()))
        out = out * (1 + rng.uniform(0.01, 0.08) * wave).astype(np.float32)[:, None, None]
    black = float(rng.uniform(0.02, 0.08)) if kind == "print" else float(rng.uniform(0.0, 0.05))
    return out * (1 - black) + black


def _reflections(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the light with the room's on the glass: a veil, sometimes lamps."""
    return _lamps(light + float(rng.exponential(0.008)), 0.3, rng)


def _lamps(light: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Return the light with one or two bright spots, in a share ``chance`` of all draws."""
    out = light
    if rng.random() < chance:
        side = light.shape[0]
        at = np.arange(side, dtype=np.float32)
        for _ in range(int(rng.integers(1, 3))):
            x, y = rng.uniform(0, side, 2)
            wide, tall = rng.uniform(0.02, 0.12, 2) * side
            spot = np.exp(-((((at - x) / wide) ** 2)[None, :] + (((at - y) / tall) ** 2)[:, None]))
            out = out + (rng.uniform(0.3, 2.5) * np.minimum(1, 2 * spot))[..., None].astype(np.float32)
    return out.astype(np.float32)


def _sensor(light: np.ndarray, shot: Shot) -> np.ndarray:
    """Return uint8 (200, 200, 3): what lens and sensor make of the light; alike for both classes."""
    seen = cv2.GaussianBlur(light, (0, 0), shot.blur_px * OVER)
    seen = cv2.resize(seen, (CHIP_SIZE_PX, CHIP_SIZE_PX), interpolation=cv2.INTER_AREA)
    seen = seen * (shot.exposure / max(float(seen.mean()), 1e-3))
    rng = np.random.default_rng(shot.noise_seed)
    noise = float(rng.uniform(0.0005, 0.006))
    seen = seen + rng.normal(0, 1, seen.shape).astype(np.float32) * np.sqrt(np.maximum(seen, 0) * noise / 4)
    picture = np.round(np.clip(seen, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    if not shot.bayer:
        return picture
    mosaic = picture[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = picture[::2, ::2, 0], picture[1::2, 1::2, 2]
    return cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB)
