"""From the half seconds of overlapping windows to one llr for each second of a track.

A voice that is spliced in for two seconds moves the llr of a whole window little; second by second it
shows (partial spoof: Zhang et al. 2021, arXiv:2104.02518). A second alone is weak evidence, and is calibrated
as such before it comes here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from guard.types import PART_S

_ROUNDING_S = 1e-6
# a second of which less was scored says nothing
_MIN_SCORED_S = 0.5


@dataclass(frozen=True, slots=True)
class Stretch:
    """Natural llr of the stretch of a track that begins at media time ``start_s``."""

    start_s: float
    llr: float


class Seconds:
    """Collects the half seconds of one track; the order in which windows come does not matter."""

    def __init__(self) -> None:
        self._scored_s: dict[int, float] = {}
        self._llr_s: dict[int, float] = {}

    def add(self, start_s: float, parts_llr: Sequence[float]) -> None:
        """Take the half seconds of one window that begins at media time ``start_s``."""
        for at, llr in enumerate(parts_llr):
            begin_s = start_s + at * PART_S
            end_s = begin_s + PART_S
            second = math.floor(begin_s + _ROUNDING_S)
            self._add(second, min(end_s, second + 1.0) - begin_s, llr)
            if end_s > second + 1.0 + _ROUNDING_S:
                self._add(second + 1, end_s - second - 1.0, llr)

    def llrs(self) -> list[Stretch]:
        """Return each scored second in order; what several windows say of one is averaged."""
        return [
            Stretch(float(second), self._llr_s[second] / scored_s)
            for second, scored_s in sorted(self._scored_s.items())
            if scored_s >= _MIN_SCORED_S - _ROUNDING_S
        ]

    def highest_pair(self) -> Stretch | None:
        """Return the two consecutive seconds of highest mean llr, the first of equals; None without any."""
        pairs = [
            Stretch(a.start_s, (a.llr + b.llr) / 2)
            for a, b in pairwise(self.llrs())
            if b.start_s == a.start_s + 1.0
        ]
        return max(pairs, key=lambda pair: (pair.llr, -pair.start_s), default=None)

    def _add(self, second: int, scored_s: float, llr: float) -> None:
        self._scored_s[second] = self._scored_s.get(second, 0.0) + scored_s
        self._llr_s[second] = self._llr_s.get(second, 0.0) + scored_s * llr
