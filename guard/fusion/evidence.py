"""Evidence of one signal about one voice or one face, with bounded memory.

Windows of one call share a bias (this microphone, this skin, this codec), so n windows are not n
times the evidence. With ``call_share`` r of the variance common to the call, the calibrated llr of
the mean of n windows is ``mean * n / (1 + (n - 1) * r)``, at most ``mean / r`` (the design effect:
Kish, Survey Sampling, 1965, section 5.4; calibrated Gaussian llr: van Leeuwen and Brummer,
Interspeech 2013). The evidence is the greatest of these bounded means over the last 8, 15 and 60 s,
the shorter ones with what their rise above the windows before them adds (``guard.fusion.change``).
Raising the scores of the last 8 s never lowers it; raising earlier ones takes away at most what a rise
can add. Page's CUSUM (Biometrika 41, 1954) with llr increments less a drift tells whether, and since
when, the evidence has turned mid-call; its statistic is no evidence, because the bias of a genuine
call adds up in it without bound (docs/decisions.md).

Everything is recomputed from the kept windows, sorted by media time, so the order in
which scores arrive does not matter.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

from guard.fusion.change import change_llr
from guard.fusion.config import ChangeConfig, EvidenceConfig, FusionConfig

_FLOOR_S = 0.05
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Heard:
    """What the kept windows say.

    Args:
        llr: evidence, positive means spoof.
        turned_s: media time at which the evidence turned to spoof, None if it has not;
            a call that was suspicious from its start has not been switched.
        rise_llr: what of the evidence is a rise within the call.
    """

    llr: float
    turned_s: float | None
    rise_llr: float = 0.0


class Windows:
    """The scored windows of the last minute: (end_s, start_s, llr), sorted by time.

    Args:
        config: clip, unit and gap of this kind of track.
        fusion: horizons and change detector.
        change: what a rise within the call adds; None: nothing.
    """

    def __init__(
        self, config: EvidenceConfig, fusion: FusionConfig, change: ChangeConfig | None = None
    ) -> None:
        self._config = config
        self._fusion = fusion
        self._change = change
        self._items: list[tuple[float, float, float]] = []
        self._heard: Heard | None = None
        self.count = 0

    @property
    def last_s(self) -> float:
        """Media time of the newest window's end; -inf before the first."""
        return self._items[-1][0] if self._items else float("-inf")

    def __len__(self) -> int:
        return len(self._items)

    def add(self, start_s: float, end_s: float, llr: float) -> None:
        """Take one scored window; the same window again replaces what it said."""
        clip = self._config.clip_llr
        at = bisect_left(self._items, (end_s, start_s))
        if at < len(self._items) and self._items[at][:2] == (end_s, start_s):
            del self._items[at]
        else:
            self.count += 1
        insort(self._items, (end_s, start_s, max(-clip, min(clip, llr))))
        del self._items[: -self._fusion.max_windows]
        self._heard = None
        self.expire(self.last_s)

    def expire(self, at_s: float) -> None:
        """Forget what ended more than the longest horizon before ``at_s``."""
        old = bisect_left(self._items, (at_s - self._fusion.horizons_s[-1],))
        if old:
            del self._items[:old]
            self._heard = None

    def heard(self) -> Heard | None:
        """Return what the kept windows say; None without a window."""
        if self._items and self._heard is None:
            self._heard = self._listen()
        return self._heard if self._items else None

    def _listen(self) -> Heard:
        """Return the greatest of the means, each as strong as its windows are independent, and its rise."""
        fusion, sums = self._fusion, _Sums(self._items, self._config)
        turned = sums.turned(fusion.cusum_drift_llr, fusion.cusum_llr)
        firsts = {self._first_within(horizon_s) for horizon_s in fusion.horizons_s}
        rises = {first: sums.rise(first, self._change) for first in firsts | {0} if first < len(self._items)}
        llr, rise_llr = max((sums.strength(first) + rise, rise) for first, rise in rises.items())
        return Heard(llr, None if turned is None else self._items[turned][1], rise_llr)

    def _first_within(self, horizon_s: float) -> int:
        """Return the first of the newest windows that lie wholly in the last ``horizon_s``."""
        begin_s = self.last_s - horizon_s - _ROUNDING_S
        first = bisect_left(self._items, (begin_s,))
        while first < len(self._items) and self._items[first][1] < begin_s:
            first += 1
        return first


class _Sums:
    """Running sums over windows sorted by time; overlap with earlier windows counts once."""

    def __init__(self, items: list[tuple[float, float, float]], config: EvidenceConfig) -> None:
        ends_s, starts_s, self._llr = np.array(items).T
        before_s = np.concatenate(([-np.inf], ends_s[:-1]))
        limits = (_FLOOR_S, config.max_gap_s)
        self._unit_s = config.unit_s
        self._call_share = config.call_share
        self._whole_s = np.clip(ends_s - starts_s, *limits)
        self._new_s = np.clip(ends_s - np.maximum(starts_s, before_s), *limits)
        self._seconds = np.concatenate(([0.0], np.cumsum(self._new_s)))
        self._total = np.concatenate(([0.0], np.cumsum(self._new_s * self._llr)))

    def _span(self, first: int, end: int) -> tuple[float, float]:
        """Return seconds and llr-seconds of ``first:end``; its first window counts in full length."""
        whole_s = float(self._whole_s[first])
        seconds = whole_s + float(self._seconds[end] - self._seconds[first + 1])
        return seconds, whole_s * float(self._llr[first]) + float(self._total[end] - self._total[first + 1])

    def mean(self, first: int, end: int) -> float:
        """Return the mean llr of the windows ``first:end``."""
        seconds, total = self._span(first, end)
        return total / seconds

    def strength(self, first: int) -> float:
        """Return what the windows from ``first`` on are worth as evidence."""
        seconds, total = self._span(first, len(self._llr))
        n = max(1.0, seconds / self._unit_s)
        return total / seconds * n / (1 + (n - 1) * self._call_share)

    def rise(self, first: int, change: ChangeConfig | None) -> float:
        """Return what it adds that the windows from ``first`` on score higher than those before them."""
        if change is None or first == 0:
            return 0.0
        before_s, before = self._span(0, first)
        if before_s < change.before_s:
            return 0.0
        after_s, after = self._span(first, len(self._llr))
        units = before_s / self._unit_s, max(1.0, after_s / self._unit_s)
        return change_llr(after / after_s - before / before_s, *units, change)

    def turned(self, drift_llr: float, threshold_llr: float) -> int | None:
        """Return the window at which the evidence turned, by Page's CUSUM; None if it has not.

        The statistic is the sum of the increments less its smallest value so far; it was
        last zero where that smallest value was reached.
        """
        steps = (self._llr - drift_llr) * np.minimum(1.0, self._new_s / self._unit_s)
        path = np.cumsum(steps)
        lowest = np.minimum(0.0, np.minimum.accumulate(path))
        zeros = np.flatnonzero(path <= lowest)
        since = int(zeros[-1]) + 1 if len(zeros) else 0
        level = float(path[-1] - lowest[-1])
        if since in (0, len(path)) or level < threshold_llr or self.mean(0, since) >= 0:
            return None
        return since
