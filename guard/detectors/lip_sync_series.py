"""What lips and voice of one participant did, on one grid of time: the memory of ``lip_sync``.

Both are kept for ``KEPT_S`` seconds and are asked for a stretch of the grid, 25 steps a second. A step of
which nothing was seen or heard stays unknown; nothing is stitched over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from guard.media.lips import (
    BANDS_HZ,
    FRAME,
    HOP,
    RATE_HZ,
    STEP_S,
    MouthSteps,
    VoiceSteps,
    band_powers,
    mouth_of,
    mouth_steps,
)
from guard.types import AudioWindow, Glimpse

KEPT_S = 24.0

_HOPS_PER_STEP = round(STEP_S * RATE_HZ / HOP)
_HOPS_KEPT = round(KEPT_S * RATE_HZ / HOP)
_GLIMPSES_KEPT = round(KEPT_S * 30)


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
        return mouth_steps(self._looks, np.arange(first, end, dtype=np.float64) * STEP_S)


class VoiceTrace:
    """The voice of one participant: band powers 100 times a second, of the last ``KEPT_S`` heard."""

    def __init__(self) -> None:
        self._power = np.zeros((_HOPS_KEPT, len(BANDS_HZ)), np.float32)
        self._hop = np.full(_HOPS_KEPT, np.iinfo(np.int64).min)
        self.end_s = float("-inf")
        self.snr_db: float | None = None
        self.skew_s: float | None = None

    def add(self, window: AudioWindow) -> None:
        """Take a window; parts heard before are replaced, what is older than is kept is left out."""
        # a window at the start of a stretch is padded by repeating itself: the repeats are no media
        real = round((window.end_s - window.start_s) * RATE_HZ)
        samples = window.samples[:real].astype(np.float64)
        if len(samples) < FRAME or not np.isfinite(samples).all():
            return
        power = band_powers(samples)
        centre_s = window.start_s + (FRAME / 2 - HOP / 2) / RATE_HZ
        hops = round(centre_s * RATE_HZ / HOP) + np.arange(len(power))
        if window.end_s > self.end_s:
            self.end_s, self.snr_db = window.end_s, window.quality.snr_db
            self.skew_s = window.skew_s
        fresh = (hops >= 0) & (hops > self.end_s * RATE_HZ / HOP - _HOPS_KEPT)
        place = hops[fresh] % _HOPS_KEPT
        self._power[place], self._hop[place] = power[fresh], hops[fresh]

    @property
    def seen_end_s(self) -> float:
        """Up to which moment of the pictures the voice was heard: the skew of the two tracks is taken off."""
        return self.end_s - (self.skew_s or 0.0)

    def steps(self, first: int, end: int) -> VoiceSteps:
        """Return steps ``first`` to ``end`` (exclusive) of the pictures' grid: means over 40 ms around each.

        The newest skew counts for all that is kept, to 10 ms.
        """
        late = round((self.skew_s or 0.0) * RATE_HZ / HOP)
        hops = np.arange(first * _HOPS_PER_STEP, end * _HOPS_PER_STEP) - _HOPS_PER_STEP // 2 + late
        place = hops % _HOPS_KEPT
        known = (self._hop[place] == hops).reshape(-1, _HOPS_PER_STEP)
        power = self._power[place].astype(np.float64).reshape(-1, _HOPS_PER_STEP, len(BANDS_HZ))
        mean = (power * known[..., None]).sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
        return VoiceSteps(mean, known.sum(axis=1) * 2 >= _HOPS_PER_STEP)
