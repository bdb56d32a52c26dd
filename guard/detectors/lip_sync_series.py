"""What lips and voice of one participant did, on one grid of time: the memory of ``lip_sync``.

Both are kept for ``KEPT_S`` seconds and are asked for a stretch of the grid, 25 steps a second. A step of
which nothing was seen or heard stays unknown; nothing is stitched over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.types import AudioWindow, FloatArray, Glimpse

STEP_S = 0.04
KEPT_S = 24.0
# two looks further apart than this leave the steps between them unknown
MAX_BETWEEN_S = 0.26

RATE_HZ = 16_000
_HOP, _FRAME = 160, 400
_HOPS_PER_STEP = 4
_HOPS_KEPT = round(KEPT_S * RATE_HZ / _HOP)
# the telephone band, where most of what opens the mouth is heard, and the voice's own pitch below it
BANDS_HZ = ((300.0, 3400.0), (80.0, 300.0))
_POWER_FLOOR = 1e-9

_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))
_MOUTH_CORNERS, _EYE_CORNERS = (61, 291), (33, 263)
_NOSE = (168, 2)
_GLIMPSES_KEPT = round(KEPT_S * 30)
_MIN_SIZE_PX = 4.0


@dataclass(frozen=True, slots=True)
class MouthSteps:
    """Float64 (N,) each: opening and width of the mouth on the grid, and which steps are known (bool)."""

    opening: NDArray[np.float64]
    width: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class VoiceSteps:
    """Of each step of the grid: power in the two BANDS_HZ, float64 (N, 2), and whether it was heard."""

    power: NDArray[np.float64]
    known: NDArray[np.bool_]


def mouth_of(points: FloatArray) -> tuple[float, float] | None:
    """Return opening and width of the mouth, each in lengths of the face that shrink with it.

    The gap between the inner lips is measured in lengths of the nose (bridge to base), the width in
    distances of the outer eye corners: so a nod shortens both lengths of the first ratio, a turn both of the
    second. None where the points fall together.

    Args:
        points: float32 (468, 2), FaceMesh points in pixels.
    """
    nose, eyes = (_distance(points, pair) for pair in (_NOSE, _EYE_CORNERS))
    if not (np.isfinite(points).all() and nose >= _MIN_SIZE_PX and eyes >= _MIN_SIZE_PX):
        return None
    gap = sum(_distance(points, pair) for pair in _LIP_PAIRS) / len(_LIP_PAIRS)
    return gap / nose, _distance(points, _MOUTH_CORNERS) / eyes


class MouthTrace:
    """The mouth of one face; at most ``KEPT_S`` seconds and 30 looks a second are kept."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float, float]] = deque(maxlen=_GLIMPSES_KEPT)
        self.end_s = float("-inf")

    def __len__(self) -> int:
        return len(self._looks)

    def add(self, glimpses: Sequence[Glimpse]) -> None:
        """Take looks newer than the last, oldest first; those without the face's points add nothing."""
        for glimpse in glimpses:
            mouth = None if glimpse.points is None else mouth_of(glimpse.points)
            if mouth is not None and glimpse.time_s > self.end_s:
                self._looks.append((glimpse.time_s, *mouth))
                self.end_s = glimpse.time_s
        while self._looks and self._looks[0][0] < self.end_s - KEPT_S:
            self._looks.popleft()

    def steps(self, first: int, end: int) -> MouthSteps:
        """Return steps ``first`` to ``end`` (exclusive) of the grid, between looks by straight lines."""
        time_s = np.arange(first, end) * STEP_S
        if len(self._looks) < 2:
            nothing = np.zeros(end - first)
            return MouthSteps(nothing, nothing, np.zeros(end - first, np.bool_))
        looks = np.array(self._looks)
        after = np.searchsorted(looks[:, 0], time_s, side="right").clip(1, len(looks) - 1)
        between_s = looks[after, 0] - looks[after - 1, 0]
        inside = (time_s >= looks[0, 0]) & (time_s <= looks[-1, 0])
        opening, width = (np.interp(time_s, looks[:, 0], looks[:, column]) for column in (1, 2))
        return MouthSteps(opening, width, inside & (between_s <= MAX_BETWEEN_S))


class VoiceTrace:
    """The voice of one participant: band powers 100 times a second, of the last ``KEPT_S`` heard."""

    def __init__(self) -> None:
        self._power = np.zeros((_HOPS_KEPT, len(BANDS_HZ)), np.float32)
        self._hop = np.full(_HOPS_KEPT, np.iinfo(np.int64).min)
        self.end_s = float("-inf")
        self.snr_db: float | None = None

    def add(self, window: AudioWindow) -> None:
        """Take a window; parts heard before are replaced, what is older than is kept is left out."""
        # a window at the start of a stretch is padded by repeating itself: the repeats are no media
        real = round((window.end_s - window.start_s) * RATE_HZ)
        samples = window.samples[:real].astype(np.float64)
        if len(samples) < _FRAME or not np.isfinite(samples).all():
            return
        power = band_powers(samples)
        centre_s = window.start_s + (_FRAME / 2 - _HOP / 2) / RATE_HZ
        hops = round(centre_s * RATE_HZ / _HOP) + np.arange(len(power))
        if window.end_s > self.end_s:
            self.end_s, self.snr_db = window.end_s, window.quality.snr_db
        fresh = (hops >= 0) & (hops > self.end_s * RATE_HZ / _HOP - _HOPS_KEPT)
        place = hops[fresh] % _HOPS_KEPT
        self._power[place], self._hop[place] = power[fresh], hops[fresh]

    def steps(self, first: int, end: int) -> VoiceSteps:
        """Return steps ``first`` to ``end`` (exclusive) of the grid: means over 40 ms around each."""
        hops = np.arange(first * _HOPS_PER_STEP, end * _HOPS_PER_STEP) - _HOPS_PER_STEP // 2
        place = hops % _HOPS_KEPT
        known = (self._hop[place] == hops).reshape(-1, _HOPS_PER_STEP)
        power = self._power[place].astype(np.float64).reshape(-1, _HOPS_PER_STEP, len(BANDS_HZ))
        mean = (power * known[..., None]).sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
        return VoiceSteps(mean, known.sum(axis=1) * 2 >= _HOPS_PER_STEP)


def band_powers(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 (T, 2): power in BANDS_HZ every 10 ms, of samples (N,) at 16 kHz, N >= 400."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] * np.hanning(_FRAME)
    spectrum = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / _FRAME**2
    hz = np.fft.rfftfreq(_FRAME, 1.0 / RATE_HZ)
    columns = [spectrum[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in BANDS_HZ]
    return np.stack(columns, axis=1) + _POWER_FLOOR


def _distance(points: FloatArray, pair: tuple[int, int]) -> float:
    return float(np.hypot(*(points[pair[0]] - points[pair[1]])))
