"""What must hold of the decision engine whatever comes: drawn by hypothesis, seconds fixed by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.app.parts import thresholds_of
from guard.fusion.config import SUPPORT_ONLY, ChangeConfig, FusionConfig
from guard.fusion.engine import CheckResult, Fusion
from guard.types import Kind, Score, Signal, State, TrackKey

KEYS = {kind: TrackKey("s", "p", kind) for kind in Kind}
SEVERITY = (State.BONA_FIDE, State.UNDECIDED, State.SUSPECT, State.SPOOF)
LLR = st.floats(-6, 6)
VOICE_SIGNALS = [s for s in Signal if s.kind is Kind.AUDIO]


def scored(signal: Signal, end_s: float, llr: float | None, face: int = 0) -> Score:
    length_s = 4.0 if signal.kind is Kind.AUDIO else 0.2
    number = face if signal.kind is Kind.VIDEO else None
    reason = "face_turned" if llr is None else None
    return Score(KEYS[signal.kind], signal, end_s - length_s, end_s, llr, reason, number)


@st.composite
def calls(draw: st.DrawFn, signals: Sequence[Signal] = tuple(Signal), most: int = 60) -> list[Score]:
    """Scores of up to a minute and a half, a run of looks for each face signal; no window comes twice."""
    out: dict[tuple[Signal, int, float], Score] = {}
    for _ in range(draw(st.integers(1, 8))):
        signal, face = draw(st.sampled_from(signals)), draw(st.integers(0, 1))
        step_s = 0.5 if signal.kind is Kind.AUDIO else 0.2
        first, count = draw(st.integers(8, 150)), draw(st.integers(1, most // 6))
        for n in range(count):
            end_s = round(first * step_s + n * step_s * draw(st.integers(1, 4)), 1)
            out[signal, face if signal.kind is Kind.VIDEO else 0, end_s] = scored(
                signal, end_s, draw(LLR), face
            )
    return sorted(out.values(), key=lambda s: s.end_s)


def said(scores: Sequence[Score], config: FusionConfig | None = None) -> tuple[float | None, State]:
    engine = Fusion("s", "p", config)
    for score in scores:
        engine.push(score)
    verdict = engine.verdict(max(s.end_s for s in scores))
    return verdict.llr, verdict.state


@given(calls(), st.data())
@settings(max_examples=100)
def test_a_higher_score_never_lowers_llr_or_state(scores: list[Score], data: st.DataObject) -> None:
    which = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, unique=True))
    raised = list(scores)
    for n in which:
        llr = scores[n].llr
        assert llr is not None
        raised[n] = replace(scores[n], llr=llr + data.draw(st.floats(0, 8)))
    # what a rise adds is of the newest against the earlier: tests/fusion/test_change.py has its properties
    plain = FusionConfig(change=ChangeConfig(innocent=1.0))
    (before, state), (after, later) = said(scores, plain), said(raised, plain)
    if before is None:
        assert after is None, "no evidence comes of a higher score"
    else:
        assert after is not None and after >= before - 1e-9
        assert SEVERITY.index(later) >= SEVERITY.index(state)


@given(st.lists(LLR, min_size=8, max_size=60), st.integers(0, 2**32))
@settings(max_examples=60)
def test_the_order_of_what_comes_within_a_window_is_nothing(llrs: list[float], seed: int) -> None:
    """The states asked for every four seconds are the same, however the four seconds' scores arrive."""
    rng = np.random.default_rng(seed)
    straight, shuffled = Fusion("s", "p"), Fusion("s", "p")
    for start in range(0, len(llrs), 8):
        window = [
            scored(Signal.FACE_FRAME, (start + n) / 2 + 1, x) for n, x in enumerate(llrs[start : start + 8])
        ]
        window += [scored(Signal.VOICE_SPOOF, start / 2 + 4, llrs[start])]
        for score in window:
            straight.push(score)
        for n in rng.permutation(len(window)):
            shuffled.push(window[n])
        at_s = start / 2 + 5
        assert straight.verdict(at_s) == shuffled.verdict(at_s)


