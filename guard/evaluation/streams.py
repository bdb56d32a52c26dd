"""Recorded scores: whole calls, and what held-out windows scored, to draw calls from.

A *stream* is one call's scores. Two forms of line are read: guard's own,

    {"v": 1, "call": "a", "label": "bonafide", "length_s": 600, "scores":
     [{"signal": "voice_spoof", "start_s": 0, "end_s": 4, "llr": -0.7, "face": null}, ...]}

and the objects of ``guard analyze --json``, whose timeline knows ends only: a window of a voice
is then taken to be 4 s long, a look at a face 0.2 s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.errors import ConfigError
from guard.evaluation.manifest import LABELS
from guard.types import Kind, Score, Signal, TrackKey

NOMINAL_S = {Kind.AUDIO: 4.0, Kind.VIDEO: 0.2}
HELD_OUT = "held_out.json"
_MAX_LINE = 16 * 1024 * 1024
MAX_CALL_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Stream:
    """One recorded call of one participant.

    Args:
        call: its name.
        is_spoof: None where nobody said.
        length_s: of the call.
        scores: in the order of their ends.
        attack: what was forged in a simulated call (``guard.evaluation.calls.ATTACKS``); None in others.
    """

    call: str
    is_spoof: bool | None
    length_s: float
    scores: tuple[Score, ...]
    attack: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One source of genuine windows, or one engine, method or clip of spoofed ones.

    ``clips`` are the llr of the windows of each of its clips.
    """

    name: str
    is_spoof: bool
    clips: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a detector scored on windows it was not trained on.

    Args:
        signal: the detector's.
        model_sha256: of the model file the scores belong to.
        made_by: the command that makes them again.
        groups: at least one of each class.
        made_of: what the windows are.
    """

    signal: Signal
    model_sha256: str
    made_by: str
    groups: tuple[Group, ...]
    made_of: str = "recordings"

    def of(self, is_spoof: bool) -> tuple[Group, ...]:
        """Return the groups of one class."""
        return tuple(group for group in self.groups if group.is_spoof == is_spoof)


def read_streams(paths: Sequence[Path]) -> list[Stream]:
    """Return the calls of JSON Lines files, in their order.

    Raises:
        ConfigError: ``stream_unreadable``, ``stream_invalid`` (file, line and reason).
    """
    found: list[Stream] = []
    for path in paths:
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        found.append(_line(path, number, line))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("stream_unreadable", f"{path} cannot be read as text: {error}") from error
    return found


def read_held_out(folder: Path) -> HeldOut | None:
    """Return the held-out scores beside a model's card; None where there are none.

    Raises:
        ConfigError: ``held_out_invalid``.
    """
    path = folder / HELD_OUT
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        groups = tuple(
            Group(str(g["group"]), LABELS[g["label"]], tuple(tuple(map(_number, c)) for c in g["clips"]))
            for g in table["groups"]
        )
        made_of = str(table.get("made_of", "recordings"))
        held = HeldOut(Signal(table["signal"]), table["model_sha256"], table["made_by"], groups, made_of)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "held_out_invalid", f"{path}: {error!r}; run the recipe named in docs/decisions.md"
        ) from error
    if not held.of(True) or not held.of(False) or not all(c for g in groups for c in g.clips):
        raise ConfigError("held_out_invalid", f"{path}: both classes are needed, and a score in every clip")
    return held


def _line(path: Path, number: int, line: str) -> Stream:
    where = f"{path}, line {number}"
    if len(line) > _MAX_LINE:
        raise ConfigError("stream_invalid", f"{where}: more than {_MAX_LINE} characters; split the call")
    try:
        table = json.loads(line)
        if not isinstance(table, dict):
            raise ValueError("a call is a JSON object")
        if "error" in table:
            raise ValueError(f"the file was not analysed: {table['error']['code']}; leave its line out")
        return _stream(table, f"line {number}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError("stream_invalid", f"{where}: {what}") from error


def _stream(table: Mapping[str, Any], number: str) -> Stream:
    label = table.get("label")
    if label is not None and label not in LABELS:
        raise ValueError(f"label {label!r} is none of {', '.join(LABELS)}")
    call = str(table.get("call") or table.get("path") or number)
    if "scores" in table:
        scores = [_score(row) for row in table["scores"]]
    else:
        scores = [_point(row) for row in table["timeline"]]
    scores.sort(key=lambda s: (s.end_s, s.signal))
    length_s = _number(table.get("length_s", table.get("duration_s", scores[-1].end_s if scores else 0.0)))
    if not 0 <= length_s <= MAX_CALL_S:
        raise ValueError(f"a call of {length_s:g} s; it has 0 to {MAX_CALL_S:g}")
    if scores and length_s < scores[-1].end_s - 1.0:
        raise ValueError(f"the call has {length_s} s, but a score ends at {scores[-1].end_s} s")
    return Stream(call, None if label is None else LABELS[label], length_s, tuple(scores))


def _score(row: Mapping[str, Any]) -> Score:
    signal, face = Signal(row["signal"]), row.get("face")
    if face is not None and (isinstance(face, bool) or not isinstance(face, int)):
        raise ValueError(f"face {face!r} is no whole number")
    start_s, end_s = _number(row["start_s"]), _number(row["end_s"])
    if not 0 <= start_s <= end_s:
        raise ValueError(
            f"a score from {start_s} s to {end_s} s; starts must not lie behind ends or before 0"
        )
    llr = None if row.get("llr") is None else _number(row["llr"])
    key = TrackKey("stream", "participant", signal.kind)
    return Score(key, signal, start_s, end_s, llr, row.get("reason"), face)


def _point(row: Mapping[str, Any]) -> Score:
    signal, end_s = Signal(row["signal"]), _number(row["t_s"])
    start_s = max(0.0, end_s - NOMINAL_S[signal.kind])
    face = None if signal.kind is Kind.AUDIO else 0
    return _score(
        {"signal": signal, "start_s": start_s, "end_s": end_s, "llr": _number(row["llr"]), "face": face}
    )


def _number(value: object) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number beyond what a float holds
        raise ValueError("a number of more than 308 digits is no finite number here") from None
    raise ValueError(f"{value!r} is no finite number")
