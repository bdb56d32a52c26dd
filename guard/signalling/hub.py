"""Fan-out of session events to any number of readers, none of whom can slow the others down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from guard.signalling.tokens import Access
from guard.signalling.visibility import may_see

Event = Mapping[str, Any]
"""One JSON object with at least ``type``."""


class Subscription:
    """A bounded queue of one reader: when full the oldest event is dropped and counted."""

    def __init__(self, access: Access, limit: int) -> None:
        self.access = access
        self.dropped = 0
        self._limit = limit
        self._events: deque[Event] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def offer(self, event: Event, recipients: Collection[str] | None = None) -> None:
        """Queue an event if its reader is to see it (``visibility.py``); never blocks."""
        if may_see(self.access, event, recipients):
            self.put(event)

    def put(self, event: Event) -> None:
        """Queue an event meant for this reader alone; nothing is taken after ``close``."""
        if self._closed:
            return
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._ready.set()

    def close(self) -> None:
        """Let the reader finish what is queued, then end."""
        self._closed = True
        self._ready.set()

    async def next(self, timeout_s: float) -> Event | None:
        """Return the next event, or None after ``timeout_s`` or the end (see ``ended``)."""
        if not self._events and not self._closed:
            self._ready.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._ready.wait()
            except TimeoutError:
                return None
        return self._events.popleft() if self._events else None

    @property
    def ended(self) -> bool:
        """Whether it is closed and read to the end."""
        return self._closed and not self._events


class Hub:
    """The readers of one session's events.

    Args:
        limit: events kept for one slow reader.
        label: keys that every event gets.
    """

    def __init__(self, limit: int, label: Mapping[str, Any] | None = None) -> None:
        self._limit = limit
        self._label = dict(label or {})
        self._readers: list[Subscription] = []
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def dropped(self) -> int:
        """Events that slow readers have lost so far."""
        return self._dropped + sum(reader.dropped for reader in self._readers)

    def subscribe(self, access: Access) -> Subscription:
        """Add a reader who is shown what ``access`` allows; hand it to ``unsubscribe`` when done."""
        reader = Subscription(access, self._limit)
        self._readers.append(reader)
        return reader

    def unsubscribe(self, reader: Subscription) -> None:
        """Remove a reader; its drop count is kept."""
        if reader in self._readers:
            self._readers.remove(reader)
            self._dropped += reader.dropped
        reader.close()

    def publish(self, event: Event, recipients: Collection[str] | None = None) -> None:
        """Offer an event to every reader; each takes what it may see."""
        event = {**event, **self._label} if self._label else event
        for reader in self._readers:
            reader.offer(event, recipients)

    def close(self) -> None:
        """End every reader after what it has queued."""
        for reader in list(self._readers):
            self.unsubscribe(reader)
