"""The figures of a report out of the scores of each clip: per condition, engine, language, and the bars.

A clip the detector abstained on is never left out: it scores llr 0 for EER, minDCF and Cllr and is no
detection where a threshold decides (TPR, false alarms). Figures of the other clips alone stand beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guard.evaluation.clips import Clip
from guard.evaluation.metrics import (
    BoolVector,
    FloatVector,
    Indices,
    cllr,
    draws,
    eer,
    gap_if_exact,
    min_cllr,
    min_dcf,
    percentile_interval,
    threshold_at_fa,
    tpr_at_fa,
    wilson_interval,
)

ROUNDS, PART_ROUNDS = 1000, 300
MIN_SPEECH_S = 2.0
MAX_FA = 0.05

BARS: dict[str, dict[str, float]] = {
    "clean": {"eer": 0.15, "tpr_at_5_fa": 0.65, "coverage_speech": 0.95},
    "opus_24k": {"eer": 0.16, "tpr_at_5_fa": 0.60, "coverage_speech": 0.85},
    "opus_24k_loss_5": {"eer": 0.19, "tpr_at_5_fa": 0.55, "coverage_speech": 0.85},
    "g711": {"eer": 0.22, "tpr_at_5_fa": 0.45, "coverage_speech": 0.85},
}
"""What the figures of a condition must reach; ``MAX_GAP_BITS`` holds for all of them."""
MAX_GAP_BITS = 0.1
SHARES = frozenset({"coverage", "above_0", "above_threshold", "tpr_at_5_fa", "tpr_at_1_fa"})
# a class of one source: no draw of sources differs from another
MIN_SOURCES = 2
_AT_MOST = frozenset({"eer", "cllr_gap_bits"})


@dataclass(frozen=True, slots=True)
class Scores:
    """What one condition made of N clips: each array and list has one entry a clip.

    Args:
        llr: mean over the clip's windows; 0 where none was scored.
        covered: whether any window was scored.
        reasons: of the clips not covered, the commonest reason.
        unit: what the bootstrap draws.
        speech_s: seconds of speech in the clip as it was before the condition.
    """

    llr: FloatVector
    covered: BoolVector
    is_spoof: BoolVector
    reasons: Sequence[str | None]
    unit: Sequence[str]
    speech_s: FloatVector

    def rows(self, rows: Indices) -> Scores:
        """Return the same of some clips."""
        picked = rows.tolist()
        return Scores(
            self.llr[rows],
            self.covered[rows],
            self.is_spoof[rows],
            [self.reasons[i] for i in picked],
            [self.unit[i] for i in picked],
            self.speech_s[rows],
        )

    def alarms(self) -> FloatVector:
        """Return what decides at a threshold: llr, below all of them where the detector abstained."""
        return np.where(self.covered, self.llr, min(float(self.llr.min()), 0.0) - 1.0)


def scores_of(clips: Sequence[Clip], llr: Sequence[float | None], reasons: Sequence[str | None]) -> Scores:
    """Return the scores of clips; ``llr`` is None where the detector abstained throughout."""
    return Scores(
        np.array([value or 0.0 for value in llr], np.float64),
        np.array([value is not None for value in llr], np.bool_),
        np.array([clip.item.is_spoof for clip in clips], np.bool_),
        list(reasons),
        [clip.item.unit for clip in clips],
        np.array([clip.speech_s for clip in clips], np.float64),
    )


def summary(scores: Scores, *, rounds: int | None = None) -> dict[str, Any]:
    """Return the figures of one condition with 95 % intervals, all from the same draws of sources."""
    speech = scores.rows(np.flatnonzero(scores.speech_s >= MIN_SPEECH_S))
    covered = scores.rows(np.flatnonzero(scores.covered))
    coverage = intervals(scores, {"coverage": _coverage}, rounds=rounds)["coverage"]
    return {
        "clips": {"bona_fide": int((~scores.is_spoof).sum()), "spoof": int(scores.is_spoof.sum())},
        "coverage": coverage["value"],
        "coverage_interval": coverage,
        "coverage_speech": _coverage_of(speech, rounds),
        "abstained": dict(sorted(Counter(reason for reason in scores.reasons if reason).items())),
        **intervals(scores, METRICS, rounds=rounds),
        "cllr_gap_if_exact": _gap_if_exact(scores),
        "covered_only": intervals(covered, METRICS, rounds=rounds) if both_classes(covered) else None,
    }


def _gap_if_exact(scores: Scores) -> Figure | None:
    found = gap_if_exact(scores.llr, scores.is_spoof, rounds=PART_ROUNDS)
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}


Figure = dict[str, float | None]
"""``value``, and ``low`` and ``high`` of its 95 % interval; both are None where there is no telling."""


def intervals(
    scores: Scores, metrics: Mapping[str, Callable[[Scores], float]], *, rounds: int | None = None
) -> dict[str, Figure]:
    """Return every figure with its 95 % interval over the same bootstrap draws.

    Where no draw differs (a share of 0 or 1) the draws say nothing of sources not met: the interval of a
    share or an EER is then Wilson's, with as many trials as there are sources, and other figures have
    none. Nor has any figure where a class that is there has fewer than ``MIN_SOURCES``.
    """
    fewest = _fewest_sources(scores)
    if fewest < MIN_SOURCES:
        return {n: {"value": metric(scores), "low": None, "high": None} for n, metric in metrics.items()}
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for rows in draws(scores.unit, scores.is_spoof, rounds=rounds or ROUNDS):
        sample = scores.rows(rows)
        for name, metric in metrics.items():
            drawn[name].append(metric(sample))
    found: dict[str, Figure] = {}
    for name, metric in metrics.items():
        interval = percentile_interval(metric(scores), drawn[name])
        if interval.low == interval.high and (name in SHARES or name == "eer"):
            trials = fewest if name == "eer" else _sources(scores, spoof_only=name.startswith("tpr"))
            interval = wilson_interval(interval.value, trials)
        is_told = interval.low < interval.high
        low, high = (interval.low, interval.high) if is_told else (None, None)
        found[name] = {"value": interval.value, "low": low, "high": high}
    return found


def both_classes(scores: Scores) -> bool:
    """Tell whether there are clips of either class."""
    return bool(scores.is_spoof.any() and not scores.is_spoof.all())


def clean_threshold(clean: Scores) -> float:
    """Return the threshold that gives 5 % false alarms on the clean genuine clips."""
    return threshold_at_fa(clean.alarms()[~clean.is_spoof], MAX_FA)


def false_alarms(genuine: Scores, threshold: float) -> dict[str, Any]:
    """Return the share of genuine clips with llr above 0 and above a threshold, over all of them.

    ``coverage`` is over all of them too; ``coverage_speech``, which the bars are about, over those with
    ``MIN_SPEECH_S`` of speech or more, None without any.
    """
    speech = genuine.rows(np.flatnonzero(genuine.speech_s >= MIN_SPEECH_S))
    metrics = {
        "above_0": lambda s: _alarm_share(s, 0.0),
        "above_threshold": lambda s: _alarm_share(s, threshold),
        "mean_llr": lambda s: float(s.llr.mean()),
        "coverage": _coverage,
    }
    return {
        "clips": len(genuine.llr),
        **intervals(genuine, metrics),
        "coverage_speech": _coverage_of(speech, None),
    }


def engines(clips: Sequence[Clip], results: Mapping[str, Scores]) -> dict[str, Any]:
    """Return each engine against all genuine clips, by condition; of genuine speech the alarms alone.

    An engine is one source, so its own clips are drawn singly: the interval tells of clips and
    genuine speakers, not of engines like it.
    """
    names = np.array([clip.item.system for clip in clips])
    is_spoof = np.array([clip.item.is_spoof for clip in clips])
    bona = np.flatnonzero(~is_spoof)
    out: dict[str, Any] = {}
    for spoof, name in sorted({(bool(s), str(n)) for s, n in zip(is_spoof, names, strict=True)}):
        rows = np.flatnonzero((names == name) & (is_spoof == spoof))
        key = name if name not in out else f"{name} (spoof)"
        out[key] = {"clips": len(rows), "is_spoof": spoof, **_plain(rows, results)}
        if spoof:
            against = {c: _by_clip(s.rows(np.append(bona, rows))) for c, s in results.items()}
            for figure in ("eer", "tpr_at_5_fa"):
                metric = {figure: METRICS[figure]}
                out[key][figure] = {
                    c: intervals(s, metric, rounds=PART_ROUNDS)[figure] for c, s in against.items()
                }
    return out


def languages(clips: Sequence[Clip], results: Mapping[str, Scores], threshold: float) -> dict[str, Any]:
    """Return for each language its false alarms, and error rates where it has both classes."""
    names = np.array([clip.item.language for clip in clips])
    out: dict[str, Any] = {}
    for name in sorted(set(names.tolist())):
        rows = np.flatnonzero(names == name)
        spoof = int(sum(clips[i].item.is_spoof for i in rows.tolist()))
        entry: dict[str, Any] = {"bona_fide": len(rows) - spoof, "spoof": spoof, "conditions": {}}
        for condition, every in results.items():
            scores = every.rows(rows)
            genuine = scores.rows(np.flatnonzero(~scores.is_spoof))
            entry["conditions"][condition] = {
                "figures": intervals(scores, METRICS, rounds=PART_ROUNDS) if both_classes(scores) else None,
                "false_alarms": false_alarms(genuine, threshold) if len(genuine.llr) else None,
                "coverage": _coverage(scores),
            }
        out[name] = entry
    return out


def bars(conditions: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every bar with the figure beside it.

    ``met`` is about the figure, not its interval; a figure without an interval meets no bar.
    """
    out: list[dict[str, Any]] = []
    for condition, own in BARS.items():
        for figure, bar in {**own, "cllr_gap_bits": MAX_GAP_BITS}.items():
            found = conditions[condition][figure]
            value, low, high = (None if found is None else found[key] for key in ("value", "low", "high"))
            at_most = figure in _AT_MOST
            reached = value is not None and (value <= bar if at_most else value >= bar)
            out.append(
                {
                    "condition": condition,
                    "figure": figure,
                    "bar": bar,
                    "at_most": at_most,
                    "value": value,
                    "low": low,
                    "high": high,
                    "met": reached and low is not None,
                }
            )
    return out


