"""Two clear closings of both eyes, one soon after the other.

People blink by themselves, every few seconds and for a tenth or two of a second. What is asked for is slower
and comes twice; single closings, and short ones, are nothing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from guard.challenge.gestures_patch import Mask
from guard.challenge.gestures_series import MIN_REACTION_S, GestureFinding, Series, runs
from guard.challenge.pose import Floats

# an eye is shut where its picture correlates less than this with the open one, or its lids come this near
_SHUT_LOOK, _SHUT_LIDS = 0.6, 0.6
# eyes of a head that is turned or hidden tell nothing: degrees, and the correlation of the mouth
_AHEAD_DEG, _MOUTH_THERE = 9.0, 0.7
MIN_SHUT_S, MAX_SHUT_S = 0.2, 1.5
# from one beginning to the next
MAX_APART_S = 1.5


def find_blinks(found: Series, *, over: bool) -> GestureFinding | None:
    """Return what the eyes did, or None while that is open."""
    shut = _shut(found)
    closings = [c for c in _closings(found.time_s, shut) if MIN_SHUT_S <= c[1] - c[0] <= MAX_SHUT_S]
    details = {"closings": float(sum(start >= MIN_REACTION_S for start, _ in closings))}
    early = [start for start, _ in closings if start < MIN_REACTION_S]
    if len(early) > 1:
        return GestureFinding(False, "answered_early", early[0], details)
    for (one_s, one_end_s), (other_s, _) in pairwise(closings[len(early) :]):
        if other_s - one_s <= MAX_APART_S:
            details["shut_s"] = round(one_end_s - one_s, 3)
            return GestureFinding(True, "done", one_s, details)
    return GestureFinding(False, "not_answered", None, details) if over else None


def _shut(found: Series) -> Floats:
    """Return (T,) how shut both eyes are: 1 at the limit and above, NaN where it cannot be told."""
    first = found.first
    looks, lids = found.looks.eyes, found.poses.eyes
    open_lids = np.nanmedian(lids[:first], axis=0)
    by_look = (1 - looks.max(axis=1)) / (1 - _SHUT_LOOK)
    by_lids = (1 - (lids / open_lids).max(axis=1)) / (1 - _SHUT_LIDS)
    shut = np.where(found.seen, np.maximum(by_look, by_lids), np.nan)
    return np.where(_ahead(found), shut, np.nan)


def _ahead(found: Series) -> Mask:
    p = found.poses
    angles = np.max([np.abs(angle) for angle in (p.yaw_deg, p.pitch_deg, p.roll_deg)], axis=0)
    return np.asarray((angles < _AHEAD_DEG) & (found.looks.parts[:, 2] > _MOUTH_THERE))


def _closings(time_s: Floats, shut: Floats) -> list[tuple[float, float]]:
    """Return beginning and end of each closing, between pictures by straight lines.

    One that has not ended, or that a picture without eyes interrupts, is left out.
    """
    known = np.isfinite(shut)
    times, level = time_s[known], shut[known]
    out = []
    for start, end in runs(level >= 1.0, 1):
        if end == len(level):
            break
        begun, ended = (_crossing(times, level, at) for at in (start - 1, end - 1))
        out.append((begun, ended))
    return out


def _crossing(times: Floats, level: Floats, at: int) -> float:
    """Return when ``level`` passes 1 between ``at`` and the next picture."""
    part = (1.0 - level[at]) / (level[at + 1] - level[at])
    return float(times[at] + part * (times[at + 1] - times[at]))
