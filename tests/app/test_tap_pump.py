from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from guard.app.tap_pump import TapPump
from guard.types import Kind, TapPacket, TrackKey
from guard.workers.supervisor import Worker
from guard.workers.wire import Decoder

KEYS = (TrackKey("s", "p", Kind.AUDIO), TrackKey("s", "p", Kind.VIDEO))


@dataclass
class Child:
    """A child process that takes records, or does not."""

    writable: bool = True
    records: list[TapPacket] = field(default_factory=list)
    decoder: Decoder = field(default_factory=Decoder)

    def write(self, data: bytes) -> bool:
        self.records += [r for r in self.decoder.feed(data) if isinstance(r, TapPacket)]
        return True


def packet(sequence: int, kind: int = 0) -> TapPacket:
    return TapPacket(KEYS[kind], "opus", sequence, sequence, False, 1.0, b"x")


def pump_of(*children: Child, capacity: int = 8) -> TapPump:
    pump = TapPump(capacity)
    for child in children:
        pump.add(cast(Worker, child), lambda _: True)
    return pump


async def test_every_process_gets_what_it_wants_in_order() -> None:
    all_of_it, video = Child(), Child()
    pump = pump_of(all_of_it)
    pump.add(cast(Worker, video), lambda p: p.key.kind is Kind.VIDEO)
    for n in range(6):
        pump.tap.push(packet(n, n % 2))
    pump.pump()
    assert [p.sequence for p in all_of_it.records] == [0, 1, 2, 3, 4, 5]
    assert [p.sequence for p in video.records] == [1, 3, 5]


async def test_a_process_that_is_behind_loses_its_oldest_and_holds_up_nobody() -> None:
    slow, fast = Child(writable=False), Child()
    pump = pump_of(slow, fast, capacity=4)
    for n in range(6):
        pump.tap.push(packet(n))
        pump.pump()
    assert [p.sequence for p in fast.records] == [0, 1, 2, 3, 4, 5]
    slow.writable = True
    pump.resume()
    assert [p.sequence for p in slow.records] == [2, 3, 4, 5]
    assert pump.dropped == 2


async def test_what_waited_for_a_dead_process_is_stale_and_counted() -> None:
    child = Child(writable=False)
    pump = pump_of(child)
    for n in range(3):
        pump.tap.push(packet(n))
    pump.pump()
    pump.restart(cast(Worker, child))
    child.writable = True
    pump.tap.push(packet(9))
    pump.pump()
    assert [p.sequence for p in child.records] == [9]
    assert pump.dropped == 3
