"""Virtual camera: does the browser's own account of its camera look like software or a file?

The only signal that reads no picture. A call page reports, about its own camera, what kind its name
stands for, sizes and rates asked for and got, and how fast it answered (``guard/web/js/device.js``). Each
clue adds a fixed llr of the table ``CLUES``; they are judgements, not measurements, and advisory: people
use virtual backgrounds honestly, and a client may say anything. So a report can speak for spoof a little
and never for bona fide: one without a clue abstains. docs/face-signals/virtual_camera.md.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from guard.types import Abstain, FaceWindow, Finding, FloatArray, Signal, TrackKey, Window

# all clues of one report together
LIMIT_LLR = 1.0
# A report is one observation however many windows repeat it; fusion makes repeated windows of a call worth
# up to twice one (1 / call_share, guard.fusion.config.FACE), so each window carries half of it.
REPEATS = 2.0
MAX_PARTICIPANTS = 4096
# a camera has to be started and expose its first picture; none was seen to do both in less
_QUICK_START_MS = 40.0
# a sensor that changes its format stops and starts again; what only rescales answers at once
_QUICK_RESIZE_MS = 45.0
# of the longer side reported; browsers round sizes to even numbers
_SIZE_TOLERANCE = 0.05


class CameraKind(StrEnum):
    """What a camera's name stands for; the page decides it and the name stays there."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"
    EFFECTS = "effects"
    BRIDGE = "bridge"
    CAPTURE = "capture"
    TEST = "test"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Format:
    """Size and rate of a picture stream; None where the browser does not say."""

    width: int | None
    height: int | None
    rate_hz: float | None


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What a page says of its camera (docs/signalling.md, message ``device``).

    Args:
        kind: what the camera's name stands for.
        automated: the browser says that a program drives it (``navigator.webdriver``).
        has_id: whether the browser gives the camera an id, as it does for every device it opened.
        reported: what the browser's settings say that it delivers.
        actual: what arrived.
        first_picture_ms: from asking for the camera to its first picture, the person's answer included;
            None where none came.
        resize_ms: how long the browser took to take another size; None where it took none.
    """

    kind: CameraKind
    automated: bool
    has_id: bool
    reported: Format
    actual: Format
    first_picture_ms: float | None
    resize_ms: float | None


@dataclass(frozen=True, slots=True)
class Clue:
    """One line of the table: a name for it, what it adds, and when it is there."""

    code: str
    llr: float
    holds: Callable[[DeviceReport], bool]


def _is(kind: CameraKind) -> Callable[[DeviceReport], bool]:
    return lambda report: report.kind is kind


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


def other_size(report: DeviceReport) -> bool:
    """Tell whether another size arrived than the browser reports, turning the picture aside."""
    reported, actual = report.reported, report.actual
    if None in (reported.width, reported.height, actual.width, actual.height):
        return False
    said = sorted((int(reported.width or 0), int(reported.height or 0)))
    got = sorted((int(actual.width or 0), int(actual.height or 0)))
    return any(abs(a - b) > _SIZE_TOLERANCE * max(said) for a, b in zip(said, got, strict=True))


CLUES: tuple[Clue, ...] = (
    Clue("kind_virtual", 0.8, _is(CameraKind.VIRTUAL)),
    Clue("kind_test", 1.0, _is(CameraKind.TEST)),
    Clue("kind_effects", 0.3, _is(CameraKind.EFFECTS)),
    Clue("kind_bridge", 0.2, _is(CameraKind.BRIDGE)),
    Clue("kind_capture", 0.2, _is(CameraKind.CAPTURE)),
    Clue("kind_hidden", 0.1, _is(CameraKind.HIDDEN)),
    Clue("automated", 0.5, lambda report: report.automated),
    Clue("no_id", 0.1, lambda report: not report.has_id),
    Clue("other_size", 0.2, other_size),
    Clue("quick_start", 0.2, lambda report: _below(report.first_picture_ms, _QUICK_START_MS)),
    Clue("quick_resize", 0.1, lambda report: _below(report.resize_ms, _QUICK_RESIZE_MS)),
)


def graded(report: DeviceReport) -> tuple[float, tuple[str, ...]]:
    """Return the llr of a whole report, in [0, LIMIT_LLR], and the codes of the clues it rests on."""
    found = [clue for clue in CLUES if clue.holds(report)]
    return min(LIMIT_LLR, sum(clue.llr for clue in found)), tuple(clue.code for clue in found)


def read_report(message: Mapping[str, Any]) -> DeviceReport:
    """Return the report of a message of the relay process, which has checked what the page sent.

    Raises:
        KeyError: a key is missing.
        ValueError: a value is none that a page may send.
    """
    return DeviceReport(
        kind=CameraKind(message["kind"]),
        automated=bool(message["automated"]),
        has_id=bool(message["has_id"]),
        reported=_format(message["reported"]),
        actual=_format(message["actual"]),
        first_picture_ms=_number(message["first_picture_ms"]),
        resize_ms=_number(message["resize_ms"]),
    )


class VirtualCamera:
    """Scores what pages say of their cameras; a ``types.Detector`` that remembers the newest report."""

    def __init__(self) -> None:
        self._reports: OrderedDict[tuple[str, str], DeviceReport] = OrderedDict()

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.VIRTUAL_CAMERA

    @property
    def participants(self) -> int:
        """Participants of whom a report is kept."""
        return len(self._reports)

    def report(self, session: str, participant: str, report: DeviceReport) -> None:
        """Take the newest report of a participant's page; of too many people the oldest goes."""
        self._reports[session, participant] = report
        self._reports.move_to_end((session, participant))
        while len(self._reports) > MAX_PARTICIPANTS:
            self._reports.popitem(last=False)

    def lend(self, session: str, participant: str, name: str) -> None:
        """Judge ``name`` by the report of the participant's page, where there is one."""
        report = self._reports.get((session, participant))
        if report is not None:
            self.report(session, name, report)

    def withdraw(self, session: str, participant: str) -> None:
        """Drop the report of a participant's page."""
        self._reports.pop((session, participant), None)

    def declines(self, key: TrackKey) -> str | None:
        """Return why no window of the track is scored: there is no report, or nothing in it."""
        found = self._graded(key)
        return found.reason if isinstance(found, Abstain) else None

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the window's share of the report's llr as float32 (1,), or why there is none."""
        if not isinstance(window, FaceWindow):
            return Abstain("wrong_window")
        found = self._graded(window.key)
        return found if isinstance(found, Abstain) else np.array([found / REPEATS], np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return what ``prepare`` found in the report, float32 (B, 1); the pictures are not looked at."""
        del windows
        return [Finding(llr) for llr in batch[:, 0].tolist()]

    def forget(self, session: str, participant: str) -> None:
        """Drop what the participant's page said: it says it again within seconds of coming back."""
        self._reports.pop((session, participant), None)

    def _graded(self, key: TrackKey) -> float | Abstain:
        report = self._reports.get((key.session, key.participant))
        if report is None:
            return Abstain("no_device_report")
        llr, _ = graded(report)
        return llr if llr > 0 else Abstain("device_plain")


def _format(table: Mapping[str, Any]) -> Format:
    width, height = (_number(table[side]) for side in ("width", "height"))
    return Format(
        width=None if width is None else round(width),
        height=None if height is None else round(height),
        rate_hz=_number(table["rate_hz"]),
    )


def _number(value: Any) -> float | None:
    """Return a finite number that is not negative, or None for None."""
    if value is None:
        return None
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{number} is no size, rate or time")
    return number
