"""Measures the face frame detector on labelled folders: ``guard eval face FOLDER... [--json]``.

Each folder has a ``manifest.csv`` with ``path``, ``label`` (real or fake, bonafide or spoof) and
``method`` or ``system``; ``video_id`` joins pictures of one video, ``pair`` links the clip before a
swap to the one after it. Files run through the same windows and the same detector as calls.
A file the detector abstained on counts with llr 0; figures on covered videos only stand beside.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from guard.codec.files import read_file
from guard.detectors.card import load_card
from guard.detectors.face_frame import FaceFrame
from guard.errors import ConfigError, MediaError
from guard.evaluation.manifest import LABELS, read_lines
from guard.evaluation.metrics import Interval, Metric, auc, bootstrap, eer, tpr_at_fa
from guard.resources import models_dir
from guard.types import Abstain, Detector, FaceWindow, Finding, Kind, TrackKey, VideoFrame, WindowSkip
from guard.windows.face_models import FaceModels, load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_MIN_VIDEOS = 5
_KEY = TrackKey("eval", "file", Kind.VIDEO)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest; ``video`` and ``pair`` are empty where the manifest names none."""

    path: Path
    is_spoof: bool
    method: str
    video: str
    pair: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What the detector made of one file.

    Args:
        llr: mean over the looks at its face; None where it abstained throughout.
        looks: looks at a picture of the file, with or without a face.
        scored: faces scored.
        reasons: why the other looks gave no score, with counts.
        cpu_s: process seconds the detector itself took.
    """

    item: Item
    llr: float | None
    looks: int
    scored: int
    reasons: Counter[str]
    cpu_s: float


def run(folders: Sequence[Path], as_json: bool) -> int:
    """Measure every folder and print one report each; return 1 where a file could not be read.

    Raises:
        ConfigError: a folder has no usable manifest.
        ModelError: a model cannot be loaded.
    """
    finder = load_face_models(models_dir())
    card = load_card(models_dir() / "face_frame")
    detector = FaceFrame.from_card(card)
    failed = 0
    for folder in folders:
        measured, errors = measure(read_manifest(folder), finder, detector)
        failed += len(errors)
        report = {"v": 1, "folder": str(folder), "models": {card.name: card.sha256}, **report_of(measured)}
        report["errors"] = errors
        if as_json:
            sys.stdout.write(json.dumps(report, allow_nan=False) + "\n")
        else:
            _print(report)
    return 1 if failed else 0


def read_manifest(folder: Path) -> list[Item]:
    """Return the lines of ``folder/manifest.csv``.

    Raises:
        ConfigError: ``manifest_missing`` or ``manifest_invalid``.
    """
    return read_lines(folder, _item, "path, label (real or fake) and method or system")


def measure(
    items: Iterable[Item], finder: FaceModels, detector: Detector
) -> tuple[list[Measured], list[dict[str, str]]]:
    """Score every file; unreadable ones are returned as errors, the rest goes on."""
    measured: list[Measured] = []
    errors: list[dict[str, str]] = []
    for item in items:
        try:
            measured.append(measure_file(item, finder, detector))
        except MediaError as error:
            errors.append({"path": str(item.path), "code": error.code, "message": error.message})
    return measured, errors


def measure_file(item: Item, finder: FaceModels, detector: Detector) -> Measured:
    """Score one picture or video as a call would; several faces: the highest mean llr counts.

    A face seen less than half as often as the one seen most does not count.

    Raises:
        MediaError: the file cannot be read.
    """
    stage = FaceWindows(_KEY, FaceWindowConfig(), finder)
    reasons: Counter[str] = Counter()
    scores: dict[int, list[float]] = {}
    looks, cpu_s = 0, 0.0
    for frame in _frames(item.path):
        seen = stage.push(frame)
        looks += bool(seen)
        for window in seen:
            started = time.process_time()
            found = _judge(window, detector)
            if isinstance(found, Abstain):
                reasons[found.reason] += 1
                continue
            cpu_s += time.process_time() - started
            scores.setdefault(window.face or 0, []).append(found.llr)
    most = max((len(s) for s in scores.values()), default=0)
    means = [float(np.mean(s)) for s in scores.values() if 2 * len(s) >= most]
    scored = sum(len(s) for s in scores.values())
    return Measured(item, max(means) if means else None, looks, scored, reasons, cpu_s)


def _judge(window: FaceWindow | WindowSkip, detector: Detector) -> Finding | Abstain:
    if isinstance(window, WindowSkip):
        return Abstain(window.reason)
    row = detector.prepare(window)
    return row if isinstance(row, Abstain) else detector.score(row[None], [window])[0]


def report_of(measured: Sequence[Measured]) -> dict[str, Any]:
    """Return the figures of one folder; see docs/face.md for what each means.

    Raises:
        ConfigError: one of the two classes is missing.
    """
    videos = _by_video(measured)
    if len({is_spoof for is_spoof, *_ in videos.values()}) < 2:
        raise ConfigError("manifest_invalid", "the folder needs readable files of both labels, real and fake")
    covered = {name: v for name, v in videos.items() if v[2] is not None}
    scored = sum(m.scored for m in measured)
    methods = _per_method(videos)
    large = [m["auc"] for m in methods.values() if m["videos"] >= _MIN_VIDEOS]
    reasons: Counter[str] = sum((m.reasons for m in measured), Counter())
    return {
        "files": len(measured),
        "videos": len(videos),
        "coverage": _round(len(covered) / len(videos)),
        "abstained": dict(sorted(reasons.items())),
        "faces_scored": scored,
        "cpu_ms_per_face": _round(1000 * sum(m.cpu_s for m in measured) / scored) if scored else None,
        **_figures(videos),
        "covered_only": _figures(covered) if _both(covered) else None,
        "methods": methods,
        "macro_auc": _round(float(np.mean(large))) if large else None,
        "pairs": _pairs(measured),
    }


# is_spoof, method, mean llr or None where nothing of the video was scored
_Video = tuple[bool, str, float | None]


def _item(folder: Path, row: Mapping[str, str]) -> Item:
    method = row.get("method") or row.get("system") or ""
    return Item(
        path=folder / row["path"],
        is_spoof=LABELS[row["label"]],
        method=method or row.get("source", "unnamed"),
        video=row.get("video_id", ""),
        pair=row.get("pair", ""),
    )


def _frames(path: Path) -> Iterable[VideoFrame]:
    if path.suffix.lower() not in _PICTURES:
        return (frame for frame in read_file(path) if isinstance(frame, VideoFrame))
    try:
        with Image.open(path) as picture:
            return [VideoFrame(_KEY, 0.0, np.asarray(picture.convert("RGB"), dtype=np.uint8))]
    except (OSError, Image.DecompressionBombError) as error:
        raise MediaError("file_unreadable", f"{path} cannot be read as a picture: {error}") from error


def _by_video(measured: Sequence[Measured]) -> dict[str, _Video]:
    groups: dict[str, list[Measured]] = {}
    for m in measured:
        kind = "spoof" if m.item.is_spoof else "real"
        groups.setdefault(f"{kind}/{m.item.video or m.item.path}", []).append(m)
    videos: dict[str, _Video] = {}
    for name, group in groups.items():
        scores = [m.llr for m in group if m.llr is not None]
        first = group[0].item
        videos[name] = (first.is_spoof, first.method, float(np.mean(scores)) if scores else None)
    return videos


def _both(videos: dict[str, _Video]) -> bool:
    return len({is_spoof for is_spoof, *_ in videos.values()}) == 2


def _vectors(videos: Iterable[_Video]) -> tuple[Any, Any]:
    rows = list(videos)
    return np.array([v[2] or 0.0 for v in rows], np.float64), np.array([v[0] for v in rows], np.bool_)


def _figures(videos: dict[str, _Video]) -> dict[str, Any]:
    llr, is_spoof = _vectors(videos.values())
    metrics: dict[str, Metric] = {
        "auc": auc,
        "eer": eer,
        "tpr_at_5fa": lambda s, t: tpr_at_fa(s, t, 0.05),
    }
    return {name: _as_json(bootstrap(m, llr, is_spoof, list(videos))) for name, m in metrics.items()}


def _per_method(videos: dict[str, _Video]) -> dict[str, dict[str, Any]]:
    """Return, for every forgery method, its AUC against all real videos of the folder."""
    real = [v for v in videos.values() if not v[0]]
    found: dict[str, dict[str, Any]] = {}
    for method in sorted({v[1] for v in videos.values() if v[0]}):
        own = [v for v in videos.values() if v[0] and v[1] == method]
        llr, is_spoof = _vectors([*real, *own])
        found[method] = {"videos": len(own), "auc": _round(auc(llr, is_spoof))}
    return found


def _pairs(measured: Sequence[Measured]) -> dict[str, Any] | None:
    """Return how often the clip after the swap scores above the same clip before it; ties count half."""
    real = {m.item.pair: m.llr or 0.0 for m in measured if m.item.pair and not m.item.is_spoof}
    fake = {m.item.pair: m.llr or 0.0 for m in measured if m.item.pair and m.item.is_spoof}
    gaps = np.array([fake[pair] - real[pair] for pair in sorted(real.keys() & fake.keys())])
    if not len(gaps):
        return None
    wins = float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())
    return {
        "pairs": len(gaps),
        "swap_scores_higher": _round(wins),
        "mean_gap_llr": _round(float(gaps.mean())),
    }


def _as_json(interval: Interval) -> dict[str, float]:
    return {"value": _round(interval.value), "low": _round(interval.low), "high": _round(interval.high)}


def _round(value: float) -> float:
    return round(value, 4)


def _print(report: dict[str, Any]) -> None:
    table = Table(title=f"face_frame on {report['folder']}", title_justify="left")
    table.add_column("figure")
    table.add_column("value, 95 % interval over videos")
    for name in ("files", "videos", "coverage", "faces_scored", "cpu_ms_per_face", "abstained"):
        table.add_row(name, str(report[name]))
    for name in ("auc", "eer", "tpr_at_5fa"):
        figure = report[name]
        table.add_row(name, f"{figure['value']:.3f}  [{figure['low']:.3f}, {figure['high']:.3f}]")
    table.add_row(f"macro AUC, methods of {_MIN_VIDEOS} or more videos", str(report["macro_auc"]))
    for method, row in report["methods"].items():
        table.add_row(f"AUC {method}", f"{row['auc']:.3f}  ({row['videos']} videos)")
    if report["pairs"]:
        table.add_row("pairs", str(report["pairs"]))
    console = Console(width=110)
    console.print(table)
    for error in report["errors"]:
        Console(stderr=True, soft_wrap=True).print(f"{error['path']}: {error['message']}", markup=False)
