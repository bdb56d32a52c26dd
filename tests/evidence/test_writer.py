"""Records written beside an event loop: in order, bounded, and a lost one is always told."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from guard.clock import ManualClock
from guard.errors import GuardError, Overload, RecordError
from guard.evidence.book import RecordBook
from guard.evidence.records import Record
from guard.evidence.writer import RecordWriter
from tests.evidence.support import BODY, KEY, chained, records


class SlowBook(RecordBook):
    """A book whose disk stands still until the test lets it go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "records", KEY, ManualClock())
        self.go = threading.Event()
        self.broken: Exception | None = None

    def append(self, session: str, kind: str, body: Any, at: datetime | None = None) -> Record:
        assert self.go.wait(20)
        if self.broken is not None:
            raise self.broken
        return super().append(session, kind, body, at)


def writer(
    folder: Path, max_waiting: int = 100
) -> tuple[RecordWriter, SlowBook, list[tuple[str, str, str]], ManualClock]:
    told: list[tuple[str, str, str]] = []
    clock, slow = ManualClock(), SlowBook(folder)

    def failed(session: str, kind: str, error: GuardError) -> None:
        told.append((session, kind, error.code))

    return RecordWriter(slow, clock, failed, max_waiting), slow, told, clock


def test_records_keep_their_order_and_the_time_at_which_they_were_handed_over(tmp_path: Path) -> None:
    written, slow, told, clock = writer(tmp_path)
    for number in range(20):
        written.write("a", "attempt", {"number": number})
        clock.advance(1.0)
    slow.go.set()
    written.close()
    found = records(tmp_path / "records" / "a.jsonl")
    assert chained(found)
    assert [record.body["number"] for record in found] == list(range(20))
    assert [record.at[17:19] for record in found] == [f"{number:02d}" for number in range(20)]
    assert told == []


def test_a_body_changed_afterwards_is_recorded_as_it_was(tmp_path: Path) -> None:
    written, slow, _, _ = writer(tmp_path)
    body: dict[str, object] = {"result": "fail"}
    future = written.write("a", "attempt", body)
    body["result"] = "pass"
    slow.go.set()
    written.close()
    assert future.result().body == {"result": "fail"}


async def test_a_coroutine_can_wait_for_the_disk(tmp_path: Path) -> None:
    written, slow, _, _ = writer(tmp_path)
    waiting = asyncio.wrap_future(written.write("a", "attempt", BODY))
    slow.go.set()
    assert (await waiting).seq == 1
    written.close()


async def test_a_record_that_was_taken_is_written_whoever_stops_waiting_for_it(tmp_path: Path) -> None:
    written, slow, told, _ = writer(tmp_path)
    for _ in range(2):
        waiting = asyncio.wrap_future(written.write("a", "attempt", BODY))
        waiting.cancel()
    slow.go.set()
    written.close()
    assert len(records(tmp_path / "records" / "a.jsonl")) == 2
    assert told == []


def test_a_disk_that_stands_still_is_told_and_not_waited_for(tmp_path: Path) -> None:
    written, slow, told, _ = writer(tmp_path, max_waiting=3)
    for _ in range(3):
        written.write("a", "attempt", BODY)
    with pytest.raises(Overload) as caught:
        written.write("a", "attempt", BODY)
    assert caught.value.code == "records_behind"
    assert told == [("a", "attempt", "records_behind")]
    slow.go.set()
    written.close()
    assert len(records(tmp_path / "records" / "a.jsonl")) == 3


@pytest.mark.parametrize(
    ("broken", "code"),
    [(RecordError("disk_full", "full"), "disk_full"), (ValueError("a fault"), "internal_error")],
)
def test_a_record_that_is_not_written_is_told(tmp_path: Path, broken: Exception, code: str) -> None:
    written, slow, told, _ = writer(tmp_path, max_waiting=1)
    slow.broken = broken
    future = written.write("a", "attempt", BODY)
    slow.go.set()
    with pytest.raises(RecordError):
        future.result()
    written.close()
    assert told == [("a", "attempt", code)]


def test_what_must_not_be_recorded_and_what_comes_too_late_is_told_at_once(tmp_path: Path) -> None:
    written, slow, told, _ = writer(tmp_path, max_waiting=1)
    slow.go.set()
    with pytest.raises(RecordError):
        written.write("a", "attempt", {"iin": "x"})
    written.write("a", "attempt", BODY).result()
    written.close()
    with pytest.raises(Overload):
        written.write("a", "attempt", BODY)
    assert told == [("a", "attempt", "record_personal"), ("a", "attempt", "records_behind")]
