"""The figures of a face report, out of what was measured of each file; docs/evaluation.md defines them.

The unit is the video: its files' llr are averaged first. A video that nothing scored is never left out: it
has llr 0 for AUC and EER and is no detection where a threshold decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guard.evaluation.face_bootstrap import as_json, bootstrap_figures
from guard.evaluation.face_measure import Measured
from guard.evaluation.figures import PART_ROUNDS, ROUNDS, Scores, both_classes
from guard.evaluation.metrics import auc, wilson_interval
from guard.types import Signal

FUSED = "fused"
MIN_VIDEOS = 5
VISIBLE_S = 3.0
_ROUNDING_S = 1e-6
SIZES_PX = (0, 32, 48, 64, 96)
"""Where the bins of the distance between the eyes begin."""

LlrOf = Callable[[Measured], float | None]


@dataclass(frozen=True, slots=True)
class Videos:
    """One line a video: its scores, the forgery method, and its files.

    ``scores.speech_s`` holds the seconds in which a face was seen in the *clean* file.
    """

    scores: Scores
    method: Sequence[str]
    files: Sequence[Sequence[Measured]]

    def rows(self, picked: Sequence[int]) -> Videos:
        """Return the same of some videos."""
        return Videos(
            self.scores.rows(np.array(picked, np.intp)),
            [self.method[n] for n in picked],
            [self.files[n] for n in picked],
        )


def llr_of(name: str) -> LlrOf:
    """Return what reads the llr of a file: of a signal's name, or of ``fused``."""
    if name == FUSED:
        return lambda measured: measured.fused.llr
    signal = Signal(name)
    return lambda measured: measured.llr(signal)


def videos_of(
    measured: Sequence[Measured], llr: LlrOf, visible_s: Mapping[str, float] | None = None
) -> Videos:
    """Return the videos of files, each with the mean of what ``llr`` reads of its files.

    Args:
        visible_s: seconds of visible face by video, where the files are not the clean ones.
    """
    groups: dict[str, list[Measured]] = {}
    for m in measured:
        groups.setdefault(m.item.unit, []).append(m)
    values: list[float | None] = []
    for own in groups.values():
        known = [value for m in own if (value := llr(m)) is not None]
        values.append(float(np.mean(known)) if known else None)
    seen_s = visible_s or visible(measured)
    firsts = [own[0].item for own in groups.values()]
    scores = Scores(
        np.array([value or 0.0 for value in values], np.float64),
        np.array([value is not None for value in values], np.bool_),
        np.array([item.is_spoof for item in firsts], np.bool_),
        [None] * len(values),
        list(groups),
        np.array([seen_s.get(name, 0.0) for name in groups], np.float64),
    )
    return Videos(scores, [item.method for item in firsts], list(groups.values()))


def visible(measured: Sequence[Measured]) -> dict[str, float]:
    """Return the seconds in which a face was seen, by video."""
    out: dict[str, float] = {}
    for m in measured:
        out[m.item.unit] = out.get(m.item.unit, 0.0) + m.visible_s
    return out


def signal_block(
    measured: Sequence[Measured], name: str, visible_s: Mapping[str, float], *, rounds: int | None = None
) -> dict[str, Any]:
    """Return everything about one signal (or ``fused``) under one condition."""
    videos = videos_of(measured, llr_of(name), visible_s)
    scores = videos.scores
    covered = scores.rows(np.flatnonzero(scores.covered))
    methods = per_method(videos)
    large = [m["auc"] for m in methods.values() if m["videos"] >= MIN_VIDEOS]
    block = {
        "videos": {"bona_fide": int((~scores.is_spoof).sum()), "spoof": int(scores.is_spoof.sum())},
        "coverage": rounded(scores.covered.mean()),
        "coverage_visible": _coverage_visible(scores),
        "abstained_videos": int((~scores.covered).sum()),
        **intervals_of(scores, rounds=rounds),
        "covered_only": intervals_of(covered, rounds=PART_ROUNDS) if both_classes(covered) else None,
        "methods": methods,
        "macro_auc": rounded(float(np.mean(large))) if large else None,
        "pairs": pairs(measured, llr_of(name)),
    }
    if name == FUSED:
        early = sum(m.fused.is_early for m in measured)
        return {**block, "early_files": early, "looks": None}
    signal = Signal(name)
    reasons: Counter[str] = sum((m.reasons(signal) for m in measured), Counter())
    return {**block, "abstained": dict(sorted(reasons.items())), "looks": looks(measured, signal)}


def intervals_of(scores: Scores, *, rounds: int | None = None) -> dict[str, dict[str, float]]:
    """Return AUC, EER and the two TPR with 95 % intervals over videos."""
    return as_json(bootstrap_figures(scores, rounds or ROUNDS))


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


def per_method(videos: Videos) -> dict[str, dict[str, Any]]:
    """Return, for every forgery method, its AUC against all real videos of the folder."""
    scores = videos.scores
    found: dict[str, dict[str, Any]] = {}
    for method in sorted({m for m, s in zip(videos.method, scores.is_spoof, strict=True) if s}):
        own = np.array([m == method for m in videos.method]) & scores.is_spoof
        part = scores.rows(np.flatnonzero(own | ~scores.is_spoof))
        found[method] = {"videos": int(own.sum()), "auc": rounded(auc(part.llr, part.is_spoof))}
    return found


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


def sizes(measured: Sequence[Measured], name: str) -> dict[str, Any]:
    """Return the figures by distance between the eyes, bins with both classes; clean files."""
    videos = videos_of(measured, llr_of(name))
    eyes = [_eye_px(own) for own in videos.files]
    out: dict[str, Any] = {}
    for low, high in zip(SIZES_PX, (*SIZES_PX[1:], None), strict=True):
        part = videos.rows([n for n, eye_px in enumerate(eyes) if _within(eye_px, low, high)])
        label = f"{low} px and more" if high is None else f"{low} to {high} px"
        if len(part.method):
            count = {"videos": len(part.method), "coverage": rounded(part.scores.covered.mean())}
            figures = intervals_of(part.scores, rounds=PART_ROUNDS) if both_classes(part.scores) else {}
            out[label] = {**count, **figures}
    return out


def rounded(value: float | None) -> float:
    """Return a figure with four places, as reports hold them."""
    return round(float(value or 0.0), 4)


def _within(eye_px: float | None, low: float, high: float | None) -> bool:
    return eye_px is not None and eye_px >= low and (high is None or eye_px < high)


def _eye_px(files: Sequence[Measured]) -> float | None:
    known = [m.eye_px for m in files if m.eye_px is not None]
    return float(np.median(known)) if known else None


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
