"""Injected time: the only module of guard's logic that reads a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for durations, UTC for what people and records see."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def utc(self) -> datetime:
        """Return the current time in UTC, aware."""


def rfc3339(moment: datetime) -> str:
    """Return an aware time in UTC as RFC 3339 with milliseconds and ``Z``, as on every wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return ``time.monotonic()``: shared by all processes of the host."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the current time in UTC, aware."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to; for tests, simulations and replay."""

    def __init__(self, now_s: float = 0.0, utc: datetime | None = None) -> None:
        self._start_s = now_s
        self._now_s = now_s
        self._utc = utc or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> float:
        """Return the time set so far."""
        return self._now_s

    def utc(self) -> datetime:
        """Return the start moment plus what has been advanced."""
        return datetime.fromtimestamp(self._utc.timestamp() + self._now_s - self._start_s, UTC)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now_s += seconds
