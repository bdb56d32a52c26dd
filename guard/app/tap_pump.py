"""Carries tapped packets from the relay to the child processes, in small batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guard.relay.tap import Tap
from guard.types import TapPacket
from guard.workers.supervisor import Worker
from guard.workers.wire import encode_tap

BATCH_PACKETS = 64
# packets gather this long, so that one system call, and one wake-up of the other process, carries several
GATHER_S = 0.025


@dataclass(slots=True)
class Outlet:
    """One child process and the packets that wait for it.

    Args:
        worker: the process.
        wants: whether a packet is for it.
        waiting: its own bounded queue: one that is behind holds up no other.
    """

    worker: Worker
    wants: Callable[[TapPacket], bool]
    waiting: Tap
    stale: int = 0

    def offer(self, packets: Sequence[TapPacket]) -> None:
        """Hand over the packets the process wants, or let them wait for it."""
        wanted = [packet for packet in packets if self.wants(packet)]
        if not wanted:
            return
        if not len(self.waiting) and self.worker.writable:
            self.worker.write(b"".join(map(encode_tap, wanted)))
            return
        for packet in wanted:
            self.waiting.push(packet)
        self.flush()

    def flush(self) -> None:
        """Hand over what waits while the process takes records."""
        while self.worker.writable and len(self.waiting):
            batch = self.waiting.drain(BATCH_PACKETS)
            self.worker.write(b"".join(map(encode_tap, batch)))


class TapPump:
    """Drains the tap into each process's own queue; a full queue drops its oldest, counted."""

    def __init__(self, capacity: int) -> None:
        self.tap = Tap(capacity, self._ready)
        self._capacity = capacity
        self._outlets: list[Outlet] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, worker: Worker, wants: Callable[[TapPacket], bool]) -> None:
        """Carry the packets that ``wants`` to a process, too."""
        self._outlets.append(Outlet(worker, wants, Tap(self._capacity)))

    @property
    def dropped(self) -> int:
        """Packets that never reached a process that wanted them."""
        waiting = sum(o.waiting.counters.dropped + o.stale for o in self._outlets)
        return self.tap.counters.dropped + waiting

    def restart(self, worker: Worker) -> None:
        """A process has started anew: what waited for the old one is stale, and counted as dropped."""
        for outlet in self._outlets:
            if outlet.worker is worker:
                outlet.stale += len(outlet.waiting.drain(len(outlet.waiting)))

    def resume(self) -> None:
        """A process takes records (again)."""
        for outlet in self._outlets:
            outlet.flush()

    def close(self) -> None:
        """Stop carrying."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ready(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.pump)

    def pump(self) -> None:
        """Carry what the tap holds now; called by the timer."""
        self._timer = None
        packets = self.tap.drain(len(self.tap))
        for outlet in self._outlets:
            outlet.offer(packets)
