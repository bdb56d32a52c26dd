"""What came of the demonstration's checks: as seen on the person's screen, as told, and as signed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.app.evidence import verify_all
from guard.evidence.book import FOLDER_NAME
from guard.evidence.keys import key_id, load_public_key, public_keys


@dataclass(slots=True)
class CheckRecord:
    """One person's check, as their own screen showed it and as the operator was told.

    Args:
        participant: who.
        shown: commands in the order they came: attempt, number, gesture.
        attempts: ``challenge`` events of the session.
        over: the last ``check_over`` message.
        drawn: rendered pictures that were sent.
    """

    participant: str
    session: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    over: dict[str, Any] | None = None
    drawn: int = 0

    @property
    def result(self) -> str | None:
        """How the check ended."""
        return None if self.over is None or self.over["again"] else str(self.over["result"])

    def as_json(self) -> dict[str, Any]:
        """Return one entry of ``checks`` (docs/cli.md)."""
        attempts = [
            {
                **{key: event[key] for key in ("attempt", "result", "reason")},
                "commands": [s["gesture"] for s in self.shown if s["attempt"] == event["attempt"]],
            }
            for event in self.attempts
        ]
        return {
            "participant": self.participant,
            "session": self.session,
            "result": self.result,
            "rendered": True,
            "pictures": self.drawn,
            "attempts": attempts,
        }


def signed_records(data_dir: Path, sessions: Sequence[str]) -> list[dict[str, Any]]:
    """Return each session's records, with what verifying them said; an entry of ``records`` (docs/cli.md)."""
    keys = {key_id(key): key for key in map(load_public_key, public_keys(data_dir))}
    out = []
    for session in sessions:
        path = data_dir / FOLDER_NAME / f"{session}.jsonl"
        found = next(verify_all([path], keys))
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        verified = {**found, "path": f"records/{path.name}"}
        out.append({"session": session, "verified": verified, "lines": [json.loads(one) for one in lines]})
    return out


def outcome(checks: Sequence[CheckRecord], records: Sequence[dict[str, Any]]) -> tuple[bool, str]:
    """Return whether the demonstration showed what it must, and the plain reason."""
    customer, attacker = checks
    if customer.result != "pass":
        return False, f"the customer did not pass: {customer.result}"
    failed = [event["result"] for event in attacker.attempts].count("fail")
    if attacker.result != "fail" or failed != 3:
        return False, f"the attacker failed {failed} attempts and the check ended with {attacker.result}"
    if not all(entry["verified"]["ok"] for entry in records):
        return False, "a signed record does not verify"
    for check, entry in zip(checks, records, strict=True):
        written = [line for line in entry["lines"] if line["type"] == "challenge_attempt"]
        if len(written) != len(check.attempts):
            return False, f"{len(check.attempts)} attempts of {check.participant}, {len(written)} records"
    return True, "the customer passed, the attacker failed three times, every attempt is a signed record"
