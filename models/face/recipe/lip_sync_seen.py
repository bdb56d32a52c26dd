"""A simulated call as guard sees it: windows of its sound, and face windows with FaceMesh's noisy points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from lip_sync_simulate import CALL_S, HOP_S, RATE_HZ, Call, wander

from guard.detectors.lip_sync import LipSync
from guard.types import (
    Abstain,
    AudioFrame,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    Glimpse,
    Kind,
    TrackKey,
)
from guard.windows.audio import AudioWindows

SOUND, PICTURE = (TrackKey("s", "p", kind) for kind in (Kind.AUDIO, Kind.VIDEO))
_CROP, _MARKS = np.zeros((224, 224, 3), np.uint8), np.zeros((468, 2), np.float32)
_THUMBNAIL = np.zeros((18, 32), np.uint8)
# x, y (down) and depth of the points that are read, in lengths of the nose; from guard.media.align's template
_HEAD = {
    168: (0.0, -1.0, -0.15),
    2: (0.0, 0.0, -0.25),
    33: (-0.95, -0.93, 0.25),
    263: (0.95, -0.93, 0.25),
}
_LIPS = {13: 0.0, 82: -0.1, 312: 0.1}
_BELOW = {13: 14, 82: 87, 312: 317}
_LIP_Y, _LIP_Z = 0.42, -0.15


@dataclass(frozen=True)
class Row:
    """One answer of the detector: its features, when, and how many windows it answered for."""

    at_s: float
    features: np.ndarray
    windows: int


def windows_of(call: Call, rng: np.random.Generator) -> Iterator[AudioWindow | FaceWindow]:
    """Yield the windows of both tracks in the order a call brings them."""
    cutter = AudioWindows(SOUND)
    heard = [
        w for w in cutter.push(AudioFrame(SOUND, 0.0, call.sound, RATE_HZ)) if isinstance(w, AudioWindow)
    ]
    for face in faces_of(call, rng):
        while heard and heard[0].end_s <= face.end_s:
            yield heard.pop(0)
        yield face


def answers(detector: LipSync, call: Call, rng: np.random.Generator) -> tuple[list[Row], dict[str, int]]:
    """Return what the detector reads of a call, each answer once, and how often it abstained and why."""
    rows: list[Row] = []
    reasons: dict[str, int] = {}
    for window in windows_of(call, rng):
        if isinstance(window, AudioWindow):
            detector.hear(window)
            continue
        found = detector.prepare(window)
        if isinstance(found, Abstain):
            reasons[found.reason] = reasons.get(found.reason, 0) + 1
        elif rows and np.array_equal(rows[-1].features, found):
            rows[-1] = Row(rows[-1].at_s, found, rows[-1].windows + 1)
        else:
            rows.append(Row(window.end_s, found, 1))
    detector.forget("s", "p")
    return rows, reasons


def faces_of(call: Call, rng: np.random.Generator) -> Iterator[FaceWindow]:
    """Yield a face window about every 0.2 s with the looks since the one before."""
    times = _times(rng)
    points = _points(call, times, rng)
    eye_px = points[0, [263, 362]].mean(axis=0)[0] - points[0, [33, 133]].mean(axis=0)[0]
    quality = FaceQuality(float(eye_px), 100.0, 0.0, 120.0, 0.99)
    start, due_s = 0, 0.0
    for at, time_s in enumerate(times):
        if time_s < due_s:
            continue
        looks = tuple(
            Glimpse(float(times[i]), points[i], _THUMBNAIL, (640, 480)) for i in range(start, at + 1)
        )
        yield FaceWindow(PICTURE, 0, float(times[start]), float(time_s), _CROP, _MARKS, quality, looks)
        start, due_s = at + 1, time_s + 0.19


def _times(rng: np.random.Generator) -> np.ndarray:
    """Return when pictures are looked at: 10 to 15 a second, some lost, now and then a freeze."""
    times = np.arange(0, CALL_S - 0.5, 1 / rng.choice([10.0, 12.5, 15.0, 15.0]))
    times = times + rng.normal(0, 0.003, len(times))
    kept = rng.random(len(times)) >= rng.choice([0.0, 0.02, 0.1])
    for _ in range(rng.poisson(0.7)):
        at = rng.uniform(0, CALL_S)
        kept &= ~((times > at) & (times < at + rng.uniform(0.2, 1.2)))
    return np.sort(times[kept])


def _points(call: Call, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float32 (T, 468, 2): the mesh's points in pixels, of a head that moves, with noise."""
    # a picture is exposed for some hundredths of a second
    hops = np.clip(np.round(times / HOP_S).astype(int)[:, None] + np.arange(-1, 2), 0, len(call.opening) - 1)
    opening, width = call.opening[hops].mean(axis=1), call.width[hops].mean(axis=1)
    nose_px = np.exp(rng.uniform(np.log(32), np.log(110)))
    # the agent's and the customer's clip have 0.005 to 0.014 at noses of 60 to 85 px; small faces have more
    spread = np.exp(rng.uniform(np.log(0.004), np.log(0.012))) * max(1.0, 45 / nose_px)
    gap = np.maximum(opening + _shaky(len(times), spread, rng), 0.0)
    mesh = np.zeros((len(times), 468, 3))
    for index, place in _HEAD.items():
        mesh[:, index] = place
    mesh[:, 133], mesh[:, 362] = (-0.36, -0.9, 0.0), (0.36, -0.9, 0.0)
    for upper, x in _LIPS.items():
        mesh[:, upper] = np.stack([np.full(len(gap), x), _LIP_Y - gap / 2, np.full(len(gap), _LIP_Z)], 1)
        mesh[:, _BELOW[upper]] = mesh[:, upper] + np.stack([0 * gap, gap, 0 * gap], 1)
    half = (width + _shaky(len(times), spread / 2, rng)) * 1.9 / 2
    for index, side in ((61, -1), (291, 1)):
        mesh[:, index] = np.stack([side * half, 0 * half + _LIP_Y, 0 * half], 1)
    mesh += rng.normal(0, 0.002, mesh.shape)
    turned = mesh @ _turns(len(times), rng)
    shift = np.stack([wander(len(times), 0.2, rng), wander(len(times), 0.2, rng)], 1) * 8 + (320, 240)
    scale = nose_px * (1 + 0.03 * wander(len(times), 0.4, rng))
    return (turned[:, :, :2] * scale[:, None, None] + shift[:, None]).astype(np.float32)


