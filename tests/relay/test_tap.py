"""The tap never waits: it drops the oldest and counts."""

from __future__ import annotations

import pytest

from guard.errors import ConfigError
from guard.relay.tap import Tap, TapCounters
from guard.types import Kind, TapPacket, TrackKey

KEY = TrackKey("s", "a", Kind.AUDIO)


def packet(sequence: int) -> TapPacket:
    return TapPacket(KEY, "opus", sequence, 0, False, 0.0, b"x")


def test_oldest_goes_first_and_is_counted() -> None:
    tap = Tap(3)
    for sequence in range(5):
        tap.push(packet(sequence))
    assert [p.sequence for p in tap.drain(10)] == [2, 3, 4]
    assert tap.counters == TapCounters(offered=5, dropped=2)


def test_drain_takes_at_most_what_was_asked_in_order() -> None:
    tap = Tap(10)
    for sequence in range(4):
        tap.push(packet(sequence))
    assert [p.sequence for p in tap.drain(3)] == [0, 1, 2]
    assert [p.sequence for p in tap.drain(3)] == [3]
    assert tap.drain(3) == []


def test_reader_is_called_once_per_filling() -> None:
    calls: list[int] = []
    tap = Tap(10, lambda: calls.append(len(tap)))
    tap.push(packet(0))
    tap.push(packet(1))
    tap.drain(10)
    tap.push(packet(2))
    assert calls == [1, 1]


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ConfigError):
        Tap(0)
