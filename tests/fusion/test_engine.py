"""The rules of the decision engine, as properties."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import reasons
from guard.errors import ConfigError
from guard.fusion.config import EvidenceConfig, FusionConfig, Thresholds
from guard.fusion.engine import Fusion
from guard.types import Kind, Score, Signal, State, TrackKey, Verdict

AUDIO = TrackKey("s1", "cust", Kind.AUDIO)
VIDEO = TrackKey("s1", "cust", Kind.VIDEO)


def voice(end_s: float, llr: float | None, reason: str | None = None) -> Score:
    return Score(AUDIO, Signal.VOICE_SPOOF, end_s - 4.0, end_s, llr, reason)


def face(end_s: float, llr: float | None, number: int = 0, reason: str | None = None) -> Score:
    return Score(VIDEO, Signal.FACE_FRAME, end_s - 0.2, end_s, llr, reason, number)


def voices(first_s: int, last_s: int, llr: float, hop_s: int = 2) -> list[Score]:
    return [voice(float(t), llr) for t in range(first_s, last_s + 1, hop_s)]


def faces(first_s: float, last_s: float, llr: float, number: int = 0) -> list[Score]:
    return [face(first_s + k / 5, llr, number) for k in range(round((last_s - first_s) * 5) + 1)]


def fusion(**thresholds: float | bool) -> Fusion:
    return Fusion("s1", "cust", FusionConfig(thresholds=Thresholds(**thresholds)))  # type: ignore[arg-type]


def feed(engine: Fusion, scores: Iterable[Score]) -> Verdict:
    """Push in time order with a verdict after each; return the last."""
    last = engine.verdict(0.0)
    for score in sorted(scores, key=lambda s: s.end_s):
        engine.push(score)
        last = engine.verdict(score.end_s)
    return last


def test_no_evidence_is_undecided_never_bona_fide() -> None:
    engine = fusion()
    verdict = engine.verdict(100.0)
    assert (verdict.state, verdict.llr, verdict.reasons) == (State.UNDECIDED, None, ("no_evidence",))
    engine.push(voice(104.0, None, "too_little_speech"))
    verdict = engine.verdict(104.0)
    assert (verdict.state, verdict.llr) == (State.UNDECIDED, None)
    assert verdict.signals[Signal.VOICE_SPOOF].reason == "too_little_speech"
    assert verdict.reasons == ("too_little_speech",)


def test_voice_says_something_from_the_first_window_face_from_the_eighth_frame() -> None:
    assert feed(fusion(), [voice(4.0, -1.5)]).llr == pytest.approx(-1.5)
    seven = feed(fusion(), [face(k / 5, -1.5) for k in range(1, 8)])
    assert seven.llr is None
    assert seven.signals[Signal.FACE_FRAME].reason == reasons.TOO_LITTLE_EVIDENCE
    assert feed(fusion(), [face(k / 5, -1.5) for k in range(1, 9)]).llr == pytest.approx(-1.5)


def test_bona_fide_needs_eight_seconds_of_speech_or_forty_frames() -> None:
    assert feed(fusion(), voices(4, 7, -3.0, hop_s=1)).state is State.UNDECIDED
    assert feed(fusion(), voices(4, 8, -3.0, hop_s=1)).state is State.BONA_FIDE
    assert feed(fusion(), [face(k / 5, -3.0) for k in range(1, 40)]).state is State.UNDECIDED
    assert feed(fusion(), [face(k / 5, -3.0) for k in range(1, 41)]).state is State.BONA_FIDE


def test_llr_does_not_depend_on_the_thresholds() -> None:
    scores = [*voices(4, 40, 1.7), *faces(1, 40, -0.3)]
    strict = feed(fusion(red_llr=9.0, amber_llr=8.0), scores)
    mild = feed(fusion(red_llr=1.1, amber_llr=0.1), scores)
    assert strict.llr == mild.llr
    assert strict.state is State.UNDECIDED
    assert mild.state is State.SPOOF


def test_a_genuine_voice_does_not_excuse_a_fake_face() -> None:
    verdict = feed(fusion(), [*voices(4, 60, -4.0), *faces(1, 60, 4.0)])
    assert verdict.state is State.SPOOF
    assert verdict.reasons[0] == "face_frame_high"


def test_two_signals_that_agree_say_more_than_one() -> None:
    one = feed(fusion(), voices(4, 20, 1.5)).llr
    two = feed(fusion(), [*voices(4, 20, 1.5), *faces(1, 20, 1.5)]).llr
    assert one is not None
    assert two is not None
    assert two > one


def test_of_several_faces_the_highest_llr_counts() -> None:
    alone = feed(fusion(), faces(1, 20, 2.0, number=1))
    both = feed(fusion(), [*faces(1, 20, -3.0, number=0), *faces(1, 20, 2.0, number=1)])
    assert both.llr == alone.llr


def test_a_face_that_has_left_the_picture_stops_counting() -> None:
    engine = fusion()
    feed(engine, faces(1, 10, 1.5, number=0))
    assert (feed(engine, faces(10.2, 40, -2.0, number=1)).llr or 0.0) < 0


def test_voice_alone_is_never_red_where_the_profile_says_so_but_helps_the_face() -> None:
    only_voice = feed(fusion(voice_alone_red=False), voices(4, 300, 4.0))
    assert only_voice.state is State.SUSPECT
    assert reasons.VOICE_ALONE in only_voice.reasons
    assert feed(fusion(voice_alone_red=True), voices(4, 300, 4.0)).state is State.SPOOF
    with_face = feed(fusion(voice_alone_red=False), [*voices(4, 60, 4.0), *faces(1, 60, 2.0)])
    assert with_face.state is State.SPOOF


def test_red_stays_until_a_person_acknowledges_and_then_the_evidence_starts_afresh() -> None:
    engine = fusion()
    feed(engine, voices(4, 60, 4.0))
    later = feed(engine, voices(62, 400, -4.0))
    assert (later.state, later.llr is not None and later.llr < 0) == (State.SPOOF, True)
    assert later.reasons == (reasons.WAITING_FOR_PERSON,)
    engine.acknowledge(400.0)
    fresh = engine.verdict(400.0)
    assert (fresh.state, fresh.llr, fresh.evidence) == (State.UNDECIDED, None, ())
    assert feed(engine, voices(402, 404, -4.0)).state is State.UNDECIDED
    assert feed(engine, voices(406, 420, -4.0)).state is State.BONA_FIDE


def test_amber_clears_after_twenty_seconds_below_half_its_threshold() -> None:
    engine = fusion(amber_llr=2.0, red_llr=9.0)
    assert feed(engine, voices(4, 8, 3.0)).state is State.SUSPECT
    cleared_s, low_s = None, None
    for end_s in range(10, 120, 2):
        verdict = feed(engine, [voice(float(end_s), -4.0)])
        if low_s is None and verdict.llr is not None and verdict.llr < 1.0:
            low_s = end_s
        if cleared_s is None and verdict.state is not State.SUSPECT:
            cleared_s = end_s
    assert low_s is not None
    assert cleared_s == low_s + 20


def test_amber_between_half_and_whole_threshold_does_not_clear() -> None:
    engine = fusion(amber_llr=2.0, red_llr=9.0)
    feed(engine, voices(4, 60, 2.0))
    held = feed(engine, voices(62, 300, 0.8))
    assert held.llr == pytest.approx(1.2, abs=0.1)
    assert (held.state, held.reasons[-1]) == (State.SUSPECT, reasons.WAITING_FOR_CLEAR)


def test_evidence_lapses_when_nothing_comes_any_more() -> None:
    engine = fusion()
    feed(engine, voices(4, 30, -4.0))
    assert engine.verdict(60.0).state is State.BONA_FIDE
    lapsed = engine.verdict(95.0)
    assert (lapsed.state, lapsed.llr) == (State.UNDECIDED, None)


def test_coverage_is_scored_seconds_over_seconds_of_the_stream() -> None:
    engine = fusion()
    feed(engine, [voice(4.0, -1.0), voice(6.0, -1.0), voice(20.0, -1.0)])
    assert engine.verdict(40.0).signals[Signal.VOICE_SPOOF].coverage == pytest.approx(10 / 40)
    standing = engine.standing(Kind.AUDIO, 40.0)
    assert standing is not None
    assert standing.scored_s == pytest.approx(10.0)
    assert standing.windows == 3
    assert standing.coverage == pytest.approx(10 / 40)
    assert engine.standing(Kind.VIDEO, 40.0) is None


@given(st.permutations(list(range(24))), st.integers(0, 2**32))
@settings(max_examples=60)
def test_order_of_arrival_does_not_matter(order: list[int], seed: int) -> None:
    rng = random.Random(seed)
    scores = [voice(4.0 + 2 * k, rng.uniform(-5, 5)) for k in range(12)]
    scores += [face(1.0 + k / 5, rng.uniform(-5, 5)) for k in range(12)]
    straight, shuffled = fusion(), fusion()
    for score in scores:
        straight.push(score)
    for index in order:
        shuffled.push(scores[index])
    assert shuffled.verdict(26.0) == straight.verdict(26.0)


@given(st.lists(st.floats(-3.5, 3.0), min_size=3, max_size=40), st.floats(0, 0.5))
def test_more_evidence_for_spoof_never_lowers_the_llr(llrs: list[float], more: float) -> None:
    def said(values: list[float]) -> float:
        engine = Fusion("s1", "cust")
        for k, value in enumerate(values):
            engine.push(voice(4.0 + 2 * k, value))
        llr = engine.verdict(4.0 + 2 * len(values)).llr
        assert llr is not None
        return llr

    before = said(llrs)
    newest = [*llrs[:-3], *(llr + more for llr in llrs[-3:])]
    assert said(newest) >= before - 1e-9, "raised windows of the last 8 s"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_evidence_is_finite_and_capped_whatever_a_detector_says(llrs: list[float]) -> None:
    engine = Fusion("s1", "cust")
    for k, value in enumerate(llrs):
        engine.push(voice(4.0 + 2 * k, value))
    llr = engine.verdict(4.0 + 2 * len(llrs)).llr
    assert llr is not None
    assert math.isfinite(llr)
    assert abs(llr) <= EvidenceConfig().cap_llr


def test_a_long_call_does_not_make_weak_evidence_strong() -> None:
    short = feed(fusion(), voices(4, 60, 1.0)).llr or 0.0
    long = feed(fusion(), voices(4, 3600, 1.0)).llr or 0.0
    assert long == pytest.approx(short, abs=0.01)
    assert long < 1.0 / FusionConfig().evidence(Signal.VOICE_SPOOF).call_share


def test_overlapping_windows_are_not_counted_twice() -> None:
    sparse = feed(fusion(), voices(4, 40, 1.0, hop_s=4)).llr
    dense = feed(fusion(), voices(4, 40, 1.0, hop_s=1)).llr
    assert dense == pytest.approx(sparse)


def test_the_same_window_again_changes_nothing() -> None:
    engine = fusion()
    once = feed(engine, voices(4, 12, 1.0)).llr
    assert feed(engine, [voice(12.0, 1.0)]).llr == once


def test_memory_is_bounded_over_eight_hours() -> None:
    engine = fusion()
    rng = random.Random(5)
    for second in range(4, 8 * 3600):
        engine.push(voice(float(second), rng.gauss(-2, 1)))
        engine.push(face(float(second), rng.gauss(-2, 1), number=second // 7))
        if second % 60 == 0:
            engine.verdict(float(second))
    windows = [w for e in engine._signals.values() for w in e._tracks.values()]
    assert len(windows) <= 1 + FusionConfig().max_faces
    assert sum(len(w) for w in windows) <= 61 + 6 * 61
    assert all(len(e._coverage._spans) <= 62 for e in engine._signals.values())
    assert engine.verdict(8 * 3600.0).signals[Signal.VOICE_SPOOF].coverage == pytest.approx(1.0, abs=0.01)


def test_a_switch_is_named_and_a_fake_from_the_start_is_not_called_one() -> None:
    switched = feed(fusion(), [*voices(4, 40, -2.5), *voices(42, 60, 3.0)])
    assert reasons.SWITCHED in switched.reasons
    always = feed(fusion(), voices(4, 60, 3.0))
    assert reasons.SWITCHED not in always.reasons
    assert always.state is State.SUSPECT or always.state is State.SPOOF


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: Thresholds(amber_llr=6.5), "amber_llr"),
        (lambda: Thresholds(bona_fide_llr=0.1), "bona_fide_llr"),
        (lambda: EvidenceConfig(call_share=0.0), "call_share"),
        (lambda: FusionConfig(weights={Signal.VOICE_SPOOF: -1.0}), "weights"),
        (lambda: FusionConfig(horizons_s=(60.0, 30.0)), "horizons_s"),
        (lambda: FusionConfig(max_faces=0), "max_faces"),
    ],
)
def test_impossible_settings_are_refused_by_name(build: object, key: str) -> None:
    assert callable(build)
    with pytest.raises(ConfigError, match=rf"fusion\.{key}"):
        build()


def replay(end_s: float, llr: float) -> Score:
    return Score(AUDIO, Signal.VOICE_REPLAY, end_s - 4.0, end_s, llr)


def replays(first_s: int, last_s: int, llr: float) -> list[Score]:
    return [replay(float(t), llr) for t in range(first_s, last_s + 1, 2)]


def weighing_replay(weight: float) -> Fusion:
    weights = {Signal.VOICE_SPOOF: 1.0, Signal.VOICE_REPLAY: weight}
    return Fusion("s1", "cust", FusionConfig(weights=weights))


@pytest.mark.parametrize("llr", [-4.0, 4.0])
def test_signal_of_weight_0_is_reported_and_changes_nothing(llr: float) -> None:
    for spoof_llr in (-2.0, 0.5, 4.0):
        with_it = feed(weighing_replay(0.0), [*voices(4, 40, spoof_llr), *replays(4, 40, llr)])
        without = feed(weighing_replay(0.0), voices(4, 40, spoof_llr))
        assert (with_it.state, with_it.llr) == (without.state, without.llr)
        assert with_it.reasons == without.reasons
        assert with_it.signals[Signal.VOICE_REPLAY].llr is not None


def test_signal_that_may_only_support_decides_nothing_alone() -> None:
    for llr in (-4.0, 4.0):
        verdict = feed(weighing_replay(1.0), replays(4, 40, llr))
        assert (verdict.state, verdict.llr) == (State.UNDECIDED, None)


def test_signal_that_may_only_support_adds_only_beside_one_that_points_to_spoof() -> None:
    alone = {x: feed(weighing_replay(1.0), voices(4, 40, x)).llr for x in (-1.0, 1.0)}
    for spoof_llr, replay_llr, adds in ((-1.0, 2.0, False), (1.0, -2.0, False), (1.0, 2.0, True)):
        verdict = feed(weighing_replay(1.0), [*voices(4, 40, spoof_llr), *replays(4, 40, replay_llr)])
        before = alone[spoof_llr]
        assert verdict.llr is not None
        assert before is not None
        assert (verdict.llr > before + 1) is adds
        assert (verdict.llr == pytest.approx(before)) is not adds
        assert ("voice_replay_raised" in verdict.reasons or "voice_replay_high" in verdict.reasons) is adds


def test_a_signal_nobody_asked_for_explains_no_lack_of_evidence() -> None:
    noisy = Score(AUDIO, Signal.VOICE_SPOOF, 0.0, 4.0, None, "too_noisy")
    unasked = Score(AUDIO, Signal.VOICE_MATCH, 0.0, 4.0, None, "no_enrolment")
    assert feed(Fusion("s1", "cust"), [noisy, unasked]).reasons == ("too_noisy",)
    assert feed(Fusion("s1", "cust"), [unasked]).reasons == ("no_evidence",)


def test_a_fork_begins_with_the_same_evidence_and_neither_changes_the_other() -> None:
    engine = fusion()
    before = feed(engine, [*voices(4, 40, -2.0), *faces(2.0, 40.0, -2.0)])
    other = engine.fork("stand-in")
    assert other.verdict(40.0).participant == "stand-in"
    assert other.verdict(40.0).llr == before.llr
    spoofed = feed(other, [*voices(42, 60, 4.0), *faces(40.2, 60.0, 4.0)])
    assert spoofed.state is State.SPOOF
    after = engine.verdict(40.0)
    assert (after.participant, after.state, after.llr) == ("cust", before.state, before.llr)
    assert after.signals == before.signals
    other.acknowledge(60.0)
    more = [*voices(42, 60, -2.0), *faces(40.2, 60.0, -2.0)]
    assert feed(engine, more).state is State.BONA_FIDE


@pytest.mark.parametrize("share", [0.3, 0.63, 1.0])
def test_what_a_signal_reaches_is_what_its_worst_minutes_come_to(share: float) -> None:
    shares = {Signal.VOICE_SPOOF: share}
    config = FusionConfig(thresholds=Thresholds(red_llr=12.0, amber_llr=11.0), call_shares=shares)
    for signal, hop_s in ((Signal.VOICE_SPOOF, 1.0), (Signal.FACE_FRAME, 0.25)):
        engine, most = Fusion("s1", "cust", config), -math.inf
        key = AUDIO if signal.kind is Kind.AUDIO else VIDEO
        length_s = 4.0 if signal.kind is Kind.AUDIO else hop_s
        for n in range(1, round(130 / hop_s)):
            end_s = n * hop_s + 4.0
            number = None if signal.kind is Kind.AUDIO else 0
            engine.push(Score(key, signal, end_s - length_s, end_s, 50.0, None, number))
            most = max(most, engine.verdict(end_s).llr or -math.inf)
        reach_llr = config.reach_llr(signal)
        assert reach_llr - 0.1 < most <= reach_llr + 1e-9
    assert config.reach_llr(Signal.VIRTUAL_CAMERA) == 0.0
    assert config.reach_llr(Signal.FACE_RING) == pytest.approx(3.75)


@pytest.mark.parametrize("before", [[], voices(4, 20, -2.0)])
def test_a_score_that_is_no_number_is_no_evidence(before: list[Score]) -> None:
    plain, engine = fusion(), fusion()
    last, odd = feed(plain, before), feed(engine, [*before, voice(22.0, math.nan)])
    assert odd.llr == last.llr
    assert odd.state is last.state
    if not before:
        assert odd.signals[Signal.VOICE_SPOOF].reason == "detector_failed"