def _turns(looks: int, rng: np.random.Generator) -> np.ndarray:
    """Return (T, 3, 3) matrices of a head that sways and nods by some degrees around a pose of its own."""
    size = np.radians(rng.uniform(0.5, 5.0))
    pose = np.radians(rng.normal(0, (8, 6, 3)))
    yaw, pitch, roll = (pose[i] + size * wander(looks, rng.uniform(0.03, 0.2), rng) for i in range(3))
    one, nil = np.ones(looks), np.zeros(looks)
    turn = np.array([[np.cos(yaw), nil, -np.sin(yaw)], [nil, one, nil], [np.sin(yaw), nil, np.cos(yaw)]])
    nod = np.array(
        [[one, nil, nil], [nil, np.cos(pitch), np.sin(pitch)], [nil, -np.sin(pitch), np.cos(pitch)]]
    )
    tilt = np.array([[np.cos(roll), np.sin(roll), nil], [-np.sin(roll), np.cos(roll), nil], [nil, nil, one]])
    turn, nod, tilt = (np.moveaxis(m, 2, 0) for m in (turn, nod, tilt))
    return np.asarray(turn @ nod @ tilt)


def _shaky(looks: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Return FaceMesh's noise: half of it new in every picture, half slow."""
    return spread * (rng.normal(0, 0.8, looks) + 0.6 * wander(looks, 0.04, rng))
