"""Writes the folder of ``guard eval face --out``: report.json, report.html, plots and scores.csv."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.evaluation.face_heat import Example
from guard.evaluation.face_measure import Measured
from guard.evaluation.face_page import Folder, page
from guard.evaluation.face_videos import FUSED, llr_of, videos_of
from guard.evaluation.figures import Scores
from guard.evaluation.report import write_files


@dataclass(frozen=True, slots=True)
class Done:
    """One folder, measured and reported.

    Args:
        conditions: its files under each condition.
        examples: faces with heat maps; none where no pictures are wanted.
    """

    report: Mapping[str, Any]
    conditions: Mapping[str, Sequence[Measured]]
    examples: Sequence[Example]


def write_folder(out: Path, done: Sequence[Done]) -> None:
    """Write every file; those of an earlier run are replaced.

    Raises:
        ConfigError: ``out_folder``.
    """
    files: dict[str, bytes] = {}
    folders: list[Folder] = []
    for n, own in enumerate(done, 1):
        plots = _plots(own)
        stem = f"{n}-{_plain(Path(own.report['folder']).resolve().name)}"
        files |= {f"{stem}-{name}.png": png for name, (png, _) in plots.items()}
        folders.append(Folder(own.report, list(plots.values()), own.examples))
    reports = {"v": 1, "folders": [own.report for own in done]}
    files |= {
        "report.json": (json.dumps(reports, allow_nan=False, indent=1) + "\n").encode(),
        "report.html": page(folders).encode(),
        "scores.csv": scores_csv(done).encode(),
    }
    write_files(out, files)


def scores_csv(done: Sequence[Done]) -> str:
    """Return a line a file: what it is, and each signal's llr in each condition, empty where not covered."""
    columns = list(dict.fromkeys(f"{c} {s}" for own in done for c, s in _columns(own.report)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["folder", "path", "label", "method", "video", "pair", "eye_px", "state", *columns])
    for own in done:
        found: dict[Path, dict[str, float | None]] = {}
        for condition, signal in _columns(own.report):
            llr = llr_of(signal)
            for m in own.conditions[condition]:
                found.setdefault(m.item.path, {})[f"{condition} {signal}"] = llr(m)
        for m in own.conditions["clean"]:
            item, llrs = m.item, found[m.item.path]
            label = "spoof" if item.is_spoof else "bonafide"
            eye_px = "" if m.eye_px is None else f"{m.eye_px:.1f}"
            about = [own.report["folder"], item.path.name, label, item.method, item.video, item.pair, eye_px]
            writer.writerow([*about, m.worst.value, *(_llr(llrs.get(column)) for column in columns)])
    return out.getvalue()


def _columns(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, signal) for name, own in report["conditions"].items() for signal in own["signals"]]


def _llr(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _plots(own: Done) -> dict[str, tuple[bytes, str]]:
    from guard.evaluation import plots

    conditions = own.report["conditions"]
    fused: dict[str, Scores] = {c: videos_of(m, llr_of(FUSED)).scores for c, m in own.conditions.items()}
    about = {c: {**conditions[c]["signals"][FUSED], **_heading(conditions[c]["label"])} for c in fused}
    clean = own.conditions["clean"]
    signals = {name: videos_of(clean, llr_of(name)).scores for name in conditions["clean"]["signals"]}
    given = {name: s for name, s in signals.items() if name == FUSED or s.covered.any()}
    by_label = {conditions[c]["label"]: scores for c, scores in fused.items()}
    return {
        "roc": (plots.roc(by_label), "ROC of the fused llr by condition"),
        "roc-signals": (plots.roc(given), "ROC of each signal that scored anything, clean"),
        "det": (plots.det(fused, about), "DET curves of the fused llr by condition"),
        "scores": (plots.histograms(fused, about), "fused llr of genuine and spoof videos by condition"),
        "scores-signals": (
            plots.histograms(given, {name: _heading(name) for name in given}),
            "llr of genuine and spoof videos by signal, clean",
        ),
    }


def _heading(label: str) -> dict[str, str]:
    return {"label": label, "group": "codec"}


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name) or "folder"
