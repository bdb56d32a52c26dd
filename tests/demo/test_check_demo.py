"""The demonstration of a check: what counts as shown, and the whole of it through a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guard.clock import ManualClock
from guard.demo.check_record import CheckRecord, outcome, signed_records
from guard.evidence.book import RecordBook
from guard.evidence.keys import load_signing_key


def check(who: str, results: list[str], *, session: str = "s") -> CheckRecord:
    found = CheckRecord(who, session)
    for number, result in enumerate(results, start=1):
        found.shown.append({"attempt": number, "number": 1, "gesture": "turn_left"})
        found.attempts.append({"attempt": number, "result": result, "reason": "done", "type": "challenge"})
    found.over = {"result": results[-1], "again": False} if results else None
    return found


def records(*attempts: int, ok: bool = True) -> list[dict[str, Any]]:
    return [
        {"session": "s", "verified": {"ok": ok}, "lines": [{"type": "challenge_attempt"}] * count}
        for count in attempts
    ]


def test_a_pass_and_three_failures_with_a_record_each_are_shown() -> None:
    people = [check("customer", ["fail", "pass"]), check("attacker", ["fail"] * 3)]
    assert outcome(people, records(2, 3))[0]


@pytest.mark.parametrize(
    ("customer", "attacker", "written", "ok", "why"),
    [
        (["fail"] * 3, ["fail"] * 3, (3, 3), True, "customer"),
        ([], ["fail"] * 3, (0, 3), True, "customer"),
        (["pass"], ["fail", "pass"], (1, 2), True, "attacker"),
        (["pass"], ["fail", "inconclusive", "inconclusive"], (1, 3), True, "attacker"),
        (["pass"], ["fail"] * 3, (1, 2), True, "2 records"),
        (["pass"], ["fail"] * 3, (1, 3), False, "verify"),
    ],
)
def test_anything_less_is_not_shown(
    customer: list[str], attacker: list[str], written: tuple[int, int], ok: bool, why: str
) -> None:
    people = [check("customer", customer), check("attacker", attacker)]
    shown, reason = outcome(people, records(*written, ok=ok))
    assert not shown
    assert why in reason


def test_an_attempt_names_the_commands_that_were_on_the_screen_in_it() -> None:
    found = check("customer", ["fail", "pass"])
    found.shown.append({"attempt": 2, "number": 2, "gesture": "look_up"})
    assert [a["commands"] for a in found.as_json()["attempts"]] == [["turn_left"], ["turn_left", "look_up"]]


def test_signed_records_are_verified_where_they_lie(tmp_path: Path) -> None:
    book = RecordBook(tmp_path / "records", load_signing_key(tmp_path), ManualClock())
    for name in ("one", "two"):
        book.append(name, "challenge_attempt", {"attempt": 1})
        book.append(name, "closed", {})
    path = tmp_path / "records" / "two.jsonl"
    path.write_text(path.read_text().replace('"attempt":1', '"attempt":2'))
    one, two = signed_records(tmp_path, ["one", "two"])
    assert one["verified"]["ok"]
    assert [line["type"] for line in one["lines"]] == ["challenge_attempt", "closed"]
    assert not two["verified"]["ok"]
    assert str(tmp_path) not in json.dumps([one, two])


@pytest.mark.slow
@pytest.mark.timeout(360)
def test_the_customer_passes_and_the_attacker_fails_three_times() -> None:
    command = [sys.executable, "-m", "guard", "demo", "--profile", "kz-ardfm", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    assert done.returncode == 0, result["reason"]
    customer, attacker = result["checks"]
    assert customer["result"] == "pass"
    # an attempt that a late picture spoilt is no result and is repeated, at most once here
    results = [a["result"] for a in attacker["attempts"]]
    assert [result for result in results if result != "inconclusive"] == ["fail"] * 3
    assert len(results) <= 4
    asked = [gesture for person in result["checks"] for a in person["attempts"] for gesture in a["commands"]]
    assert len(asked) >= 6
    assert result["face_source"] == "rendered"
    assert all(entry["verified"]["ok"] and entry["verified"]["closed"] for entry in result["records"])
    assert result["duration_s"] < 300
