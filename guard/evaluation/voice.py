"""Measures the voice spoof detector on labelled folders: ``guard eval voice FOLDER... [--json]``.

Each folder has a ``manifest.csv`` with ``path``, ``label`` (bonafide or spoof, real or fake), ``source`` and
``system`` or ``method``. Clips run through the same windows and the same detector as calls, once per
condition of ``channels``. A clip the detector abstained on counts with llr 0 and is no detection.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from guard.codec.files import read_file
from guard.detectors.card import load_card
from guard.detectors.voice_spoof import VoiceSpoof
from guard.errors import ConfigError, MediaError
from guard.evaluation.channels import CHANNELS, KEY, Channel
from guard.evaluation.manifest import LABELS, read_lines
from guard.evaluation.metrics import Interval, Metric, bootstrap, cllr, eer, min_cllr, min_dcf, tpr_at_fa
from guard.resources import models_dir
from guard.types import Abstain, AudioFrame, AudioWindow, Detector, FloatArray
from guard.windows.audio import AudioWindows

METRICS: dict[str, Metric] = {
    "eer": eer,
    "min_dcf": min_dcf,
    "cllr_bits": cllr,
    "cllr_min_bits": min_cllr,
    "tpr_at_5_fa": partial(tpr_at_fa, max_fa=0.05),
    "tpr_at_1_fa": partial(tpr_at_fa, max_fa=0.01),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest; ``unit`` is what the bootstrap draws: engine, or speaker or source."""

    path: Path
    is_spoof: bool
    system: str
    unit: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one condition gave: llr of every clip (0 where it abstained) and whether it was scored."""

    llr: list[float]
    covered: list[bool]


def run(folders: Sequence[Path], as_json: bool) -> int:
    """Measure the clips of all folders together and print the report; 1 where a file failed.

    Raises:
        ConfigError: a folder has no usable manifest, or one class is missing.
        ModelError: the model cannot be loaded.
    """
    items = [item for folder in folders for item in read_manifest(folder)]
    if len({item.is_spoof for item in items}) < 2:
        raise ConfigError("eval_classes", "the folders must hold both bona fide and spoof clips")
    card = load_card(models_dir() / "voice_spoof")
    detector = VoiceSpoof.from_card(card)
    clips: list[tuple[Item, FloatArray, int]] = []
    failed = 0
    for item in items:
        try:
            clips.append((item, *_samples(item.path)))
        except MediaError as error:
            failed += 1
            sys.stderr.write(f"{item.path}: {error.message}\n")
    results = {}
    for name, channel in CHANNELS.items():
        sys.stderr.write(f"{name}: {len(clips)} clips\n")
        results[name] = measure(clips, channel, detector)
    report = {
        "v": 1,
        "model": {"name": card.name, "version": card.version, "sha256": card.sha256},
        "clips": len(clips),
        "failed": failed,
        "conditions": {name: summary([c[0] for c in clips], result) for name, result in results.items()},
        "systems": systems([c[0] for c in clips], results),
    }
    if as_json:
        sys.stdout.write(json.dumps(report, allow_nan=False) + "\n")
    else:
        _show(report)
    return 1 if failed else 0


def read_manifest(folder: Path) -> list[Item]:
    """Return the clips of ``folder/manifest.csv``, in its order.

    Raises:
        ConfigError: ``manifest_missing`` or ``manifest_invalid``.
    """
    return read_lines(folder, _item, "path, label (bonafide or spoof), source")


def _item(folder: Path, row: Mapping[str, str]) -> Item:
    is_spoof = LABELS[row["label"]]
    system = row.get("system") or row.get("method") or ""
    speaker = row.get("speaker") or ""
    unit = system if is_spoof and system else speaker or row["source"]
    return Item(folder / row["path"], is_spoof, system or row["source"], unit)


def _samples(path: Path) -> tuple[FloatArray, int]:
    frames = [frame for frame in read_file(path, max_fps=None) if isinstance(frame, AudioFrame)]
    if not frames:
        raise MediaError("media_no_audio", f"{path} has no audio")
    return np.concatenate([frame.samples for frame in frames]), frames[0].rate_hz


def measure(clips: Sequence[tuple[Item, FloatArray, int]], channel: Channel, detector: Detector) -> Result:
    """Return each clip's mean llr over its windows under one condition."""
    result = Result([], [])
    for item, samples, rate_hz in clips:
        windows = AudioWindows(KEY)
        cut = [w for frame in channel(samples, rate_hz, item.path.name) for w in windows.push(frame)]
        cut += windows.flush()
        llrs = _llrs([w for w in cut if isinstance(w, AudioWindow)], detector)
        result.llr.append(float(np.mean(llrs)) if llrs else 0.0)
        result.covered.append(bool(llrs))
    return result


def _llrs(windows: Sequence[AudioWindow], detector: Detector) -> list[float]:
    """Return the llr of the windows the detector does not abstain from."""
    ready = [(window, detector.prepare(window)) for window in windows]
    asked = [(window, row) for window, row in ready if not isinstance(row, Abstain)]
    if not asked:
        return []
    found = detector.score(np.stack([row for _, row in asked]), [window for window, _ in asked])
    return [finding.llr for finding in found if not isinstance(finding, Abstain)]


def summary(items: Sequence[Item], result: Result) -> dict[str, Any]:
    """Return the figures of one condition, each with its 95 % interval, and the coverage."""
    llr = np.array(result.llr, np.float64)
    is_spoof = np.array([item.is_spoof for item in items])
    units = [item.unit for item in items]
    out: dict[str, Any] = {"coverage": float(np.mean(result.covered))}
    for name, metric in METRICS.items():
        out[name] = _as_json(bootstrap(metric, llr, is_spoof, units, rounds=400))
    return out


def systems(items: Sequence[Item], results: dict[str, Result]) -> dict[str, Any]:
    """Return clips, mean llr and share above llr 0 of each engine, or of genuine speech, by condition."""
    out: dict[str, Any] = {}
    names = np.array([item.system for item in items])
    for name in sorted(set(names.tolist())):
        rows = np.flatnonzero(names == name)
        llr = {c: np.array(r.llr)[rows] for c, r in results.items()}
        out[name] = {
            "clips": len(rows),
            "is_spoof": items[int(rows[0])].is_spoof,
            "mean_llr": {c: float(x.mean()) for c, x in llr.items()},
            "above_0": {c: float((x > 0).mean()) for c, x in llr.items()},
        }
    return out


def _as_json(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _show(report: dict[str, Any]) -> None:
    console, conditions = Console(width=120), report["conditions"]
    table = Table(title=f"voice_spoof {report['model']['version']}, {report['clips']} clips, 95 % intervals")
    for title in ("figure", *conditions):
        table.add_column(title, no_wrap=True)
    for name in METRICS:
        cells = [
            f"{f[name]['value']:.3f} [{f[name]['low']:.2f}, {f[name]['high']:.2f}]"
            for f in conditions.values()
        ]
        table.add_row(name, *cells)
    table.add_row("coverage", *(f"{f['coverage']:.3f}" for f in conditions.values()))
    console.print(table)
    table = Table(title="by engine: mean llr, share above 0")
    for title in ("system", "clips", *conditions):
        table.add_column(title, no_wrap=True)
    for name, figures in report["systems"].items():
        cells = [f"{figures['mean_llr'][c]:+.2f}  {figures['above_0'][c]:.2f}" for c in conditions]
        table.add_row(name, str(figures["clips"]), *cells)
    console.print(table)
