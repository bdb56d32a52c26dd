"""What the tests of the records share: a key and a book in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guard.clock import ManualClock
from guard.evidence.book import RecordBook
from guard.evidence.keys import SigningKey
from guard.evidence.records import Record, read_line

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
BODY = {"attempt": 1, "result": "fail", "words": ["сегіз", "бір"], "llr": 2.25, "seen": True, "why": None}


def book(folder: Path, clock: ManualClock | None = None) -> RecordBook:
    return RecordBook(folder / "records", KEY, clock or ManualClock())


def records(path: Path) -> list[Record]:
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return [read_line(line) for line in content.split(b"\n")[:-1]]


def chained(found: list[Record]) -> bool:
    """Tell whether numbers, chain and signatures of a file's records hold."""
    before = ["0" * 64, *(record.digest() for record in found)]
    return all(
        record.seq == at + 1 and record.prev == before[at] and record.signed_by(KEY.public)
        for at, record in enumerate(found)
    )
