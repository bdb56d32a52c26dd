"""Puts the report of one folder together; the keys are described in docs/evaluation.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guard.app.parts import PipelineConfig
from guard.evaluation.face_bars import bars
from guard.evaluation.face_conditions import CONDITIONS
from guard.evaluation.face_figures import pairs, signal_block
from guard.evaluation.face_fusion import alone, without
from guard.evaluation.face_groups import FINE_SIZES_PX, SIZES_PX, macro_auc, sizes
from guard.evaluation.face_measure import Measured
from guard.evaluation.face_scene import FOLDS, judge
from guard.evaluation.face_videos import (
    FUSED,
    LlrOf,
    intervals_of,
    llr_of,
    rounded,
    videos_of,
    visible,
)
from guard.evaluation.figures import PART_ROUNDS, ROUNDS
from guard.evaluation.metrics import BoolVector, FloatVector
from guard.fusion.config import FusionConfig
from guard.types import Signal, State

# keys that have always been the frame detector's, on the clean files
_FRAME_KEYS = (
    "auc",
    "eer",
    "tpr_at_5fa",
    "tpr_at_1fa",
    "covered_only",
    "methods",
    "macro_auc",
    "macro_auc_interval",
    "pairs",
)


def report_of(
    conditions: Mapping[str, Sequence[Measured]], masked: Sequence[Measured], config: PipelineConfig
) -> dict[str, Any]:
    """Return the report of one folder, all but where it lies and what could not be read.

    Args:
        conditions: by name, ``clean`` first; both classes present in each.
        masked: the clean files with faces masked out; empty where that was not measured.
        config: of the pipeline they ran through.
    """
    clean = conditions["clean"]
    names = [*dict.fromkeys(score.signal.value for m in clean for score in m.scores)]
    seen_s = visible(clean)
    blocks = {
        name: _condition(name, measured, names, seen_s, config) for name, measured in conditions.items()
    }
    frame = blocks["clean"]["signals"][Signal.FACE_FRAME.value]
    cost = cost_of(clean, names)
    report = {
        "files": len(clean),
        "references": sum(m.item.reference is not None for m in clean),
        "videos": sum(frame["videos"].values()),
        "coverage": frame["coverage"],
        "abstained": frame["abstained"],
        "faces_scored": sum(len(m.looks_llr(Signal.FACE_FRAME)) for m in clean),
        "cpu_ms_per_face": cost["ms_per_face"].get(Signal.FACE_FRAME.value),
        **{key: frame[key] for key in _FRAME_KEYS},
        "bootstrap": {"level": 0.95, "rounds": ROUNDS, "rounds_of_parts": PART_ROUNDS, "unit": "video"},
        "conditions": blocks,
        "sizes": {name: sizes(clean, name, SIZES_PX) for name in (FUSED, *names)},
        "scene": scene(clean, masked, names),
        "alarms": {name: own["alarms"] for name, own in blocks.items()} if _clips(clean) else None,
        "cost": cost,
    }
    return {**report, "bars": bars(report)}


def _condition(
    name: str,
    measured: Sequence[Measured],
    names: Sequence[str],
    seen_s: Mapping[str, float],
    config: PipelineConfig,
) -> dict[str, Any]:
    sent = [m.kbit_s for m in measured if m.kbit_s is not None]
    return {
        "label": next(c.label for c in CONDITIONS if c.name == name),
        "kbit_s": rounded(float(np.median(sent))) if sent else None,
        "signals": {own: signal_block(measured, own, seen_s) for own in (FUSED, *names)},
        "sizes": {own: sizes(measured, own, FINE_SIZES_PX, with_unseen=True) for own in (FUSED, *names)},
        "ablation": ablation(measured, names, config.fusion),
        "alarms": alarms(measured, config.fusion) if _clips(measured) else None,
    }


def ablation(measured: Sequence[Measured], names: Sequence[str], config: FusionConfig) -> dict[str, Any]:
    """Return the figures of each signal's evidence alone, of all as fused, and of all but one."""
    signals = [Signal(name) for name in names]
    rows: dict[str, LlrOf] = {"all": lambda m: m.fused.llr}
    rows |= {f"{s} alone": lambda m, s=s: alone(m.scores, s, config).llr for s in signals}  # type: ignore[misc]
    if len(signals) > 1:
        rows |= {f"all but {s}": lambda m, s=s: without(m.scores, s, config).llr for s in signals}  # type: ignore[misc]
    out: dict[str, Any] = {}
    for name, llr in rows.items():
        scores = videos_of(measured, llr).scores
        out[name] = {
            "coverage": rounded(scores.covered.mean()),
            **intervals_of(scores, rounds=PART_ROUNDS),
            "pairs": pairs(measured, llr),
        }
    return out


