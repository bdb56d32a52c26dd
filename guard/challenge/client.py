"""What a page says of itself, graded for the record: its files, its camera, how fast its screen answered.

None of it is proven. A page, or a program in its place, can name the right files while it runs others, call
any camera a built-in one, and say ``shown`` whenever it likes. So nothing here speaks for a bona fide person,
the llr is small and bounded, and nothing here decides alone. What it is worth: an attacker who did not think
of it, or whose tools cannot hide it, leaves a trace; an expert later sees what was claimed beside what was
seen. Of the answer times guard measures both ends itself (a command was sent, the word came); they too can be
made longer at will, and shorter by saying ``shown`` without showing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

LIMIT_LLR = 0.6
"""Most that a page's account of its files and screen can add: too little for any state by itself."""

# between sending a command and the word that it is on a screen lie two processes, a network, the event loop
# of a browser and a frame of that screen
FASTEST_SHOWN_S = 0.001
# a page on a poor mobile link needs a second or two; after this, something holds it up
SLOWEST_SHOWN_S = 3.0

NO_CLIENT = "client_silent"
NO_DEVICE = "no_device_report"
OTHER_VERSION = "client_version_other"
FILES_CHANGED = "client_files_changed"
FILES_UNNAMED = "client_files_unnamed"
SHOWN_TOO_FAST = "shown_too_fast"
SHOWN_TOO_SLOW = "shown_too_slow"
SHOWN_MISSING = "shown_missing"
AUTOMATED = "client_automated"
CAMERA_SOFTWARE = "camera_software"
CAMERA_UNUSUAL = "camera_unusual"
CAMERA_SIZE = "camera_size_other"
CAMERA_TOO_FAST = "camera_too_fast"


class ClientLevel(StrEnum):
    """How much a page's account of itself stands out."""

    PLAIN = "plain"
    UNUSUAL = "unusual"
    SUSPICIOUS = "suspicious"


# llr of each reason, and whether it makes the finding suspicious; judgements, not measurements. What the
# camera's report says has no llr here: it is the signal ``virtual_camera`` already, and counts once.
_WEIGHTS: Mapping[str, tuple[float, bool]] = MappingProxyType(
    {
        NO_CLIENT: (0.1, False),
        NO_DEVICE: (0.0, False),
        OTHER_VERSION: (0.1, False),
        FILES_CHANGED: (0.5, True),
        FILES_UNNAMED: (0.2, False),
        SHOWN_TOO_FAST: (0.3, True),
        SHOWN_TOO_SLOW: (0.0, False),
        SHOWN_MISSING: (0.1, False),
        AUTOMATED: (0.0, True),
        CAMERA_SOFTWARE: (0.0, True),
        CAMERA_UNUSUAL: (0.0, False),
        CAMERA_SIZE: (0.0, False),
        CAMERA_TOO_FAST: (0.0, False),
    }
)

CLUE_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "kind_virtual": CAMERA_SOFTWARE,
        "kind_test": CAMERA_SOFTWARE,
        "kind_effects": CAMERA_UNUSUAL,
        "kind_bridge": CAMERA_UNUSUAL,
        "kind_capture": CAMERA_UNUSUAL,
        "kind_hidden": CAMERA_UNUSUAL,
        "no_id": CAMERA_UNUSUAL,
        "automated": AUTOMATED,
        "other_size": CAMERA_SIZE,
        "quick_start": CAMERA_TOO_FAST,
        "quick_resize": CAMERA_TOO_FAST,
    }
)
"""The reason for each clue that ``guard.detectors.virtual_camera.graded`` finds in a device report."""


@dataclass(frozen=True, slots=True)
class Client:
    """What a page says that it is made of.

    Args:
        version: of the page.
        files: SHA-256 in hex by the path on the server, of the files that it loaded.
    """

    version: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClientFinding:
    """What a page's account of itself comes to.

    Args:
        level: how much it stands out.
        reasons: codes listed in docs/reasons.md, in a fixed order.
        llr: natural log-likelihood ratio in [0, LIMIT_LLR], positive = spoof; without the camera's part.
        details: counts and seconds for the record.
    """

    level: ClientLevel
    reasons: tuple[str, ...]
    llr: float
    details: Mapping[str, float] = field(default_factory=dict)


def grade(
    client: Client | None,
    clues: Sequence[str] | None,
    *,
    expected: Client,
    responses: Sequence[float | None],
) -> ClientFinding:
    """Grade a page's account of itself.

    Args:
        client: what it says that it is made of; None where it said nothing.
        clues: codes that ``guard.detectors.virtual_camera.graded`` found in its last device report; None
            where there was no report.
        expected: what this server hands out (``guard.evidence.client_files``).
        responses: seconds from sending each step of a command to the page's ``shown``; None where it never
            came.

    Raises:
        ValueError: a clue is not one of ``CLUE_REASONS``.
    """
    if unknown := set(clues or ()) - CLUE_REASONS.keys():
        raise ValueError(f"unknown clues {sorted(unknown)}")
    files_found, details = _files(client, expected)
    shown_found, times = _shown(responses)
    found = {*files_found, *shown_found, *(CLUE_REASONS[clue] for clue in clues or ())}
    if clues is None:
        found.add(NO_DEVICE)
    reasons = tuple(reason for reason in _WEIGHTS if reason in found)
    return ClientFinding(
        level=_level(reasons),
        reasons=reasons,
        llr=min(LIMIT_LLR, math.fsum(_WEIGHTS[reason][0] for reason in reasons)),
        details={**details, **times},
    )


def _level(reasons: Sequence[str]) -> ClientLevel:
    if any(_WEIGHTS[reason][1] for reason in reasons):
        return ClientLevel.SUSPICIOUS
    return ClientLevel.UNUSUAL if reasons else ClientLevel.PLAIN


def _files(client: Client | None, expected: Client) -> tuple[set[str], dict[str, float]]:
    """Compare the files that a page names with those it was given."""
    if client is None:
        return {NO_CLIENT}, {}
    found = set()
    if client.version != expected.version:
        found.add(OTHER_VERSION)
    changed = sum(expected.files.get(path) != digest for path, digest in client.files.items())
    # every module is loaded by every page; a style sheet or a language's texts need not be
    unnamed = sum(path.endswith(".js") and path not in client.files for path in expected.files)
    if changed:
        found.add(FILES_CHANGED)
    if unnamed:
        found.add(FILES_UNNAMED)
    return found, {"files": len(client.files), "files_changed": changed, "files_unnamed": unnamed}


def _shown(responses: Sequence[float | None]) -> tuple[set[str], dict[str, float]]:
    """Look at how long the screen took; a page that misses a single step is no exception."""
    times = sorted(time for time in responses if time is not None and math.isfinite(time))
    missing = len(responses) - len(times)
    found = set()
    if 2 * missing > len(responses):
        found.add(SHOWN_MISSING)
    details: dict[str, float] = {"steps": len(responses), "steps_not_shown": missing}
    if times:
        middle = times[len(times) // 2]
        details |= {"shown_least_s": times[0], "shown_median_s": middle, "shown_most_s": times[-1]}
        if times[0] < FASTEST_SHOWN_S:
            found.add(SHOWN_TOO_FAST)
        if middle > SLOWEST_SHOWN_S:
            found.add(SHOWN_TOO_SLOW)
    return found, details
