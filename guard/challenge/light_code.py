"""The colours of the screen-light check: unpredictable, pale, of one brightness.

A colour is one of four corners: more or less red, more or less blue, green making up the brightness. All
have the same relative luminance, so what changes on the face is the ratio of the colour channels, which
survives exposure control, and nothing flashes: a general flash needs the luminance to change by a tenth, a
red flash a red share of 0.8 (WCAG 2.2, success criterion 2.3.1 and its definitions), and at two changes a
second there is one flash of any kind a second where three are allowed.

The face lit by a screen that changes colour: Tang et al., Face Flashing, NDSS 2018; Gerstner and Farid,
Detecting Real-Time Deep-Fake Videos Using Active Illumination, CVPR Workshops 2022. The code is our own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guard.challenge.commands import Step

STEP_MIN_S, STEP_MAX_S = 0.5, 1.0
CODE_MIN_S, CODE_MAX_S = 9.6, 10.4
# what the page needs to show the last colour, and the camera to send it back
TAIL_S = 1.0
LIMIT_S = CODE_MAX_S + TAIL_S

# relative luminance of sRGB (IEC 61966-2-1; WCAG 2.2)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_LEVEL = 0.55
_RED, _BLUE = 0.40, 0.45
NEUTRAL = (_LEVEL,) * 3

_GRID_S = 0.05
_MAX_MEAN, _MAX_CROSS, _MAX_SIDE = 0.15, 0.2, 0.35
_SIDE_FROM_S, _SIDE_TO_S = 0.8, 3.0
_TRIES = 64


def corner(red: int, blue: int) -> tuple[float, float, float]:
    """Return the linear light of a corner; ``red`` and ``blue`` are +1 or -1."""
    r, b = _RED * red, _BLUE * blue
    g = -float(LUMINANCE[0] * r + LUMINANCE[2] * b) / float(LUMINANCE[1])
    return (_LEVEL * (1 + r), _LEVEL * (1 + g), _LEVEL * (1 + b))


def to_srgb(linear: float) -> float:
    """Return the sRGB value in [0, 1] of linear light in [0, 1] (IEC 61966-2-1)."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def to_linear(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return linear light in [0, 1] of sRGB values in [0, 1] (IEC 61966-2-1)."""
    low = np.asarray(srgb, np.float64)
    return np.where(low <= 0.04045, low / 12.92, ((low + 0.055) / 1.055) ** 2.4)


def draw_light(dice: random.Random) -> tuple[Step, ...]:
    """Return a sequence of colours, 9.6 to 10.4 s long, and the neutral colour at its end.

    Steps last 0.5 to 1 s, unequally. Each of red and blue is up about half of the time, the two do not go
    together, and the sequence is unlike itself shifted; the best of 64 draws where none is good enough.

    Args:
        dice: source of chance; in a call ``secrets.SystemRandom()``.
    """
    best: tuple[Step, ...] = ()
    least = np.inf
    for _ in range(_TRIES):
        steps = any_code(dice)
        excess = _excess(steps)
        if excess < least:
            best, least = steps, excess
        if least <= 1.0:
            break
    return best


def chroma(steps: Sequence[Step]) -> NDArray[np.float64]:
    """Return float64 (N, 2): red and blue against green of each colour, in parts of the neutral light.

    Raises:
        ValueError: a step has no colour.
    """
    colours = [step.colour for step in steps]
    if any(colour is None for colour in colours):
        raise ValueError("a step of the screen light has no colour")
    light = to_linear(np.array(colours, np.float64)) / _LEVEL
    return np.stack([light[:, 0] - light[:, 1], light[:, 2] - light[:, 1]], axis=1)


def at_times(
    times_s: NDArray[np.float64], starts_s: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N, ...): the level shown at each time; before the first start the neutral one, which is 0.

    Args:
        times_s: (N,).
        starts_s: (S,), rising, when each level begins.
        levels: (S, ...).
    """
    padded = np.concatenate([np.zeros((1, *levels.shape[1:])), levels])
    return padded[np.searchsorted(starts_s, times_s, side="right")]


def any_code(dice: random.Random) -> tuple[Step, ...]:
    """Return a sequence of the same colours and lengths, whatever its likeness with itself."""
    lengths = _lengths(dice)
    corners = [(red, blue) for red in (-1, 1) for blue in (-1, 1)]
    steps, at_s, last = [], 0.0, None
    for length_s in lengths:
        last = dice.choice([one for one in corners if one != last])
        steps.append(Step(round(at_s, 3), colour=_srgb(corner(*last))))
        at_s += length_s
    return (*steps, Step(round(at_s, 3), colour=_srgb(NEUTRAL)))


def _lengths(dice: random.Random) -> list[float]:
    while True:
        lengths: list[float] = []
        while sum(lengths) < CODE_MIN_S:
            lengths.append(dice.uniform(STEP_MIN_S, STEP_MAX_S))
        if sum(lengths) <= CODE_MAX_S:
            return lengths


def _srgb(linear: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the colour as a page can show it, in steps of 1/255."""
    red, green, blue = (round(255 * to_srgb(value)) / 255 for value in linear)
    return (red, green, blue)


def _excess(steps: Sequence[Step]) -> float:
    """Return how far the worst property lies over its limit; 1 and less is good."""
    starts_s = np.array([step.at_s for step in steps])
    signs = np.sign(chroma(steps)[:-1])
    shown = at_times(np.arange(0.0, starts_s[-1], _GRID_S), starts_s[:-1], signs)
    mean = float(np.abs(shown.mean(axis=0)).max())
    cross = float(abs((shown[:, 0] * shown[:, 1]).mean()))
    return max(mean / _MAX_MEAN, cross / _MAX_CROSS, _side(shown) / _MAX_SIDE)


def _side(shown: NDArray[np.float64]) -> float:
    """Return the greatest likeness of the code with itself shifted."""
    shifts = range(round(_SIDE_FROM_S / _GRID_S), round(_SIDE_TO_S / _GRID_S))
    return max(abs(float((shown[k:] * shown[:-k]).mean())) for k in shifts)
