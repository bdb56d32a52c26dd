"""Seconds of a track out of half seconds of overlapping windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.fusion.seconds import Seconds, Stretch


def parts(start_s: float, spoofed: tuple[float, float]) -> list[float]:
    """The eight half seconds of a window: 1 as far as they lie in the spoofed stretch, else -1."""
    begin, end = spoofed
    edges = [start_s + 0.5 * i for i in range(9)]
    shares = [max(0.0, min(b, end) - max(a, begin)) / 0.5 for a, b in itertools.pairwise(edges)]
    return [2.0 * share - 1.0 for share in shares]


def test_one_window_gives_four_seconds() -> None:
    seconds = Seconds()
    seconds.add(2.0, [0.0, 1.0, 2.0, 2.0, -1.0, -1.0, 0.0, 0.5])
    assert seconds.llrs() == [Stretch(2.0, 0.5), Stretch(3.0, 2.0), Stretch(4.0, -1.0), Stretch(5.0, 0.25)]


def test_windows_that_disagree_on_a_second_are_averaged() -> None:
    seconds = Seconds()
    seconds.add(0.0, [1.0] * 8)
    seconds.add(2.0, [-1.0] * 8)
    assert [s.llr for s in seconds.llrs()] == [1.0, 1.0, 0.0, 0.0, -1.0, -1.0]


@pytest.mark.parametrize("offset_s", [0.0, 0.02, 0.34, 0.5, 0.74])
def test_spoofed_seconds_show_wherever_the_windows_begin(offset_s: float) -> None:
    seconds = Seconds()
    for start_s in np.arange(offset_s, 16.0, 1.0).tolist():
        seconds.add(start_s, parts(start_s, (7.0, 9.0)))
    found = {s.start_s: s.llr for s in seconds.llrs()}
    assert min(found[7.0], found[8.0]) > 0.4
    assert all(llr < -0.4 for start_s, llr in found.items() if start_s not in (7.0, 8.0))
    highest = seconds.highest_pair()
    assert highest is not None
    assert highest.start_s == 7.0


@settings(max_examples=50, deadline=None)
@given(
    windows=st.lists(
        st.tuples(st.integers(0, 1000), st.lists(st.floats(-2, 2), min_size=1, max_size=8)),
        min_size=1,
        max_size=8,
    ),
    seed=st.integers(0, 99),
)
def test_order_does_not_matter_and_bounds_hold(windows: list[tuple[int, list[float]]], seed: int) -> None:
    one, other = Seconds(), Seconds()
    for start, llrs in windows:
        one.add(start / 50, llrs)
    for at in np.random.default_rng(seed).permutation(len(windows)).tolist():
        other.add(windows[at][0] / 50, windows[at][1])
    assert [s.start_s for s in one.llrs()] == [s.start_s for s in other.llrs()]
    np.testing.assert_allclose([s.llr for s in one.llrs()], [s.llr for s in other.llrs()], atol=1e-9)
    assert all(abs(s.llr) <= 2.0 + 1e-9 for s in one.llrs())


def test_a_second_that_was_hardly_scored_says_nothing() -> None:
    seconds = Seconds()
    seconds.add(0.8, [1.0, 1.0])
    assert seconds.llrs() == [Stretch(1.0, 1.0)]
    assert seconds.highest_pair() is None


def test_seconds_on_two_sides_of_a_gap_are_no_pair() -> None:
    seconds = Seconds()
    seconds.add(0.0, [1.0, 1.0])
    seconds.add(2.0, [1.0, 1.0])
    assert len(seconds.llrs()) == 2
    assert seconds.highest_pair() is None
