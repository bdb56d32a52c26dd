"""Records on the disk: chained, durable, private, and never gone on with in silence."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.clock import ManualClock
from guard.errors import RecordError
from guard.evidence.book import RecordBook
from tests.evidence.support import BODY, KEY, OTHER_KEY, book, chained, records


def notes(path: Path) -> list[object]:
    return [record.body["why"] for record in records(path) if record.type == "continued"]


def test_each_session_has_a_private_file_of_chained_signed_records(tmp_path: Path) -> None:
    written = book(tmp_path)
    for number in range(5):
        written.append("a", "attempt", {**BODY, "attempt": number})
        written.append("b", "attempt", BODY)
    for name in ("a", "b"):
        path = tmp_path / "records" / f"{name}.jsonl"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = records(path)
        assert len(found) == 5
        assert chained(found)
        assert {record.session for record in found} == {name}
    assert stat.S_IMODE((tmp_path / "records").stat().st_mode) == 0o700
    assert {path.name for path in (tmp_path / "records").iterdir()} == {"a.jsonl", "b.jsonl"}


def test_the_returned_record_is_the_one_on_the_disk(tmp_path: Path) -> None:
    clock = ManualClock(utc=datetime(2026, 11, 23, 1, 2, 3, 456000, UTC))
    record = book(tmp_path, clock).append("a", "attempt", BODY)
    assert records(tmp_path / "records" / "a.jsonl") == [record]
    assert record.at == "2026-11-23T01:02:03.456Z"
    assert record.body == BODY
    assert not record.signed_by(OTHER_KEY.public)


def test_a_restart_goes_on_from_the_last_line_and_says_so(tmp_path: Path) -> None:
    book(tmp_path).append("a", "attempt", BODY)
    again = book(tmp_path)
    again.append("a", "attempt", BODY)
    again.append("a", "attempt", BODY)
    path = tmp_path / "records" / "a.jsonl"
    assert chained(records(path))
    assert [record.type for record in records(path)] == ["attempt", "continued", "attempt", "attempt"]
    assert notes(path) == ["reopened"]


@pytest.mark.parametrize("whole", [0, 2])
def test_a_torn_line_is_set_aside_and_noted(tmp_path: Path, whole: int) -> None:
    first = book(tmp_path)
    for _ in range(whole + 1):
        first.append("a", "attempt", BODY)
    path = tmp_path / "records" / "a.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    torn = lines[whole][:-40]
    path.write_bytes(b"".join(lines[:whole]) + torn)
    book(tmp_path).append("a", "attempt", BODY)
    found = records(path)
    assert chained(found)
    assert len(found) == whole + 2
    note = found[whole].body
    assert (note["why"], note["bytes"]) == ("torn", len(torn))
    aside = tmp_path / "records" / str(note["file"])
    assert aside.read_bytes() == torn
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600


def test_after_the_end_of_a_session_a_new_file_begins(tmp_path: Path) -> None:
    written = book(tmp_path)
    written.append("a", "attempt", BODY)
    closed = written.append("a", "closed", {})
    before = (tmp_path / "records" / "a.jsonl").read_bytes()
    written.append("a", "attempt", BODY)
    book(tmp_path).append("a", "attempt", BODY)
    assert (tmp_path / "records" / "a.jsonl").read_bytes() == before
    later = tmp_path / "records" / "a.2.jsonl"
    assert chained(records(later))
    assert notes(later) == ["closed", "reopened"]
    assert records(later)[0].body["digest"] == closed.digest()


@pytest.mark.parametrize("damage", [b'{"no":"record"}\n', b"\xff\n", b"\n"], ids=["json", "bytes", "empty"])
def test_a_damaged_end_is_left_as_it_is(tmp_path: Path, damage: bytes) -> None:
    book(tmp_path).append("a", "attempt", BODY)
    path = tmp_path / "records" / "a.jsonl"
    path.write_bytes(path.read_bytes() + damage)
    before = path.read_bytes()
    book(tmp_path).append("a", "attempt", BODY)
    assert path.read_bytes() == before
    assert notes(tmp_path / "records" / "a.2.jsonl") == ["damaged"]


def test_lines_of_another_session_are_not_gone_on_with(tmp_path: Path) -> None:
    book(tmp_path).append("b", "attempt", BODY)
    folder = tmp_path / "records"
    (folder / "b.jsonl").rename(folder / "a.jsonl")
    book(tmp_path).append("a", "attempt", BODY)
    assert notes(folder / "a.2.jsonl") == ["damaged"]


@pytest.mark.parametrize("how", ["cut", "longer", "removed"])
def test_a_file_changed_while_guard_runs_is_noted_with_what_it_held(tmp_path: Path, how: str) -> None:
    written = book(tmp_path)
    written.append("a", "attempt", BODY)
    last = written.append("a", "attempt", BODY)
    path = tmp_path / "records" / "a.jsonl"
    first_line = path.read_bytes().splitlines(keepends=True)[0]
    if how == "cut":
        path.write_bytes(first_line)
    elif how == "longer":
        path.write_bytes(path.read_bytes() + first_line)
    else:
        path.unlink()
    written.append("a", "attempt", BODY)
    later = path if how == "removed" else tmp_path / "records" / "a.2.jsonl"
    note = records(later)[0]
    assert note.body == {"why": "changed", "file": "a.jsonl", "records": 2, "digest": last.digest()}
    assert chained(records(later))


def test_many_threads_write_one_chain(tmp_path: Path) -> None:
    written = book(tmp_path)

    def work(name: int) -> None:
        for number in range(10):
            written.append("a", "attempt", {"thread": name, "number": number})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = records(tmp_path / "records" / "a.jsonl")
    assert len(found) == 80
    assert chained(found)
    for name in range(8):
        assert [r.body["number"] for r in found if r.body["thread"] == name] == list(range(10))


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "record_unwritable")])
def test_what_a_full_disk_cut_off_is_taken_back_and_writing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    written = book(tmp_path)
    written.append("a", "attempt", BODY)
    path = tmp_path / "records" / "a.jsonl"
    before = path.read_bytes()
    real = os.write

    def half(descriptor: int, content: bytes) -> int:
        real(descriptor, content[: len(content) // 2])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("guard.evidence.book.os.write", half)
        with pytest.raises(RecordError) as caught:
            written.append("a", "attempt", BODY)
    assert caught.value.code == code
    assert path.read_bytes() == before
    written.append("a", "attempt", BODY)
    assert chained(records(path))
    assert notes(path) == ["reopened"]


def test_a_line_that_could_not_be_taken_back_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = book(tmp_path)
    written.append("a", "attempt", BODY)
    real = os.write

    def half(descriptor: int, content: bytes) -> int:
        real(descriptor, content[: len(content) // 2])
        raise OSError(errno.EIO, "broken")

    def refuse(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr("guard.evidence.book.os.write", half)
        patch.setattr("guard.evidence.book.os.ftruncate", refuse)
        with pytest.raises(RecordError):
            written.append("a", "attempt", BODY)
    written.append("a", "attempt", BODY)
    path = tmp_path / "records" / "a.jsonl"
    assert chained(records(path))
    assert notes(path) == ["torn"]


def test_a_folder_that_cannot_be_written_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file")
    with pytest.raises(RecordError, match="records") as caught:
        book(tmp_path)
    assert caught.value.code == "record_unwritable"


def test_a_folder_that_goes_away_is_told_at_once(tmp_path: Path) -> None:
    written = book(tmp_path)
    (tmp_path / "records").rmdir()
    with pytest.raises(RecordError) as caught:
        written.append("a", "attempt", BODY)
    assert caught.value.code == "record_unwritable"


def test_a_link_in_place_of_a_file_is_not_written_through(tmp_path: Path) -> None:
    written = book(tmp_path)
    target = tmp_path / "elsewhere"
    (tmp_path / "records" / "a.jsonl").symlink_to(target)
    with pytest.raises(RecordError):
        written.append("a", "attempt", BODY)
    assert not target.exists()


@pytest.mark.parametrize(
    ("session", "kind", "body", "code"),
    [
        ("../a", "attempt", {}, "record_invalid"),
        ("a", "Attempt", {}, "record_invalid"),
        ("a", "attempt", {"x": float("nan")}, "record_invalid"),
        ("a", "attempt", {"x": "y" * (1 << 20)}, "record_invalid"),
        ("a", "attempt", {"phone": "1"}, "record_personal"),
        ("010101300000", "attempt", {}, "record_personal"),
    ],
)
def test_what_must_not_be_recorded_leaves_nothing(
    tmp_path: Path, session: str, kind: str, body: dict[str, object], code: str
) -> None:
    with pytest.raises(RecordError) as caught:
        book(tmp_path).append(session, kind, body)
    assert caught.value.code == code
    assert list((tmp_path / "records").iterdir()) == []


def test_more_sessions_than_are_remembered_are_all_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.evidence.book._MAX_ENDS", 2)
    written = RecordBook(tmp_path / "records", KEY, ManualClock())
    for _ in range(2):
        for name in "abc":
            written.append(name, "attempt", BODY)
    for name in "abc":
        found = records(tmp_path / "records" / f"{name}.jsonl")
        assert [record.type for record in found] == ["attempt", "continued", "attempt"]
        assert chained(found)


def test_what_was_written_when_the_process_was_killed_is_there_and_verifies(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.evidence.support import BODY, book
records = book(Path(sys.argv[1]))
while True:
    print(records.append("a", "attempt", BODY).seq, flush=True)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        told += [int(line) for line in process.stdout if line.endswith("\n")]
    book(tmp_path).append("a", "attempt", BODY)
    found = records(tmp_path / "records" / "a.jsonl")
    assert chained(found)
    assert told == list(range(1, len(told) + 1))
    assert [record.type for record in found[: len(told)]] == ["attempt"] * len(told)
    assert found[-2].type == "continued"
