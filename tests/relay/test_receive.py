"""Loss, jitter and what is asked for again, in virtual time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from guard.relay.receive import MissingPackets, ReceiveStatistics


def test_report_counts_loss_like_the_standard() -> None:
    statistics = ReceiveStatistics(7, 90000)
    assert statistics.report(0.0) is None
    for i in range(100):
        if i % 4:
            statistics.push(1000 + i, i * 3000, i / 30)
    report = statistics.report(4.0)
    assert report is not None
    # the base is the first packet that arrived (RFC 3550 A.3), so number 0 is not missed
    assert (report.packets_lost, report.highest_sequence) == (24, 1099)
    assert report.fraction_lost == (24 << 8) // 99
    again = statistics.report(5.0)
    assert again is not None
    assert (again.fraction_lost, again.packets_lost) == (0, 24)


def test_extended_highest_sequence_counts_the_cycles() -> None:
    statistics = ReceiveStatistics(7, 48000)
    for sequence in (65534, 65535, 65536, 65537):
        statistics.push(sequence, sequence * 960 & 0xFFFFFFFF, sequence * 0.02)
    report = statistics.report(0.0)
    assert report is not None
    assert (report.highest_sequence, report.packets_lost) == (65537, 0)


def test_jitter_is_zero_for_an_even_stream_and_grows_with_delay_swings() -> None:
    even, shaky = ReceiveStatistics(1, 48000), ReceiveStatistics(2, 48000)
    swing = random.Random(5)
    for i in range(500):
        timestamp = (0xFFFFF000 + i * 960) & 0xFFFFFFFF
        even.push(i, timestamp, i * 0.02)
        shaky.push(i, timestamp, i * 0.02 + swing.uniform(0, 0.01))
    assert even.jitter < 1
    assert 0.002 < shaky.jitter / 48000 < 0.005


def test_report_gives_back_the_senders_clock() -> None:
    statistics = ReceiveStatistics(7, 90000)
    statistics.push(1, 0, 0.0)
    statistics.on_sender_report(0x11112222_33334444, 10.0)
    report = statistics.report(10.5)
    assert report is not None
    assert (report.last_report, report.delay) == (0x22223333, 32768)


def test_gap_is_asked_for_after_patience_and_again_until_given_up() -> None:
    missing = MissingPackets()
    missing.push(10, 0.0)
    missing.push(13, 0.0)
    assert missing.due(0.005) == []
    assert missing.due(0.02) == [11, 12]
    assert missing.due(0.05) == []
    assert missing.push(12, 0.06)
    asked = [t / 100 for t in range(6, 200) if missing.due(t / 100) == [11]]
    assert len(asked) > 5
    assert max(asked) < 1.2
    assert (len(missing), missing.lost, missing.recovered) == (0, 1, 1)


def test_reordered_packet_within_patience_is_never_asked_for() -> None:
    missing = MissingPackets()
    asked: list[int] = []
    for now, sequence in ((0.0, 1), (0.001, 3), (0.005, 2), (0.02, 4)):
        assert missing.push(sequence, now)
        asked += missing.due(now)
    assert asked == []
    assert missing.recovered == 0


def test_repeat_follows_the_measured_round_trip() -> None:
    missing = MissingPackets()
    for i in range(40):
        missing.push(i * 2, i * 1.0)
        missing.push(i * 2 + 2, i * 1.0)
        assert missing.due(i + 0.02) == [i * 2 + 1]
        missing.push(i * 2 + 1, i + 0.22)
    assert 0.28 < missing.repeat_s < 0.32


def test_duplicates_and_given_up_packets_are_not_wanted() -> None:
    missing = MissingPackets()
    assert [missing.push(s, 0.0) for s in (1, 1, 3, 2, 2)] == [True, False, True, True, False]
    missing.push(9, 1.0)
    missing.due(3.0)
    assert not missing.push(5, 3.0)


def test_restart_far_ahead_asks_for_nothing() -> None:
    missing = MissingPackets()
    missing.push(1, 0.0)
    missing.push(30000, 0.0)
    assert missing.due(1.0) == []
    assert len(missing) == 0


@given(st.lists(st.booleans(), min_size=2, max_size=300), st.integers(0, 65535))
def test_exactly_the_lost_are_asked_for(arrives: list[bool], start: int) -> None:
    missing = MissingPackets()
    present = [start + i for i, here in enumerate(arrives) if here]
    for sequence in present:
        missing.push(sequence, 0.0)
    expected = sorted(set(range(present[0], present[-1])) - set(present)) if present else []
    assert missing.due(0.1) == expected
