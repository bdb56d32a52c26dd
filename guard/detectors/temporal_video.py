"""A feed that stands still, runs again, or jumps to another one.

Read from the picture in little (``Glimpse.thumbnail``) and from the face's points together: a video on a wall
may run in a loop, a light may switch, and neither counts. Only pictures that came are judged: where none
came (network, a paused track) nothing stood still.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guard.detectors.temporal_points import eye_distance
from guard.detectors.temporal_still import Still
from guard.media.likeness import likeness
from guard.types import FloatArray, Glimpse, ImageArray

# pictures further apart than this are not neighbours: something was lost between them
MAX_GAP_S = 0.3
# how long a stretch must come again before it is called a repetition
REPEAT_S = 5.0
MEMORY_S = 60.0
# pictures kept for finding repetitions
_KEPT_STEP_S = 0.095
MAX_KEPT = 700
LAGS_S = np.arange(1.0, MEMORY_S - REPEAT_S, 0.05)
# part of a run that must have something to be compared with
_MIN_SHARE = 0.8

# frozen: no cell of the thumbnail may leave the first one's value by more, nor the points, root mean square,
# their places: half a millimetre. Who sits still sways, blinks and breathes by more; a codec trembles by less
_SAME_LEVELS = 2
_SAME_EYES = 0.01

# cut: likeness of two pictures below which they show something else, above which the same
_OTHER, _SAME = 0.6, 0.9
_BEFORE, _AFTER = 4, 2
_JUMP_EYES = 0.3


class Feed:
    """What one video track showed lately; bounded."""

    def __init__(self) -> None:
        self._last: tuple[Glimpse, FloatArray] | None = None
        self._first_same: tuple[float, ImageArray, FloatArray | None] | None = None
        self._likeness: deque[tuple[float, float, FloatArray | None]] = deque(maxlen=_BEFORE + _AFTER + 1)
        self.pictures = Run(MAX_KEPT)
        self.still = Still()
        self.cut_s: float | None = None

    @property
    def last_s(self) -> float:
        """Media time of the newest picture, minus infinity before the first."""
        return float("-inf") if self._last is None else self._last[0].time_s

    @property
    def frozen_s(self) -> float:
        """Seconds for which the picture has stood still although new ones came."""
        return 0.0 if self._first_same is None else max(0.0, self.last_s - self._first_same[0])

    def add(self, glimpse: Glimpse, points: FloatArray | None) -> None:
        """Take the next picture, with the ``FOLLOWED`` points of one face in it; pass over older ones."""
        if glimpse.time_s <= self.last_s:
            return
        little = glimpse.thumbnail.astype(np.float32)
        # rows lose their mean: mains light beats with the shutter in stripes and repeats by itself
        flat = (little - little.mean(axis=1, keepdims=True)).reshape(-1)
        self._follow_stillness(glimpse, points)
        self._follow_likeness(glimpse, flat, points)
        self.pictures.add(glimpse.time_s, flat)
        self.still.add(glimpse, points)
        self._last = (glimpse, flat)

    def _follow_stillness(self, glimpse: Glimpse, points: FloatArray | None) -> None:
        first = self._first_same
        if first is not None and glimpse.time_s - self.last_s <= MAX_GAP_S:
            levels = np.abs(first[1].astype(np.int16) - glimpse.thumbnail).max()
            if levels <= _SAME_LEVELS and _moved(first[2], points) <= _SAME_EYES:
                return
        self._first_same = (glimpse.time_s, glimpse.thumbnail, points)

    def _follow_likeness(self, glimpse: Glimpse, flat: FloatArray, points: FloatArray | None) -> None:
        last = self._last
        # a turned telephone or another layout changes the shape of the picture: not followed across
        reshaped = last is not None and last[0].size[0] * glimpse.size[1] != last[0].size[1] * glimpse.size[0]
        if last is None or reshaped or glimpse.time_s - last[0].time_s > MAX_GAP_S:
            self._likeness.clear()
            self._likeness.append((glimpse.time_s, 1.0, points))
            return
        found = likeness(last[1], flat)
        # a picture too flat to tell, such as a black one, is no cut
        self._likeness.append((glimpse.time_s, 1.0 if found is None else found, points))
        if len(self._likeness) == self._likeness.maxlen and _is_cut(list(self._likeness)):
            self.cut_s = self._likeness[_BEFORE][0]


class Run:
    """Times and vectors of the last minute, thinned to ten a second.

    Vectors are kept as 16-bit numbers in steps of 1/16 of their unit, so that a minute of thumbnails
    takes under a megabyte.
    """

    def __init__(self, kept: int) -> None:
        self._times: deque[float] = deque(maxlen=kept)
        self._rows: deque[NDArray[np.int16]] = deque(maxlen=kept)

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_s: float, row: FloatArray) -> None:
        """Keep a vector, unless the last one kept is too near in time."""
        if not self._times or time_s - self._times[-1] >= _KEPT_STEP_S:
            self._times.append(time_s)
            self._rows.append(np.clip(np.rint(row * 16), -32768, 32767).astype(np.int16))

    def rest_of(self, floor: float) -> FloatArray:
        """Return how little of the last ``REPEAT_S`` was shown before, for every one of ``LAGS_S``.

        Args:
            floor: variance of a number of the vectors below which nothing moved that could repeat.

        Returns:
            float32 (L,): mean squared distance from what was shown that long ago, over that of two
            unlike moments (twice the variance). 0: shown before, 1: unlike, infinite: not known.
        """
        out = np.full(len(LAGS_S), np.inf, np.float32)
        if len(self._times) < 2 or self._times[-1] - self._times[0] < REPEAT_S + LAGS_S[0]:
            return out
        times = np.array(self._times)
        rows = np.stack(self._rows).astype(np.float32) / np.float32(16)
        run = np.flatnonzero(times > times[-1] - REPEAT_S)
        spread = float(((rows[run] - rows[run].mean(axis=0)) ** 2).sum(axis=1).mean())
        if spread < floor * rows.shape[1]:
            return out
        distance = _to_segments(rows[run], rows)
        asked = times[run][None] - LAGS_S[:, None]
        at = np.clip(np.searchsorted(times, asked) - 1, 0, len(times) - 2)
        known = (asked >= times[0]) & (np.diff(times)[at] <= MAX_GAP_S)
        found = distance[np.arange(len(run))[None], at]
        share = known.mean(axis=1)
        enough = share >= _MIN_SHARE
        mean = np.where(known, found, 0.0).sum(axis=1)[enough] / known.sum(axis=1)[enough]
        out[enough] = mean / (2 * spread)
        return out


def repeated(pictures: FloatArray, points: FloatArray) -> float:
    """Return the smallest rest that picture and points leave at one common lag; infinite: unknown."""
    return float(np.maximum(pictures, points).min())


def _to_segments(rows: FloatArray, track: FloatArray) -> FloatArray:
    """Return float32 (R, N - 1): squared distances of rows (R, D) from the lines that join track (N, D)."""
    # what all have in common would cancel in float32: distances stay where it is taken away
    middle = track.mean(axis=0)
    rows, track = rows - middle, track - middle
    square, steps = _squared(track), _squared(track[1:] - track[:-1])
    near = _squared(rows)[:, None] + square[None] - 2 * rows @ track.T
    length = np.maximum(steps, 1e-9)[None]
    along = (near[:, :-1] - near[:, 1:] + length) / 2
    part = np.clip(along / length, 0, 1)
    return np.asarray(np.maximum(near[:, :-1] - 2 * part * along + part**2 * length, 0), np.float32)


def _squared(rows: FloatArray) -> FloatArray:
    """Return the squared lengths of rows (N, D), float32 (N,)."""
    return np.asarray(np.einsum("nd,nd->n", rows, rows), np.float32)


def _moved(before: FloatArray | None, after: FloatArray | None) -> float:
    """Return the way of the points, root mean square, in eye distances; 0 where neither shows the face."""
    if before is None or after is None:
        return 0.0 if before is after else float("inf")
    way = np.sqrt(((after - before) ** 2).sum(axis=1).mean())
    return float(way / max(eye_distance(before), 1.0))


def _is_cut(seen: Sequence[tuple[float, float, FloatArray | None]]) -> bool:
    """Tell whether the picture amid these changed at once, between two stretches that did not."""
    alike = [likeness for _, likeness, _ in seen]
    if alike[_BEFORE] >= _OTHER or min(alike[:_BEFORE] + alike[_BEFORE + 1 :]) <= _SAME:
        return False
    before = [points for _, _, points in seen[:_BEFORE] if points is not None]
    after = [points for _, _, points in seen[_BEFORE:] if points is not None]
    if not before or not after:
        return False
    size = eye_distance(before[-1])
    shift = np.hypot(*(after[0].mean(axis=0) - before[-1].mean(axis=0))) / max(size, 1.0)
    growth = abs(np.log(max(eye_distance(after[0]), 1.0) / max(size, 1.0)))
    return bool(shift > _JUMP_EYES or growth > 0.2)
