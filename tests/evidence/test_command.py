"""``guard evidence verify`` as an operator or an expert meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from guard.cli import app
from guard.clock import ManualClock
from guard.errors import GuardError
from guard.evidence.book import RecordBook
from guard.evidence.keys import PUBLIC_NAME, load_signing_key
from guard.evidence.verify import WORDS, Fault
from tests.evidence.support import BODY

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with the records of two sessions, one of them ended, and a configuration."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "guard.toml").write_text(f"[server]\ndata_dir = {json.dumps(str(data))}\n")
    book = RecordBook(data / "records", load_signing_key(data), ManualClock())
    for session in ("a", "b"):
        book.append(session, "attempt", BODY)
        book.append(session, "attempt", BODY)
    book.append("a", "closed", {})
    return tmp_path


def guard(folder: Path, *words: str, text: str | None = None) -> Result:
    command = ["evidence", *words, "--config", str(folder / "guard.toml")]
    return CliRunner().invoke(app, command, input=text, catch_exceptions=True)


def found(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_good_records_give_0_with_the_key_of_the_data_folder(folder: Path) -> None:
    result = guard(folder, "verify", "--json", str(folder / "data" / "records"))
    assert result.exit_code == 0
    first, second = found(result)
    assert (first["session"], first["records"], first["closed"], first["ok"]) == ("a", 3, True, True)
    assert (second["session"], second["closed"], second["problems"]) == ("b", False, [])


def test_a_changed_record_gives_1_with_line_and_reason(folder: Path) -> None:
    path = folder / "data" / "records" / "a.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"result":"fail"', b'"result":"pass"', 1))
    key = str(folder / "data" / PUBLIC_NAME)
    result = guard(folder, "verify", "--json", "--key", key, str(path))
    assert result.exit_code == 1
    (told,) = found(result)
    assert told["problems"] == [
        {"line": 1, "code": "signature", "message": WORDS[Fault.SIGNATURE]},
        {"line": 2, "code": "chain", "message": WORDS[Fault.CHAIN]},
    ]
    plain = guard(folder, "verify", str(path))
    assert plain.exit_code == 1
    assert "DOES NOT VERIFY" in plain.stdout
    assert "line 1: the signature does not fit" in plain.stdout


def test_closed_can_be_asked_for(folder: Path) -> None:
    records = folder / "data" / "records"
    assert guard(folder, "verify", "--closed", str(records / "a.jsonl")).exit_code == 0
    result = guard(folder, "verify", "--closed", "--json", str(records / "b.jsonl"))
    assert result.exit_code == 1
    assert "not_closed" in result.stdout


def test_a_file_that_is_not_there_gives_1_and_the_rest_goes_on(folder: Path) -> None:
    there = folder / "data" / "records" / "a.jsonl"
    result = guard(folder, "verify", "--json", str(folder / "nowhere.jsonl"), str(there))
    assert result.exit_code == 1
    missing, good = found(result)
    assert missing["error"]["code"] == "record_unreadable"  # type: ignore[index]
    assert good["ok"] is True


def test_without_a_key_it_cannot_run(folder: Path) -> None:
    (folder / "data" / PUBLIC_NAME).unlink()
    path = str(folder / "data" / "records" / "a.jsonl")
    for words in (
        ["verify", path],
        ["verify", path, "--key", path],
        ["verify", path, "--key", "nowhere.pem"],
    ):
        result = guard(folder, *words)
        assert isinstance(result.exception, GuardError)  # guard.cli.main makes exit 2 of it
        assert result.exception.code in ("key_unreadable", "key_invalid")


def test_a_pseudonym_is_read_from_standard_input(folder: Path) -> None:
    first = guard(folder, "pseudonym", text="010101300000\n")
    assert first.exit_code == 0
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.stdout)
    assert guard(folder, "pseudonym", text="010101300000").stdout == first.stdout
    assert isinstance(guard(folder, "pseudonym", text="1").exception, GuardError)


def test_every_fault_is_explained_in_the_documentation() -> None:
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    assert set(WORDS) == set(Fault)
    for fault in (*Fault, "not_closed"):
        assert f"`{fault}`" in page
