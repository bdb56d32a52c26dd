"""A face that is not the enrolled photo's: suspect while it lasts, and no evidence of synthetic media."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import reasons
from guard.fusion.config import FusionConfig
from guard.fusion.engine import Fusion
from guard.fusion.mismatch import Mismatch
from guard.types import Kind, Score, Signal, State
from tests.fusion.test_engine import VIDEO, faces, feed, fusion, voices

OTHER, SAME = 3.0, -3.0


def look(end_s: float, other_llr: float | None, number: int = 0) -> Score:
    llr = 2.0 if other_llr is not None and other_llr > 0 else -0.4
    return Score(
        VIDEO, Signal.FACE_IDENTITY, end_s - 0.2, end_s, llr, face=number, other_person_llr=other_llr
    )


def empty(*, max_faces: int, all_faces: bool = True) -> Mismatch:
    return Mismatch(1.0, all_faces=all_faces, recent_s=8.0, memory_s=60.0, min_looks=8, max_faces=max_faces)


def looks(first_s: float, last_s: float, other_llr: float | None, number: int = 0) -> list[Score]:
    count = round((last_s - first_s) * 5)
    return [look(first_s + k / 5, other_llr, number) for k in range(1, count + 1)]


def test_another_person_is_suspect_from_the_eighth_look_on_however_genuine_voice_and_face_are() -> None:
    engine = fusion()
    assert feed(engine, [*voices(4, 40, -4.0), *faces(1, 40, -4.0)]).state is State.BONA_FIDE
    assert feed(engine, looks(60.0, 61.4, OTHER)).state is not State.SUSPECT
    found = feed(engine, looks(61.4, 61.6, OTHER))
    assert (found.state, found.reasons[0]) == (State.SUSPECT, reasons.PHOTO_MISMATCH)
    assert found.llr is not None
    assert found.llr < 0
    face = engine.standing(Kind.VIDEO, 61.6)
    voice = engine.standing(Kind.AUDIO, 61.6)
    assert face is not None
    assert voice is not None
    assert (face.state, voice.state is State.SUSPECT) == (State.SUSPECT, False)


def test_it_clears_like_amber_once_the_enrolled_person_is_back() -> None:
    engine = fusion()
    assert feed(engine, looks(0, 10, OTHER)).state is State.SUSPECT
    back = feed(engine, looks(10, 20, SAME))
    assert (back.state, back.reasons[-1]) == (State.SUSPECT, reasons.WAITING_FOR_CLEAR)
    assert reasons.PHOTO_MISMATCH not in back.reasons
    cleared = feed(engine, looks(20, 45, SAME))
    assert cleared.state is not State.SUSPECT
    assert reasons.PHOTO_MISMATCH not in cleared.reasons


def test_it_says_nothing_once_no_look_is_compared_any_more() -> None:
    engine = fusion()
    feed(engine, looks(0, 10, OTHER))
    withdrawn = feed(engine, looks(10, 40, None))
    assert reasons.PHOTO_MISMATCH not in withdrawn.reasons
    assert withdrawn.state is not State.SUSPECT


def test_a_second_person_beside_the_enrolled_one_is_no_mismatch() -> None:
    assert feed(fusion(), [*looks(0, 20, OTHER, 1), *looks(0, 20, SAME, 2)]).state is not State.SUSPECT
    assert feed(fusion(), [*looks(0, 20, OTHER, 1), *looks(0, 20, OTHER, 2)]).state is State.SUSPECT


def test_a_face_seen_for_a_moment_hides_nothing() -> None:
    engine = fusion()
    feed(engine, looks(0, 10, OTHER, 1))
    found = feed(engine, [*looks(10, 12, OTHER, 1), look(11.0, SAME, 2), look(11.2, SAME, 3)])
    assert found.reasons[0] == reasons.PHOTO_MISMATCH


def test_an_acknowledgement_starts_it_afresh() -> None:
    engine = fusion()
    feed(engine, looks(0, 10, OTHER))
    engine.acknowledge(10.0)
    assert engine.verdict(10.0).state is State.UNDECIDED
    assert feed(engine, looks(10, 12, OTHER)).state is State.SUSPECT


def test_red_stays_red_and_names_it() -> None:
    engine = fusion()
    assert feed(engine, [*voices(4, 60, 4.0), *looks(50, 60, OTHER)]).state is State.SPOOF
    assert engine.verdict(60.0).reasons[0] == reasons.PHOTO_MISMATCH


def test_a_signal_that_weighs_nothing_and_a_threshold_out_of_reach_turn_it_off() -> None:
    mute = FusionConfig(weights={**FusionConfig().weights, Signal.FACE_IDENTITY: 0.0})
    for config in (mute, replace(FusionConfig(), photo_mismatch_llr=4.0)):
        verdict = feed(Fusion("s1", "cust", config), looks(0, 60, 3.85))
        assert verdict.state is not State.SUSPECT
        assert reasons.PHOTO_MISMATCH not in verdict.reasons


@given(st.lists(st.floats(-3.85, 3.85), min_size=1, max_size=80), st.floats(-4, 4))
@settings(max_examples=60, deadline=None)
def test_it_never_touches_the_llr_nor_makes_anybody_better(others: list[float], face_llr: float) -> None:
    compared, plain = fusion(), fusion()
    order = [State.BONA_FIDE, State.UNDECIDED, State.SUSPECT, State.SPOOF]
    for k, other_llr in enumerate(others):
        for engine, score in ((compared, look(k / 5, other_llr)), (plain, look(k / 5, None))):
            engine.push(replace(score, llr=face_llr))
        with_photo, without = compared.verdict(k / 5), plain.verdict(k / 5)
        assert with_photo.llr == without.llr
        assert order.index(with_photo.state) >= order.index(without.state)


@pytest.mark.parametrize(("mean", "found"), [(0.9, False), (1.0, True), (1.1, True)])
def test_the_mean_of_the_looks_counts(mean: float, found: bool) -> None:
    mismatch = empty(max_faces=6)
    for k in range(10):
        mismatch.push(0, k / 5, mean + (0.5 if k % 2 else -0.5))
    assert mismatch.found is found


def test_what_it_remembers_is_bounded_and_old_looks_go() -> None:
    mismatch = empty(max_faces=2)
    for number in range(5):
        for score in looks(number, number + 2, OTHER if number < 3 else SAME, number):
            mismatch.push(number, score.end_s, score.other_person_llr)
    mismatch.expire(6.0)
    assert not mismatch.found, "the last two faces are the enrolled person's"
    for score in looks(20, 24, OTHER, 9):
        mismatch.push(9, score.end_s, score.other_person_llr)
    mismatch.expire(24.0)
    assert mismatch.found, "those two have left the picture"
    mismatch.expire(90.0)
    assert not mismatch.found


def became(first_s: float, last_s: float, llr: float | None, number: int = 0) -> list[Score]:
    """Looks without a photo at a face that is, or is not, whoever was there before."""
    return [
        replace(one, other_person_llr=None, replaced_llr=llr)
        for one in looks(first_s, last_s, OTHER if (llr or 0) > 0 else SAME, number)
    ]


def test_a_face_that_became_another_is_suspect_until_it_is_the_first_again() -> None:
    engine = fusion()
    assert feed(engine, [*faces(1, 40, -4.0), *became(10, 40, SAME)]).state is State.BONA_FIDE
    soon = feed(engine, [*faces(40, 44, -4.0), *became(40, 44, 2.5)])
    assert soon.state is State.BONA_FIDE, "for eight seconds the mean of the looks decides"
    found = feed(engine, [*faces(44, 60, -4.0), *became(44, 60, 2.5)])
    assert (found.state, found.reasons[0]) == (State.SUSPECT, reasons.FACE_REPLACED)
    assert found.llr is not None
    assert found.llr < 0, "no llr of synthetic media"
    assert found.signals[Signal.FACE_IDENTITY].reason == reasons.FACE_REPLACED
    stays = feed(engine, [*faces(60, 200, -4.0), *became(60, 200, 2.5)])
    assert (stays.state, stays.reasons[0]) == (State.SUSPECT, reasons.FACE_REPLACED), "however long it lasts"
    back = feed(engine, [*faces(200, 240, -4.0), *became(200, 240, SAME)])
    assert back.state is State.BONA_FIDE


def test_a_face_beside_the_one_that_became_another_excuses_nothing_and_one_that_came_says_nothing() -> None:
    engine = fusion()
    beside = feed(engine, [*became(0, 20, 2.5, number=0), *became(0, 20, SAME, number=1)])
    assert beside.reasons[0] == reasons.FACE_REPLACED
    came = feed(fusion(), [*became(0, 20, SAME), *became(20, 60, None)])
    assert reasons.FACE_REPLACED not in came.reasons


def test_it_can_be_turned_off_and_a_person_can_settle_it() -> None:
    off = feed(Fusion("s1", "cust", replace(FusionConfig(), face_replaced_llr=4.0)), became(0, 60, 3.85))
    assert off.state is not State.SUSPECT
    engine = fusion()
    assert feed(engine, became(0, 60, 2.5)).state is State.SUSPECT
    engine.acknowledge(60.0)
    assert engine.verdict(60.0).state is State.UNDECIDED
    assert feed(engine, became(60, 120, 2.5)).state is State.UNDECIDED, "they know of this face"
    assert feed(engine, became(120, 130, SAME)).state is State.UNDECIDED
    assert feed(engine, became(130, 145, 2.5)).reasons[0] == reasons.FACE_REPLACED, "and not of the next"


def test_with_a_look_a_second_it_takes_longer_and_is_told_as_well() -> None:
    engine = fusion()
    assert feed(engine, [look(float(t), OTHER) for t in range(1, 8)]).state is not State.SUSPECT
    assert feed(engine, [look(8.0, OTHER)]).reasons[0] == reasons.PHOTO_MISMATCH
