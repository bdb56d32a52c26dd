"""How much of a track was covered, counted once, with bounded memory."""

from __future__ import annotations


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

    def within(self, start_s: float, end_s: float) -> float:
        """Return the covered seconds of a stretch that lies within the last ``horizon_s``."""
        return sum(max(0.0, min(end, end_s) - max(start, start_s)) for start, end in self._spans)

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
