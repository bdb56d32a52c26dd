"""The course of a check: attempts, repeats, the negative result, and what never happens."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.challenge.check import Check
from guard.challenge.commands import (
    Answer,
    CheckKind,
    Command,
    Gesture,
    Judge,
    Judgement,
    Need,
    Observed,
    Result,
    Sight,
    Step,
)
from guard.challenge.draw import EXCLUDED, VARIED, Drawing, Used
from guard.challenge.outputs import AttemptOver, CheckConfig, Listen, Output, Show

M, X, U = Answer.MATCHED, Answer.MISMATCHED, Answer.UNSEEN
LLR = {M: -1.2, X: 2.0, U: 0.0}


class Scripted:
    """Judges every command when its time is over, by a list of answers."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.unseen: set[Gesture] = set()
        self.seen: list[tuple[Command, Observed]] = []

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        if not over:
            return None
        answer = self.answers.pop(0) if self.answers else M
        if command.gesture in self.unseen:
            answer = U
        self.seen.append((command, observed))
        return Judgement(answer, LLR[answer], f"scripted_{answer.value}")


def words(dice: random.Random, language: str, used: Collection[str]) -> tuple[str, ...]:
    fresh = [word for word in (f"{language}{n}" for n in range(60)) if word not in used]
    return tuple(dice.sample(fresh, 3))


DRAWING = Drawing(
    limit_s=dict.fromkeys(Gesture, 5.0),
    words=words,
    light=lambda _: (Step(0.0, colour=(1.0, 0.9, 0.9)), Step(1.0, colour=(0.9, 1.0, 0.9))),
)


def make(
    answers: list[Answer],
    *,
    kind: CheckKind = CheckKind.VISUAL,
    needs: Collection[Need] = (),
    without: Collection[Gesture] = (Gesture.SCREEN_LIGHT,),
    used: Used | None = None,
    seed: int = 1,
    recogniser: bool = False,
    claims_llr: float = 0.0,
) -> tuple[Check, Scripted]:
    judge = Scripted(answers)
    judges: Mapping[Gesture, Judge] = {g: judge for g in Gesture if g not in without}
    check = Check(
        kind,
        "ru",
        drawing=DRAWING,
        judges=judges,
        used=used or Used(),
        dice=random.Random(seed),
        now=100.0,
        needs=needs,
        recogniser=recogniser,
        claims_llr=claims_llr,
    )
    return check, judge


def run(check: Check, *, until_s: float = 1e6) -> list[Output]:
    """Let time pass from deadline to deadline."""
    out: list[Output] = []
    while (due := check.deadline()) is not None and due < until_s:
        out += check.poll(due)
    return out


def attempts(out: list[Output]) -> list[AttemptOver]:
    return [o for o in out if isinstance(o, AttemptOver)]


def test_three_matched_commands_pass() -> None:
    check, _ = make([])
    out = run(check)
    (over,) = attempts(out)
    assert (over.result, over.reason, over.attempt, over.again) == (
        Result.PASS,
        "all_commands_matched",
        1,
        False,
    )
    assert len(over.commands) == 3
    assert len({asked.command.gesture for asked in over.commands}) == 3
    assert check.over


def test_a_mismatch_repeats_and_the_third_failure_is_the_negative_result() -> None:
    check, _ = make([M, X, X, M, M, X])
    found = attempts(run(check))
    assert [o.result for o in found] == [Result.FAIL] * 3
    assert [o.again for o in found] == [True, True, False]
    assert [len(o.commands) for o in found] == [2, 1, 3]
    assert found[-1].reason == "three_attempts_failed"
    assert found[0].reason == "scripted_mismatched"


def test_a_later_attempt_may_pass() -> None:
    check, _ = make([X, X, M, M, M])
    assert [o.result for o in attempts(run(check))] == [Result.FAIL, Result.FAIL, Result.PASS]


def test_inconclusive_is_repeated_once() -> None:
    check, _ = make([U, U])
    found = attempts(run(check))
    assert [(o.result, o.again) for o in found] == [(Result.INCONCLUSIVE, True), (Result.INCONCLUSIVE, False)]
    check, _ = make([U, M, M, M])
    assert [o.result for o in attempts(run(check))] == [Result.INCONCLUSIVE, Result.PASS]


