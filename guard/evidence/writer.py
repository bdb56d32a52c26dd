"""Writes records beside an event loop: one thread, a bounded number waiting, no failure unheard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

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
            coroutine: ``await asyncio.wrap_future(writer.write(...))``.

        Raises:
            RecordError: ``record_invalid`` or ``record_personal``; ``failed`` was told.
            Overload: ``records_behind``; too many wait for the disk, or the writer is closed; ``failed`` was
                told.
        """
        try:
            kept = checked(session, kind, body)
            if not self._free.acquire(blocking=False):
                raise _behind("too many records wait for the disk")
            at = self._clock.utc()
            try:
                future = self._thread.submit(self._book.append, session, kind, kept, at)
            except RuntimeError as error:
                self._free.release()
                raise _behind("the records are closed") from error
        except (RecordError, Overload) as error:
            self._failed(session, kind, error)
            raise
        future.add_done_callback(lambda done: self._written(session, kind, done))
        return future

    def close(self) -> None:
        """Write what waits, then end the thread; waits for the disk."""
        self._thread.shutdown(wait=True)

    def _written(self, session: str, kind: str, done: Future[Record]) -> None:
        self._free.release()
        error = done.exception()
        if isinstance(error, GuardError):
            self._failed(session, kind, error)
        elif error is not None:
            self._failed(session, kind, RecordError("internal_error", f"a fault of guard: {error!r}"))


def _behind(message: str) -> Overload:
    return Overload("records_behind", message)
