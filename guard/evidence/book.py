"""Writes records: one file for each session, only ever added to."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from guard.clock import Clock
from guard.errors import RecordError
from guard.evidence.canonical import Json, normal
from guard.evidence.ends import End, after_change, find_end
from guard.evidence.keys import SigningKey
from guard.evidence.personal import forbid
from guard.evidence.records import CLOSED, CONTINUED, SESSION, TYPE, Record, sign

FOLDER_NAME = "records"
_MAX_ENDS = 4096


class RecordBook:
    """Adds signed records to ``<session>.jsonl``; any thread may.

    A record is on the disk when ``append`` returns (``fsync``), so that takes as long as the disk does: from
    an event loop use ``guard.evidence.writer.RecordWriter``. What this object did not write itself, or finds
    otherwise than it left it, is never trusted in silence: a ``continued`` record says so first, and a file
    that was closed, damaged, changed, cut or removed is left as it is; ``<session>.2.jsonl`` goes on.

    Args:
        folder: made with mode 0700 where it does not exist.
        key: signs.
        clock: gives the time of a record.

    Raises:
        RecordError: ``record_unwritable`` or ``disk_full``.
    """

    def __init__(self, folder: Path, key: SigningKey, clock: Clock) -> None:
        self._folder = folder
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: OrderedDict[str, End] = OrderedDict()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _try_to_write(folder)
        except OSError as error:
            raise unwritable(folder, error) from error

    def append(
        self, session: str, kind: str, body: Mapping[str, object], at: datetime | None = None
    ) -> Record:
        """Write one record and return it once it is on the disk.

        Args:
            session: id of the session.
            kind: the record's ``type``; ``closed`` ends the session's file.
            body: what is recorded; numbers are rounded to four decimals (``guard.evidence.canonical``).
            at: when it happened; now, where it is left out.

        Raises:
            RecordError: ``record_invalid`` or ``record_personal``, nothing was written; ``record_unwritable``
                or ``disk_full``, it is not in the records.
        """
        kept = checked(session, kind, body)
        moment = at or self._clock.utc()
        with self._lock:
            try:
                return self._append(session, kind, kept, moment)
            except OSError as error:
                # what is on the disk now is read again before anything is added
                self._ends.pop(session, None)
                raise unwritable(self._folder, error) from error

    def _append(self, session: str, kind: str, body: Mapping[str, Json], at: datetime) -> Record:
        end = self._end(session)
        if end.note is not None:
            end = self._add(end, sign(self._key, end.place(session), CONTINUED, at, end.note))
        record = sign(self._key, end.place(session), kind, at, body)
        end = self._add(end, record)
        self._keep(session, end if kind != CLOSED else None)
        return record

    def _end(self, session: str) -> End:
        """Return where the next record of a session goes."""
        known = self._ends.get(session)
        if known is None:
            return find_end(self._folder, session)
        try:
            size = (self._folder / known.file).stat().st_size
        except FileNotFoundError:
            size = -1
        return known if size == known.size else after_change(self._folder, session, known)

    def _add(self, end: End, record: Record) -> End:
        """Add one line durably and return where the file ends then; on failure the line is taken back."""
        line = record.line() + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._folder / end.file, flags, 0o600)
        try:
            try:
                _write_all(descriptor, line)
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):  # what stays of it is found and set aside next time
                    os.ftruncate(descriptor, end.size)
                raise
        finally:
            os.close(descriptor)
        if end.size == 0:
            _sync_folder(self._folder)
        return End(end.file, record.seq, record.digest(), end.size + len(line))

    def _keep(self, session: str, end: End | None) -> None:
        self._ends.pop(session, None)
        if end is not None:
            self._ends[session] = end
        while len(self._ends) > _MAX_ENDS:
            self._ends.popitem(last=False)


def checked(session: str, kind: str, body: Mapping[str, object]) -> dict[str, Json]:
    """Return a copy of a body in canonical form, after looking for what must not be recorded.

    Raises:
        RecordError: ``record_invalid`` or ``record_personal``.
    """
    if not SESSION.fullmatch(session):
        raise RecordError("record_invalid", "a session id is 1 to 64 letters, digits, - or _")
    if not TYPE.fullmatch(kind):
        raise RecordError("record_invalid", "a record's type is 1 to 64 small letters, digits and _")
    kept = normal(body)
    if not isinstance(kept, dict):
        raise RecordError("record_invalid", "the body of a record is an object")
    forbid({"session": session, "body": kept})
    return kept


def unwritable(folder: Path, error: OSError) -> RecordError:
    """Return the error for a disk or a folder that takes no records."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RecordError("disk_full", f"no space is left for records in {folder}; free some")
    return RecordError("record_unwritable", f"records cannot be written to {folder}: {error.strerror}")


def _try_to_write(folder: Path) -> None:
    """Find out at the start, and not at the first record, whether the folder can be written."""
    trial = folder / f".trial-{os.getpid()}"
    descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        _write_all(descriptor, b"\n")
    finally:
        os.close(descriptor)
        trial.unlink()


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file last, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
