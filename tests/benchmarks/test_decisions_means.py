"""Delays and Page's statistic of the benchmark, on calls made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decisions_means import by_cusum, by_means, delays
from guard.evaluation.streams import Stream
from guard.types import Kind, Score, Signal, TrackKey

KEY = TrackKey("s", "p", Kind.AUDIO)


def call(*llrs: float) -> Stream:
    scores = [Score(KEY, Signal.VOICE_SPOOF, 4.0 * n, 4.0 * n + 4, x) for n, x in enumerate(llrs)]
    return Stream("c", True, 4.0 * len(llrs), tuple(scores))


def test_pages_statistic_adds_up_what_exceeds_the_drift_and_never_falls_below_zero() -> None:
    assert by_cusum(call(-2.0, 1.0, 1.0, -9.0, 1.5))[:, 1] == pytest.approx([0.0, 0.5, 1.0, 0.0, 1.0])


def test_without_evidence_beyond_the_clip_both_rules_see_the_same_calls() -> None:
    path = by_means((8.0, 60.0), 1.0)(call(2.0, 2.0, 9.0))
    assert path[:, 0] == pytest.approx([4.0, 8.0, 12.0])
    assert path[:, 1] == pytest.approx([2.0, 2.0, 3.0]), "two windows of 2 and 4, clipped"


def test_delays_count_from_the_switch_missed_ones_as_infinite_and_early_alarms_not_at_all() -> None:
    early, soon, never = (np.array([[50.0, a], [70.0, b]]) for a, b in ((3.0, 3.0), (0.0, 3.0), (0.0, 0.0)))
    assert delays([early, soon, never], 2.0) == pytest.approx([10.0, np.inf])
