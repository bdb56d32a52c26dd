"""AUC, EER and TPR with bootstrap intervals over videos, all draws at once.

The figures are those of ``guard.evaluation.metrics``. A draw takes as many videos of each class as there are,
with replacement, which gives every video a weight; sorted scores and running sums of weights are all that is
needed, so that a thousand draws cost little more than one. Source: Efron and Tibshirani, An Introduction to
the Bootstrap, 1993.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from guard.evaluation.figures import Scores
from guard.evaluation.metrics import (
    BoolVector,
    FloatVector,
    Interval,
    auc,
    eer,
    percentile_interval,
    tpr_at_fa,
    wilson_interval,
)

Weights = NDArray[np.float64]
_MOST_CELLS = 4_000_000
_ROUNDING = 1e-12
_FA = {"tpr_at_5fa": 0.05, "tpr_at_1fa": 0.01}


def bootstrap_figures(scores: Scores, rounds: int, *, seed: int = 0) -> dict[str, Interval]:
    """Return ``auc``, ``eer``, ``tpr_at_5fa`` and ``tpr_at_1fa`` with 95 % intervals over ``scores.unit``.

    Where no draw differs, a TPR has Wilson's interval with as many trials as there are spoof videos.

    Raises:
        ValueError: one of the two classes is missing.
    """
    alarms = scores.alarms()
    drawn: dict[str, list[FloatVector]] = {"auc": [], "eer": [], **{name: [] for name in _FA}}
    for weights in draw_weights(scores.unit, scores.is_spoof, rounds=rounds, seed=seed):
        p_miss, p_fa = error_rates(scores.llr, scores.is_spoof, weights)
        drawn["auc"].append(_auc(p_miss, p_fa))
        drawn["eer"].append(_eer(p_miss, p_fa))
        p_miss, p_fa = error_rates(alarms, scores.is_spoof, weights)
        for name, most in _FA.items():
            drawn[name].append(_tpr(p_miss, p_fa, most))
    values = {
        "auc": auc(scores.llr, scores.is_spoof),
        "eer": eer(scores.llr, scores.is_spoof),
        **{name: tpr_at_fa(alarms, scores.is_spoof, most) for name, most in _FA.items()},
    }
    found = {name: percentile_interval(v, np.concatenate(drawn[name]).tolist()) for name, v in values.items()}
    spoofs = len({unit for unit, spoof in zip(scores.unit, scores.is_spoof, strict=True) if spoof})
    return found | {
        name: wilson_interval(found[name].value, spoofs)
        for name in _FA
        if found[name].low == found[name].high
    }


def mean_auc(spoofs: Sequence[FloatVector], bona_llr: FloatVector, rounds: int, *, seed: int = 0) -> Interval:
    """Return the mean of the AUC of several kinds of spoof, each (N,) with N > 0, against all genuine videos.

    A draw takes as many videos of each kind as there are, so no kind is ever missing from it, and the same
    genuine videos for all kinds.
    """
    rng = np.random.default_rng(seed)
    drawn_bona = _multinomial(rng, len(bona_llr), rounds)
    values, drawn = [], np.zeros(rounds)
    for llr in spoofs:
        above = (llr[:, None] > bona_llr) + 0.5 * (llr[:, None] == bona_llr)
        values.append(float(above.mean()))
        drawn += np.einsum(
            "rs,sb,rb->r", _multinomial(rng, len(llr), rounds), above, drawn_bona, optimize=True
        )
    return percentile_interval(float(np.mean(values)), (drawn / len(spoofs)).tolist())


def _multinomial(rng: np.random.Generator, count: int, rounds: int) -> Weights:
    """Return float64 (R, N): the share of each of N videos in R draws of N with replacement."""
    return np.asarray(rng.multinomial(count, np.full(count, 1 / count), size=rounds) / count)


def as_json(found: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    """Return intervals as reports hold them, with four places."""
    return {
        name: {"value": round(i.value, 4), "low": round(i.low, 4), "high": round(i.high, 4)}
        for name, i in found.items()
    }


def draw_weights(
    unit: Sequence[str], is_spoof: BoolVector, *, rounds: int, seed: int = 0
) -> Iterator[Weights]:
    """Yield float64 (R, N) weights of the N rows in R draws of whole units, each class for itself.

    All R together are ``rounds``; one array never holds more than a few million cells.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, min(rounds, _MOST_CELLS // max(1, len(unit))))
    names, number = np.unique(
        [f"{int(s)}/{u}" for s, u in zip(is_spoof, unit, strict=True)], return_inverse=True
    )
    of_spoof = np.array([name.startswith("1") for name in names], np.bool_)
    for begin in range(0, rounds, at_once):
        count = min(at_once, rounds - begin)
        drawn = np.zeros((count, len(names)))
        for members in (of_spoof, ~of_spoof):
            size = int(members.sum())
            drawn[:, members] = rng.multinomial(size, np.full(size, 1 / size), size=count)
        yield drawn[:, number]


def error_rates(score: FloatVector, is_spoof: BoolVector, weights: Weights) -> tuple[Weights, Weights]:
    """Return (p_miss, p_fa), each float64 (R, M), at every threshold in each of R draws.

    As ``metrics.error_rates``; every draw holds both classes.
    """
    order = np.argsort(score, kind="stable")
    last_of_equals = np.append(np.diff(score[order]) > 0, True)
    spoof_below = np.cumsum(np.where(is_spoof[order], weights[:, order], 0.0), axis=1)[:, last_of_equals]
    bona_below = np.cumsum(np.where(is_spoof[order], 0.0, weights[:, order]), axis=1)[:, last_of_equals]
    nothing = np.zeros((len(weights), 1))
    p_miss = np.concatenate([nothing, spoof_below / spoof_below[:, -1:]], axis=1)
    p_fa = 1.0 - np.concatenate([nothing, bona_below / bona_below[:, -1:]], axis=1)
    return p_miss, p_fa


def _auc(p_miss: Weights, p_fa: Weights) -> FloatVector:
    caught = 1.0 - p_miss
    return np.asarray(((p_fa[:, :-1] - p_fa[:, 1:]) * (caught[:, :-1] + caught[:, 1:]) / 2).sum(axis=1))


def _eer(p_miss: Weights, p_fa: Weights) -> FloatVector:
    rows = np.arange(len(p_miss))
    i = np.argmax(p_miss >= p_fa, axis=1)
    before, after = p_fa[rows, i - 1] - p_miss[rows, i - 1], p_miss[rows, i] - p_fa[rows, i]
    share = before / (before + after)
    return np.asarray(p_miss[rows, i - 1] + share * (p_miss[rows, i] - p_miss[rows, i - 1]))


def _tpr(p_miss: Weights, p_fa: Weights, most: float) -> FloatVector:
    return np.asarray(1.0 - np.where(p_fa <= most + _ROUNDING, p_miss, 1.0).min(axis=1))
