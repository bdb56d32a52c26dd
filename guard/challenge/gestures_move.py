"""Judges one movement of head or mouth: the right way, far enough, begun after the command.

Every channel is measured in units of what its command asks for, so that 1 is enough. The first stretch in
which any channel reaches 1 decides: its greatest channel is what the person did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from guard.challenge.commands import Answer, Command, Gesture, Judgement, Observed
from guard.challenge.gestures_series import (
    MIN_REACTION_S,
    MIN_SEEN_RATIO,
    Series,
    frozen,
    jumped,
    series,
    several_faces,
    unseen_reason,
)
from guard.challenge.pose import Floats
from guard.challenge.rates import llr_of


@dataclass(frozen=True, slots=True)
class Movement:
    """What one movement is.

    Args:
        channel: of ``Poses``, or ``opened``.
        size: what is asked for, in the channel's unit; the sign is the direction.
        back: whether the command asks to come back.
        rivals: channels that count as another movement when they are the greater.
    """

    channel: str
    size: float
    back: bool
    rivals: tuple[str, ...]


_HEAD = ("yaw_deg", "pitch_deg", "roll_deg", "log_scale")
MOVEMENTS: Mapping[Gesture, Movement] = {
    Gesture.TURN_LEFT: Movement("yaw_deg", 15.0, True, _HEAD),
    Gesture.TURN_RIGHT: Movement("yaw_deg", -15.0, True, _HEAD),
    Gesture.TILT_LEFT: Movement("roll_deg", 10.0, False, _HEAD),
    Gesture.TILT_RIGHT: Movement("roll_deg", -10.0, False, _HEAD),
    Gesture.LOOK_UP: Movement("pitch_deg", 9.0, False, _HEAD),
    Gesture.LOOK_DOWN: Movement("pitch_deg", -9.0, False, _HEAD),
    Gesture.OPEN_MOUTH: Movement("opened", 1.0, True, (*_HEAD, "opened")),
    Gesture.MOVE_CLOSER: Movement("log_scale", 0.18, True, _HEAD),
}
# the sizes above by channel: what a rival must reach to be a movement
_UNITS = {movement.channel: abs(movement.size) for movement in MOVEMENTS.values()}

# pictures in a row that must show it, and a level at which the person is back
_HELD, _BACK = 2, 0.45
# a face lost while it turned is still turning for at most this long
_LOST_TURNING_S = 3.0
_RISING = 0.6
# the part of the greatest speed below which a movement has not begun, and the time speed is taken over
_ONSET_SPEED, _SPEED_S = 0.15, 0.2
_BEGUN = 0.1


class MoveJudge:
    """Judge of one entry of ``MOVEMENTS``."""

    def __init__(self, gesture: Gesture) -> None:
        self._gesture = gesture
        self._movement = MOVEMENTS[gesture]

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        """Return what the command has come to, or None while that is open (``Judge``)."""
        if several_faces(observed):
            return _unseen("several_faces") if over else None
        found = series(observed)
        if isinstance(found, str):
            return _unseen(found) if over else None
        if frozen(observed.after):
            return self._wrong("frozen_video")
        if jumped(found):
            return self._wrong("picture_jumped")
        seen = self._seen(found)
        if seen is not None:
            return seen
        return self._at_the_end(command, observed, found) if over else None

    def _seen(self, found: Series) -> Judgement | None:
        """Return what the movements so far say, or None where they say nothing yet."""
        levels = {name: _level(found, name) for name in self._movement.rivals}
        own = levels[self._movement.channel] * np.sign(self._movement.size)
        reached = np.max([np.abs(level) for level in levels.values()], axis=0) >= 1.0
        start = _held(reached, found.first)
        if start is None:
            return None
        end = start + 1
        while end < len(reached) and np.max([np.abs(level[end]) for level in levels.values()]) >= _BACK:
            end += 1
        peaks = {name: float(np.abs(level[start:end]).max()) for name, level in levels.items()}
        details = {f"peak_{name}": round(peak, 3) for name, peak in peaks.items()}
        own_peak = float(own[start:end].max())
        over_now = end < len(reached) and len(reached) - end >= _HELD
        if own_peak < max(peaks.values()) or _held(own >= 1.0, found.first) is None:
            if not over_now and found.time_s[-1] - found.time_s[start] < 1.0:
                return None  # the greatest channel of a movement that is still growing is not known
            opposite = -float((own[start:end]).min()) >= max(peaks.values())
            return self._wrong("opposite_movement" if opposite else "other_movement", details=details)
        onset_s = _onset(found.time_s, own, start)
        details["onset_s"] = round(onset_s, 3)
        if onset_s < MIN_REACTION_S:
            return self._wrong("answered_early", onset_s, details)
        if self._movement.back and not over_now:
            return None
        return Judgement(Answer.MATCHED, llr_of(self._gesture, matched=True), "done", onset_s, details)

    def _at_the_end(self, command: Command, observed: Observed, found: Series) -> Judgement:
        reason = unseen_reason(observed, command.limit_s)
        if reason is not None:
            return _unseen(reason)
        if found.seen[found.first :].mean() < MIN_SEEN_RATIO:
            return _unseen("no_face")
        own = _level(found, self._movement.channel)[found.first :] * np.sign(self._movement.size)
        details = {"peak": round(float(own.max()), 3)}
        return self._wrong("not_finished" if own.max() >= 1.0 else "no_movement", details=details)

    def _wrong(
        self, reason: str, onset_s: float | None = None, details: Mapping[str, float] | None = None
    ) -> Judgement:
        llr = llr_of(self._gesture, matched=False)
        return Judgement(Answer.MISMATCHED, llr, reason, onset_s, details or {})


def _unseen(reason: str) -> Judgement:
    return Judgement(Answer.UNSEEN, 0.0, reason)


def _level(found: Series, channel: str) -> Floats:
    """Return (T,) a channel against its rest, 1 where it is enough; unseen pictures are filled.

    A face that was lost while it went far holds the level it was lost at, at least 1: FaceMesh loses
    a face that is turned far. Elsewhere the gap is bridged by a straight line.
    """
    value = np.asarray(getattr(found.poses, channel, found.opened), np.float64) / _UNITS[channel]
    seen = found.seen
    rest = float(np.median(value[: found.first][seen[: found.first]]))
    at = np.flatnonzero(seen)
    level = np.interp(found.time_s, found.time_s[at], _median3(value[at] - rest))
    if channel == "log_scale":
        level = np.maximum(level, 0.0)  # nobody is asked to go away, and a turned head looks smaller
    if channel in ("yaw_deg", "pitch_deg"):
        _hold_lost(level, found)
    return level


def _hold_lost(level: Floats, found: Series) -> None:
    at = np.flatnonzero(found.seen)
    bounds = [*pairwise(at), (at[-1], len(level))]
    for last, back in bounds:
        if back - last < 2 or last < 2 or found.time_s[back - 1] - found.time_s[last] > _LOST_TURNING_S:
            continue
        if abs(level[last]) >= _RISING and abs(level[last]) > abs(level[last - 2]):
            level[last + 1 : back] = np.sign(level[last]) * max(1.0, abs(level[last]))


def _median3(value: Floats) -> Floats:
    """Return the medians of three neighbours: one wrong picture is no movement."""
    if len(value) < 3:
        return value
    padded = np.concatenate([value[:1], value, value[-1:]])
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def _held(reached: np.ndarray[tuple[int], np.dtype[np.bool_]], first: int) -> int | None:
    """Return where ``_HELD`` pictures in a row begin, at ``first`` or later; None where they do not."""
    for at in range(first, len(reached) - _HELD + 1):
        if reached[at : at + _HELD].all():
            return at
    return None


def _onset(time_s: Floats, own: Floats, crossing: int) -> float:
    """Return when the movement that reaches 1 at ``crossing`` began.

    Its speed says where to look: a slow drift before it is no beginning. There it began when a tenth of the
    rise was done.
    """
    half = _SPEED_S / 2
    speed = (np.interp(time_s + half, time_s, own) - np.interp(time_s - half, time_s, own)) / _SPEED_S
    since = crossing
    while since > 0 and own[since - 1] < own[since]:
        since -= 1
    fastest = since + int(np.argmax(speed[since : crossing + 1]))
    still = fastest
    while still > 0 and speed[still] > _ONSET_SPEED * speed[fastest]:
        still -= 1
    begun = own[still] + _BEGUN * (own[crossing] - own[still])
    at = crossing
    while at > still and own[at - 1] > begun:
        at -= 1
    if at == still or own[at] <= own[at - 1]:
        return float(time_s[at])
    part = (begun - own[at - 1]) / (own[at] - own[at - 1])
    return float(time_s[at - 1] + part * (time_s[at] - time_s[at - 1]))