def _coverage(scores: Scores) -> float:
    return float(scores.covered.mean())


def _coverage_of(scores: Scores, rounds: int | None) -> dict[str, Any] | None:
    if not len(scores.llr):
        return None
    return {"clips": len(scores.llr), **intervals(scores, {"coverage": _coverage}, rounds=rounds)["coverage"]}


def _sources(scores: Scores, *, spoof_only: bool) -> int:
    return len({u for u, s in zip(scores.unit, scores.is_spoof.tolist(), strict=True) if s or not spoof_only})


def _fewest_sources(scores: Scores) -> int:
    """Return the number of sources of the class that has fewer, of those that are there."""
    pairs = set(zip(scores.is_spoof.tolist(), scores.unit, strict=True))
    return min(Counter(is_spoof for is_spoof, _ in pairs).values())


def _alarm_share(scores: Scores, threshold: float) -> float:
    return float((scores.covered & (scores.llr > threshold)).mean())


def _by_clip(scores: Scores) -> Scores:
    """Return the same with every spoof a source of its own."""
    unit = [
        f"clip {i}" if s else u for i, (u, s) in enumerate(zip(scores.unit, scores.is_spoof, strict=True))
    ]
    return Scores(scores.llr, scores.covered, scores.is_spoof, scores.reasons, unit, scores.speech_s)


def _plain(rows: Indices, results: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    parts = {condition: scores.rows(rows) for condition, scores in results.items()}
    return {
        "mean_llr": {c: float(s.llr.mean()) for c, s in parts.items()},
        "above_0": {c: _alarm_share(s, 0.0) for c, s in parts.items()},
        "coverage": {c: _coverage(s) for c, s in parts.items()},
    }


METRICS: dict[str, Callable[[Scores], float]] = {
    "eer": lambda s: eer(s.llr, s.is_spoof),
    "min_dcf": lambda s: min_dcf(s.llr, s.is_spoof),
    "cllr_bits": lambda s: cllr(s.llr, s.is_spoof),
    "cllr_min_bits": lambda s: min_cllr(s.llr, s.is_spoof),
    "cllr_gap_bits": lambda s: cllr(s.llr, s.is_spoof) - min_cllr(s.llr, s.is_spoof),
    "tpr_at_5_fa": lambda s: tpr_at_fa(s.alarms(), s.is_spoof, 0.05),
    "tpr_at_1_fa": lambda s: tpr_at_fa(s.alarms(), s.is_spoof, 0.01),
}
"""Every figure of a condition, out of the scores of its clips."""
