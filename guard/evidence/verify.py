"""Checks a file of records line by line: what was changed, removed, moved or put in shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guard.errors import RecordError
from guard.evidence.records import (
    CLOSED,
    CONTINUED,
    MAX_LINE_BYTES,
    NO_LINE,
    TYPE,
    Record,
    line_digest,
    read_line,
)

MAX_PROBLEMS = 100


class Fault(StrEnum):
    """What does not hold of a line (docs/records.md)."""

    EMPTY = "empty"
    TORN = "torn"
    TOO_LONG = "too_long"
    NOT_JSON = "not_json"
    NOT_A_RECORD = "not_a_record"
    NOT_CANONICAL = "not_canonical"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE = "signature"
    SESSION = "session"
    SEQUENCE = "sequence"
    CHAIN = "chain"
    AFTER_CLOSED = "after_closed"


WORDS: Mapping[Fault, str] = {
    Fault.EMPTY: "the file holds no record",
    Fault.TORN: "the last line is cut off",
    Fault.TOO_LONG: "the line is longer than any record",
    Fault.NOT_JSON: "the line is no JSON: changed, or written by something else",
    Fault.NOT_A_RECORD: "the line is no record of this version",
    Fault.NOT_CANONICAL: "the line is not written as guard writes it: changed",
    Fault.KEY_UNKNOWN: "signed with a key that was not given",
    Fault.SIGNATURE: "the signature does not fit the content: changed, or signed with another key",
    Fault.SESSION: "a record of another session",
    Fault.SEQUENCE: "the number does not follow the line before: lines were removed, moved or put in",
    Fault.CHAIN: "the line before is not the one this was written after",
    Fault.AFTER_CLOSED: "a record after the end of the session",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not hold, and in which line, from 1; 0 is the file."""

    line: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of one file.

    Args:
        records: lines that are records, whether they verify or not.
        session: of the first of them.
        closed: whether the last line is the session's end. Without it, nothing tells whether lines are
            missing after the last one.
        first_at, last_at: times of the first and last record.
        keys: ids of the keys that signed records which verify.
        interrupted: (line, why) of each place where a signed record says that the writing was interrupted.
        digest: of the last line, to compare with one kept elsewhere.
        problems: at most ``MAX_PROBLEMS``, in the order of the lines.
    """

    records: int
    session: str | None
    closed: bool
    first_at: str | None
    last_at: str | None
    keys: tuple[str, ...]
    interrupted: tuple[tuple[int, str], ...]
    digest: str
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether every line holds."""
        return not self.problems


def verify(path: Path, keys: Mapping[str, Ed25519PublicKey]) -> Verified:
    """Check a file of records.

    Args:
        path: the file; read once, line by line.
        keys: public keys by their id (``keys.key_id``).

    Raises:
        RecordError: ``record_unreadable``.
    """
    try:
        with path.open("rb") as file:
            return verify_lines(lines(file), keys)
    except OSError as error:
        raise RecordError("record_unreadable", f"cannot read {path}: {error.strerror}") from error


def verify_lines(given: Iterable[bytes], keys: Mapping[str, Ed25519PublicKey]) -> Verified:
    """Check the lines of a file, each with its line feed, as ``lines`` gives them."""
    checker = _Checker(keys)
    for line in given:
        checker.push(line)
    return checker.result()


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines with their line feeds; of one too long only the beginning."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES)


class _Checker:
    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = keys
        self._line = 0
        self._problems: list[Problem] = []
        self._first: Record | None = None
        self._last: Record | None = None
        self._count = 0
        self._signers: dict[str, None] = {}
        self._interrupted: list[tuple[int, str]] = []
        self._digest = NO_LINE
        self._closed = False

    def push(self, raw: bytes) -> None:
        """Check the next line."""
        self._line += 1
        line = raw.removesuffix(b"\n")
        if line == raw:
            self._fail(Fault.TOO_LONG if len(raw) > MAX_LINE_BYTES else Fault.TORN)
            self._closed = False
            return
        try:
            record = read_line(line)
        except ValueError as error:
            self._fail(Fault(str(error)))
            self._closed = False
        else:
            self._check(record)
        self._digest = line_digest(line)

    def _check(self, record: Record) -> None:
        public = self._keys.get(record.key)
        if public is None:
            self._fail(Fault.KEY_UNKNOWN)
        elif not record.signed_by(public):
            self._fail(Fault.SIGNATURE)
        else:
            self._signers[record.key] = None
            if record.type == CONTINUED:
                self._interrupted.append((self._line, _word(record.body.get("why"))))
        if record.session != (self._first or record).session:
            self._fail(Fault.SESSION)
        if record.seq != self._line:
            self._fail(Fault.SEQUENCE)
        if record.prev != self._digest:
            self._fail(Fault.CHAIN)
        if self._closed:
            self._fail(Fault.AFTER_CLOSED)
        self._first = self._first or record
        self._last = record
        self._count += 1
        self._closed = record.type == CLOSED

    def _fail(self, fault: Fault) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(self._line, fault))

    def result(self) -> Verified:
        """Return what came of the lines so far."""
        if self._line == 0:
            self._fail(Fault.EMPTY)
        first, last = self._first, self._last
        return Verified(
            records=self._count,
            session=first.session if first else None,
            closed=self._closed,
            first_at=first.at if first else None,
            last_at=last.at if last else None,
            keys=tuple(self._signers),
            interrupted=tuple(self._interrupted),
            digest=self._digest,
            problems=tuple(self._problems),
        )


def _word(value: object) -> str:
    """Return a code that may be shown in a terminal."""
    return value if isinstance(value, str) and TYPE.fullmatch(value) else "unknown"
