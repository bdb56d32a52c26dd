"""The figures of a signal under one condition; docs/evaluation.md defines them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guard.evaluation.face_groups import macro_auc, per_method
from guard.evaluation.face_measure import Measured
from guard.evaluation.face_videos import FUSED, LlrOf, intervals_of, llr_of, rounded, videos_of
from guard.evaluation.figures import PART_ROUNDS, Scores, both_classes
from guard.evaluation.metrics import wilson_interval
from guard.types import Signal

VISIBLE_S = 3.0
_ROUNDING_S = 1e-6


def signal_block(
    measured: Sequence[Measured], name: str, visible_s: Mapping[str, float], *, rounds: int | None = None
) -> dict[str, Any]:
    """Return everything about one signal (or ``fused``) under one condition."""
    videos = videos_of(measured, llr_of(name), visible_s)
    scores = videos.scores
    covered = scores.rows(np.flatnonzero(scores.covered))
    macro = macro_auc(videos)
    block = {
        "videos": {"bona_fide": int((~scores.is_spoof).sum()), "spoof": int(scores.is_spoof.sum())},
        "coverage": rounded(scores.covered.mean()),
        "coverage_visible": _coverage_visible(scores),
        "abstained_videos": int((~scores.covered).sum()),
        **intervals_of(scores, rounds=rounds),
        "covered_only": intervals_of(covered, rounds=PART_ROUNDS) if both_classes(covered) else None,
        "methods": per_method(videos),
        "macro_auc": None if macro is None else macro["value"],
        "macro_auc_interval": macro,
        "pairs": pairs(measured, llr_of(name)),
    }
    if name == FUSED:
        told = videos_of(measured, said, visible_s).scores
        early = sum(m.fused.is_early for m in measured)
        return {**block, "coverage_said": _coverage_visible(told), "early_files": early, "looks": None}
    signal = Signal(name)
    reasons: Counter[str] = sum((m.reasons(signal) for m in measured), Counter())
    return {
        **block,
        "abstained": dict(sorted(reasons.items())),
        "looks_scored": sum(len(m.looks_llr(signal)) for m in measured),
        "needs": None if scores.covered.any() else needs(measured, signal),
        "looks": looks(measured, signal),
    }


def said(measured: Measured) -> float | None:
    """Return the fused llr where the product itself would say it; None where it still waits for looks."""
    return None if measured.fused.is_early else measured.fused.llr


def needs(measured: Sequence[Measured], signal: Signal) -> str | None:
    """Return what the signal asks for and no file of the folder can give; None where that is not the cause.

    ``call_page``: the browser's word about its camera, which no file holds; ``sound``; ``photo``: of the
    person, to compare with (or a file long enough to be compared with itself); ``video``: moving pictures.
    """
    if signal is Signal.VIRTUAL_CAMERA:
        return "call_page"
    if signal is Signal.LIP_SYNC and not any(m.has_sound for m in measured):
        return "sound"
    if signal is Signal.FACE_IDENTITY and not any(m.item.reference for m in measured):
        return "photo"
    return "video" if signal is Signal.TEMPORAL and all(m.item.is_still for m in measured) else None


def looks(measured: Sequence[Measured], signal: Signal) -> dict[str, Any] | None:
    """Return the figures of single looks, scored ones alone; the draws are of whole videos."""
    rows = [(llr, m.item) for m in measured for llr in m.looks_llr(signal)]
    is_spoof = np.array([item.is_spoof for _, item in rows], np.bool_)
    if not rows or is_spoof.all() or not is_spoof.any():
        return None
    scores = Scores(
        np.array([llr for llr, _ in rows], np.float64),
        np.ones(len(rows), np.bool_),
        is_spoof,
        [None] * len(rows),
        [item.unit for _, item in rows],
        np.zeros(len(rows)),
    )
    return {"scored": len(rows), **intervals_of(scores, rounds=PART_ROUNDS)}


def pairs(measured: Sequence[Measured], llr: LlrOf) -> dict[str, Any] | None:
    """Return how often the clip after the swap scores above the same clip before it; ties count half."""
    real = {m.item.pair: llr(m) or 0.0 for m in measured if m.item.pair and not m.item.is_spoof}
    fake = {m.item.pair: llr(m) or 0.0 for m in measured if m.item.pair and m.item.is_spoof}
    gaps = np.array([fake[pair] - real[pair] for pair in sorted(real.keys() & fake.keys())])
    if not len(gaps):
        return None
    wins = wilson_interval(float((gaps > 0).mean() + 0.5 * (gaps == 0).mean()), len(gaps))
    return {
        "pairs": len(gaps),
        "swap_scores_higher": rounded(wins.value),
        "interval": [rounded(wins.low), rounded(wins.high)],
        "mean_gap_llr": rounded(float(gaps.mean())),
    }


def _coverage_visible(scores: Scores) -> dict[str, Any] | None:
    """Return the coverage of videos that show a face for 3 s before the condition is laid over them."""
    part = scores.rows(np.flatnonzero(scores.speech_s >= VISIBLE_S - _ROUNDING_S))
    if not len(part.llr):
        return None
    share = wilson_interval(float(part.covered.mean()), len(part.llr))
    return {
        "videos": len(part.llr),
        "value": rounded(share.value),
        "low": rounded(share.low),
        "high": rounded(share.high),
    }
