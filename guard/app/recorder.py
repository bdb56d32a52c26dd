"""Signed records of the sessions, as the rest of the app writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from guard.clock import Clock
from guard.errors import GuardError
from guard.evidence.badge import badge
from guard.evidence.book import RecordBook
from guard.evidence.keys import SigningKey
from guard.evidence.personal import redacted
from guard.evidence.records import CLOSED
from guard.evidence.writer import RecordWriter


class SessionRecords:
    """Writes the records of every session, without waiting for the disk.

    Args:
        book: where they go.
        key: signs badges.
        clock: gives their time.
        failed: told (session, type, error) of every record that could not be written; it is loud.
    """

    def __init__(
        self,
        book: RecordBook,
        key: SigningKey,
        clock: Clock,
        failed: Callable[[str, str, GuardError], None],
    ) -> None:
        self._key = key
        self._writer = RecordWriter(book, clock, failed)
        self._begun: set[str] = set()

    def record(self, session: str, kind: str, body: Mapping[str, Any]) -> None:
        """Write one record, without any IIN in it; what fails is told to ``failed``, and the call goes on."""
        try:
            self._writer.write(session, kind, {key: redacted(value) for key, value in body.items()})
        except GuardError:
            return  # ``failed`` was told
        self._begun.add(session)

    def ended(self, session: str) -> None:
        """Close a session's records, so that it shows where a part of their end is missing."""
        if session in self._begun:
            self.record(session, CLOSED, {})
            self._begun.discard(session)

    def badge(self, statement: Mapping[str, Any]) -> str:
        """Return a statement signed with the records' key, as one word (``guard.evidence.badge``)."""
        return badge(self._key, statement)

    def close(self) -> None:
        """Write what waits; takes as long as the disk does."""
        self._writer.close()
