"""The report of a session: in three languages, nothing in it runs, and what does not verify is said first."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guard.app.evidence_report import make_report
from guard.cli import app
from guard.clock import ManualClock
from guard.errors import GuardError, RecordError
from guard.evidence.book import RecordBook
from guard.evidence.keys import PUBLIC_NAME, load_signing_key
from guard.policy.texts import LANGUAGES, load_texts
from tests.evidence.support import KEY

TEXTS = load_texts()
KEYS = {KEY.id: KEY.public}
ATTEMPT: dict[str, Any] = {
    "attempt": 1,
    "result": "fail",
    "reason": "not_answered",
    "participant": "customer",
    "by": "policy",
    "client": {"level": "suspicious", "reasons": ["client_files_changed"]},
    "commands": [
        {
            "gesture": "turn_left",
            "words": [],
            "shown_after_s": [0.05],
            "onset_s": 0.8,
            "answer": "matched",
            "reason": None,
            "llr": -2.1,
        },
        {
            "gesture": "say_words",
            "words": ["<b>алма</b>", "үй"],
            "shown_after_s": [None],
            "onset_s": None,
            "answer": None,
            "reason": "a_newer_code",
            "llr": None,
        },
    ],
}


def written(folder: Path, body: dict[str, Any] = ATTEMPT) -> Path:
    book = RecordBook(folder, KEY, ManualClock())
    book.append("a", "challenge_begun", {"kind": "visual", "text": "<script>alert(1)</script>"})
    book.append("a", "challenge_attempt", body)
    book.append("a", "closed", {})
    return folder / "a.jsonl"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not {"src", "href", "onload"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_is_well_formed_and_runs_nothing(tmp_path: Path, language: str) -> None:
    report = make_report(written(tmp_path), KEYS, TEXTS, language)
    assert report.ok
    tags = Tags()
    tags.feed(report.html)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "&lt;script&gt;" in report.html
    assert f'<html lang="{language}">' in report.html
    for key in ("report.verified", "report.closed", "reason.not_answered", "command.turn_left"):
        assert TEXTS.get(key, language) in report.html
    assert TEXTS.get("reason.client_files_changed", language) in report.html
    assert "<code>a_newer_code</code>" in report.html
    assert "&lt;b&gt;алма&lt;/b&gt;, үй" in report.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_check_of_a_training_call_is_called_so(tmp_path: Path, language: str) -> None:
    label = TEXTS.get("drill.prefix", language)
    assert label not in make_report(written(tmp_path / "real"), KEYS, TEXTS, language).html
    drill = make_report(written(tmp_path / "drill", {**ATTEMPT, "drill": True}), KEYS, TEXTS, language)
    assert f"<h2>{label} {TEXTS.get('report.attempt', language)} 1: " in drill.html


def test_what_does_not_verify_is_said_first_and_at_its_place(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"result":"fail"', b'"result":"pass"'))
    report = make_report(path, KEYS, TEXTS, "en")
    assert not report.ok
    said = report.html.index(TEXTS.get("report.not_verified", "en"))
    attempt = report.html.index(f"1: {TEXTS.get('report.result.pass', 'en')}")
    assert said < attempt < report.html.index(TEXTS.get("report.bad_record", "en"), attempt)
    assert TEXTS.get("report.verified", "en") not in report.html


@pytest.mark.parametrize("content", [b"", b"\xff\n", b'{"v":1}\n'])
def test_a_file_without_records_is_a_report_that_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    report = make_report(path, KEYS, TEXTS, "ru")
    assert not report.ok
    assert TEXTS.get("report.not_verified", "ru") in report.html


@pytest.mark.parametrize(
    "body", [{}, {"commands": "x", "client": [1]}, {"commands": [1, {}], "attempt": None}]
)
def test_records_of_another_shape_are_shown_and_do_not_stop_it(tmp_path: Path, body: dict[str, Any]) -> None:
    assert make_report(written(tmp_path, body), KEYS, TEXTS, "kk").ok


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        make_report(tmp_path / "nowhere", KEYS, TEXTS, "en")
    assert caught.value.code == "record_unreadable"


def test_the_command_writes_a_page_and_gives_1_where_something_does_not_verify(tmp_path: Path) -> None:
    key = load_signing_key(tmp_path)
    RecordBook(tmp_path / "r", key, ManualClock()).append("a", "challenge_attempt", ATTEMPT)
    file = tmp_path / "r" / "a.jsonl"
    words = ["evidence", "report", str(file), "--key", str(tmp_path / PUBLIC_NAME), "--language", "kk"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert re.match(r'<!doctype html>\n<html lang="kk">', done.stdout)
    out = tmp_path / "page.html"
    assert CliRunner().invoke(app, [*words, "--out", str(out)]).exit_code == 0
    assert out.read_text(encoding="utf-8") == done.stdout
    file.write_bytes(file.read_bytes().replace(b"policy", b"agents"))
    assert CliRunner().invoke(app, words).exit_code == 1
    failed = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "nowhere" / "x.html")])
    assert isinstance(failed.exception, GuardError)
