"""What a rise within the call adds, and what it must not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import reasons
from guard.app.simulate import Drawn, drawn_calls, load_held_out
from guard.errors import ConfigError
from guard.evaluation.calls import CallPlan
from guard.evaluation.replay import replay
from guard.fusion.change import change_llr
from guard.fusion.config import ChangeConfig, FusionConfig
from guard.fusion.engine import Fusion
from guard.types import Kind, Score, Signal, TrackKey, Verdict

CHANGE = ChangeConfig()
OFF = FusionConfig(change=ChangeConfig(innocent=1.0))
UNITS = st.floats(1, 15)


def verdict(
    llrs: Sequence[float], config: FusionConfig | None = None, signal: Signal = Signal.VOICE_SPOOF
) -> Verdict:
    """Return what the engine says of windows of 4 s every 2 s, or of looks at a face as often."""
    engine, key = Fusion("s", "p", config), TrackKey("s", "p", signal.kind)
    face = 0 if signal.kind is Kind.VIDEO else None
    for n, llr in enumerate(llrs):
        engine.push(Score(key, signal, 2.0 * n, 2.0 * n + 4, llr, face=face))
    return engine.verdict(2.0 * len(llrs) + 2)


def llr_of(llrs: Sequence[float], config: FusionConfig | None = None) -> float:
    found = verdict(llrs, config).llr
    assert found is not None
    return found


@given(st.floats(-8, 8), st.floats(0, 8), UNITS, UNITS)
def test_a_greater_rise_never_adds_less_and_none_adds_more_than_the_most(
    rise: float, more: float, before: float, after: float
) -> None:
    small, great = (change_llr(r, before, after, CHANGE) for r in (rise, rise + more))
    assert 0.0 <= small <= great <= CHANGE.most_llr + 1e-9
    assert CHANGE.most_llr == pytest.approx(math.log(0.5 + 0.5 / 0.05))


@given(st.floats(-8, 0), UNITS, UNITS)
def test_a_fall_is_worth_nothing(rise: float, before: float, after: float) -> None:
    assert change_llr(rise, before, after, CHANGE) == 0.0


def test_the_value_is_that_of_the_two_densities() -> None:
    """Written out for a rise of 2.4 with eight and two windows: v = 2.3 (1/8 + 1/2) = 1.4375."""
    same, other = 1.4375, 1.4375 + 2 * 0.43
    density = [math.exp(-(2.4**2) / (2 * v)) / math.sqrt(2 * math.pi * v) for v in (same, other)]
    by_hand = math.log(0.5 + 0.5 / (0.05 + 0.95 * density[0] / density[1]))
    assert change_llr(2.4, 8, 2, CHANGE) == pytest.approx(by_hand)
    assert 0.2 < by_hand < 1.0


def test_a_voice_that_rises_is_worth_more_than_one_that_was_always_there_and_is_told_as_switched() -> None:
    risen, always = [-1.5] * 15 + [2.5] * 6, [2.5] * 6
    assert llr_of(risen) > llr_of(always) + 1.0
    assert llr_of(risen, OFF) <= llr_of(always, OFF) + 1e-9
    assert reasons.SWITCHED in verdict(risen).reasons
    assert reasons.SWITCHED not in verdict(always).reasons


def test_without_enough_before_it_a_rise_says_nothing() -> None:
    short = [-1.5] * 6 + [2.5] * 6  # 14 s end before the last 8 s are looked at
    assert llr_of(short) == pytest.approx(llr_of(short, OFF))


def test_a_face_that_rises_counts_as_before() -> None:
    """How far genuine faces wander within a call was never measured."""
    looks = [-1.5] * 30 + [2.5] * 6
    told = [verdict(looks, config, Signal.FACE_FRAME).llr for config in (None, OFF)]
    assert told[0] is not None
    assert told[0] == told[1]


@given(st.lists(st.floats(-6, 6), min_size=12, max_size=40), st.data())
def test_raising_the_newest_never_lowers_and_raising_the_past_takes_at_most_what_a_rise_adds(
    llrs: list[float], data: st.DataObject
) -> None:
    more = data.draw(st.floats(0, 8))
    n = data.draw(st.integers(0, len(llrs) - 1))
    raised = [llr + more if k == n else llr for k, llr in enumerate(llrs)]
    newest = [llr + more if k >= len(llrs) - 3 else llr for k, llr in enumerate(llrs)]
    assert llr_of(newest) >= llr_of(llrs) - 1e-9
    assert llr_of(raised) >= llr_of(llrs) - CHANGE.most_llr - 1e-9


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=40))
def test_it_only_ever_adds_and_never_more_than_the_most(llrs: list[float]) -> None:
    assert -1e-9 <= llr_of(llrs) - llr_of(llrs, OFF) <= CHANGE.most_llr + 1e-9


def test_simulated_people_who_take_over_hardly_alarm_more_often_and_switches_are_noticed_sooner() -> None:
    """SIMULATED: 60 calls of each kind from held-out windows of voices; with the rise and without."""
    held = [h for h in load_held_out(None)[0] if h.signal is Signal.VOICE_SPOOF]
    taken = Drawn(60, 0, CallPlan(180.0, taken_over_s=60.0), seed=3)
    turned = Drawn(0, 60, CallPlan(180.0, switch_s=60.0), seed=3)
    alarms, soon = [], []
    for config in (FusionConfig(), OFF):
        alarms.append(sum(replay(s, config).alarm_s is not None for s in drawn_calls(held, taken)))
        times = [replay(s, config).alarm_s for s in drawn_calls(held, turned)]
        soon.append(sum(t is not None and 60 <= t <= 80 for t in times))
    assert alarms[0] <= alarms[1] + 3, "one in twenty more at most"
    assert soon[0] >= soon[1] + 6, "one in ten more within 20 s"


@pytest.mark.parametrize(
    ("key", "value"),
    [("window_var", 0.0), ("call_var", -1.0), ("innocent", 0.0), ("turned", 1.0), ("before_s", 0.0)],
)
def test_impossible_settings_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"fusion\.change\.{key}"):
        replace(CHANGE, **{key: value})
