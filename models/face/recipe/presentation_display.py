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
# the last is striped as the first, but a good panel in a dark room: no tones give it away
HELD_OUT = ("four_colours", "delta", "print", "dark_room")
# sub-pixels or ink cover this much of a cell; the rest is black matrix
_FILL = (0.7, 0.98)
# the finest pattern, in periods per sensor pixel, that the points of the plane carry without a beat
_FINEST = 0.45 * OVER
# one period in steps fine enough to look up
_STEPS = np.arange(1024) / 1024


# where in the chip each point of the sensor looks, OVER to a pixel: float32 (600, 600) across, and down
Plane = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Shot:
    """One draw of where a face stands and of the lens and sensor that see it.

    Args:
        matrix: 3x3 homography from chip pixels to sensor pixels.
        blur_px: spread of the lens, sensor pixels.
        bayer: whether the sensor has a colour mosaic.
        exposure: mean brightness that the camera aims at, linear.
        veil: stray light in the lens, of full scale.
        colour: how strongly the camera colours.
        noise_seed: of the sensor's noise.
    """

    matrix: np.ndarray
    blur_px: float
    bayer: bool
    exposure: float
    veil: float
    colour: float
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
        veil=float(rng.exponential(0.015)),
        colour=float(rng.uniform(0.7, 1.2)),
        noise_seed=int(rng.integers(2**32)),
    )


def direct(chip: np.ndarray, shot: Shot, plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (200, 200, 3): the face filmed directly, now and then with a lamp in the picture."""
    return _sensor(_lamps(_look(_linear(chip), plane), 0.1, rng), shot)


def recaptured(chip: np.ndarray, shot: Shot, plane: Plane, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (200, 200, 3): the face filmed from a display (or print) of ``kind``."""
    shown = jpeg(chip, int(rng.integers(45, 98))) if rng.random() < 0.8 else chip
    light = _linear(shown)
    if kind != "dark_room":
        light = _panel(light, kind, rng)
    light = _uneven(_look(light, plane), kind, rng)
    if kind != "dark_room":
        light = _lamps(light, 0.3, rng)
    pitch = float(np.exp(rng.uniform(*np.log(PITCH))))
    u, v = (axis * np.float32(pitch) + np.float32(rng.random()) for axis in plane)
    return _sensor(light * _cells(kind, u, v, pitch, rng), shot)


def plane_of(shot: Shot) -> Plane:
    """Return the chip coordinates of every point of the sensor, float32 (600, 600) each."""
    side = CHIP_SIZE_PX * OVER
    back = np.linalg.inv(shot.matrix)
    at = (np.arange(side) + 0.5) / OVER - 0.5
    x, y = np.meshgrid(at, at)
    below = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    u = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / below
    v = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / below
    return u.astype(np.float32), v.astype(np.float32)


def _linear(chip: np.ndarray) -> np.ndarray:
    """Return the light of a picture, float32 in [0, 1]."""
    return (chip.astype(np.float32) / 255) ** 2.2


def _look(linear: np.ndarray, plane: Plane) -> np.ndarray:
    """Return the chip's light at each point, float32 (600, 600, 3)."""
    return cv2.remap(linear, *plane, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


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
    if pitch >= _FINEST:
        return np.zeros_like(phase)
    return _periodic(phase, np.cos(2 * np.pi * _STEPS))


def _pulse(phase: np.ndarray, duty: float, pitch: float) -> np.ndarray:
    """Return lit stripes of ``duty`` of a period, mean 1, as far as the points carry their harmonics."""
    table = np.ones_like(_STEPS)
    for k in range(1, 4):
        if k * pitch < _FINEST:
            table = table + 2 * np.sinc(k * duty) * np.cos(2 * np.pi * k * _STEPS)
    return _periodic(phase, table)


def _periodic(phase: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return a function of period 1 at each phase, out of its table."""
    return table.astype(np.float32)[(phase * len(table)).astype(np.int32) & (len(table) - 1)]


def _rosette(a: np.ndarray, b: np.ndarray, pitch: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return a print's dots: three inks at three angles."""
    inks = []
    for angle in np.deg2rad(np.array([15.0, 75.0, 45.0]) + rng.normal(0, 2)):
        p, q = np.cos(angle) * a + np.sin(angle) * b, np.cos(angle) * b - np.sin(angle) * a
        inks.append(1 + 0.4 * _wave(p, pitch) * _wave(q, pitch))
    return inks


def _panel(light: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the light of a panel: its gamma, colours and black."""
    out = light ** float(rng.uniform(0.85, 1.2))
    grey = out.mean(axis=-1, keepdims=True)
    out = grey + (out - grey) * float(rng.uniform(0.75, 1.1))
    out = out * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    black = float(rng.uniform(0.01, 0.05)) if kind == "print" else float(rng.uniform(0.0, 0.03))
    return np.maximum(out, 0).astype(np.float32) * (1 - black) + black


def _uneven(light: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the light brighter to one side, and with the bands of a refresh."""
    side = light.shape[0]
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    across, down = (1 + np.float32(tilt) * ramp for tilt in rng.normal(0, 0.06, 2))
    if kind != "print" and rng.random() < 0.4:
        lines = np.arange(side) / OVER
        wave = np.cos(2 * np.pi * (lines / rng.uniform(25, 400) + rng.random()))
        down = down * (1 + rng.uniform(0.01, 0.08) * wave).astype(np.float32)
    return light * np.outer(down, across)[..., None]


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
    seen = seen * (shot.exposure / max(float(seen.mean()), 1e-3)) + shot.veil
    grey = seen.mean(axis=-1, keepdims=True)
    seen = grey + (seen - grey) * shot.colour
    rng = np.random.default_rng(shot.noise_seed)
    noise = float(rng.uniform(0.0005, 0.006))
    seen = seen + rng.normal(0, 1, seen.shape).astype(np.float32) * np.sqrt(np.maximum(seen, 0) * noise / 4)
    picture = np.round(np.clip(seen, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    if not shot.bayer:
        return picture
    mosaic = picture[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = picture[::2, ::2, 0], picture[1::2, 1::2, 2]
    return cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB)
