"""A hand in front of the mouth or of one eye: a part of the face is gone while the rest is still there."""

from __future__ import annotations

import numpy as np

from guard.challenge.commands import Gesture
from guard.challenge.gestures_patch import EYE_LEFT, EYE_RIGHT, HIDDEN, MOUTH, Mask
from guard.challenge.gestures_series import MIN_REACTION_S, GestureFinding, Series, runs
from guard.challenge.pose import Floats

# the correlation at which a part is there beside a hidden one, and there again afterwards
_THERE, _BACK = 0.7, 0.75
# a hidden eye, the least by which the other eye is better, and what that is at least
_EYE_HIDDEN, _BETTER, _EYE_THERE = 0.62, 0.12, 0.6
# a head turned further than this hides an eye without a hand
_TURNED_DEG = 12.0
_HELD_S = 0.3
# the part is still whole above this: where it falls below, the hand comes
_WHOLE = 0.85


def find_hand(found: Series, gesture: Gesture, *, over: bool) -> GestureFinding | None:
    """Return what a hand did, or None while that is open.

    Args:
        found: the pictures so far.
        gesture: ``COVER_MOUTH`` or ``COVER_EYE``.
        over: whether no more will come.
    """
    mouth = gesture is Gesture.COVER_MOUTH
    wanted, other = (_mouth(found), _eye(found)) if mouth else (_eye(found), _mouth(found))
    held = [run for run in runs(wanted) if _lasts_s(found, run) >= _HELD_S and run[1] > found.first]
    if not held:
        elsewhere = any(_lasts_s(found, run) >= _HELD_S for run in runs(other, found.first))
        return GestureFinding(False, "covered_elsewhere" if elsewhere else "not_answered") if over else None
    start, end = held[0]
    parts = found.looks.parts[:, [MOUTH]] if mouth else found.looks.parts[:, [EYE_LEFT, EYE_RIGHT]]
    least = parts.min(axis=1)
    onset_s = _onset(found.time_s, least, start)
    details = {"hidden_s": round(_lasts_s(found, (start, end)), 3)}
    details["least"] = round(float(least[start:end].min()), 3)
    if onset_s < MIN_REACTION_S:
        return GestureFinding(False, "answered_early", onset_s, details)
    back = [run for run in runs(least >= _BACK, end) if run[1] - run[0] >= 2]
    if not back:
        return GestureFinding(False, "not_finished", onset_s, details) if over else None
    return GestureFinding(True, "done", onset_s, details)


def _mouth(found: Series) -> Mask:
    """Return (T,) where the mouth is hidden and both eyes are there."""
    eyes, mouth = found.looks.parts[:, :MOUTH], found.looks.parts[:, MOUTH]
    return np.asarray((mouth < HIDDEN) & (eyes.min(axis=1) >= _THERE))


def _eye(found: Series) -> Mask:
    """Return (T,) where one eye is hidden and the other is there, the head not being turned.

    A palm over an eye mostly hides the mouth too, and FaceMesh then invents a turn.
    """
    eyes, mouth = found.looks.parts[:, :MOUTH], found.looks.parts[:, MOUTH]
    worse, better = eyes.min(axis=1), eyes.max(axis=1)
    one = (worse < _EYE_HIDDEN) & (better >= _EYE_THERE) & (better - worse >= _BETTER)
    ahead = ~(np.abs(found.poses.yaw_deg) > _TURNED_DEG)
    return np.asarray(one & (ahead | (mouth < HIDDEN)))


def _lasts_s(found: Series, run: tuple[int, int]) -> float:
    return float(found.time_s[run[1] - 1] - found.time_s[run[0]])


def _onset(time_s: Floats, least: Floats, start: int) -> float:
    """Return when the part was last whole before it was hidden at ``start``."""
    whole = np.flatnonzero(least[:start] >= _WHOLE)
    return float(time_s[whole[-1]] if len(whole) else time_s[0])
