"""Writes records beside an event loop: one thread, a bounded number waiting, no failure unheard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial

from guard.clock import Clock
from guard.errors import GuardError, Overload, RecordError
from guard.evidence.book import RecordBook, checked
from guard.evidence.records import Record

MAX_WAITING = 1024


class RecordWriter:
    """Hands records to a ``RecordBook`` in the order in which they come, without waiting for the disk.

    Args:
        book: where they go.
        clock: gives the time of a record: that of ``write``, not that of the disk.
        failed: told (session, type, error) of every record that is not on the disk and will not be. Called in
            the thread that calls ``write`` or in the writer's own; it must log and count, and be quick.
        max_waiting: records that may wait for the disk.
    """

    def __init__(
        self,
        book: RecordBook,
        clock: Clock,
        failed: Callable[[str, str, GuardError], None],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._book = book
        self._clock = clock
        self._failed = failed
        self._free = threading.BoundedSemaphore(max_waiting)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")

    def write(self, session: str, kind: str, body: Mapping[str, object]) -> Future[Record]:
        """Take one record; the body is copied now.

        Returns:
            A future with the written record, or with the ``RecordError`` that ``failed`` was told too. In a
            coroutine: ``await asyncio.wrap_future(writer.write(...))``. It cannot be cancelled: a record that
            was taken is written, whoever waits for it.

        Raises:
            RecordError: ``record_invalid`` or ``record_personal``; ``failed`` was told.
            Overload: ``records_behind``; too many wait for the disk, or the writer is closed; ``failed`` was
                told.
        """
        try:
            kept = checked(session, kind, body)
            if not self._free.acquire(blocking=False):
                raise _behind("too many records wait for the disk")
            outcome: Future[Record] = Future()
            outcome.set_running_or_notify_cancel()
            task = partial(self._append, session, kind, kept, self._clock.utc(), outcome)
            try:
                self._thread.submit(task)
            except RuntimeError as error:
                self._free.release()
                raise _behind("the records are closed") from error
        except (RecordError, Overload) as error:
            self._failed(session, kind, error)
            raise
        return outcome

    def close(self) -> None:
        """Write what waits, then end the thread; waits for the disk."""
        self._thread.shutdown(wait=True)

    def _append(
        self, session: str, kind: str, body: Mapping[str, object], at: datetime, outcome: Future[Record]
    ) -> None:
        try:
            record = self._book.append(session, kind, body, at)
        except Exception as error:  # a fault of guard, too, must be heard and must not end the thread
            lost = error if isinstance(error, GuardError) else RecordError("internal_error", repr(error))
            self._free.release()
            self._failed(session, kind, lost)
            outcome.set_exception(lost)
        else:
            self._free.release()
            outcome.set_result(record)


def _behind(message: str) -> Overload:
    return Overload("records_behind", message)