def test_weak_matches_ask_for_more_commands_and_then_stay_undecided() -> None:
    weak = dict(LLR)
    LLR[M] = -0.7
    try:
        check, _ = make([])
        (over,) = attempts(run(check))
        assert (over.result, len(over.commands)) == (Result.PASS, 5)
        LLR[M] = -0.1
        check, _ = make([])
        first = attempts(run(check))[0]
        assert (first.result, first.reason) == (Result.INCONCLUSIVE, "check_not_decided")
    finally:
        LLR.update(weak)


def test_a_screen_light_in_daylight_is_replaced_within_a_visual_check() -> None:
    for seed in range(40):
        check, judge = make([], without=(), seed=seed)
        judge.unseen = {Gesture.SCREEN_LIGHT}
        (over,) = attempts(run(check))
        gestures = [asked.command.gesture for asked in over.commands]
        assert over.result is Result.PASS
        assert len(gestures) - gestures.count(Gesture.SCREEN_LIGHT) == 3


def test_nothing_is_asked_while_a_person_chooses_other_commands() -> None:
    check, _ = make([])
    deadline = check.deadline()
    assert deadline is not None
    (first,) = check.poll(deadline)
    assert isinstance(first, Show)
    (over,) = check.choose_needs(104.0)
    assert isinstance(over, AttemptOver)
    assert (over.result, over.reason, over.again) == (Result.INCONCLUSIVE, "other_commands_wanted", True)
    assert check.choose_needs(105.0) == [], "the form is open already"
    assert check.poll(104.0 + CheckConfig().form_s - 0.1) == []
    assert check.change_needs([Need.NO_HANDS], 140.0) == []
    assert check.deadline() == 140.0 + CheckConfig().again_s
    (over,) = attempts(run(check))
    assert over.result is Result.PASS
    assert over.needs == (Need.NO_HANDS,)


def test_somebody_who_chooses_before_the_first_command_has_lost_no_attempt() -> None:
    check, _ = make([])
    assert check.choose_needs(101.0) == []
    assert check.deadline() == 101.0 + CheckConfig().form_s
    (over,) = attempts(run(check))  # they never choose: it goes on by itself
    assert (over.attempt, over.result) == (1, Result.PASS)


def test_choosing_for_ever_is_bounded() -> None:
    check, _ = make([X, X, X])
    opened = 0
    for number in range(10):
        before = check.deadline()
        check.choose_needs(101.0 + number)
        opened += check.deadline() != before
        check.change_needs([], 101.0 + number)
    assert opened == CheckConfig().needs_changes


def test_asking_for_other_commands_costs_no_attempt_and_is_bounded() -> None:
    check, _ = make([X, X, X])
    out: list[Output] = []
    for _ in range(10):
        out += check.change_needs([Need.NO_HANDS], 101.0)
    assert len(out) == 3
    assert all(isinstance(o, AttemptOver) and o.reason == "other_commands_wanted" and o.again for o in out)
    found = attempts(run(check))
    assert [o.result for o in found] == [Result.FAIL] * 3


@given(st.sets(st.sampled_from(list(Need))), st.integers(0, 10_000))
def test_nobody_is_asked_for_what_they_cannot_do(needs: set[Need], seed: int) -> None:
    check, _ = make([X, U, X, U, X], needs=sorted(needs), without=(), seed=seed)
    barred = set().union(*(EXCLUDED[need] for need in needs))
    for over in attempts(run(check)):
        assert not barred & {asked.command.gesture for asked in over.commands}


@given(st.lists(st.sampled_from([M, X, U]), max_size=40), st.integers(0, 10_000))
def test_whatever_comes_it_ends_and_nothing_is_asked_twice(answers: list[Answer], seed: int) -> None:
    used = Used()
    asked_for: list[object] = []
    for _ in range(3):
        check, _ = make(list(answers), without=(), used=used, seed=seed)
        found = attempts(run(check))
        assert check.over
        assert len(found) <= 3 + 1 + 3
        assert sum(o.result is Result.FAIL for o in found) <= 3
        assert [o.again for o in found] == [True] * (len(found) - 1) + [False]
        for asked in (a for o in found for a in o.commands):
            command = asked.command
            asked_for.append(command.words or command.steps[1:] or command.gesture)
    plain = [a for a in asked_for if isinstance(a, Gesture)]
    assert len(plain) == len(set(plain))
    spoken = [word for a in asked_for if isinstance(a, tuple) for word in a if isinstance(word, str)]
    assert len(spoken) == len(set(spoken))


