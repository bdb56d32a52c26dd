"""Somebody who is asked for three words: a made-up voice and the face that forms it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guard.challenge.commands import Command, Gesture, Observed, Sight
from guard.types import FloatArray

RATE_HZ = 16_000
SHOWN_S = 100.0
LIMIT_S = 6.0
FACE = np.load(Path(__file__).with_name("neutral_face.npy")).astype(np.float32)
UPPER, LOWER = (13, 82, 312), (14, 87, 317)
COMMAND = Command(Gesture.SAY_WORDS, LIMIT_S, words=("three", "window", "tiger"), language="en")


def syllables(begin_s: float, count: int, seed: int) -> NDArray[np.float64]:
    """Return the loudness, 100 times a second over ``LIMIT_S``, of ``count`` syllables in words of two."""
    dice = np.random.default_rng(seed)
    time_s = np.arange(round(LIMIT_S * 100)) / 100
    loudness, at_s = np.zeros(len(time_s)), begin_s
    for number in range(count):
        length_s = dice.uniform(0.16, 0.28)
        inside = (time_s >= at_s) & (time_s < at_s + length_s)
        loudness[inside] = np.sin(np.pi * (time_s[inside] - at_s) / length_s) * dice.uniform(0.6, 1.0)
        at_s += length_s + (dice.uniform(0.25, 0.45) if number % 2 else 0.0)
    return loudness


def voice_of(loudness: NDArray[np.float64], *, noise: float = 3e-4, seed: int = 1) -> FloatArray:
    """Return a voice of that loudness: a buzz at 130 Hz with its overtones, and a room."""
    dice = np.random.default_rng(seed)
    time_s = np.arange(round(LIMIT_S * RATE_HZ)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 130 * k * time_s) / k for k in range(1, 20))
    level = np.interp(time_s, np.arange(len(loudness)) / 100, loudness)
    return np.asarray(0.1 * level * buzz + noise * dice.standard_normal(len(time_s)), np.float32)


def sights_of(
    loudness: NDArray[np.float64], *, ahead_s: float = 0.06, rate: float = 15.0, seed: int = 2
) -> list[Sight]:
    """Return what is seen: lips that part with the loudness, ``ahead_s`` before it is heard."""
    dice = np.random.default_rng(seed)
    nose_px = float(np.hypot(*(FACE[168, :2] - FACE[2, :2])))
    sights = []
    for time_s in np.arange(-2.0, LIMIT_S, 1 / rate):
        opened = float(np.interp(time_s + ahead_s, np.arange(len(loudness)) / 100, loudness, left=0.0))
        gap_px = nose_px * (0.35 * opened + dice.normal(0, 0.004))
        points = FACE.copy()
        points[list(UPPER), 1] -= gap_px / 2
        points[list(LOWER), 1] += gap_px / 2
        sights.append(Sight(SHOWN_S + float(time_s), (640, 360), 1, points))
    return sights


def observed(voice: FloatArray, sights: list[Sight], heard: str | None = None) -> Observed:
    """Return it as the check hands it over."""
    before = [sight for sight in sights if sight.time_s < SHOWN_S]
    after = [sight for sight in sights if sight.time_s >= SHOWN_S]
    return Observed((SHOWN_S,), before, after, voice, SHOWN_S, heard)


def answer(heard: str | None = "3, window, tiger.", *, begin_s: float = 1.2, count: int = 6) -> Observed:
    """Return a genuine answer."""
    loudness = syllables(begin_s, count, 5)
    return observed(voice_of(loudness), sights_of(loudness), heard)


def without_face(sights: list[Sight]) -> list[Sight]:
    return [replace(sight, points=None, faces=0) for sight in sights]
