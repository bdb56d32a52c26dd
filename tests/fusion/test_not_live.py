"""A picture that stands still, repeats or jumped: no good mark, no accusation, green again after a minute."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import reasons
from guard.types import Kind, Score, Signal, State
from tests.fusion.test_engine import VIDEO, faces, feed, fusion, voices

WHY = reasons.NOT_LIVE
CODES = st.sampled_from(WHY)
GENUINE_S = 60


def not_live(end_s: float, why: str) -> Score:
    return Score(VIDEO, Signal.TEMPORAL, end_s - 0.2, end_s, None, why, 0)


def genuine(start_s: int, end_s: int) -> list[Score]:
    both = [*voices(start_s + 4, end_s, -4.0), *faces(start_s + 1, end_s, -4.0)]
    return sorted(both, key=lambda s: s.end_s)


@pytest.mark.parametrize("why", WHY)
def test_however_genuine_voice_and_face_are_there_is_no_good_mark_for_a_minute_after(why: str) -> None:
    engine = fusion()
    assert feed(engine, genuine(0, GENUINE_S)).state is State.BONA_FIDE
    found = feed(engine, [not_live(60.0, why)])
    assert (found.state, found.reasons) == (State.UNDECIDED, (why,))
    assert found.signals[Signal.TEMPORAL].reason == why
    still = feed(engine, genuine(60, 119))
    assert (still.state, still.reasons) == (State.UNDECIDED, (why,))
    later = feed(engine, genuine(119, 122))
    assert (later.state, later.reasons) == (State.BONA_FIDE, (reasons.NO_SUSPICION,))
    assert later.signals[Signal.TEMPORAL].reason != why


@given(CODES, st.lists(st.integers(1, 400), min_size=1, max_size=12), st.floats(-4, 4), st.floats(-4, 4))
@settings(max_examples=60, deadline=None)
def test_it_takes_the_good_mark_and_changes_nothing_else(
    why: str, fifths: list[int], voice_llr: float, face_llr: float
) -> None:
    """At any moments of any call: the llr and every other state are what they would have been."""
    withheld, without = fusion(), fusion()
    found = [not_live(n / 5, why) for n in fifths]
    for score in sorted([*voices(4, 80, voice_llr), *faces(1, 80, face_llr), *found], key=lambda s: s.end_s):
        plain = without.verdict(score.end_s)
        seen = withheld.verdict(score.end_s)
        withheld.push(score)
        if score.reason is None:
            without.push(score)
        assert seen.llr == plain.llr
        recent = any(0 <= seen.at_s - one.end_s < 60 and one.end_s < score.end_s for one in found)
        if recent:
            assert seen.state is not State.BONA_FIDE
            assert why in seen.reasons
        if plain.state is not State.BONA_FIDE:
            assert seen.state is plain.state


@given(CODES, CODES, st.permutations(range(6)))
@settings(max_examples=30, deadline=None)
def test_the_newest_is_told_in_whatever_order_they_come(one: str, other: str, order: list[int]) -> None:
    engine = fusion()
    feed(engine, genuine(0, GENUINE_S))
    found = [not_live(58.0 + n / 5, one if n < 5 else other) for n in range(6)]
    for n in order:
        engine.push(found[n])
    assert engine.verdict(60.0).reasons == (other,)


def test_a_genuine_voice_gives_no_good_mark_beside_a_picture_that_stands_still() -> None:
    """From the first second on: nothing but the voice and looks at one and the same picture."""
    engine = fusion()
    calls = [*voices(4, 60, -4.0), *(not_live(n / 5, reasons.VIDEO_FROZEN) for n in range(20, 300))]
    for score in sorted(calls, key=lambda s: s.end_s):
        engine.push(score)
        if score.end_s > 8:
            assert engine.verdict(score.end_s).state is State.UNDECIDED
    voice, face = (engine.standing(kind, 60.0) for kind in (Kind.AUDIO, Kind.VIDEO))
    assert voice is not None and face is not None
    assert (voice.state, face.state) == (State.BONA_FIDE, State.UNDECIDED), "each by itself"


def test_amber_and_red_stay_what_they_are_and_say_it_too() -> None:
    engine = fusion()
    feed(engine, [*voices(4, 60, 4.0), *faces(1, 60, 4.0)])
    found = feed(engine, [not_live(60.0, reasons.VIDEO_CUT)])
    assert found.state is State.SPOOF
    assert found.reasons[-1] == reasons.VIDEO_CUT
    assert found.reasons[0].endswith("_high")


def test_a_person_who_acts_and_a_participant_who_goes_silent_begin_anew() -> None:
    for begin_anew in ("acknowledge", "lapse"):
        engine = fusion()
        feed(engine, [*genuine(0, GENUINE_S), not_live(60.0, reasons.VIDEO_FROZEN)])
        if begin_anew == "lapse":
            engine.lapse()
        else:
            engine.acknowledge(60.0)
        assert engine.verdict(60.0).state is State.UNDECIDED
        assert feed(engine, genuine(60, 80)).state is State.BONA_FIDE


def test_a_copy_of_the_engine_goes_on_with_it() -> None:
    engine = fusion()
    feed(engine, [*genuine(0, GENUINE_S), not_live(60.0, reasons.VIDEO_REPEATS)])
    copy = engine.fork("other")
    engine.acknowledge(60.0)
    assert copy.verdict(60.0).reasons == (reasons.VIDEO_REPEATS,)


def test_other_reasons_to_say_nothing_withhold_nothing() -> None:
    engine = fusion()
    feed(engine, genuine(0, GENUINE_S))
    for why in ("moving_fast", "too_few_pictures", "face_turned", "no_face"):
        other = replace(not_live(60.0, reasons.VIDEO_CUT), reason=why)
        assert feed(engine, [other]).state is State.BONA_FIDE
