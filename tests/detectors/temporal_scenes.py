"""Drawn faces whose flicker, trembling and motion are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.detectors.temporal_flicker import OVAL
from guard.types import FaceQuality, FaceWindow, FloatArray, Glimpse, ImageArray, Kind, TrackKey

KEY = TrackKey("s", "p", Kind.VIDEO)
QUALITY = FaceQuality(eye_distance_px=60.0, sharpness=50.0, yaw_deg=0.0, luma=120.0, confidence=0.99)
STEP_S = 1 / 15


def mesh() -> FloatArray:
    """Return float32 (468, 2): a face in pixels of the 224 px crop."""
    rng = np.random.default_rng(5)
    points = rng.uniform((85, 85), (140, 150), (468, 2))
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = np.stack([112 + 60 * np.sin(turn), 115 - 75 * np.cos(turn)], axis=1)
    places = {33: (73, 88), 133: (97, 89), 362: (127, 89), 263: (151, 88), 61: (89, 141), 291: (135, 141)}
    for index, place in {**places, 0: (112, 134), 17: (112, 150)}.items():
        points[index] = place
    return points.astype(np.float32)


MESH = mesh()


def texture(seed: int = 1) -> ImageArray:
    """Return uint8 (224, 224, 3): a smooth texture with slopes everywhere."""
    rng = np.random.default_rng(seed)
    picture = np.full((224, 224), 110.0)
    y, x = np.mgrid[0:224, 0:224]
    for _ in range(14):
        angle, period = rng.uniform(0, np.pi), rng.uniform(9, 40)
        phase = rng.uniform(0, 2 * np.pi)
        picture += 7 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + phase)
    return np.repeat(np.clip(picture, 1, 255).astype(np.uint8)[..., None], 3, axis=2)


def little(seed: int = 1) -> ImageArray:
    """Return uint8 (18, 32): a picture in little with contrast."""
    return np.random.default_rng(seed).integers(30, 220, (18, 32)).astype(np.uint8)


def glimpse(time_s: float, points: FloatArray | None, thumbnail: ImageArray) -> Glimpse:
    return Glimpse(time_s, points, thumbnail, (640, 360))


def path(times: NDArray[np.floating[Any]], seed: int = 2, size: float = 12.0) -> FloatArray:
    """Return (T, 2): a smooth random way of a head in pixels, that never repeats."""
    rng = np.random.default_rng(seed)
    waves = [
        size * np.sin(2 * np.pi * rng.uniform(0.1, 0.9, 2) * times[:, None] + rng.uniform(0, 6.3, 2))
        for _ in range(3)
    ]
    return np.asarray(np.sum(waves, axis=0), np.float32)


def moved_little(base: ImageArray, way: FloatArray) -> ImageArray:
    """Return a thumbnail in which something moved as the head did."""
    out = base.astype(np.float32)
    y, x = np.mgrid[0:18, 0:32]
    spot = np.exp(-(((x - 16 - way[0] / 4) / 3) ** 2) - ((y - 9 - way[1] / 4) / 3) ** 2)
    return np.asarray(np.clip(out + 60 * spot, 0, 255), np.uint8)


def windows(crops: list[ImageArray], seed: int = 2, noise: float = 0.15) -> list[FaceWindow]:
    """Return one window per crop, 0.2 s apart, with three glimpses each of a head that moves."""
    times = np.arange(3 * len(crops)) * STEP_S
    rng, way, base = np.random.default_rng(seed), path(times, seed), little()
    glimpses = [
        glimpse(
            float(t),
            MESH + way[i] + rng.normal(0, noise, MESH.shape).astype(np.float32),
            moved_little(base, way[i]),
        )
        for i, t in enumerate(times)
    ]
    found = []
    for at, crop in enumerate(crops):
        own = tuple(glimpses[3 * at : 3 * at + 3])
        found.append(
            FaceWindow(KEY, 0, max(0.0, own[0].time_s - STEP_S), own[-1].time_s, crop, MESH, QUALITY, own)
        )
    return found


def of(window: FaceWindow, participant: str = "p", face: int = 0) -> FaceWindow:
    """Return the window as one of another participant or face."""
    return replace(window, key=TrackKey("s", participant, Kind.VIDEO), face=face)
