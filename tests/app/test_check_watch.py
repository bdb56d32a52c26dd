"""What the passive detectors said during the commands stands beside what they said at rest."""

from __future__ import annotations

from guard.app.check_watch import PassiveScores
from guard.challenge.commands import Command, Gesture
from guard.challenge.outputs import Asked
from guard.types import Kind, Score, Signal, TrackKey

KEY = TrackKey("s", "p", Kind.VIDEO)


def score(signal: Signal, llr: float | None) -> Score:
    return Score(KEY, signal, 0.0, 0.2, llr)


def test_rest_and_commands_are_told_apart() -> None:
    passive = PassiveScores()
    asked = (Asked(Command(Gesture.TURN_LEFT, 5.0), (10.0,)), Asked(Command(Gesture.COVER_EYE, 5.0), (20.0,)))
    for at_s, llr in ((8.0, -1.0), (12.0, 2.0), (17.0, -3.0), (24.0, 1.0)):
        passive.take(score(Signal.FACE_FRAME, llr), at_s)
    passive.take(score(Signal.FACE_FRAME, None), 12.0)
    passive.take(score(Signal.LIP_SYNC, 4.0), 12.0)
    assert passive.account(asked) == {
        "face_frame": {"rest": -2.0, "rest_n": 2, "during": 1.5, "during_n": 2},
    }


def test_nothing_seen_is_no_mean() -> None:
    passive = PassiveScores()
    assert passive.account(()) == {}
    passive.take(score(Signal.TEMPORAL, 1.0), 3.0)
    assert passive.account(()) == {"temporal": {"rest": 1.0, "rest_n": 1, "during": None, "during_n": 0}}


def test_memory_is_bounded() -> None:
    passive = PassiveScores()
    for n in range(10_000):
        passive.take(score(Signal.FACE_RING, 0.1), float(n))
    assert len(passive.kept) <= 4096
