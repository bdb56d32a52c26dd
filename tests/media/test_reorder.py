from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guard.media.reorder import MAX_DROPOUT, ReorderBuffer


def buffer(max_packets: int = 64, max_wait_s: float = 0.2) -> ReorderBuffer[int]:
    return ReorderBuffer(max_packets=max_packets, max_wait_s=max_wait_s)


def feed(target: ReorderBuffer[int], numbers: list[int], step_s: float = 0.02) -> list[tuple[int, int]]:
    """Push numbers (not wrapped) in this order, one each step; return (number, lost before it)."""
    out = []
    for index, number in enumerate(numbers):
        out += target.push(number & 0xFFFF, number, index * step_s)
    return [(one.item, one.lost) for one in [*out, *target.flush()]]


def test_packets_in_order_pass_at_once() -> None:
    target = buffer()
    for number in range(50):
        assert [one.item for one in target.push(number, number, number * 0.02)] == [number]


def test_sequence_numbers_wrap_around() -> None:
    numbers = [65534, 65535, 65537, 65536, 65538]
    assert feed(buffer(), numbers) == [(n, 0) for n in sorted(numbers)]


def test_a_hole_at_the_wrap_is_counted() -> None:
    target = buffer()
    assert feed(target, [65533, 65534, 65538, 65539]) == [(65533, 0), (65534, 0), (65538, 3), (65539, 0)]
    assert target.counts.lost == 3


def test_a_hole_is_waited_for_no_longer_than_told() -> None:
    target = buffer(max_wait_s=0.25)
    target.push(0, 0, 0.0)
    assert target.push(2, 2, 1.0) == []
    assert target.push(3, 3, 1.24) == []
    released = target.push(4, 4, 1.25)
    assert [(one.item, one.lost) for one in released] == [(2, 1), (3, 0), (4, 0)]


def test_a_packet_that_fills_the_hole_in_time_is_not_lost() -> None:
    target = buffer()
    target.push(0, 0, 0.0)
    target.push(2, 2, 0.02)
    assert [one.item for one in target.push(1, 1, 0.1)] == [1, 2]
    assert target.counts.lost == 0


def test_the_buffer_holds_no_more_packets_than_told() -> None:
    target = buffer(max_packets=5, max_wait_s=1e9)
    target.push(0, 0, 0.0)
    for number in range(2, 200, 2):
        target.push(number, number, 0.0)
        assert len(target) <= 5


def test_late_and_repeated_packets_are_counted_and_left_out() -> None:
    target = buffer(max_wait_s=0.0)
    assert feed(target, [0, 3, 1, 3, 4]) == [(0, 0), (3, 2), (4, 0)]
    assert target.counts.late == 2
    held = buffer()
    assert feed(held, [0, 2, 2, 1]) == [(0, 0), (1, 0), (2, 0)]
    assert held.counts.repeated == 1


def test_one_wild_packet_changes_nothing() -> None:
    target = buffer()
    wild = 100 + MAX_DROPOUT + 1000
    assert feed(target, [100, 101, wild, 102, 103]) == [(n, 0) for n in (100, 101, 102, 103)]
    assert target.counts.wild == 1


def test_two_wild_packets_in_a_row_are_a_new_start() -> None:
    target = buffer()
    for number in (100, 101, 30_000):
        target.push(number, number, 0.0)
    first = target.push(30_001, 30_001, 0.0)
    then = target.push(30_002, 30_002, 0.0)
    assert [(one.item, one.restarted) for one in [*first, *then]] == [(30_001, True), (30_002, False)]


@given(
    start=st.integers(0, 65535),
    jitter=st.lists(st.integers(0, 8), min_size=1, max_size=120),
    missing=st.sets(st.integers(1, 118)),
)
def test_whatever_the_order_what_comes_out_is_in_order_and_whole(
    start: int, jitter: list[int], missing: set[int]
) -> None:
    sent = [n for n in range(len(jitter)) if n not in missing]
    arrived = sorted(sent, key=lambda n: (n + jitter[n], n))
    # the first packet to arrive opens the stream: those before it are too late by definition
    arrived.sort(key=lambda n: n != 0)
    out = feed(buffer(max_wait_s=1.0), [start + n for n in arrived])
    assert [number - start for number, _ in out] == sent
    assert sum(lost for _, lost in out) == sent[-1] + 1 - len(sent)


@given(st.lists(st.tuples(st.integers(0, 65535), st.floats(0, 1e6)), max_size=200))
def test_any_numbers_at_any_times_never_raise_or_overflow(packets: list[tuple[int, float]]) -> None:
    target = buffer(max_packets=16)
    out = 0
    for sequence, arrival_s in packets:
        out += len(target.push(sequence, sequence, arrival_s))
        assert len(target) <= 16
    out += len(target.flush())
    counts = target.counts
    assert out + counts.late + counts.repeated + counts.wild == len(packets)
