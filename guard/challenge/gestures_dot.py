"""The nose follows a dot: the head turns as the dot goes, place by place, a reaction later.

The screen faces the person, so that a dot at its left is at the person's left, where ``yaw`` is positive.
How far the head goes depends on the screen and on how near it is: direction, order and moment are judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guard.challenge.gestures_series import MIN_REACTION_S, GestureFinding, Series, median3
from guard.challenge.pose import Floats

# lags that are tried, and the time over which a head goes from one place to the next
_LAGS_S = np.arange(-0.6, 1.21, 0.1)
_WAY_S = 0.5
# nods are smaller than turns to the same place
_NOD = 1.4
MIN_CORRELATION = 0.7
# degrees by which the head must follow each move of the dot, and the cosine with where it should go
MIN_MOVE_DEG, MIN_COSINE = 2.0, 0.5
# a place is reached this long after it was shown at the latest
_REACHED_S = 1.3


def find_following(
    found: Series, dots: Sequence[tuple[float, float, float]], planned: int, *, over: bool
) -> GestureFinding | None:
    """Return whether the head followed, or None while it may still.

    Args:
        found: the pictures so far.
        dots: of each place shown so far: seconds from the first step, x and y in [0, 1] of the screen.
        planned: how many places there are in all.
        over: whether no more will come.
    """
    done = len(dots) == planned and found.time_s[-1] >= dots[-1][0] + _REACHED_S
    if not (over or done):
        return None
    result = _following(found, dots, planned)
    return result if over or result.matched else None


def _following(found: Series, dots: Sequence[tuple[float, float, float]], planned: int) -> GestureFinding:
    time_s, head = _head(found)
    after = time_s >= 0
    correlations = [_correlation(head[after], _dot(time_s[after] - lag, dots)) for lag in _LAGS_S]
    best = int(np.argmax(correlations))
    details = {"correlation": round(correlations[best], 3), "lag_s": round(float(_LAGS_S[best]), 3)}
    moves = [_follows(time_s, head, dots, index) for index in range(1, len(dots))]
    details["places"] = float(sum(moves))
    if correlations[best] < MIN_CORRELATION:
        return GestureFinding(False, "not_followed", None, details)
    if _LAGS_S[best] < MIN_REACTION_S:
        return GestureFinding(False, "answered_early", float(_LAGS_S[best]), details)
    if len(dots) < planned or not all(moves):
        return GestureFinding(False, "not_followed", None, details)
    return GestureFinding(True, "done", float(_LAGS_S[best]), details)


def _head(found: Series) -> tuple[Floats, Floats]:
    """Return times (N,) and where the nose points (N, 2) in degrees: person's left and up."""
    at = np.flatnonzero(found.seen)
    yaw, pitch = median3(found.poses.yaw_deg[at]), median3(found.poses.pitch_deg[at])
    return found.time_s[at], np.column_stack([yaw, _NOD * pitch])


def _dot(time_s: Floats, dots: Sequence[tuple[float, float, float]]) -> Floats:
    """Return (N, 2) where the dot would have the nose point, going from place to place in ``_WAY_S``."""
    way = np.tile([0.0, 0.0], (len(time_s), 1))
    here = np.zeros(2)
    for at_s, x, y in dots:
        there = np.array([0.5 - x, 0.5 - y])
        way += np.clip((time_s - at_s) / _WAY_S, 0, 1)[:, None] * (there - here)
        here = there
    return way


def _correlation(head: Floats, way: Floats) -> float:
    head, way = head - head.mean(axis=0), way - way.mean(axis=0)
    spread = float(np.sqrt((head**2).sum() * (way**2).sum()))
    return float((head * way).sum() / spread) if spread > 0 else 0.0


def _follows(time_s: Floats, head: Floats, dots: Sequence[tuple[float, float, float]], index: int) -> bool:
    """Tell whether the head went where the dot went at place ``index``."""
    at_s = dots[index][0]
    next_s = dots[index + 1][0] if index + 1 < len(dots) else np.inf
    before = head[(time_s >= at_s - 0.4) & (time_s < at_s + MIN_REACTION_S)]
    later = head[(time_s >= at_s + 0.6) & (time_s < min(next_s + MIN_REACTION_S, at_s + 2.0))]
    if not len(before) or not len(later):
        return False
    moved = np.median(later, axis=0) - np.median(before, axis=0)
    wanted = np.array([dots[index - 1][1] - dots[index][1], dots[index - 1][2] - dots[index][2]])
    size = float(np.hypot(*moved))
    cosine = float(moved @ wanted) / max(size * float(np.hypot(*wanted)), 1e-9)
    return size >= MIN_MOVE_DEG and cosine >= MIN_COSINE
