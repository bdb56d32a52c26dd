"""HTTP connections that must say what they want in time; uvicorn itself waits for ever."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """Closes a connection whose request line and headers are not complete in time.

    Without this, connections that never send a whole request (slowloris) pile up until the
    process has no file descriptor left for a call. Bodies have a time limit of their own.
    """

    head_timeout_s: ClassVar[float] = 15.0

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request whose head is complete is waited for no longer."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        # IDLE: no whole head of the next request yet; after an upgrade h11 never comes back to it
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _unwatch(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()
