"""Whatever is done to a file of records afterwards shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.clock import ManualClock
from guard.errors import RecordError
from guard.evidence.book import RecordBook
from guard.evidence.verify import MAX_PROBLEMS, Fault, Verified, verify
from tests.evidence.support import BODY, KEY, OTHER_KEY, book

PUBLIC = {KEY.id: KEY.public}


def written(folder: Path, session: str = "a", number: int = 4, *, closed: bool = True) -> Path:
    records = book(folder)
    for attempt in range(number):
        records.append(session, "attempt", {**BODY, "attempt": attempt})
    if closed:
        records.append(session, "closed", {})
    return folder / "records" / f"{session}.jsonl"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return written(tmp_path_factory.mktemp("lines")).read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


def check(folder: Path, content: bytes) -> Verified:
    path = folder / "file.jsonl"
    path.write_bytes(content)
    return verify(path, PUBLIC)


def faults(found: Verified) -> dict[int, set[Fault]]:
    return {
        line: {p.fault for p in found.problems if p.line == line}
        for line in {problem.line for problem in found.problems}
    }


def test_untouched_records_verify(tmp_path: Path) -> None:
    found = verify(written(tmp_path), PUBLIC)
    assert found.ok
    assert (found.records, found.session, found.closed, found.keys) == (5, "a", True, (KEY.id,))
    assert (found.first_at, found.last_at) == ("2026-01-01T00:00:00.000Z",) * 2


@given(st.data())
def test_any_single_changed_byte_is_found_in_its_line(
    lines: list[bytes], place: Path, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(lines) - 1))
    where = data.draw(st.integers(0, len(lines[at]) - 1))
    change = data.draw(st.integers(1, 255))
    line = bytearray(lines[at])
    line[where] ^= change
    found = check(place, b"".join([*lines[:at], bytes(line), *lines[at + 1 :]]))
    assert not found.ok
    assert at + 1 in faults(found)


def test_every_byte_of_a_line_counts(lines: list[bytes], tmp_path: Path) -> None:
    for where in range(len(lines[0])):
        changed = bytearray(lines[0])
        changed[where] ^= 1 << where % 8
        assert 1 in faults(check(tmp_path, bytes(changed))), where


@given(st.data())
def test_inserted_and_removed_bytes_are_found(lines: list[bytes], place: Path, data: st.DataObject) -> None:
    content = b"".join(lines)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    changed = content[:start] + data.draw(st.binary(max_size=4)) + content[end:]
    cut_at_a_line = content.startswith(changed) and changed.endswith(b"\n")
    found = check(place, changed)
    if changed == content:
        assert found.ok
    elif cut_at_a_line:
        assert found.ok
        assert not found.closed
    else:
        assert not found.ok


@pytest.mark.parametrize("at", range(4))
def test_a_removed_line_is_found(lines: list[bytes], tmp_path: Path, at: int) -> None:
    found = check(tmp_path, b"".join(lines[:at] + lines[at + 1 :]))
    assert {Fault.SEQUENCE, Fault.CHAIN} <= faults(found)[at + 1]


@given(st.permutations(range(5)))
def test_moved_lines_are_found(lines: list[bytes], place: Path, order: list[int]) -> None:
    found = check(place, b"".join(lines[at] for at in order))
    assert found.ok == (order == list(range(5)))


@pytest.mark.parametrize("at", range(6))
def test_a_repeated_line_is_found(lines: list[bytes], tmp_path: Path, at: int) -> None:
    found = check(tmp_path, b"".join([*lines[:at], lines[2], *lines[at:]]))
    assert not found.ok


def test_a_record_of_another_session_is_found(lines: list[bytes], tmp_path: Path) -> None:
    other = written(tmp_path, "b").read_bytes().splitlines(keepends=True)
    found = check(tmp_path, lines[0] + other[1] + b"".join(lines[2:]))
    assert faults(found)[2] == {Fault.SESSION, Fault.CHAIN}


def test_a_forger_with_a_key_of_their_own_is_found(lines: list[bytes], tmp_path: Path) -> None:
    forged = RecordBook(tmp_path / "forged", OTHER_KEY, ManualClock())
    for attempt in range(4):
        forged.append("a", "attempt", {**BODY, "attempt": attempt, "result": "pass"})
    content = (tmp_path / "forged" / "a.jsonl").read_bytes()
    found = check(tmp_path, content)
    assert {problem.fault for problem in found.problems} == {Fault.KEY_UNKNOWN}
    renamed = content.replace(OTHER_KEY.id.encode(), KEY.id.encode())
    assert Fault.SIGNATURE in faults(check(tmp_path, renamed))[1]
    assert not verify(tmp_path / "file.jsonl", {KEY.id: OTHER_KEY.public}).ok


def test_a_file_cut_at_a_line_is_open_and_one_cut_within_a_line_is_torn(
    lines: list[bytes], tmp_path: Path
) -> None:
    cut = check(tmp_path, b"".join(lines[:3]))
    assert (cut.ok, cut.closed, cut.records) == (True, False, 3)
    torn = check(tmp_path, b"".join(lines)[:-1])
    assert faults(torn) == {5: {Fault.TORN}}
    assert not torn.closed


def test_records_after_the_end_are_found(tmp_path: Path) -> None:
    content = written(tmp_path).read_bytes()
    found = check(tmp_path, content + content)
    assert Fault.AFTER_CLOSED in faults(found)[6]


def test_interruptions_are_told_and_are_no_problem(tmp_path: Path) -> None:
    path = written(tmp_path, closed=False)
    with path.open("ab") as file:
        file.write(b'{"half":')
    assert faults(verify(path, PUBLIC)) == {5: {Fault.TORN}}
    book(tmp_path).append("a", "attempt", BODY)
    found = verify(path, PUBLIC)
    assert found.ok
    assert found.interrupted == ((5, "torn"),)


def test_a_change_of_keys_verifies_with_both(tmp_path: Path) -> None:
    path = written(tmp_path, closed=False)
    RecordBook(tmp_path / "records", OTHER_KEY, ManualClock()).append("a", "attempt", BODY)
    assert faults(verify(path, PUBLIC)) == {5: {Fault.KEY_UNKNOWN}, 6: {Fault.KEY_UNKNOWN}}
    found = verify(path, {**PUBLIC, OTHER_KEY.id: OTHER_KEY.public})
    assert found.ok
    assert found.keys == (KEY.id, OTHER_KEY.id)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_records_never_verify_and_never_crash(place: Path, content: bytes) -> None:
    assert not check(place, content).ok


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", Fault.EMPTY),
        (b"\n", Fault.NOT_JSON),
        (b"[" * 100_000 + b"\n", Fault.NOT_JSON),
        (b"1" * 10_000 + b"\n", Fault.NOT_JSON),
        (b'{"v":1}\n', Fault.NOT_A_RECORD),
        (b"x" * (3 << 20) + b"\n", Fault.TOO_LONG),
    ],
    ids=["empty", "feed", "deep", "long number", "other", "long"],
)
def test_hostile_lines_are_refused(tmp_path: Path, content: bytes, fault: Fault) -> None:
    assert {problem.fault for problem in check(tmp_path, content).problems} == {fault}


def test_a_line_after_one_that_is_too_long_is_still_counted(lines: list[bytes], tmp_path: Path) -> None:
    found = check(tmp_path, b"x" * (3 << 20) + b"\n" + lines[1])
    assert faults(found) == {1: {Fault.TOO_LONG}, 2: {Fault.CHAIN}}


def test_the_list_of_problems_is_bounded(tmp_path: Path) -> None:
    assert len(check(tmp_path, b"\n" * 1000).problems) == MAX_PROBLEMS


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'"v":1', b'"v":1.0'),
        lambda line: line.replace(b'"v":1', b'"v":true'),
        lambda line: line.replace(b'"seq":2', b'"seq": 2'),
        lambda line: line.replace(b'"llr":2.25', b'"llr":2.250'),
        lambda line: line.replace(b'"seen":true', b'"seen":false,"seen":true'),
        lambda line: line.replace("сегіз".encode(), b"\\u0441\\u0435\\u0433\\u0456\\u0437"),
        lambda line: line.replace(b'"llr":2.25', b'"llr":NaN'),
        lambda line: line.replace("сегіз".encode(), b"\\ud800"),
        lambda line: line[:-1] + b"\r\n",
    ],
)
def test_another_way_to_write_the_same_is_found(lines: list[bytes], tmp_path: Path, change: object) -> None:
    changed = change(lines[1])  # type: ignore[operator]
    assert changed != lines[1]
    assert 2 in faults(check(tmp_path, lines[0] + changed + b"".join(lines[2:])))


def test_the_unused_bits_of_a_signature_are_no_place_to_change_anything(
    lines: list[bytes], tmp_path: Path
) -> None:
    head, sig, tail = lines[0].partition(b'"sig":"')
    signature = tail[:86]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(signature[-1:])
    for other in range(last & ~15, (last & ~15) + 16):
        if other != last:
            changed = head + sig + signature[:-1] + alphabet[other : other + 1] + tail[86:]
            assert faults(check(tmp_path, changed))[1] == {Fault.SIGNATURE}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        verify(tmp_path / "nowhere.jsonl", PUBLIC)
    assert caught.value.code == "record_unreadable"
