"""Keeps the metrics page true: the loop's lag, and what relay, lanes and sessions count."""

from __future__ import annotations

import asyncio
from collections import Counter

from guard import __version__
from guard.app.calls import Calls
from guard.app.tap_pump import TapPump
from guard.clock import Clock
from guard.metrics import Metrics, RelayTotals
from guard.relay.relay import Relay
from guard.signalling.sessions import Sessions
from guard.workers.supervisor import Worker

LAG_EVERY_S = 0.25


async def watch_loop(clock: Clock, metrics: Metrics) -> None:
    """Measure how late the event loop runs its timers, until cancelled."""
    while True:
        due_s = clock.now() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.loop_lag(max(clock.now() - due_s, 0.0))


class MetricsPage:
    """Renders the metrics after asking every part what it has counted."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        relay: Relay,
        sessions: Sessions,
        calls: Calls,
        workers: list[Worker],
        pump: TapPump,
    ) -> None:
        self._metrics = metrics
        self._relay = relay
        self._sessions = sessions
        self._calls = calls
        self._workers = workers
        self._pump = pump

    def render(self) -> bytes:
        """Return the page for Prometheus."""
        self._from_relay()
        self._from_workers()
        real = [session for session in self._sessions if not session.drill]
        states = Counter(p.state for s in real for p in s.participants.values() if p.suspectable)
        self._metrics.set_states(states)
        self._metrics.set_events(self._sessions.dropped_events)
        self._metrics.set_acks(self._calls.acks())
        return self._metrics.render()

    def _from_relay(self) -> None:
        stats = self._relay.stats()
        self._metrics.set_relay(
            RelayTotals(
                packets_received=stats.packets_received,
                packets_forwarded=stats.packets_forwarded,
                bytes_forwarded=stats.bytes_forwarded,
                packets_lost=stats.packets_lost,
                packets_retransmitted=stats.retransmitted,
            )
        )
        self._metrics.set_tap(stats.tap_offered, self._pump.dropped)
        self._metrics.set_calls(len(list(self._sessions)), stats.peers)
        malformed = {**stats.dropped, "srtp_failed": stats.srtp_failed, "srtp_replayed": stats.srtp_replayed}
        self._metrics.set_malformed({**malformed, "channel_message": self._calls.bad_messages})

    def _from_workers(self) -> None:
        for worker in self._workers:
            self._metrics.set_process(worker.name, up=worker.up, restarts=worker.restarts)
            heartbeat = worker.last_heartbeat
            if "lanes" in heartbeat:
                self._metrics.set_lanes(heartbeat["lanes"])
                self._metrics.set_info(__version__, heartbeat.get("models", {}))
