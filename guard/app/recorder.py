"""Signed records of the sessions, as the rest of the app writes them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from guard.clock import Clock
from guard.errors import GuardError
from guard.evidence.book import RecordBook
from guard.evidence.canonical import canonical
from guard.evidence.keys import SigningKey
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
        """Write one record; what fails is told to ``failed``, and the call goes on."""
        try:
            self._writer.write(session, kind, body)
        except GuardError:
            return  # ``failed`` was told
        self._begun.add(session)

    def ended(self, session: str) -> None:
        """Close a session's records, so that it shows where a part of their end is missing."""
        if session in self._begun:
            self.record(session, CLOSED, {})
            self._begun.discard(session)

    def badge(self, statement: Mapping[str, Any]) -> str:
        """Return ``<statement>.<signature>`` in base64url (RFC 4648), signed with the records' key."""
        content = canonical({**statement, "key": self._key.id})
        return f"{_encoded(content)}.{_encoded(self._key.sign(content))}"

    def close(self) -> None:
        """Write what waits; takes as long as the disk does."""
        self._writer.close()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
