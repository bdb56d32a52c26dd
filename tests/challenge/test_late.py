"""Pictures that came late: nobody passes by them, and nobody fails for them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from guard.challenge.check import Check
from guard.challenge.commands import Answer, CheckKind, Command, Gesture, Judgement, Observed, Sight, Step
from guard.challenge.draw import Drawing, Used
from guard.challenge.late import judge_late
from guard.challenge.outputs import AttemptOver, Output

ASKED = Command(Gesture.TURN_LEFT, 6.0)


class Counting:
    """Sees the movement in its fourth picture; without it the time must pass."""

    def __init__(self) -> None:
        self.looks = 0

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        del command
        self.looks += 1
        if len(observed.after) >= 4:
            return Judgement(Answer.MATCHED, -1.5, "done")
        return Judgement(Answer.MISMATCHED, 1.5, "not_answered") if over else None


def judged(pictures: int, in_time: int, *, over: bool = False) -> tuple[Judgement | None, int]:
    sights = [Sight(n / 10, (640, 360), 1) for n in range(pictures)]
    observed = Observed((0.0,), (), sights, np.empty(0, np.float32), 0.0)
    judge = Counting()
    return judge_late(judge, ASKED, observed, sights[:in_time], over=over), judge.looks


@pytest.mark.parametrize(
    ("in_time", "reason"), [(5, "done"), (4, "done"), (3, "pictures_late"), (0, "pictures_late")]
)
def test_a_match_must_stand_without_the_pictures_that_came_late(in_time: int, reason: str) -> None:
    found, looks = judged(5, in_time)
    assert found is not None
    assert found.reason == reason
    assert (found.answer is Answer.MATCHED) is (reason == "done")
    assert found.llr == (-1.5 if reason == "done" else 0.0)
    assert looks == (1 if in_time == 5 else 2)


def test_what_is_open_stays_open_and_late_pictures_are_no_excuse() -> None:
    assert judged(3, 0) == (None, 1)
    found, _ = judged(3, 0, over=True)
    assert found is not None
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "not_answered")


@pytest.mark.parametrize(("late", "reason"), [(False, "all_commands_matched"), (True, "pictures_late")])
def test_a_check_whose_pictures_come_late_is_not_passed(late: bool, reason: str) -> None:
    drawing = Drawing(
        limit_s=dict.fromkeys(Gesture, 5.0), words=lambda *_: ("a", "b", "c"), light=lambda _: (Step(0.0),)
    )
    check = Check(
        CheckKind.VISUAL,
        "ru",
        drawing=drawing,
        judges=dict.fromkeys(set(Gesture) - {Gesture.SCREEN_LIGHT}, Counting()),
        used=Used(),
        dice=random.Random(1),
        now=0.0,
    )
    out, now = list[Output](), 0.0
    while not any(isinstance(one, AttemptOver) for one in out):
        now += 0.1
        out += check.poll(now)
        out += check.see(Sight(now, (640, 360), 1), late=late)
    (over,) = [one for one in out if isinstance(one, AttemptOver)]
    assert over.reason == reason
