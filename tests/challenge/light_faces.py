"""Sights of a face that follows a screen, made without pictures: ground truth for the judge."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from guard.challenge.commands import Command, Gesture, Observed, Sight, Step
from guard.challenge.light import LIMIT_S, draw_light
from guard.challenge.light_code import NEUTRAL, at_times, to_linear

RATE_HZ = 12.0
SKIN = np.array([0.30, 0.20, 0.14])
WALL = np.array([0.22, 0.22, 0.24])


def command(seed: int) -> Command:
    return Command(Gesture.SCREEN_LIGHT, LIMIT_S, draw_light(random.Random(seed)))


def coded(linear: np.ndarray) -> np.ndarray:
    """sRGB in [0, 255] of linear light (N, 3)."""
    low = linear <= 0.0031308
    return (255 * np.where(low, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)).astype(np.float32)


def screen(steps: Sequence[Step], times_s: np.ndarray) -> np.ndarray:
    """The light of the screen against its neutral colour, (N, 3)."""
    change = to_linear(np.array([step.colour for step in steps])) / NEUTRAL[0] - 1
    return 1 + at_times(times_s, np.array([step.at_s for step in steps]), change)


def sights(
    steps: Sequence[Step],
    share: float,
    *,
    lag_s: float = 0.3,
    noise: float = 0.004,
    seed: int = 0,
    start_s: float = 100.0,
    shift_s: float = 0.0,
    extra: np.ndarray | None = None,
    whole: bool = False,
) -> list[Sight]:
    """Pictures from ``start_s`` on of a face with ``share`` of its light from a screen that shows ``steps``.

    The exposure hunts and the white balance drifts, on face and wall alike; the shading of the face wanders.
    ``extra`` (N, 3) multiplies the light on the face; ``whole`` puts the screen's colour on the wall too.
    """
    rng = np.random.default_rng(seed)
    times_s = np.sort(
        np.arange(0.0, LIMIT_S, 1 / RATE_HZ) + rng.uniform(-0.01, 0.01, round(LIMIT_S * RATE_HZ))
    )
    response = 1 + share * (screen(steps, times_s - lag_s + shift_s) - 1)
    shading = np.cumsum(rng.normal(0, 0.003, len(times_s)))[:, None] + np.cumsum(
        rng.normal(0, 0.0006, (len(times_s), 3)), axis=0
    )
    camera = np.exp(0.1 * np.sin(times_s)[:, None] + np.outer(0.01 * times_s, [1, 0, -1]))
    face = SKIN * response * camera * np.exp(shading + rng.normal(0, noise, (len(times_s), 3)))
    face = face if extra is None else face * extra[: len(face)]
    wall = WALL * camera * np.exp(rng.normal(0, noise / 2, (len(times_s), 3))) * (response if whole else 1)
    return [
        Sight(start_s + float(t), (640, 360), 1, face_rgb=f, around_rgb=w)
        for t, f, w in zip(times_s, coded(face), coded(wall), strict=True)
    ]


def observed(steps: Sequence[Step], after: Sequence[Sight], start_s: float = 100.0) -> Observed:
    shown_s = tuple(start_s + step.at_s for step in steps)
    return Observed(shown_s, (), after, np.empty(0, np.float32), start_s)