def alarms(measured: Sequence[Measured], config: FusionConfig) -> dict[str, Any]:
    """Return how many clips the product would have shown amber or red at some time; pictures do not count."""
    out: dict[str, Any] = {
        "amber_llr": config.thresholds.amber_llr,
        "red_llr": config.thresholds.red_llr,
    }
    for name, is_spoof in (("genuine", False), ("spoof", True)):
        own = [m.worst for m in _clips(measured) if m.item.is_spoof is is_spoof]
        states = {"amber": State.SUSPECT, "red": State.SPOOF}
        out[name] = {"clips": len(own), **{word: own.count(state) for word, state in states.items()}}
    return out


def scene(clean: Sequence[Measured], masked: Sequence[Measured], names: Sequence[str]) -> dict[str, Any]:
    """Return how well real and fake are told apart without the face; near 0.5 is as it should be.

    ``auc`` is over all spoof videos together, ``macro_auc`` the mean over methods of 5 or more: a folder in
    which one method has most of the videos has another figure for each.
    """
    shown = [m for m in clean if m.scene is not None]
    groups = [m.item.pair or m.item.unit for m in shown]
    is_spoof = np.array([m.item.is_spoof for m in shown])
    given = judge(np.array([m.scene for m in shown]), is_spoof, groups) if shown else np.zeros(0)
    by_path = {m.item.path: float(value) for m, value in zip(shown, given, strict=True)}
    by_video = videos_of(clean, lambda m: by_path.get(m.item.path))
    videos = by_video.scores
    blind = {name: videos_of(masked, llr_of(name)).scores for name in (FUSED, *names)} if masked else {}
    return {
        "videos": len(videos.llr),
        "folds": FOLDS,
        "auc": intervals_of(videos)["auc"],
        "macro_auc": macro_auc(by_video),
        "accuracy": rounded(_accuracy(videos.llr, videos.is_spoof)),
        "pairs": pairs(clean, lambda m: by_path.get(m.item.path)),
        "detectors_without_face": {
            name: {"coverage": rounded(s.covered.mean()), **intervals_of(s, rounds=PART_ROUNDS)}
            for name, s in blind.items()
        }
        or None,
    }


def cost_of(clean: Sequence[Measured], names: Sequence[str]) -> dict[str, Any]:
    """Return CPU milliseconds per face, and cores per participant over the clips with a face."""
    faces = sum(m.cost.faces for m in clean)
    spent = {name: sum(m.cost.signals_s.get(Signal(name), 0.0) for m in clean) for name in names}
    per_face = {name: rounded(1000 * spent[name] / faces) for name in names} if faces else {}
    shown = [m for m in _clips(clean) if m.visible_s > 0]
    media_s = sum(m.cost.media_s for m in shown)
    share = {
        "faces": sum(m.cost.faces_s for m in shown),
        **{name: sum(m.cost.signals_s.get(Signal(name), 0.0) for m in shown) for name in names},
    }
    looks = sum(m.looks for m in shown)
    return {
        "ms_per_face": per_face,
        "ms_per_look_of_finding_and_landmarks": rounded(1000 * share["faces"] / looks) if looks else None,
        "core_share_of": {k: rounded(v / media_s) for k, v in share.items()} if media_s else None,
        "core_share": rounded(sum(share.values()) / media_s) if media_s else None,
    }


def _clips(measured: Sequence[Measured]) -> list[Measured]:
    return [m for m in measured if not m.item.is_still]


def _accuracy(score: FloatVector, is_spoof: BoolVector) -> float:
    """Return the mean of the shares of both classes on their side of 0; half of those on it."""
    right = np.where(score == 0, 0.5, (score > 0) == is_spoof)
    return float((right[is_spoof].mean() + right[~is_spoof].mean()) / 2)
