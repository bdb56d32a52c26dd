"""Evidence of one signal about one voice or one face, with bounded memory.

Two questions are asked of the same windows:

- *fake from the start*: the mean llr over the last 8, 15 and 60 s. Windows of one
  call share a bias (this microphone, this skin, this codec), so n windows are not n
  times the evidence. With ``call_share`` r of the variance common to the call, the
  calibrated llr of the mean of n windows is ``mean * n / (1 + (n - 1) * r)``, at most
  ``mean / r`` (the design effect: Kish, Survey Sampling, 1965, section 5.4; for
  calibrated Gaussian llr: van Leeuwen & Brummer, Interspeech 2013).
- *switched mid-call*: Page's CUSUM (Biometrika 41, 1954; with llr increments optimal in
  Lorden's sense, Moustakides, Annals of Statistics 14, 1986), less a drift that a
  call's bias must exceed before anything adds up, and capped.

Everything is recomputed from the windows of the last minute, sorted by media time, so
the order in which scores arrive does not matter.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from guard.fusion.config import EvidenceConfig

_FLOOR_S = 0.05


class Windows:
    """The scored windows of the last minute: (end_s, start_s, llr), sorted by time.

    Args:
        config: clip, unit and gap of this kind of track.
        horizon_s: windows that ended longer ago than this are forgotten.
        limit: windows kept at most; the oldest goes.
    """

    def __init__(self, config: EvidenceConfig, horizon_s: float, limit: int) -> None:
        self._config = config
        self._horizon_s = horizon_s
        self._limit = limit
        self._items: list[tuple[float, float, float]] = []
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
        self.expire(self.last_s)
        del self._items[: -self._limit]

    def expire(self, at_s: float) -> None:
        """Forget what ended more than the horizon before ``at_s``."""
        del self._items[: bisect_left(self._items, (at_s - self._horizon_s,))]

    def weighted(self) -> Iterator[tuple[float, float, float]]:
        """Yield (end_s, new seconds, llr): overlap with earlier windows counts once."""
        covered_s = float("-inf")
        for end_s, start_s, llr in self._items:
            new_s = end_s - max(start_s, covered_s)
            yield end_s, min(max(new_s, _FLOOR_S), self._config.max_gap_s), llr
            covered_s = max(covered_s, end_s)

    def mean_llr(self, horizon_s: float) -> float | None:
        """Return the evidence of the last ``horizon_s`` before the newest window.

        Returns:
            The mean llr by new seconds, made stronger as far as the windows are
            independent; None without a window.
        """
        total_s = total = 0.0
        for end_s, new_s, llr in self.weighted():
            if end_s > self.last_s - horizon_s:
                total_s += new_s
                total += new_s * llr
        if total_s == 0:
            return None
        n = max(1.0, total_s / self._config.unit_s)
        return total / total_s * n / (1 + (n - 1) * self._config.call_share)

    def change_llr(self, drift_llr: float, cap_llr: float) -> float:
        """Return Page's statistic over the kept windows, in [0, ``cap_llr``]."""
        total = 0.0
        for _, new_s, llr in self.weighted():
            total += (llr - drift_llr) * min(1.0, new_s / self._config.unit_s)
            total = min(cap_llr, max(0.0, total))
        return total


class Coverage:
    """Seconds of a track covered by scored windows, each second counted once.

    Memory is bounded: spans that ended ``horizon_s`` ago are added up and closed.
    """

    def __init__(self, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._spans: list[tuple[float, float]] = []
        self._closed_s = 0.0
        self._closed_until_s = float("-inf")

    @property
    def seconds(self) -> float:
        """Return the covered seconds since the start."""
        return self._closed_s + sum(end - start for start, end in self._spans)

    def add(self, start_s: float, end_s: float) -> None:
        """Cover one span; what is older than the closed part adds nothing."""
        start_s = max(start_s, self._closed_until_s)
        if end_s <= start_s:
            return
        apart = [s for s in self._spans if s[1] < start_s or s[0] > end_s]
        touching = [s for s in self._spans if not (s[1] < start_s or s[0] > end_s)]
        low = min([start_s, *(s[0] for s in touching)])
        high = max([end_s, *(s[1] for s in touching)])
        self._spans = sorted([*apart, (low, high)])
        self._close(self._spans[-1][1] - self._horizon_s)

    def _close(self, until_s: float) -> None:
        keep: list[tuple[float, float]] = []
        for start_s, end_s in self._spans:
            if start_s >= until_s:
                keep.append((start_s, end_s))
                continue
            self._closed_s += min(end_s, until_s) - start_s
            if end_s > until_s:
                keep.append((until_s, end_s))
        self._spans = keep
        self._closed_until_s = max(self._closed_until_s, until_s)
