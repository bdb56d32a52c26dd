"""Active checks, and evidence that is old or thin: what they do to the state."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import reasons
from guard.fusion.engine import CheckResult
from guard.types import Score, Signal, State
from tests.fusion.test_engine import VIDEO, face, faces, feed, fusion, voices


def test_a_failed_check_is_suspect_whatever_the_passive_signals_say_and_until_a_person_acts() -> None:
    engine = fusion()
    assert feed(engine, [*voices(4, 40, -4.0), *faces(1, 40, -4.0)]).state is State.BONA_FIDE
    engine.note_check(CheckResult.FAIL, 40.0)
    failed = engine.verdict(40.0)
    assert (failed.state, failed.reasons[0]) == (State.SUSPECT, reasons.CHECK_FAILED)
    for result in (CheckResult.PASS, CheckResult.INCONCLUSIVE):
        engine.note_check(result, 50.0)
    later = feed(engine, [*voices(42, 300, -4.0), *faces(41, 300, -4.0)])
    assert (later.state, later.reasons) == (State.SUSPECT, (reasons.CHECK_FAILED,))
    engine.acknowledge(300.0)
    assert engine.verdict(300.0).state is State.UNDECIDED
    assert feed(engine, [*voices(302, 340, -4.0), *faces(301, 340, -4.0)]).state is State.BONA_FIDE


def test_a_failed_check_needs_no_other_evidence_and_leaves_red_red() -> None:
    engine = fusion()
    engine.note_check(CheckResult.FAIL, 3.0)
    alone = engine.verdict(3.0)
    assert (alone.state, alone.llr) == (State.SUSPECT, None)
    assert feed(engine, [*voices(4, 60, 4.0), *faces(1, 60, 4.0)]).state is State.SPOOF


@pytest.mark.parametrize("result", [CheckResult.PASS, CheckResult.INCONCLUSIVE])
def test_a_check_that_is_passed_or_open_says_nothing(result: CheckResult) -> None:
    engine, without = fusion(), fusion()
    engine.note_check(result, 1.0)
    assert engine.verdict(1.0) == without.verdict(1.0)
    red = fusion()
    feed(red, voices(4, 60, 4.0))
    red.note_check(result, 60.0)
    assert red.verdict(60.0).state is State.SPOOF


def light(end_s: float, llr: float) -> Score:
    return Score(VIDEO, Signal.SCREEN_LIGHT, end_s - 12.0, end_s, llr)


@given(st.floats(-100, 100), st.floats(-3.5, 3.5))
@settings(max_examples=30)
def test_the_screen_light_adds_to_a_suspected_face_a_little_and_never_speaks_for_anybody(
    llr: float, face_llr: float
) -> None:
    engine = fusion()
    before = feed(engine, faces(16, 20, face_llr)).llr
    after = feed(engine, [light(20.0, llr)]).llr
    assert before is not None
    assert after is not None
    added = after - before
    assert added == pytest.approx(max(0.0, min(4.0, llr)) / 2 if before > 0 else 0.0)


def test_the_screen_light_alone_decides_nothing() -> None:
    verdict = feed(fusion(), [light(20.0, 50.0)])
    assert (verdict.state, verdict.llr) == (State.UNDECIDED, None)
    assert verdict.signals[Signal.SCREEN_LIGHT].llr == pytest.approx(4.0)


def test_whoever_turns_the_camera_off_keeps_no_good_mark() -> None:
    engine = fusion()
    assert feed(engine, [*voices(4, 60, -4.0), *faces(1, 60, -4.0)]).state is State.BONA_FIDE
    assert feed(engine, voices(62, 74, -4.0)).state is State.BONA_FIDE
    off = feed(engine, voices(76, 300, -4.0))
    assert (off.state, off.reasons) == (State.UNDECIDED, (reasons.FACE_LAPSED,))
    assert off.signals[Signal.FACE_FRAME].reason == reasons.LAPSED
    assert feed(engine, [*voices(302, 312, -4.0), *faces(301, 312, -4.0)]).state is State.BONA_FIDE
    assert feed(fusion(), voices(4, 300, -4.0)).state is State.BONA_FIDE, "a call without any camera"


def test_what_lapses_takes_the_good_mark_and_no_alarm() -> None:
    good, red, amber = fusion(), fusion(), fusion()
    for engine, llr in ((good, -4.0), (red, 4.0), (amber, 3.0)):
        feed(engine, voices(4, 60, llr))
    assert [e.verdict(60.0).state for e in (good, red, amber)] == [
        State.BONA_FIDE,
        State.SPOOF,
        State.SUSPECT,
    ]
    for engine in (good, red, amber):
        engine.lapse()
    lapsed = good.verdict(60.0)
    assert (lapsed.state, lapsed.llr, lapsed.reasons) == (State.UNDECIDED, None, (reasons.LAPSED,))
    assert red.verdict(60.0).state is State.SPOOF
    assert amber.verdict(60.0).state is State.SUSPECT


def test_what_was_never_looked_at_is_told_and_what_was_abstained_from_is_not() -> None:
    shed = [face(float(t), -2.0) for t in range(1, 60)]
    assert reasons.LOW_COVERAGE in feed(fusion(), shed).reasons
    turned = [face(k / 5, None, 0, "face_turned") for k in range(300) if k % 5]
    assert reasons.LOW_COVERAGE not in feed(fusion(), [*shed, *turned]).reasons
    assert reasons.LOW_COVERAGE not in feed(fusion(), faces(1, 60, -2.0)).reasons
    assert reasons.LOW_COVERAGE not in feed(fusion(), shed[:15]).reasons, "too early to tell"
