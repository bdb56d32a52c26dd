"""Where a session's records end on the disk, as found there, and what has to be said before going on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from guard.evidence.canonical import Json
from guard.evidence.records import CLOSED, MAX_LINE_BYTES, NO_LINE, Place, Record, read_line


@dataclass(frozen=True, slots=True)
class End:
    """Where a session's newest file ends.

    Args:
        file: its name; it need not exist yet.
        seq: how many records it has.
        digest: of its last line; ``NO_LINE`` where it has none.
        size: its length in bytes up to there.
        note: body of the ``continued`` record to write first; None where there is nothing to say.
    """

    file: str
    seq: int = 0
    digest: str = NO_LINE
    size: int = 0
    note: Mapping[str, Json] | None = None

    def place(self, session: str) -> Place:
        """Return where the next record goes."""
        return Place(session, self.seq + 1, self.digest)


def find_end(folder: Path, session: str) -> End:
    """Return where a session's records end, found by reading its newest file.

    Bytes after its last line feed, which a crash leaves, are moved to a file of their own beside it: nothing
    may be written behind them, and nothing of them is lost.

    Raises:
        OSError: a file cannot be read or written.
    """
    names = _files(folder, session)
    if not names:
        return End(_name(session, 1))
    path = folder / names[-1]
    size, tail = _tail(path)
    lines, _, torn = tail.rpartition(b"\n")
    whole = size - len(torn)
    if whole == 0 and len(torn) <= MAX_LINE_BYTES:
        return End(path.name, note=_torn(path, whole, torn) if torn else None)
    record = _last_record(lines.rpartition(b"\n")[2], session)
    if record is None or len(torn) > MAX_LINE_BYTES:
        return _after(folder, session, "damaged", _file_digest(path))
    if record.type == CLOSED:
        found: dict[str, Json] = {"records": record.seq, "digest": record.digest()}
        return _after(folder, session, "closed", found)
    note: dict[str, Json] = _torn(path, whole, torn) if torn else {"why": "reopened"}
    return End(path.name, record.seq, record.digest(), whole, note)


def after_change(folder: Path, session: str, known: End) -> End:
    """Return where to go on after a file that is not as it was left; the note says what it was."""
    note: dict[str, Json] = {
        "why": "changed",
        "file": known.file,
        "records": known.seq,
        "digest": known.digest,
    }
    return End(_name(session, len(_files(folder, session)) + 1), note=note)


def _after(folder: Path, session: str, why: str, found: Mapping[str, Json]) -> End:
    names = _files(folder, session)
    return End(_name(session, len(names) + 1), note={"why": why, "file": names[-1], **found})


def _files(folder: Path, session: str) -> list[str]:
    names: list[str] = []
    while (folder / _name(session, len(names) + 1)).exists():
        names.append(_name(session, len(names) + 1))
    return names


def _name(session: str, part: int) -> str:
    return f"{session}.jsonl" if part == 1 else f"{session}.{part}.jsonl"


def _tail(path: Path) -> tuple[int, bytes]:
    """Return a file's size, and as much of its end as surely holds its last line and what is torn."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * MAX_LINE_BYTES - 2))
        return size, file.read()


def _last_record(line: bytes, session: str) -> Record | None:
    try:
        record = read_line(line)
    except ValueError:
        return None
    return record if record.session == session else None


def _torn(path: Path, whole: int, torn: bytes) -> dict[str, Json]:
    """Move what is torn off a file's end to a file of its own, and return the note that says so."""
    digest = hashlib.sha256(torn).hexdigest()
    aside = path.with_name(f"{path.name}.torn-{digest[:16]}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(torn)
        file.flush()
        os.fsync(file.fileno())
    os.truncate(path, whole)
    return {"why": "torn", "file": aside.name, "bytes": len(torn), "digest": digest}


def _file_digest(path: Path) -> dict[str, Json]:
    with path.open("rb") as file:
        return {"digest": hashlib.file_digest(file, "sha256").hexdigest()}
