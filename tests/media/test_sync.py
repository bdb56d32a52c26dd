from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.media.sync import SenderClocks, SyncConfig, ntp_between_s
from guard.types import Kind, SenderClock, TrackKey

SOUND, PICTURES = TrackKey("s", "p", Kind.AUDIO), TrackKey("s", "p", Kind.VIDEO)
NTP = 0xEE000000_00000000


def clock(captured_s: float, timestamp: int = 0) -> SenderClock:
    return SenderClock((NTP + round(captured_s * 2**32)) % 2**64, timestamp)


def tell(
    clocks: SenderClocks,
    key: TrackKey,
    *,
    ahead_s: float,
    times_s: tuple[float, ...] = (1.0, 2.0, 3.0),
    epoch: int = 0,
) -> None:
    """Reports of what was captured ``ahead_s`` later than its media time, each at its media time."""
    for media_s in times_s:
        said = clock(media_s + ahead_s, round(media_s * 1000))
        if clocks.news(key, said, epoch):
            clocks.take(key, said, media_s, media_s, 500.0 + media_s)


def skew_s(clocks: SenderClocks, now_s: float = 504.0) -> float | None:
    return clocks.skew_s("s", "p", now_s)


@pytest.mark.parametrize("late_s", [0.24, -0.24, 0.0, 0.9])
def test_pictures_that_come_late_by_their_own_clock_leave_that_much_skew(late_s: float) -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=100.0)
    # what lies at the same media time was captured earlier: the pictures were under way for longer
    tell(clocks, PICTURES, ahead_s=100.0 - late_s)
    assert skew_s(clocks) == pytest.approx(-late_s, abs=1e-6)


def test_one_stream_without_reports_has_no_skew() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    assert not clocks.news(PICTURES, None, 0)
    assert skew_s(clocks) is None


def test_a_single_report_is_not_believed_yet() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.1, times_s=(1.0,))
    assert skew_s(clocks) is None
    tell(clocks, PICTURES, ahead_s=0.1, times_s=(2.0,))
    assert skew_s(clocks) == pytest.approx(0.1, abs=1e-6)


def test_another_stream_without_a_clock_ends_the_one_before() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.3)
    assert skew_s(clocks) is not None
    assert not clocks.news(PICTURES, None, 0)
    assert skew_s(clocks) is None
    tell(clocks, PICTURES, ahead_s=-0.2, times_s=(4.0, 5.0), epoch=1)
    assert skew_s(clocks) == pytest.approx(-0.2, abs=1e-6)


def test_timestamps_that_begin_anew_make_the_reports_before_worthless() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.3)
    last = clock(3.3, 3000)
    assert not clocks.news(PICTURES, last, 1)
    assert skew_s(clocks) is None


def test_the_end_of_an_era_is_no_jump() -> None:
    assert ntp_between_s(5 << 31, 2**64 - (1 << 31)) == pytest.approx(3.0)
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=float(0x12000000) - 2.0)
    tell(clocks, PICTURES, ahead_s=float(0x12000000) - 2.5)
    assert skew_s(clocks) == pytest.approx(-0.5, abs=1e-6)


def test_a_clock_that_jumps_or_stands_still_begins_anew() -> None:
    for second in (clock(2.0 + 0.5), clock(1.0), clock(0.0)):
        clocks = SenderClocks()
        tell(clocks, SOUND, ahead_s=0.0)
        for media_s, said in ((1.0, clock(1.0, 1)), (2.0, second)):
            assert clocks.news(PICTURES, said, 0)
            clocks.take(PICTURES, said, media_s, media_s, 500.0 + media_s)
        assert skew_s(clocks) is None


def test_a_report_far_from_its_packet_is_not_looked_at() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.1)
    said = clock(400.0, 5)
    assert clocks.news(PICTURES, said, 0)
    clocks.take(PICTURES, said, media_s=399.9, packet_s=4.0, arrival_s=504.0)
    assert skew_s(clocks) == pytest.approx(0.1, abs=1e-6)


def test_a_skew_no_network_makes_is_not_believed() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=1.01)
    assert skew_s(clocks) is None


def test_clocks_of_long_ago_are_unknown() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.1)
    assert skew_s(clocks, 532.9) is not None
    assert skew_s(clocks, 533.1) is None


def test_reports_stamped_some_milliseconds_apart_are_averaged_by_their_median() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    for media_s, wrong_s in ((1.0, 0.03), (2.0, 0.0), (3.0, -0.02), (4.0, 0.001), (5.0, -0.001)):
        tell(clocks, PICTURES, ahead_s=0.2 + wrong_s, times_s=(media_s,))
    assert skew_s(clocks) == pytest.approx(0.2, abs=2e-3)


def test_a_flood_of_reports_is_looked_at_five_times_a_second_and_kept_bounded() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.1, times_s=tuple(1.0 + n / 1000 for n in range(9000)))
    told = clocks._tracks[PICTURES].told
    assert len(told) == SyncConfig().kept
    assert all(b.media_s - a.media_s >= 0.199 for a, b in zip(told, list(told)[1:], strict=False))


def test_who_left_is_forgotten() -> None:
    clocks = SenderClocks()
    tell(clocks, SOUND, ahead_s=0.0)
    tell(clocks, PICTURES, ahead_s=0.1)
    clocks.forget("s", "p")
    assert skew_s(clocks) is None
    assert not clocks._tracks


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(1, 2**64 - 1),
            st.floats(-2e5, 2e5),
            st.floats(0, 1e5),
            st.integers(0, 2),
        ),
        max_size=40,
    )
)
def test_nothing_a_sender_says_gives_a_skew_beyond_the_limit(
    said: list[tuple[bool, int, float, float, int]],
) -> None:
    clocks = SenderClocks()
    now_s = 0.0
    for sound, ntp, media_s, passed_s, epoch in said:
        now_s += passed_s
        key, told = SOUND if sound else PICTURES, SenderClock(ntp, round(abs(media_s)))
        if clocks.news(key, told, epoch):
            clocks.take(key, told, media_s, media_s, now_s)
        found = skew_s(clocks, now_s)
        assert found is None or abs(found) <= SyncConfig().max_skew_s


def test_limits_that_make_no_sense_are_refused() -> None:
    for wrong in ({"kept": 1}, {"min_reports": 0}):
        with pytest.raises(ValueError, match="needs 1 <="):
            SyncConfig(**wrong)
    with pytest.raises(ValueError, match="above 0"):
        SyncConfig(max_skew_s=0.0)