def test_when_nothing_is_left_to_ask_it_is_inconclusive() -> None:
    used = Used(set(Gesture))
    every = {Gesture.SAY_WORDS, Gesture.FOLLOW_DOT, Gesture.SCREEN_LIGHT}
    check, _ = make([], used=used, without=every)
    (over,) = attempts(run(check))
    assert (over.result, over.reason, over.commands) == (Result.INCONCLUSIVE, "commands_exhausted", ())


def test_where_attempts_failed_before_nothing_was_left_the_result_says_so() -> None:
    used = Used(set(Gesture), failed=1)
    every = {Gesture.SAY_WORDS, Gesture.FOLLOW_DOT, Gesture.SCREEN_LIGHT}
    check, _ = make([], used=used, without=every)
    (over,) = attempts(run(check))
    assert (over.result, over.reason, over.commands) == (Result.INCONCLUSIVE, "failed_and_exhausted", ())
    assert used.failed == 1, "a later check goes on counting"


@given(st.sets(st.sampled_from(list(Need)), max_size=2), st.integers(1, 2), st.integers(0, 9))
def test_a_check_of_occlusion_reaches_its_third_failure_or_says_that_nothing_is_left(
    needs: set[Need], wrong_at: int, seed: int
) -> None:
    answers = [*[Answer.MATCHED] * (wrong_at - 1), Answer.MISMATCHED] * 3
    check, _ = make(answers, kind=CheckKind.OCCLUSION, needs=needs, seed=seed, without=())
    found = attempts(run(check))
    if [over.result for over in found] != [Result.FAIL] * 3:
        assert len(needs) == 2, "only who names several things they cannot do can run out of commands"
        assert found[-1].reason == "failed_and_exhausted"
    asked = [one.command.gesture for over in found for one in over.commands]
    assert not set(asked) & set().union(*(EXCLUDED[need] for need in needs))
    plain = [gesture for gesture in asked if gesture not in VARIED]
    assert len(plain) == len(set(plain))


def test_the_steps_of_a_command_are_sent_when_they_are_due() -> None:
    check, _ = make([], kind=CheckKind.LIGHT, without=())
    out = run(check)
    shows = [o for o in out if isinstance(o, Show)]
    assert [show.step for show in shows[:2]] == [0, 1]
    over = attempts(out)[0]
    assert over.reason == "check_not_decided", "two weak commands are not enough to pass"
    assert len(over.commands) == 2
    assert over.commands[0].sent_s == pytest.approx((103.0, 104.0))


def test_a_judge_sees_what_was_before_and_what_came_after() -> None:
    check, judge = make([])
    for n in range(200):
        time_s = 100.0 + n / 15
        check.poll(time_s)
        check.see(Sight(time_s, (640, 360), 0))
    command, observed = judge.seen[0]
    (shown_s,) = observed.shown_s
    before = [sight.time_s for sight in observed.before]
    after = [sight.time_s for sight in observed.after]
    assert max(before) <= shown_s <= min(after)
    assert 1.9 < before[-1] - before[0] <= 2.0 + 1e-9
    assert after[-1] <= shown_s + command.limit_s
    assert len(observed.voice) == 0


def test_spoken_words_are_heard_and_given_to_the_recogniser_once() -> None:
    check, judge = make([X], kind=CheckKind.WORDS, recogniser=True)
    (show,) = check.poll(103.0)
    assert isinstance(show, Show)
    assert len(show.command.words) == 3
    check.hear(np.ones(16_000, np.float32), 103.5)
    check.hear(np.ones(16_000, np.float32), 104.5)
    (listen,) = check.poll(108.0)
    assert isinstance(listen, Listen)
    assert listen.voice.shape == (32_000,)
    assert check.understood(2, "other number", 108.5) == []
    (over,) = check.understood(1, "ru1 ru2 ru3", 109.0)
    assert isinstance(over, AttemptOver)
    assert judge.seen[0][1].heard == "ru1 ru2 ru3"
    assert judge.seen[0][1].voice_s == 103.5


