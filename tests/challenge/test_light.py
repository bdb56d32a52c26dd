"""Whether a face followed the colours of this screen, on made ground truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from guard.challenge.commands import Answer, Command, Gesture, Judgement, Observed, Sight, Step
from guard.challenge.light import LIMIT_S, LightJudge
from tests.challenge.light_faces import RATE_HZ, command, observed, sights


def judged(asked: Command, after: Sequence[Sight], judge: LightJudge | None = None) -> Judgement:
    found = (judge or LightJudge()).judge(asked, observed(asked.steps, after), over=True)
    assert found is not None
    assert all(math.isfinite(value) for value in found.details.values())
    return found


@pytest.mark.parametrize("lag_s", [0.05, 0.3, 0.75])
def test_a_face_near_the_screen_is_matched_with_its_lag(lag_s: float) -> None:
    asked = command(1)
    found = judged(asked, sights(asked.steps, 0.15, lag_s=lag_s))
    assert found.answer is Answer.MATCHED
    assert found.reason == "light_matched"
    assert found.details["lag_s"] == pytest.approx(lag_s, abs=0.06)
    assert found.onset_s == found.details["lag_s"]
    assert found.details["gain"] == pytest.approx(0.15, rel=0.2)
    assert found.details["snr"] > 8
    # bounded: an attacker may carry the light, and nothing here can tell
    assert math.log(0.05) <= found.llr < -2.5


def test_before_the_time_is_over_nothing_is_said() -> None:
    asked = command(1)
    assert LightJudge().judge(asked, observed(asked.steps, sights(asked.steps, 0.3)), over=False) is None


def test_a_face_that_does_not_respond_is_never_failed_or_passed() -> None:
    answers = Counter(judged(command(n), sights(command(n).steps, 0.0, seed=n)).reason for n in range(60))
    assert answers.keys() <= {"light_absent", "light_too_weak"}
    assert answers["light_absent"] > 40


def test_in_noise_a_weak_response_is_left_open() -> None:
    asked = command(2)
    found = judged(asked, sights(asked.steps, 0.01, noise=0.06))
    assert found.answer is Answer.UNSEEN
    assert found.reason == "light_too_weak"
    assert found.llr == 0.0


def test_a_weak_response_in_a_quiet_picture_is_found() -> None:
    hits = [
        judged(command(n), sights(command(n).steps, 0.03, seed=n)).answer is Answer.MATCHED for n in range(20)
    ]
    assert sum(hits) >= 18


def test_a_replayed_older_response_is_known_again_whenever_it_begins() -> None:
    for number, shift_s in enumerate((-3.0, 0.0, 1.7, 4.0)):
        judge = LightJudge()
        older, asked = command(10 + number), command(50 + number)
        assert judged(older, sights(older.steps, 0.2), judge).answer is Answer.MATCHED
        found = judged(asked, sights(older.steps, 0.2, shift_s=shift_s, seed=number), judge)
        assert found.answer is Answer.MISMATCHED
        assert found.reason == "light_replayed"
        assert found.llr > 0


def test_a_response_to_an_unknown_code_is_no_match_and_mostly_a_mismatch() -> None:
    found = [judged(command(n), sights(command(n + 500).steps, 0.2, seed=n)) for n in range(40)]
    answers = Counter(one.reason for one in found)
    assert answers["light_matched"] == 0
    assert answers["light_other"] >= 20, answers
    assert not answers.keys() - {
        "light_other",
        "light_unclear",
        "light_late",
        "light_too_weak",
        "light_absent",
    }
    assert all(one.llr > 0 for one in found if one.answer is Answer.MISMATCHED)


def test_the_same_code_asked_twice_is_no_replay() -> None:
    judge, asked = LightJudge(), command(3)
    for _ in range(2):
        assert judged(asked, sights(asked.steps, 0.2), judge).answer is Answer.MATCHED


def test_a_slow_connection_is_no_replay() -> None:
    asked = command(4)
    found = judged(asked, sights(asked.steps, 0.2, lag_s=1.3))
    assert found.answer is Answer.UNSEEN
    assert found.reason == "light_late"
    assert found.details["lag_s"] == pytest.approx(1.3, abs=0.06)


def test_a_page_that_stalls_is_hardly_ever_a_mismatch() -> None:
    """Colours come onto the screen late, unequally late, or not at all; the face follows what was shown."""
    answers: Counter[Answer] = Counter()
    for number in range(40):
        rng, asked = np.random.default_rng(number), command(number)
        stalls_s = np.where(rng.random(len(asked.steps)) < 0.6, rng.exponential(0.6, len(asked.steps)), 0.05)
        at_s = np.maximum.accumulate([step.at_s for step in asked.steps] + stalls_s)
        shown = [Step(float(t), step.colour) for t, step in zip(at_s, asked.steps, strict=True)]
        answers[judged(asked, sights(shown, 0.2, seed=number)).answer] += 1
    assert answers[Answer.MISMATCHED] <= 1
    assert answers[Answer.MATCHED] + answers[Answer.UNSEEN] >= 39


def test_a_tint_over_the_whole_picture_is_no_response() -> None:
    asked = command(5)
    found = judged(asked, sights(asked.steps, 0.2, whole=True))
    assert found.answer is Answer.UNSEEN


def test_a_television_beside_a_face_in_daylight_is_no_mismatch() -> None:
    for number in range(30):
        rng = np.random.default_rng(number)
        count = round(LIMIT_S * RATE_HZ)
        shots = rng.lognormal(0.0, 0.15, (20, 1)) * rng.lognormal(0.0, 0.05, (20, 3))
        cut = np.cumsum(rng.random(count) < 1 / (1.2 * RATE_HZ)) % 20
        found = judged(command(number), sights(command(number).steps, 0.0, seed=number, extra=shots[cut]))
        assert found.answer is Answer.UNSEEN


def test_a_coloured_lamp_that_fades_is_no_mismatch() -> None:
    for number in range(10):
        asked = command(number)
        phase = np.arange(round(LIMIT_S * RATE_HZ)) / RATE_HZ * 2 * np.pi / 3.0
        lamp = np.exp(0.1 * np.stack([np.sin(phase), np.sin(phase + 2), np.sin(phase + 4)], axis=1))
        assert judged(asked, sights(asked.steps, 0.0, seed=number, extra=lamp)).answer is Answer.UNSEEN


def without(after: list[Sight], begin_s: float, end_s: float) -> list[Sight]:
    hidden = [begin_s <= s.time_s - 100.0 < end_s for s in after]
    return [
        Sight(s.time_s, s.size, 0, around_rgb=s.around_rgb) if gone else s
        for s, gone in zip(after, hidden, strict=True)
    ]


@pytest.mark.parametrize(("begin_s", "end_s"), [(3.0, 6.0), (0.0, 20.0), (8.0, 20.0), (0.0, 4.0)])
def test_a_face_that_was_away_is_not_judged(begin_s: float, end_s: float) -> None:
    asked = command(6)
    found = judged(asked, without(sights(asked.steps, 0.3), begin_s, end_s))
    assert found.answer is Answer.UNSEEN
    assert found.reason == "light_unmeasured"


def test_a_hand_before_the_face_for_a_moment_does_no_harm() -> None:
    asked = command(6)
    assert judged(asked, without(sights(asked.steps, 0.2), 4.0, 5.0)).answer is Answer.MATCHED


def test_without_pictures_or_steps_nothing_is_judged() -> None:
    asked = command(7)
    assert judged(asked, []).reason == "light_unmeasured"
    after = sights(asked.steps, 0.2)
    for sent in ((), (100.0,)):
        found = LightJudge().judge(asked, Observed(sent, (), after, np.empty(0, np.float32), 0.0), over=True)
        assert found is not None
        assert found.reason == "light_unmeasured"


def test_a_frozen_picture_is_no_response() -> None:
    asked = command(8)
    after = sights(asked.steps, 0.2)
    frozen = [
        Sight(s.time_s, s.size, 1, face_rgb=after[0].face_rgb, around_rgb=after[0].around_rgb) for s in after
    ]
    assert judged(asked, frozen).answer is Answer.UNSEEN


def test_a_face_without_surroundings_is_not_judged() -> None:
    asked = command(8)
    bare = [Sight(s.time_s, s.size, 1, face_rgb=s.face_rgb) for s in sights(asked.steps, 0.3)]
    assert judged(asked, bare).reason == "light_unmeasured"


def test_the_order_of_pictures_does_not_matter() -> None:
    asked = command(9)
    after = sights(asked.steps, 0.1)
    assert judged(asked, after) == judged(asked, after[::-1])


def test_late_sending_is_followed_and_what_was_planned_is_not() -> None:
    """A step that left the server late is judged by when it was sent."""
    asked = command(11)
    delays = np.cumsum(np.abs(np.random.default_rng(0).normal(0, 0.12, len(asked.steps))))
    sent = tuple(Step(step.at_s + float(d), step.colour) for step, d in zip(asked.steps, delays, strict=True))
    after = sights(sent, 0.15)
    shown_s = tuple(100.0 + step.at_s for step in sent)
    seen = Observed(shown_s, (), after, np.empty(0, np.float32), 100.0)
    found = LightJudge().judge(asked, seen, over=True)
    assert found is not None
    assert found.answer is Answer.MATCHED


def test_a_step_without_a_colour_is_refused() -> None:
    bad = Command(Gesture.SCREEN_LIGHT, 5.0, (Step(0.0), Step(1.0)))
    with pytest.raises(ValueError, match="no colour"):
        LightJudge().judge(bad, observed(bad.steps, sights(command(1).steps, 0.2)), over=True)
