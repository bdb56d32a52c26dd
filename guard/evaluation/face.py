"""Measures the face signals on labelled folders: ``guard eval face DATA...``.

Each folder has a ``manifest.csv`` with ``path``, ``label`` (real or fake, bonafide or spoof) and
``method`` or ``system``; ``video_id`` joins pictures of one video, ``pair`` links the clip before a
swap to the one after it. Every file runs, once per condition, through the pipeline of ``guard analyze``;
all face signals see the same windows. docs/evaluation.md defines every figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.app.parts import Models, PipelineConfig, load_models, settings_config
from guard.config import load_settings
from guard.errors import ConfigError, MediaError
from guard.evaluation.face_conditions import BARRED, CLEAN, CONDITIONS, STILL_FPS, Condition
from guard.evaluation.face_data import Item, read_manifest
from guard.evaluation.face_heat import LOOKS_AT, Example, examples
from guard.evaluation.face_measure import Bench, Measured
from guard.evaluation.face_output import Done, write_folder
from guard.evaluation.face_report import report_of
from guard.evaluation.face_tables import show
from guard.evaluation.progress import Progress, say, say_failure, say_report, steps
from guard.evaluation.report import prepare_folder
from guard.types import Kind, Signal

Errors = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured of one folder.

    Args:
        conditions: every readable file under each condition, by the condition's name.
        masked: the clean files with every face masked out; empty in a quick run.
        errors: files that could not be read, or not be carried through a condition.
    """

    conditions: dict[str, list[Measured]]
    masked: list[Measured]
    errors: Errors = field(default_factory=list)


def run(
    folders: Sequence[Path],
    as_json: bool,
    *,
    out: Path | None = None,
    quick: bool = False,
    models_dir: Path | None = None,
    pictures: bool = True,
    config: PipelineConfig | None = None,
) -> int:
    """Measure every folder for itself and report; return 1 where a file could not be read.

    Args:
        folders: each with a manifest.
        as_json: print one line of JSON a folder, not tables.
        out: folder for report.json, report.html, the plots and scores.csv.
        quick: only the conditions that have bars.
        models_dir: the operator's models, laid over the shipped ones.
        pictures: whether report.html may show faces of the data.
        config: weights, thresholds and rates of the product; without it those of the default settings.

    Raises:
        ConfigError: a manifest cannot be used, a class is missing, or ``out`` cannot be written.
        ModelError: the face models or ``face_frame`` cannot be loaded.
    """
    if out is not None:
        prepare_folder(out)
    data = [(folder, read_manifest(folder)) for folder in folders]
    models = loaded(models_dir)
    config = config or settings_config(load_settings(None))
    done: list[Done] = []
    # files first, of each folder when it is done: neither a reader that closes stdout (`| head`) nor a
    # later folder that fails may cost hours of measuring
    try:
        for folder, items in data:
            report, results = _measured(folder, items, models, config, quick=quick)
            faces = face_examples(results, models, config) if out is not None and pictures else []
            done.append(Done(report, results.conditions, faces))
            if out is not None:
                write_folder(out, done)
    finally:
        for own in done:
            say_report(own.report, show, as_json=as_json)
    return 1 if any(own.report["errors"] for own in done) else 0


def _measured(
    folder: Path, items: Sequence[Item], models: Models, config: PipelineConfig, *, quick: bool
) -> tuple[dict[str, Any], Results]:
    """Return the report of one folder and what it was made of; say what could not be read."""
    say(f"{folder}: {len(items)} files")
    results = measure_all(items, models, config, quick=quick, progress=say)
    for error in results.errors:
        say_failure(error)
    report = {"v": 1, "folder": str(folder), "models": face_models(models), "quick": quick}
    report |= report_of(results.conditions, results.masked, config)
    return report | {"errors": results.errors}, results


def loaded(models_dir: Path | None) -> Models:
    """Load the models; a face signal that cannot be loaded is named, and measured as abstaining.

    Raises:
        ModelError: the face models or ``face_frame`` cannot be loaded.
    """
    models = load_models(models_dir)
    if Signal.FACE_FRAME in models.errors:
        raise models.errors[Signal.FACE_FRAME]
    for signal, error in models.errors.items():
        if signal.kind is Kind.VIDEO:
            say(f"{signal}: {error.message} [{error.code}]")
    return models


def face_examples(results: Results, models: Models, config: PipelineConfig) -> list[Example]:
    """Return faces that the frame detector got most right and most wrong, with heat maps."""
    say("heat maps")
    detector = next(own for own in models.detectors if own.signal is LOOKS_AT)
    return examples(results.conditions["clean"], detector, models.faces, config.face)


def face_models(models: Models) -> dict[str, str]:
    """Return the sha256 of every model file that the face signals use, by name."""
    from guard.detectors.table import DETECTORS, SPEAKER

    voice = {SPEAKER, *(entry.model for entry in DETECTORS if entry.signal.kind is Kind.AUDIO)}
    return {name: sha256 for name, sha256 in models.sha256.items() if name not in voice}


def measure_all(
    items: Sequence[Item], models: Models, config: PipelineConfig, *, quick: bool, progress: Progress
) -> Results:
    """Run every file through every condition; files that cannot be read are named, the rest goes on.

    Raises:
        ConfigError: ``manifest_invalid``, one of the two classes is missing.
        ModelError: a face model failed.
    """
    conditions = BARRED if quick else CONDITIONS
    parts = len(conditions) + (not quick)
    results = Results({}, [])
    bench = Bench(models, config)
    clean: list[Measured] = []
    for n, condition in enumerate(conditions, 1):
        step = steps(progress, n, parts, condition.label)
        runs = [(m.item, m.fps) for m in clean] or [(item, STILL_FPS) for item in items]
        found = _measure(bench, condition, runs, results.errors, step)
        results.conditions[condition.name] = found
        if not clean:
            _check_classes(found)
            clean = found
    if not quick:
        step = steps(progress, parts, parts, "clean, faces masked out")
        masked = Bench(models, config, masked=True)
        runs = [(m.item, m.fps) for m in clean]
        results.masked.extend(_measure(masked, CLEAN, runs, results.errors, step))
    progress("figures and intervals")
    return results


def _measure(
    bench: Bench,
    condition: Condition,
    runs: Iterable[tuple[Item, float]],
    errors: Errors,
    step: Callable[[], None],
) -> list[Measured]:
    """Return what was measured of files, given with their pictures a second."""
    measured: list[Measured] = []
    for item, fps in runs:
        try:
            measured.append(bench.measure(item, condition, fps))
        except MediaError as error:
            errors.append({"path": str(item.path), "code": error.code, "message": error.message})
        step()
    return measured


def _check_classes(measured: Sequence[Measured]) -> None:
    if len({m.item.is_spoof for m in measured}) < 2:
        raise ConfigError("manifest_invalid", "the folder needs readable files of both labels, real and fake")
