"""One movement of head or mouth: the right way, far enough, begun after the command.

Every channel is measured in units of what its command asks for, so that 1 is enough. The first stretch in
which a channel reaches enough decides: its greatest channel is what the person did. A turn asked to go far
is judged as a plain one, and must besides go as far as that: one that is the right way and too small is no
answer and no wrong one, so that a person can go on, or try again, until the time is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from guard.challenge.commands import Gesture
from guard.challenge.gestures_patch import Mask
from guard.challenge.gestures_series import MIN_REACTION_S, GestureFinding, Series, median3, runs
from guard.challenge.pose import Floats


@dataclass(frozen=True, slots=True)
class Movement:
    """What one movement is.

    Args:
        channel: of ``Poses``, or ``opened``.
        size: what is asked for, in the channel's unit; the sign is the direction.
        back: whether the command asks to come back.
        rivals: channels that count as another movement when they are the greater; its own among them.
        reach: how many times ``size`` it must come to; below that it was begun and is not enough.
    """

    channel: str
    size: float
    back: bool
    rivals: tuple[str, ...]
    reach: float = 1.0


_HEAD = ("yaw_deg", "pitch_deg", "roll_deg", "log_scale")
MOVEMENTS: Mapping[Gesture, Movement] = {
    Gesture.TURN_LEFT: Movement("yaw_deg", 15.0, True, _HEAD),
    Gesture.TURN_RIGHT: Movement("yaw_deg", -15.0, True, _HEAD),
    Gesture.TURN_FAR_LEFT: Movement("yaw_deg", 15.0, True, _HEAD, reach=2.0),
    Gesture.TURN_FAR_RIGHT: Movement("yaw_deg", -15.0, True, _HEAD, reach=2.0),
    Gesture.TILT_LEFT: Movement("roll_deg", 10.0, False, _HEAD),
    Gesture.TILT_RIGHT: Movement("roll_deg", -10.0, False, _HEAD),
    Gesture.LOOK_UP: Movement("pitch_deg", 8.0, False, _HEAD),
    Gesture.LOOK_DOWN: Movement("pitch_deg", -8.0, False, _HEAD),
    Gesture.OPEN_MOUTH: Movement("opened", 1.0, True, (*_HEAD, "opened")),
    Gesture.MOVE_CLOSER: Movement("log_scale", 0.18, True, _HEAD),
}
_UNITS = {movement.channel: abs(movement.size) for movement in MOVEMENTS.values()}

# another movement counts from this level on: a person who does what is asked moves the head otherwise too
RIVAL = 1.25
# pictures in a row that must show it, and the level at which the person is back
_HELD, _BACK = 2, 0.45
# what comes within this time of the beginning may still show that it was another movement, or a hand
_SETTLED_S = 0.4
# a face lost while it turned, this near to what is asked, is still turning for at most this long
_LOST_TURNING_S, _NEARLY = 3.0, 0.4
# the part of the greatest speed below which a movement has not begun, the time over which speed is taken, and
# the part of the rise from which on it has
_ONSET_SPEED, _SPEED_S, _BEGUN = 0.15, 0.2, 0.1


def find_movement(found: Series, movement: Movement, *, over: bool) -> GestureFinding | None:
    """Return what the movements so far say, or None while that is open.

    Args:
        found: the pictures so far; a face in at least one of them before and after the command.
        movement: what is asked.
        over: whether no more will come.
    """
    levels = {name: _level(found, name, movement) for name in movement.rivals}
    own = levels[movement.channel] * np.sign(movement.size)
    scaled = {n: np.abs(level) / RIVAL for n, level in levels.items()}
    scaled[movement.channel] = np.maximum(own, -own / RIVAL)
    most = np.max(list(scaled.values()), axis=0)
    held = [run for run in runs(most >= 1.0) if run[1] > found.first and run[1] - run[0] >= _HELD]
    end, answer = 0, None
    for start, _ in held:
        if start < end:
            continue  # still the same stretch
        away = np.flatnonzero(most[start:] < _BACK)
        end = start + int(away[0]) if len(away) else len(most)
        answer = _stretch(found, movement, levels, scaled, (start, end), over=over)
        if answer is None or answer.reason != "not_far_enough":
            return answer
    if answer is not None:
        return answer if over else None
    return _unanswered(own, found.first) if over else None


def _stretch(
    found: Series,
    movement: Movement,
    levels: Mapping[str, Floats],
    scaled: Mapping[str, Floats],
    span: tuple[int, int],
    *,
    over: bool,
) -> GestureFinding | None:
    """Return what one stretch of moving says, or None while that is open."""
    start, end = span
    own = levels[movement.channel] * np.sign(movement.size)
    back = len(own) - end >= _HELD
    if not (over or back or found.time_s[-1] - found.time_s[start] >= _SETTLED_S):
        return None
    peaks = {name: float(level[start:end].max()) for name, level in scaled.items()}
    details = {f"peak_{name}": round(peak, 3) for name, peak in peaks.items()}
    if _hand(found, start, end, levels):
        return GestureFinding(False, "other_movement", details=details)
    most = float(own[start:end].max())
    if most < max(peaks.values()):
        if not (over or back):
            return None  # which channel becomes the greatest is not known while it grows
        opposite = peaks[movement.channel] >= max(peaks.values())
        return GestureFinding(False, "opposite_movement" if opposite else "other_movement", None, details)
    onset_s = _onset(found.time_s, own, start)
    if onset_s < MIN_REACTION_S:
        return GestureFinding(False, "answered_early", onset_s, details)
    if most < movement.reach:
        return GestureFinding(False, "not_far_enough", onset_s, details) if over or back else None
    if movement.back and not back:
        return GestureFinding(False, "not_finished", onset_s, details) if over else None
    return GestureFinding(True, "done", onset_s, details)


def _unanswered(own: Floats, first: int) -> GestureFinding:
    return GestureFinding(
        False, "not_answered", None, {"peak": round(float(own[first:].max(initial=-99.0)), 3)}
    )


def _hand(found: Series, start: int, end: int, levels: Mapping[str, Floats]) -> bool:
    """Tell whether the mouth was hidden in a movement that does not turn it out of sight itself.

    FaceMesh lays a nodding, leaning face over a hand.
    """
    turned = np.abs(levels["yaw_deg"]) >= RIVAL
    return bool((found.covered & ~turned)[max(0, start - _HELD) : end + _HELD].any())


def _level(found: Series, channel: str, movement: Movement) -> Floats:
    """Return (T,) a channel against its rest, 1 at the size of its command; unseen pictures are filled.

    A face that was lost while it went far holds the level it was lost at, and at least what is asked:
    FaceMesh loses a face that is turned far. Elsewhere the gap is bridged by a straight line.
    """
    value = np.asarray(getattr(found.poses, channel, found.opened), np.float64) / _UNITS[channel]
    known = found.seen & np.isfinite(value)
    rest = float(np.median(value[: found.first][known[: found.first]]))
    at = np.flatnonzero(known)
    level = np.interp(found.time_s, found.time_s[at], median3(value[at] - rest))
    if channel == "log_scale":
        return np.maximum(level, 0.0)  # nobody is asked to go away, and a turned head looks smaller
    if channel in ("yaw_deg", "pitch_deg"):
        _hold_lost(level, found, known, movement.reach if channel == movement.channel else 1.0)
    return np.asarray(level)


def _hold_lost(level: Floats, found: Series, known: Mask, reach: float) -> None:
    """Hold, in place, what a face was lost at that went on until then.

    Lost near ``reach`` it has reached that; lost near 1 it has reached 1, and no more.
    """
    at = [int(index) for index in np.flatnonzero(known)]
    for last, back in pairwise([*at, len(level)]):
        if back - last < 2 or last < 2 or found.time_s[back - 1] - found.time_s[last] > _LOST_TURNING_S:
            continue
        size = abs(level[last])
        if size > abs(level[last - 2]) and size >= 1.0 - _NEARLY:
            least = reach if size >= reach - _NEARLY else 1.0
            level[last + 1 : back] = np.sign(level[last]) * max(least, size)


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
