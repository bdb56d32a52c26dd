"""Alarm budget and delay on SIMULATED scores (benchmarks/decisions.py says how they are made)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import pytest

from benchmarks.decisions import BUDGET_PER_HOUR, Source, simulate
from guard.evaluation.exact import rate, upper_rate
from guard.types import Signal


def lower_rate(events: int, hours: float) -> float:
    """Return the exact one-sided 95 % lower limit of a Poisson rate."""
    return rate(events, hours, confidence=0.9).low


@pytest.mark.parametrize("error_rate", [0.3, 0.35])
def test_genuine_calls_of_a_mediocre_voice_detector_stay_within_the_alarm_budget(
    error_rate: float, record_property: Callable[[str, object], None]
) -> None:
    got = simulate([Source(Signal.VOICE_SPOOF, error_rate)], 60, 600, seed=3)
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
