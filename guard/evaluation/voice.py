"""Measures the voice spoof detector on labelled folders: ``guard eval voice DATA...``.

Each folder has a ``manifest.csv`` with ``path``, ``label`` (bonafide or spoof, real or fake), ``source`` and
``system`` or ``method``; ``speaker`` and ``language`` are used where they are there. Clips run through the
same windows and the same detector as calls, once per condition. docs/evaluation.md defines every figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import soxr

from guard.app.model_files import in_use, load_detector
from guard.detectors.card import Card
from guard.detectors.table import DETECTORS
from guard.errors import ModelError
from guard.evaluation import figures
from guard.evaluation.augment import POOL_HZ
from guard.evaluation.channels import KEY, Channel, clean
from guard.evaluation.clips import Clip, check_classes, read_clips, read_manifests, with_speech
from guard.evaluation.conditions import BARRED, full
from guard.evaluation.figures import Scores, scores_of
from guard.evaluation.progress import Progress, say, say_failure, say_report, steps
from guard.evaluation.unseen import unseen_engines
from guard.inference.lanes import run_detector
from guard.reasons import DETECTOR_FAILED
from guard.types import AudioWindow, Detector, FloatArray, Signal
from guard.windows.audio import AudioWindows

DURATIONS_S = (1, 2, 4, 8, 15)
"""Seconds of speech; at the first only coverage is reported."""
_POOL_CLIPS = 40


def run(
    folders: Sequence[Path],
    as_json: bool,
    *,
    out: Path | None = None,
    quick: bool = False,
    models_dir: Path | None = None,
) -> int:
    """Measure the clips of all folders together and report; return 1 where a clip could not be read.

    Args:
        folders: each with a manifest.
        as_json: print the report as one line of JSON, not as tables.
        out: folder for report.json, report.html, det.png and scores.csv.
        quick: only the conditions that have bars.
        models_dir: the operator's models, laid over the shipped ones.

    Raises:
        ConfigError: a manifest cannot be used, a class is missing, or ``out`` cannot be written.
        ModelError: the model cannot be loaded, or fails.
    """
    from guard.evaluation.report import prepare_folder, write_folder
    from guard.evaluation.tables import show

    if out is not None:
        prepare_folder(out)
    items = read_manifests(folders)
    card, detector = _loaded(models_dir)
    clips, errors = read_clips(items)
    for error in errors:
        say_failure(error)
    check_classes([clip.item for clip in clips])
    found, results = measure_all(clips, detector, quick=quick, progress=say)
    model = {"name": card.name, "version": card.version, "sha256": card.sha256}
    report = {"v": 1, "model": model, "clips": len(clips), "failed": len(errors), "errors": errors, **found}
    barred = {condition.name: results[condition.name] for condition in BARRED}
    report["unseen_engines"] = unseen_engines(clips, barred, card.data)
    # files first: a reader that closes stdout (`| head`) must not cost hours of measuring, nor a full disk
    try:
        if out is not None:
            write_folder(out, report, clips, results)
    finally:
        say_report(report, show, as_json=as_json)
    return 1 if errors else 0


def _loaded(models_dir: Path | None) -> tuple[Card, Detector]:
    entry = next(entry for entry in DETECTORS if entry.signal is Signal.VOICE_SPOOF)
    return load_detector(entry, in_use(models_dir).detectors[entry.signal].folder)


def measure_all(
    clips: Sequence[Clip], detector: Detector, *, quick: bool, progress: Progress
) -> tuple[dict[str, Any], dict[str, Scores]]:
    """Return the report's figures, and the scores of every condition measured on both classes."""
    conditions = BARRED if quick else full(babble_pool(clips))
    genuine = [clip for clip in clips if not clip.item.is_spoof]
    results: dict[str, Scores] = {}
    alarms: dict[str, Scores] = {}
    for n, condition in enumerate(conditions, 1):
        own = clips if condition.both_classes else genuine
        scores = measure(
            own, condition.channel, detector, steps(progress, n, len(conditions), condition.label)
        )
        alarms[condition.name] = scores.rows((~scores.is_spoof).nonzero()[0])
        if condition.both_classes:
            results[condition.name] = scores
    durations = {} if quick else _durations(clips, detector, progress)
    progress("figures and intervals")
    threshold = figures.clean_threshold(results["clean"])
    summaries = {
        c.name: {"group": c.group, "label": c.label, **figures.summary(results[c.name])}
        for c in conditions
        if c.both_classes
    }
    report = {
        "quick": quick,
        "bootstrap": {"level": 0.95, "rounds": figures.ROUNDS, "rounds_of_parts": figures.PART_ROUNDS},
        "conditions": summaries,
        "bars": figures.bars(summaries),
        "systems": figures.engines(clips, results),
        "languages": figures.languages(clips, results, threshold),
        "durations": durations,
        "threshold_llr": threshold,
        "false_alarms": {
            c.name: {"group": c.group, "label": c.label, **figures.false_alarms(alarms[c.name], threshold)}
            for c in conditions
        },
    }
    return report, results