def test_a_recogniser_that_never_answers_does_not_hold_the_check() -> None:
    check, judge = make([], kind=CheckKind.WORDS, recogniser=True)
    assert len(attempts(run(check))) >= 1
    assert judge.seen[0][1].heard is None


def test_cancelling_ends_it_for_good() -> None:
    check, _ = make([])
    check.poll(103.0)
    (over,) = check.cancel("participant_left", 104.0)
    assert isinstance(over, AttemptOver)
    assert (over.result, over.reason, over.again) == (Result.INCONCLUSIVE, "participant_left", False)
    assert check.cancel("participant_left", 105.0) == []
    assert check.poll(1e9) == []


def test_what_the_page_says_it_showed_is_noted_only_once_and_within_bounds() -> None:
    check, _ = make([X])
    check.poll(103.0)
    for number, step, at_s in (
        (1, 0, 103.1),
        (1, 0, 99.0),
        (0, 0, 1.0),
        (9, 0, 1.0),
        (1, 7, 1.0),
        (1, -1, 1.0),
    ):
        check.shown(number, step, at_s)
    over = attempts(run(check))[0]
    assert dict(over.commands[0].shown_s) == {0: 103.1}


def test_a_visual_check_of_fewer_than_three_commands_is_refused() -> None:
    with pytest.raises(ValueError, match="three commands"):
        CheckConfig(commands=2)
    with pytest.raises(ValueError, match="before_s"):
        CheckConfig(pause_s=1.0)


def test_what_a_page_says_of_itself_has_to_be_outweighed_and_fails_nobody() -> None:
    (plain,) = attempts(run(make([], claims_llr=-5.0)[0]))
    assert len(plain.commands) == 3, "nothing a page says makes it easier"
    (doubted,) = attempts(run(make([], claims_llr=1.0)[0]))
    assert (doubted.result, len(doubted.commands)) == (Result.PASS, 4)
    (nothing,) = attempts(run(make([], claims_llr=100.0)[0]))[:1]
    assert (nothing.result, nothing.reason) == (Result.INCONCLUSIVE, "check_not_decided")


def test_who_hears_the_command_instead_of_reading_it_has_longer() -> None:
    slow, _ = make([], needs=[Need.NO_SIGHT])
    (over,) = attempts(run(slow))
    assert {asked.command.limit_s for asked in over.commands} == {8.0}
    quick, _ = make([], needs=[Need.GLASSES])
    (over,) = attempts(run(quick))
    assert max(asked.command.limit_s for asked in over.commands if len(asked.command.steps) == 1) == 5.0


def test_a_light_check_asks_for_a_second_code_where_the_page_is_in_doubt() -> None:
    strong = dict(LLR)
    LLR[M] = -2.99
    try:
        plain, _ = make([], kind=CheckKind.LIGHT, without=())
        (over,) = attempts(run(plain))
        assert (over.result, len(over.commands)) == (Result.PASS, 1)
        doubted, _ = make([], kind=CheckKind.LIGHT, without=(), claims_llr=0.6)
        (over,) = attempts(run(doubted))
        assert (over.result, len(over.commands)) == (Result.PASS, 2)
    finally:
        LLR.update(strong)


def test_leaving_a_check_wins_no_new_attempts() -> None:
    used = Used()
    first, _ = make([X, X], used=used)
    run(first, until_s=100.0 + 26.0)
    assert used.failed == 2
    first.cancel("participant_left", 127.0)
    second, _ = make([X], used=used)
    (over,) = attempts(run(second))
    assert (over.result, over.again, over.reason) == (Result.FAIL, False, "three_attempts_failed")
    third, _ = make([X, M, M, M], used=used)
    assert attempts(run(third))[0].again, "a check that came to its end leaves nothing behind"


def test_what_was_drawn_and_never_shown_can_still_be_asked() -> None:
    used = Used()
    check, _ = make([X, X, X], used=used)
    found = attempts(run(check))
    shown = {asked.command.gesture for over in found for asked in over.commands}
    assert len(shown) == 3
    assert used.gestures == shown
