"""One signed record, and how a line is checked against it (docs/records.md)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guard.clock import rfc3339
from guard.errors import RecordError
from guard.evidence.base64url import decoded, encoded
from guard.evidence.canonical import Json, canonical
from guard.evidence.keys import SigningKey

VERSION = 1
MAX_LINE_BYTES = 1 << 20
NO_LINE = "0" * 64
"""``prev`` of a file's first line."""

CLOSED = "closed"
"""Type of the last record of a session: what is missing at a file's end shows by it."""

CONTINUED = "continued"
"""Type of the record that says why a file could not simply be gone on with (``why`` in its body)."""

SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_KEYS = {"v", "type", "session", "seq", "at", "prev", "key", "body", "sig"}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a session's file.

    Args:
        type: what is recorded, e.g. ``attempt``.
        session: the session.
        seq: its place in the file, from 1.
        at: RFC 3339 UTC, milliseconds, by this host's clock.
        prev: SHA-256 in hex of the line before without its line feed, or ``NO_LINE``.
        key: id of the key that signed it.
        body: what is recorded, in canonical form.
        sig: base64url without padding, Ed25519 over the canonical JSON of all the others.
    """

    type: str
    session: str
    seq: int
    at: str
    prev: str
    key: str
    body: Mapping[str, Json]
    sig: str

    def line(self) -> bytes:
        """Return the line as it stands in the file, without its line feed."""
        return canonical({**self._unsigned(), "sig": self.sig})

    def digest(self) -> str:
        """Return what the next line says in ``prev``."""
        return line_digest(self.line())

    def signed_by(self, public: Ed25519PublicKey) -> bool:
        """Tell whether the signature is that of the key's owner over this content."""
        try:
            public.verify(decoded(self.sig), self.signed_content())
        except (InvalidSignature, ValueError):
            return False
        return True

    def signed_content(self) -> bytes:
        """Return the canonical JSON of everything but ``sig``."""
        return canonical(self._unsigned())

    def _unsigned(self) -> dict[str, object]:
        return {
            "v": VERSION,
            "type": self.type,
            "session": self.session,
            "seq": self.seq,
            "at": self.at,
            "prev": self.prev,
            "key": self.key,
            "body": self.body,
        }


def line_digest(line: bytes) -> str:
    """Return the SHA-256 in hex of a line without its line feed."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file a record goes: its session, number and the hash of the line before."""

    session: str
    seq: int
    prev: str


def sign(key: SigningKey, place: Place, kind: str, at: datetime, body: Mapping[str, Json]) -> Record:
    """Return a signed record.

    Args:
        key: signs it.
        place: where it goes.
        kind: its ``type``.
        at: aware time.
        body: what ``canonical.normal`` returned.

    Raises:
        RecordError: ``record_invalid``; the type is no word, or the line would be over 1 MiB.
    """
    if not TYPE.fullmatch(kind):
        raise RecordError("record_invalid", "a record's type is 1 to 64 small letters, digits and _")
    record = Record(kind, place.session, place.seq, rfc3339(at), place.prev, key.id, body, "")
    record = replace(record, sig=encoded(key.sign(record.signed_content())))
    if len(record.line()) > MAX_LINE_BYTES:
        raise RecordError("record_invalid", f"a record is larger than {MAX_LINE_BYTES} bytes")
    return record


def read_line(line: bytes) -> Record:
    """Return the record of one line, given without its line feed.

    Raises:
        ValueError: a word for what is wrong: ``not_json``, ``not_a_record`` or ``not_canonical``. A line
            that is read holds exactly the bytes that ``Record.line`` gives again.
    """
    try:
        value = json.loads(line.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError("not_json") from error
    if not isinstance(value, dict) or set(value) != _KEYS or not _shaped(value):
        raise ValueError("not_a_record")
    value.pop("v")
    record = Record(**value)
    try:
        same = record.line() == line
    except ValueError:  # half a character, which JSON can spell out and UTF-8 cannot
        same = False
    if not same:
        raise ValueError("not_canonical")
    return record


def _shaped(value: Mapping[str, object]) -> bool:
    patterns = {"type": TYPE, "session": SESSION, "at": _AT, "prev": _HASH, "key": _KEY_ID}
    for name, pattern in patterns.items():
        text = value[name]
        if not (isinstance(text, str) and pattern.fullmatch(text)):
            return False
    seq = value["seq"]
    return (
        type(value["v"]) is int
        and value["v"] == VERSION
        and type(seq) is int
        and seq >= 1
        and isinstance(value["body"], dict)
        and isinstance(value["sig"], str)
    )


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