@given(calls(VOICE_SIGNALS, most=120), st.floats(-7, 0))
@settings(max_examples=30)
def test_a_voice_never_turns_red_in_kz_ardfm_without_a_face_that_points_there(
    scores: list[Score], face_llr: float
) -> None:
    """Alone, and beside a face that speaks for a genuine person or for nothing."""
    config = FusionConfig(thresholds=thresholds_of("kz-ardfm"))
    loud = [replace(s, llr=abs(s.llr or 0.0) * 10) for s in scores]
    last_s = max(s.end_s for s in scores)
    face = [scored(Signal.FACE_FRAME, last_s - n / 5, face_llr) for n in range(20)]
    for spoken in (scores, loud):
        for call in (spoken, [*spoken, *face]):
            engine = Fusion("s", "p", config)
            for score in sorted(call, key=lambda s: s.end_s):
                engine.push(score)
                assert engine.verdict(score.end_s).state is not State.SPOOF


def turned_red() -> Fusion:
    engine = Fusion("s", "p")
    for n in range(40):
        engine.push(scored(Signal.VOICE_SPOOF, 4.0 + n / 2, 4.0))
        engine.push(scored(Signal.FACE_FRAME, 4.0 + n / 5, 4.0))
    assert engine.verdict(24.0).state is State.SPOOF
    return engine


@given(calls(), st.lists(st.sampled_from(["lapse", "pass", "inconclusive", "wait"]), max_size=6))
@settings(max_examples=60)
def test_red_stays_whatever_comes_until_a_person_acknowledges(scores: list[Score], then: list[str]) -> None:
    engine = turned_red()
    at_s = 24.0
    for n, score in enumerate(scores):
        engine.push(replace(score, start_s=score.start_s + 24, end_s=score.end_s + 24))
        if n < len(then):
            at_s += 200.0 if then[n] == "wait" else 0.0
            if then[n] == "lapse":
                engine.lapse()
            elif then[n] in ("pass", "inconclusive"):
                engine.note_check(CheckResult(then[n]), at_s)
        assert engine.verdict(at_s).state is State.SPOOF
    engine.acknowledge(at_s)
    assert engine.verdict(at_s).state is State.UNDECIDED


@given(st.lists(st.tuples(st.floats(-4, 4), st.integers(1, 6)), min_size=4, max_size=30))
@settings(max_examples=100)
def test_amber_goes_only_after_twenty_seconds_below_half_of_it(levels: list[tuple[float, int]]) -> None:
    """Any course of a voice: levels, each held for some windows of two seconds."""
    engine = Fusion("s", "p")
    limit = FusionConfig().thresholds.amber_llr
    end_s, amber, high_s = 2.0, False, float("-inf")
    for level, windows in levels:
        for _ in range(windows):
            end_s += 2.0
            engine.push(scored(Signal.VOICE_SPOOF, end_s, level))
            verdict = engine.verdict(end_s)
            if verdict.state is State.SPOOF:
                return
            if verdict.llr is not None and verdict.llr >= limit / 2:
                high_s = end_s
            if amber and verdict.state is not State.SUSPECT:
                assert end_s - high_s >= 20.0
            if amber and verdict.state is State.SUSPECT:
                assert end_s - high_s <= 22.0, "it does go"
            amber = verdict.state is State.SUSPECT


@pytest.mark.parametrize("signal", sorted(SUPPORT_ONLY))
@given(calls([Signal.VOICE_SPOOF, Signal.FACE_FRAME]), st.lists(LLR, min_size=1, max_size=20))
@settings(max_examples=20)
def test_a_signal_that_only_supports_takes_nothing_away(
    signal: Signal, scores: list[Score], llrs: list[float]
) -> None:
    weights = {**FusionConfig().weights, signal: 1.0}
    last_s = max(s.end_s for s in scores)
    more = [scored(signal, last_s - n / 5, x) for n, x in enumerate(llrs)]
    config = FusionConfig(weights=weights)
    before, after = said(scores, config)[0], said([*scores, *more], config)[0]
    assert (before is None) == (after is None)
    assert before is None or (after is not None and after >= before - 1e-9)


def test_eight_hours_take_no_more_memory_than_one() -> None:
    """Every signal, new faces, abstentions between; test_engine counts the buffers at full rate."""
    engine, rng = Fusion("s", "p"), np.random.default_rng(3)
    sizes: list[int] = []
    tracemalloc.start()
    try:
        for second in range(8, 8 * 3600 + 1, 8):
            llr = float(rng.normal(-2, 1)) if second % 7 else None
            for signal in (Signal.VOICE_SPOOF, Signal.FACE_FRAME) if second % 40 else tuple(Signal):
                engine.push(scored(signal, float(second), llr, second // 40))
            if second % 120 == 0:
                engine.verdict(float(second))
            if second % 3600 == 0:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert len(sizes) == 8
    assert max(sizes) < 1_000_000
    assert sizes[-1] < sizes[0] * 1.1 + 20_000
