"""The judges of everything a head, a face or a hand is asked to do, and how long there is to do it.

The spoken words and the screen light have their own modules.
"""

from __future__ import annotations

from collections.abc import Mapping

from guard.challenge.commands import Gesture, Judge
from guard.challenge.gestures_move import MOVEMENTS, MoveJudge

# seconds from the command: to read or hear it, to do it without haste, and to come back
LIMIT_S: Mapping[Gesture, float] = {
    Gesture.TURN_LEFT: 6.0,
    Gesture.TURN_RIGHT: 6.0,
    Gesture.TILT_LEFT: 6.0,
    Gesture.TILT_RIGHT: 6.0,
    Gesture.LOOK_UP: 6.0,
    Gesture.LOOK_DOWN: 6.0,
    Gesture.OPEN_MOUTH: 6.0,
    Gesture.MOVE_CLOSER: 7.0,
}


def gesture_judge(gesture: Gesture) -> Judge:
    """Return the judge of a gesture of ``LIMIT_S``.

    Raises:
        KeyError: it is judged elsewhere.
    """
    if gesture in MOVEMENTS:
        return MoveJudge(gesture)
    raise KeyError(gesture)
