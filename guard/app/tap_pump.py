"""Carries tapped packets from the relay to the analysis process, in small batches."""

from __future__ import annotations

import asyncio

from guard.relay.tap import Tap
from guard.workers.supervisor import Worker
from guard.workers.wire import encode_tap

BATCH_PACKETS = 64
# packets gather this long, so that one system call carries several
GATHER_S = 0.01


class TapPump:
    """Drains the tap while the analysis process takes records; otherwise lets it overflow."""

    def __init__(self, tap_packets: int) -> None:
        self.tap = Tap(tap_packets, self._ready)
        self._worker: Worker | None = None
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, worker: Worker) -> None:
        """Give it the process to carry to."""
        self._worker = worker

    def resume(self) -> None:
        """The process takes records (again)."""
        if len(self.tap):
            self._ready()

    def close(self) -> None:
        """Stop carrying."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ready(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._pump)

    def _pump(self) -> None:
        self._timer = None
        worker = self._worker
        while worker is not None and worker.writable and len(self.tap):
            worker.write(b"".join(encode_tap(packet) for packet in self.tap.drain(BATCH_PACKETS)))
