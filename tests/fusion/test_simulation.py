"""Alarm budget and delay on SIMULATED scores (benchmarks/decisions.py says how they are made)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import pytest

from benchmarks.call_share import components, windows_of
from benchmarks.decisions import Source, simulate
from guard.app.simulate import Drawn, described, drawn_calls, load_held_out
from guard.evaluation.calls import CallPlan
from guard.evaluation.exact import rate, upper_rate
from guard.evaluation.replay import BUDGET_PER_HOUR, replay, summary
from guard.fusion.config import FusionConfig
from guard.types import Signal


def lower_rate(events: int, hours: float) -> float:
    """Return the exact one-sided 95 % lower limit of a Poisson rate."""
    return rate(events, hours, confidence=0.9).low


@pytest.mark.parametrize("error_rate", [0.3, 0.35])
def test_genuine_calls_of_a_mediocre_voice_detector_stay_within_the_alarm_budget(
    error_rate: float, record_property: Callable[[str, object], None]
) -> None:
    got = simulate([Source(Signal.VOICE_SPOOF, error_rate)], 40, 600, seed=3)
    for colour, events in (("amber", got.amber), ("red", got.red)):
        record_property(f"simulated_{colour}_upper_per_hour", upper_rate(events, got.call_hours))
        assert lower_rate(events, got.call_hours) <= BUDGET_PER_HOUR[colour]


@pytest.mark.parametrize("mean_llr", [2.25, 3.0])
def test_a_switch_of_voice_and_face_is_told_within_ten_seconds(mean_llr: float) -> None:
    sources = [Source(s, 0.15, mean_llr=mean_llr) for s in (Signal.VOICE_SPOOF, Signal.FACE_FRAME)]
    delays = simulate(sources, 21, 90, seed=4, switch_s=60).delays_s
    assert len(delays) >= 18, "calls without an alarm before the switch"
    assert median(delays) <= 10, "missed ones count as infinite"


def test_a_better_detector_is_faster_and_misses_less() -> None:
    weak, strong = (
        simulate([Source(Signal.VOICE_SPOOF, 0.15, mean_llr=m)], 40, 120, seed=5, switch_s=60).delays_s
        for m in (1.5, 3.0)
    )
    assert median(strong) < median(weak)
    assert weak.count(float("inf")) > strong.count(float("inf"))


def test_poisson_limits_are_exact() -> None:
    assert upper_rate(0, 1.0) == pytest.approx(2.9957, abs=1e-3)
    assert upper_rate(10, 1.0) == pytest.approx(16.962, abs=1e-2)
    assert lower_rate(10, 1.0) == pytest.approx(5.4254, abs=1e-3)


def test_calls_drawn_from_held_out_scores_keep_the_bias_of_their_source() -> None:
    """Within a call the scores agree as within a source, each drawn as often as the next."""
    (held,) = [h for h in load_held_out(None)[0] if h.signal is Signal.VOICE_SPOOF]
    calls = drawn_calls([held], Drawn(80, 0, CallPlan(60.0, answered=1.0), 7))
    windows = [np.array([s.llr for s in call.scores], np.float64) for call in calls]
    assert components(windows).share > components(windows_of(held, False)).share > 0.3
    shuffled = np.random.default_rng(1).permutation(np.concatenate(windows)).reshape(len(windows), -1)
    assert components(list(shuffled)).share < 0.05, "without the bias nothing is common to a call"


def test_resampled_genuine_calls_keep_the_budget_and_the_measured_limit_stands_beside_it(
    record_property: Callable[[str, object], None],
) -> None:
    """SIMULATED: whole genuine calls, voice and face, of held-out sources; nothing here was recorded."""
    held_out, without = load_held_out(None)
    drawn = Drawn(30, 0, CallPlan(), seed=1)
    about = described(held_out, without, drawn)
    outcomes = [replay(call, FusionConfig()) for call in drawn_calls(held_out, drawn)]
    found = summary(outcomes)["genuine"]
    assert about["source"].startswith("simulated")
    assert {name: row["genuine_sources"] for name, row in about["signals"].items()} == {
        "voice_spoof": 62,
        "face_frame": 133,
        "face_ring": 133,
    }
    assert (found["calls"], found["hours"]) == (30, 5.0)
    for colour, budget_per_hour in BUDGET_PER_HOUR.items():
        events, told = found[f"{colour}_calls"], found["budget"][colour]
        record_property(f"simulated_{colour}_upper_per_hour", told["upper_95_per_hour"])
        assert told["per_hour"] == budget_per_hour
        assert told["upper_95_per_hour"] == pytest.approx(upper_rate(events, 5.0), abs=1e-4)
        assert told["answer"] != "held", "five hours cannot show that 0.2 or 0.02 an hour is held"
        assert lower_rate(events, 5.0) <= budget_per_hour, "over the budget beyond chance"
