"""An expert without guard can check records: the steps of docs/records.md are run as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guard.clock import ManualClock
from guard.evidence.book import RecordBook
from guard.evidence.keys import PUBLIC_NAME, load_signing_key
from tests.evidence.support import BODY

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "records.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as the expert has it: the records, the public key and the program of the page."""
    data = tmp_path / "data"
    data.mkdir()
    key = load_signing_key(data)
    book = RecordBook(tmp_path, key, ManualClock())
    texts = ['"quoted" \\ and\nnew line', "\u2028\u007f\U0001f600"]
    for number in (1 / 3, 1e-4, 2.0, -7, 12345678.9012):
        book.append("session", "attempt", {**BODY, "number": number, "texts": texts})
    book.append("session", "closed", {})
    (data / PUBLIC_NAME).rename(tmp_path / PUBLIC_NAME)
    program = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert program is not None
    (tmp_path / "check.py").write_text(program[1])
    return tmp_path


def python(folder: Path) -> subprocess.CompletedProcess[str]:
    # -I: neither this folder nor an installed guard's paths of the environment
    command = [sys.executable, "-I", "check.py", PUBLIC_NAME, "session.jsonl"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_program_of_the_page_verifies_good_records_and_does_not_use_guard(folder: Path) -> None:
    assert "guard" not in re.sub("#.*|as guard writes", "", (folder / "check.py").read_text())
    done = python(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("6 lines verify; last: closed ")


@pytest.mark.parametrize("how", ["changed", "removed", "moved", "cut"])
def test_the_program_of_the_page_finds_what_was_done(folder: Path, how: str) -> None:
    path = folder / "session.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "changed":
        lines[5] = lines[5].replace(b'"body":{}', b'"body":{"a":1}')
    elif how == "removed":
        del lines[2]
    elif how == "moved":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[5] = lines[5][:-2]
    path.write_bytes(b"".join(lines))
    assert python(folder).returncode != 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_steps_with_openssl_verify_a_line_and_give_the_id_of_the_key(folder: Path) -> None:
    steps = re.search(r"((?:    .*\n)+)\nThe key's id: `(.*?)`", PAGE)
    assert steps is not None
    script = "set -e\n" + re.sub("^    ", "", steps[1], flags=re.MULTILINE)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully"), done.stderr
    key = subprocess.run(["bash", "-c", steps[2]], cwd=folder, capture_output=True, text=True, check=True)
    assert f'"key":"{key.stdout.strip()}"' in (folder / "session.jsonl").read_text()

    path = folder / "session.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"attempt":1', b'"attempt":2'))
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
