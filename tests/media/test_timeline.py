from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.media.timeline import Thinner, TimestampUnwrapper, TrackClock


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=50))
def test_unwrapping_follows_any_walk_below_half_a_turn(start: int, steps: list[int]) -> None:
    unwrapper = TimestampUnwrapper(32)
    value = start
    assert unwrapper.unwrap(value) == value
    for step in steps:
        value += step
        assert unwrapper.unwrap(value % 2**32) == value


def test_timestamps_wrap_around() -> None:
    clock = TrackClock(48_000)
    start = 2**32 - 1000
    positions = [clock.locate((start + 960 * n) % 2**32, n * 0.02) for n in range(10)]
    assert positions == [960 * n for n in range(10)]
    assert clock.restarts == 0


def test_a_timestamp_far_from_its_arrival_is_placed_by_arrival() -> None:
    clock = TrackClock(48_000)
    clock.locate(1000, 5.0)
    clock.locate(1960, 5.02)
    assert clock.locate(2_000_000_000, 5.04) == pytest.approx(1920)
    assert clock.locate(2_000_000_960, 5.06) == pytest.approx(2880)
    assert clock.restarts == 1


def test_a_timestamp_that_falls_back_does_not_take_the_track_back() -> None:
    clock = TrackClock(48_000)
    for n in range(500):
        clock.locate(10_000_000 + 960 * n, n * 0.02)
    assert clock.locate(10_000_000, 10.0) == 480_000


@settings(max_examples=200)
@example([(0, 0.0), (239370, 0.0), (0, 0.0), (239370, 0.0), (0, 0.0), (159304, 0.0), (0, 0.0), (326757, 0.0)])
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0.0, 0.1)), min_size=1, max_size=100))
def test_hostile_timestamps_never_carry_a_track_far_from_its_arrivals(
    packets: list[tuple[int, float]],
) -> None:
    clock = TrackClock(48_000)
    now_s = 0.0
    for timestamp, wait_s in packets:
        now_s += wait_s
        position = clock.locate(timestamp, now_s)
        assert -0.5 * 48_000 <= position <= (now_s + 10.0) * 48_000 + 1


def test_a_known_restart_goes_on_by_arrival() -> None:
    clock = TrackClock(90_000)
    clock.locate(0, 0.0)
    clock.restart()
    assert clock.locate(450_000, 2.0) == 180_000


@pytest.mark.parametrize("fps", [5, 10, 15, 24, 25, 29.97, 30, 60])
def test_thinning_keeps_the_mean_rate(fps: float) -> None:
    thinner = Thinner(5.0)
    kept = sum(thinner.keep(n / fps) for n in range(int(fps * 60)))
    assert kept == pytest.approx(300, abs=1)


def test_thinning_keeps_all_pictures_of_a_slow_track_and_of_an_unbounded_one() -> None:
    slow, unbounded = Thinner(5.0), Thinner(None)
    assert all(slow.keep(n * 0.5) for n in range(20))
    assert all(unbounded.keep(n / 120) for n in range(20))


def test_thinning_after_a_pause_does_not_catch_up() -> None:
    thinner = Thinner(5.0)
    thinner.keep(0.0)
    assert sum(thinner.keep(60 + n / 25) for n in range(25)) == 5


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="max_fps"):
        Thinner(0.0)


def test_a_timestamp_without_a_packet_has_a_place_and_moves_nothing() -> None:
    clock = TrackClock(48_000)
    assert clock.position(5) is None
    first = 2**32 - 480
    clock.locate(first, 10.0)
    assert clock.position(480) == 960  # across the wrap
    assert clock.position((first - 96_000) % 2**32) == -96_000
    assert clock.position(2**31) is not None
    assert clock.locate(0, 10.01) == 480
    assert clock.restarts == 0