def measure(
    clips: Iterable[Clip], channel: Channel, detector: Detector, step: Callable[[], None] = lambda: None
) -> Scores:
    """Return each clip's mean llr over its windows under one condition; ``step`` is called after each.

    Raises:
        ModelError: ``model_failed``, the detector failed on a window.
    """
    measured: list[Clip] = []
    llr: list[float | None] = []
    reasons: list[str | None] = []
    for clip in clips:
        value, reason = measure_clip(clip, channel, detector)
        measured.append(clip)
        llr.append(value)
        reasons.append(reason)
        step()
    return scores_of(measured, llr, reasons)


def measure_clip(clip: Clip, channel: Channel, detector: Detector) -> tuple[float | None, str | None]:
    """Return the mean llr of the clip's windows, or None and the commonest reason why none was scored.

    Raises:
        ModelError: ``model_failed``.
    """
    stage = AudioWindows(KEY)
    frames = channel(clip.samples, clip.rate_hz, clip.item.path.name)
    cut = [found for frame in frames for found in stage.push(frame)] + stage.flush()
    scores = run_detector(detector, [found for found in cut if isinstance(found, AudioWindow)])
    if any(score.reason == DETECTOR_FAILED for score in scores):
        raise ModelError(
            "model_failed", f"the detector failed on {clip.item.path}; guard models verify looks for why"
        )
    scored = [score.llr for score in scores if score.llr is not None]
    if scored:
        return sum(scored) / len(scored), None
    skipped = [found.reason for found in cut if not isinstance(found, AudioWindow)]
    why = Counter([score.reason or "" for score in scores] or skipped or ["too_short"])
    return None, min(why, key=lambda reason: (-why[reason], reason))


def babble_pool(clips: Sequence[Clip]) -> list[FloatArray]:
    """Return up to 40 genuine clips, evenly out of all, at 16 kHz, to talk in the background."""
    genuine = [clip for clip in clips if not clip.item.is_spoof]
    picked = genuine[:: max(1, len(genuine) // _POOL_CLIPS)][:_POOL_CLIPS]
    return [
        clip.samples if clip.rate_hz == POOL_HZ else soxr.resample(clip.samples, clip.rate_hz, POOL_HZ)
        for clip in picked
    ]


def _durations(clips: Sequence[Clip], detector: Detector, progress: Progress) -> dict[str, Any]:
    """Return the figures of clean clips by seconds of speech; null where a length lacks a class."""
    out: dict[str, Any] = {}
    for n, seconds in enumerate(DURATIONS_S, 1):
        made = with_speech(clips, float(seconds))
        classes = {clip.item.is_spoof for clip in made}
        label = f"{seconds} s of speech, {len(made)} clips"
        scores = measure(made, clean, detector, steps(progress, n, len(DURATIONS_S), label)) if made else None
        if scores is None or len(classes) < 2:
            out[str(seconds)] = None
        elif seconds == DURATIONS_S[0]:
            summary = figures.summary(scores)
            out[str(seconds)] = {
                k: summary[k] for k in ("clips", "coverage", "coverage_interval", "abstained")
            }
        else:
            out[str(seconds)] = figures.summary(scores)
    return out
