"""The judges of everything a head, a face or a hand is asked to do, and how long there is to do it.

The spoken words and the screen light have their own modules.
"""

from __future__ import annotations

from collections.abc import Mapping

from guard.challenge.commands import Answer, Command, Gesture, Judge, Judgement, Observed
from guard.challenge.gestures_dot import find_following
from guard.challenge.gestures_eyes import find_blinks
from guard.challenge.gestures_gates import MIN_SEEN_RATIO, not_live, other_face, several_faces, unseen_reason
from guard.challenge.gestures_hand import find_hand
from guard.challenge.gestures_move import MOVEMENTS, find_movement
from guard.challenge.gestures_series import GestureFinding, Series, Watcher
from guard.challenge.rates import RATES, Rates, llr_of

# seconds from the command: to read or hear it, to do it without haste, and to come back
LIMIT_S: Mapping[Gesture, float] = {
    Gesture.TURN_LEFT: 6.0,
    Gesture.TURN_RIGHT: 6.0,
    Gesture.TURN_FAR_LEFT: 8.0,
    Gesture.TURN_FAR_RIGHT: 8.0,
    Gesture.TILT_LEFT: 6.0,
    Gesture.TILT_RIGHT: 6.0,
    Gesture.LOOK_UP: 6.0,
    Gesture.LOOK_DOWN: 6.0,
    Gesture.BLINK_TWICE: 6.0,
    Gesture.OPEN_MOUTH: 6.0,
    Gesture.MOVE_CLOSER: 7.0,
    Gesture.COVER_MOUTH: 8.0,
    Gesture.COVER_EYE: 8.0,
    Gesture.FOLLOW_DOT: 8.0,
}
_HANDS = (Gesture.COVER_MOUTH, Gesture.COVER_EYE)


def gesture_judge(gesture: Gesture) -> Judge:
    """Return the judge of a gesture of ``LIMIT_S``; several checks may share it.

    Raises:
        KeyError: the gesture is judged elsewhere.
    """
    return GestureJudge(gesture)


def rates(gesture: Gesture) -> Rates:
    """Return what was counted of a gesture (docs/challenges.md).

    Raises:
        KeyError: it is judged elsewhere.
    """
    return RATES[gesture]


class GestureJudge:
    """Judge of one gesture: whether anything can be told, whether it is live, and what it shows."""

    def __init__(self, gesture: Gesture) -> None:
        self._gesture = gesture
        self._rates = RATES[gesture]
        self._watcher = Watcher()

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        """Return what the command has come to, or None while that is open (``Judge``)."""
        if not (over or observed.after):
            return None
        if several_faces(observed):
            return _unseen("several_faces")
        found = self._watcher.series(observed)
        if not isinstance(found, str) and not _comparable(found):
            found = "no_face" if observed.after else "too_few_pictures"
        if isinstance(found, str):
            return _unseen(found) if over else None
        fake = not_live(found, observed)
        if fake is not None:
            return self._judgement(GestureFinding(False, fake))
        result = self._find(command, observed, found, over=False)
        if result is None and over:
            unseen = unseen_reason(observed, command.limit_s) or self._hidden(found)
            if unseen is not None:
                return _unseen(unseen)
            result = self._find(command, observed, found, over=True)
        # a hand's judge asks for the same eyes and mouth again itself
        if result is not None and result.matched and self._gesture not in _HANDS and other_face(found):
            result = GestureFinding(False, "other_face", result.onset_s, result.details)
        return None if result is None else self._judgement(result)

    def _find(
        self, command: Command, observed: Observed, found: Series, *, over: bool
    ) -> GestureFinding | None:
        if self._gesture in MOVEMENTS:
            return find_movement(found, MOVEMENTS[self._gesture], over=over)
        if self._gesture is Gesture.BLINK_TWICE:
            return find_blinks(found, over=over)
        if self._gesture in _HANDS:
            return find_hand(found, self._gesture, over=over)
        first_s = observed.shown_s[0]
        shown = zip(observed.shown_s, command.steps, strict=False)
        dots = [(at_s - first_s, *step.dot) for at_s, step in shown if step.dot is not None]
        return find_following(found, dots, len(command.steps), over=over)

    def _hidden(self, found: Series) -> str | None:
        """Return why too little of the face was seen; a hand that hides it is no reason."""
        shown = found.seen | found.covered
        return "no_face" if shown[found.first :].mean() < MIN_SEEN_RATIO else None

    def _judgement(self, result: GestureFinding) -> Judgement:
        answer = Answer.MATCHED if result.matched else Answer.MISMATCHED
        llr = llr_of(self._rates, matched=result.matched)
        return Judgement(answer, llr, result.reason, result.onset_s, result.details)


def _comparable(found: Series) -> bool:
    """Tell whether the face's points can be relied on in a picture before the command and in one after it."""
    return bool(found.seen[: found.first].any() and found.seen[found.first :].any())


def _unseen(reason: str) -> Judgement:
    return Judgement(Answer.UNSEEN, 0.0, reason)
