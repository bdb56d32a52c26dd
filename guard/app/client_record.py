"""What a page said of itself, as it stands in the record of an attempt: claims, and a grade of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from guard import __version__
from guard.app.check_ports import ClientClaim
from guard.challenge.client import Client, grade
from guard.detectors.virtual_camera import graded, read_report
from guard.evidence.canonical import canonical
from guard.evidence.client_files import client_files
from guard.resources import web_dir
from guard.signalling.check_messages import ClientMessage
from guard.signalling.messages import DeviceMessage

LIMIT_LLR = 1.0
"""Most that everything a page says of itself weighs in a check: under half of one answered command."""


class ClientRecords:
    """Grades claims for the record.

    Args:
        expected: version and files of the page that this server hands out.
    """

    def __init__(self, expected: Client) -> None:
        self._expected = expected

    def __call__(self, claim: ClientClaim, responses: Sequence[float | None]) -> dict[str, Any]:
        """Return ``client`` of a record (docs/records.md).

        Args:
            claim: what the page said.
            responses: seconds from sending each step to the page's ``shown``; None where it never came.
        """
        client = None if claim.client is None else Client(claim.client.version, claim.client.files)
        report = None if claim.device is None else _report(claim.device)
        device_llr, clues = (None, None) if report is None else graded(read_report(report))
        found = grade(client, clues, expected=self._expected, responses=responses)
        return {
            "level": found.level.value,
            "reasons": list(found.reasons),
            "llr": found.llr,
            "details": found.details,
            "served": {"version": self._expected.version, "files_sha256": _digest(self._expected.files)},
            "claimed": None if claim.client is None else self._claimed(claim.client),
            "device": report,
            "device_llr": device_llr,
            "weighs_llr": min(LIMIT_LLR, found.llr + (device_llr or 0.0)),
        }

    def _claimed(self, client: ClientMessage) -> dict[str, Any]:
        served = self._expected.files
        other = {path: digest for path, digest in client.files.items() if served.get(path) != digest}
        return {"version": client.version, "files_sha256": _digest(client.files), "other_files": other}


def shipped_client() -> Client:
    """Return version and files of the page that guard ships.

    Raises:
        ConfigError: ``page_incomplete``.
    """
    return Client(__version__, client_files(web_dir()))


def _report(device: DeviceMessage) -> dict[str, Any]:
    return device.model_dump(exclude={"v", "type"})


def _digest(files: Mapping[str, str]) -> str:
    """Return one SHA-256 for many: that of the canonical JSON of path -> SHA-256."""
    return hashlib.sha256(canonical(dict(files))).hexdigest()
