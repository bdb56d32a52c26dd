"""A restart of the analysis process wins no attempts and repeats no commands: both processes' parts."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from guard.app.check_memory import CheckMemory, recall
from guard.app.check_runner import CheckRunner, CheckTools
from guard.challenge.commands import Answer, Gesture, Judge, Step
from guard.challenge.draw import VARIED, Drawing, Used
from guard.challenge.outputs import CheckConfig
from guard.challenge.words import draw_words
from guard.challenge.words_lists import DIGITS, vocabulary
from guard.fusion.engine import CheckResult
from guard.signalling.check_messages import NeedsMessage, ShownMessage
from tests.app.test_check_runner import Scripted
from tests.app.test_checks import SHOW, Desk

WHO = ("s", "customer")
NOTHING = {"gestures": [], "words": [], "failed": 0}
FAILED, PASSED = Answer.MISMATCHED, Answer.MATCHED


class TwoProcesses:
    """A relay process and an analysis process whose dice fall alike after every start."""

    def __init__(self) -> None:
        self.desk, self.judge = Desk(), Scripted()
        self.shown: list[dict[str, Any]] = []
        self.begin()

    def begin(self) -> None:
        """A new analysis process, which knows nothing."""
        self.said: list[dict[str, Any]] = []
        self.ended: list[CheckResult] = []
        judges: Mapping[Gesture, Judge] = dict.fromkeys(Gesture, self.judge)
        light = (Step(0.0, colour=(1.0, 0.5, 0.0)),)
        drawing = Drawing(dict.fromkeys(Gesture, 5.0), draw_words, lambda _: light)
        self.runner = CheckRunner(
            self.desk.clock,
            CheckTools(drawing, judges, None, CheckConfig(), random.Random(5)),
            send=self.take,
            arrived_s=lambda _, time_s: time_s,
            late=lambda _: False,
            scored=lambda _: None,
            ended=lambda _, __, result: self.ended.append(result),
        )

    def take(self, message: dict[str, Any]) -> bool:
        self.said.append(message)
        return True

    def restart(self) -> None:
        self.runner.close()
        self.desk.checks.analysis_down()
        self.desk.analysis.told.clear()
        self.begin()
        self.desk.checks.analysis_up()

    def carry(self) -> None:
        """What one process has told the other arrives, as JSON."""
        for message in _emptied(self.desk.analysis.told):
            self.runner.receive(message)
        for message in _emptied(self.said):
            if message["type"] == "check_show" and message["step"] == 0:
                self.shown.append(message)
            self.desk.checks.on_analysis(message)

    async def tick(self) -> None:
        self.carry()
        self.desk.clock.advance(0.25)
        self.runner.poll()
        self.carry()
        await asyncio.sleep(0)

    async def attempt(self, answer: Answer) -> tuple[str, str, bool]:
        """Let the check go on to the end of an attempt: its result, reason and whether one follows."""
        self.judge.answer = answer
        known = len(self.written())
        for _ in range(1000):
            await self.tick()
            if len(self.written()) > known:
                body = self.written()[-1]
                return body["result"], body["reason"], body["again"]
        raise AssertionError("no attempt came to its end")

    async def until_shown(self) -> None:
        known = len(self.shown)
        for _ in range(1000):
            await self.tick()
            if len(self.shown) > known:
                return
        raise AssertionError("nothing was asked")

    def written(self) -> list[Mapping[str, Any]]:
        return [body for _, kind, body in self.desk.notebook.written if kind == "challenge_attempt"]


def _emptied(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = json.loads(json.dumps(told))
    told.clear()
    return taken


@pytest.fixture
async def both() -> AsyncIterator[TwoProcesses]:
    made = TwoProcesses()
    yield made
    made.runner.close()
    made.desk.checks.close()


async def test_the_third_failed_attempt_is_the_negative_result_across_a_restart(both: TwoProcesses) -> None:
    both.desk.start()
    for _ in range(2):
        assert await both.attempt(FAILED) == ("fail", "scripted", True)
    both.restart()
    assert (both.written()[-1]["result"], both.written()[-1]["reason"]) == ("inconclusive", "detector_down")
    both.desk.start()
    assert await both.attempt(FAILED) == ("fail", "three_attempts_failed", False)
    assert both.ended == [CheckResult.FAIL]
    assert both.desk.done[-1][2:] == ("visual", "fail", False)


async def test_an_attempt_cut_off_by_the_restart_counts_for_nothing(both: TwoProcesses) -> None:
    both.desk.start()
    assert (await both.attempt(FAILED))[2]
    await both.until_shown()
    both.restart()
    both.desk.start()
    assert await both.attempt(FAILED) == ("fail", "scripted", True)
    assert await both.attempt(FAILED) == ("fail", "three_attempts_failed", False)


@pytest.mark.parametrize("results", [[FAILED, PASSED], [FAILED, FAILED, FAILED]])
async def test_a_result_settles_what_failed_before_it_across_a_restart(
    both: TwoProcesses, results: list[Answer]
) -> None:
    both.desk.start("words")
    again = [(await both.attempt(answer))[2] for answer in results]
    assert again == [True] * (len(results) - 1) + [False]
    both.restart()
    both.desk.start("words")
    assert [(await both.attempt(FAILED))[2] for _ in range(3)] == [True, True, False]


async def test_no_gesture_is_asked_again_after_a_restart(both: TwoProcesses) -> None:
    for _ in range(3):
        both.desk.start()
        assert (await both.attempt(PASSED))[0] == "pass"
        both.restart()
    asked = [Gesture(message["gesture"]) for message in both.shown]
    plain = [gesture for gesture in asked if gesture not in VARIED]
    assert len(asked) == 9
    assert len(plain) == len(set(plain))


async def test_no_word_is_asked_again_after_a_restart(both: TwoProcesses) -> None:
    for _ in range(3):
        both.desk.start("words")
        assert (await both.attempt(PASSED))[0] == "pass"
        both.restart()
    words = [word for message in both.shown for word in message["words"]]
    assert len(words) >= 9
    assert len(words) == len(set(words))


async def test_a_process_that_was_silent_and_wakes_fails_nobody_unseen(both: TwoProcesses) -> None:
    both.desk.start()
    await both.until_shown()
    both.desk.checks.analysis_down()
    both.judge.answer = FAILED
    shown = len(both.shown)
    for _ in range(400):
        await both.tick()
    assert both.ended == [CheckResult.INCONCLUSIVE]
    assert len(both.shown) == shown
    assert [body["reason"] for body in both.written()] == ["detector_down"]


async def test_with_the_session_its_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = CheckMemory()
    monkeypatch.setattr("guard.app.checks.CheckMemory", lambda: memory)
    desk = Desk()
    who = (desk.session.id, "customer")
    desk.attempt(desk.start(), "fail", again=True)
    assert memory.told(who)["failed"] == 1
    desk.sessions.end(desk.session.id)
    assert memory.told(who) == NOTHING
    desk.checks.close()


async def test_only_the_analysis_process_and_only_a_check_that_runs_is_learnt_from() -> None:
    desk = Desk()
    check = desk.start()
    desk.checks.page_says(desk.session.id, "customer", ShownMessage(type="shown", id=check, number=1, step=0))
    needs = NeedsMessage(type="needs", id=check, needs=["glasses"])
    desk.checks.page_says(desk.session.id, "customer", needs)
    desk.from_analysis("check_show", "old", **SHOW)
    desk.attempt("old", "fail", again=True)
    desk.checks.analysis_down()
    check = desk.start()
    assert desk.analysis.told[-1]["before"] == NOTHING
    desk.from_analysis("check_show", check, **SHOW)
    desk.attempt(check, "fail", again=True)
    desk.checks.analysis_down()
    desk.start()
    assert desk.analysis.told[-1]["before"] == {"gestures": ["turn_left"], "words": [], "failed": 1}
    desk.checks.close()


@pytest.mark.parametrize("odd", [None, 7, "turn_left", ["?", None, 7, [], {}], {"turn_left": 1}])
def test_what_guard_cannot_ask_is_kept_by_neither_side(odd: object) -> None:
    memory = CheckMemory()
    memory.take(WHO, {"type": "check_show", "gesture": odd if odd != "turn_left" else "?", "words": odd})
    memory.take(WHO, {"type": "check_attempt", "result": odd, "again": True})
    memory.take(WHO, {"type": "check_attempt", "result": "fail", "again": odd})
    memory.take(WHO, {"type": "check_show"})
    memory.take(WHO, {"type": "check_attempt"})
    assert memory.told(WHO) == NOTHING
    used = Used()
    recall(used, {"gestures": odd, "words": odd, "failed": None if odd == 7 else odd})
    recall(used, {"failed": -3})
    recall(used, {})
    assert used == Used()


def test_the_analysis_process_takes_what_either_knows() -> None:
    used = Used({Gesture.TURN_LEFT}, {"один"}, 2)
    recall(used, {"gestures": ["look_up", "turn_left"], "words": ["два"], "failed": 1})
    assert used == Used({Gesture.TURN_LEFT, Gesture.LOOK_UP}, {"один", "два"}, 2)
    recall(used, {"gestures": [], "words": [], "failed": 3})
    assert used.failed == 3


def test_the_memory_is_bounded_and_ends_with_its_session() -> None:
    memory, other = CheckMemory(), ("t", "customer")
    every = [word for language in DIGITS for word in vocabulary(language)]
    for n, word in enumerate([*every, *(f"made up {n}" for n in range(10_000))]):
        gesture = list(Gesture)[n % len(Gesture)].value
        memory.take(WHO, {"type": "check_show", "gesture": gesture, "words": [word]})
    memory.take(other, {"type": "check_attempt", "result": "fail", "again": True})
    told = memory.told(WHO)
    assert (told["gestures"], told["words"]) == (sorted(Gesture), sorted(set(every)))
    memory.forget("s")
    assert (memory.told(WHO), memory.told(other)["failed"]) == (NOTHING, 1)
