"""Records of a session as guard writes them while calls run: closed at the end, never lost in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

from guard.app.recorder import SessionRecords
from guard.clock import ManualClock
from guard.errors import GuardError
from guard.evidence.badge import read_badge
from guard.evidence.book import RecordBook
from guard.evidence.verify import verify
from tests.evidence.support import KEY, records

KEYS = {KEY.id: KEY.public}


def made(folder: Path) -> tuple[SessionRecords, list[tuple[str, str, str]]]:
    lost: list[tuple[str, str, str]] = []

    def failed(session: str, kind: str, error: GuardError) -> None:
        lost.append((session, kind, error.code))

    clock = ManualClock()
    return SessionRecords(RecordBook(folder, KEY, clock), KEY, clock, failed), lost


def test_the_records_of_a_session_verify_and_are_closed_with_it(tmp_path: Path) -> None:
    written, lost = made(tmp_path)
    for number in range(3):
        written.record("a", "challenge_attempt", {"attempt": number})
    written.ended("a")
    written.ended("b")
    written.close()
    found = verify(tmp_path / "a.jsonl", KEYS)
    assert (found.ok, found.closed, found.records) == (True, True, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"], "a session without records has no file"
    assert lost == []


def test_nobody_keeps_a_record_from_being_written_by_an_iin_in_it(tmp_path: Path) -> None:
    written, lost = made(tmp_path)
    written.record("a", "challenge_attempt", {"result": "fail", "client": {"version": "010101300000"}})
    written.close()
    (record,) = records(tmp_path / "a.jsonl")
    assert record.body == {"result": "fail", "client": {"version": "[iin removed]"}}
    assert lost == []


def test_a_record_that_is_lost_is_told_and_the_next_one_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    written, lost = made(folder)
    shutil.rmtree(folder)
    written.record("a", "challenge_attempt", {})
    written.record("a", "challenge_attempt", {"x": float("nan")})
    written.close()
    assert sorted(lost) == [
        ("a", "challenge_attempt", "record_invalid"),
        ("a", "challenge_attempt", "record_unwritable"),
    ]


def test_badges_are_signed_with_the_key_of_the_records(tmp_path: Path) -> None:
    written, _ = made(tmp_path)
    statement = {"v": 1, "code": "482913", "agent": "agent-1"}
    assert read_badge(written.badge(statement), KEYS) == statement
    written.close()
