"""Writes the folder of ``guard eval voice --out``: report.json, report.html, det.png, scores.csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from guard.errors import ConfigError
from guard.evaluation.clips import Clip
from guard.evaluation.figures import Scores
from guard.evaluation.page import page


def prepare_folder(folder: Path) -> None:
    """Make the folder and see that pictures can be drawn, before anything is measured.

    Raises:
        ConfigError: ``plots_missing``, ``out_folder``.
    """
    from guard.evaluation import plots  # raises plots_missing

    del plots
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            "out_folder", f"{folder} cannot be written ({error.strerror}); name another with --out"
        ) from error


def write_folder(
    folder: Path, report: Mapping[str, Any], clips: Sequence[Clip], results: Mapping[str, Scores]
) -> None:
    """Write the four files; those of an earlier run are replaced.

    Raises:
        ConfigError: ``out_folder``.
    """
    from guard.evaluation import plots

    det = plots.det(results, report["conditions"])
    pictures = {
        "det": det,
        "histograms": plots.histograms(results, report["conditions"]),
        "alarms": plots.alarms(report["false_alarms"]),
    }
    files = {
        "report.json": (json.dumps(report, allow_nan=False, indent=1) + "\n").encode(),
        "report.html": page(report, pictures).encode(),
        "det.png": det,
        "scores.csv": scores_csv(clips, results).encode(),
    }
    write_files(folder, files)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder; those of the same names are replaced.

    Raises:
        ConfigError: ``out_folder``.
    """
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ConfigError(
            "out_folder", f"{folder} cannot be written ({error.strerror}); name another with --out"
        ) from error


def scores_csv(clips: Sequence[Clip], results: Mapping[str, Scores]) -> str:
    """Return a line a clip: what it is, and its mean llr in each condition, empty where not covered."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", "label", "system", "unit", "language", "speech_s", *results])
    for n, clip in enumerate(clips):
        item = clip.item
        llr = [f"{s.llr[n]:.4f}" if s.covered[n] else "" for s in results.values()]
        label = "spoof" if item.is_spoof else "bonafide"
        about = [item.path.name, label, item.system, item.unit, item.language, f"{clip.speech_s:.2f}"]
        writer.writerow([*about, *llr])
    return out.getvalue()
