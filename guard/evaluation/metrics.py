"""Error figures of a detector: EER, minDCF, Cllr, TPR at a false alarm rate, AUC, with bootstrap intervals.

Scores are llr, larger meaning spoof; spoof is the positive class throughout. Clips a
detector abstained on are counted at llr 0 by the caller, never dropped unseen.

Sources: Brümmer and du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006 (Cllr, PAV, ROC convex hull); Martin et al., "The DET
curve in assessment of detection task performance", Eurospeech 1997; the ASVspoof 5 evaluation
plan (minDCF); Efron and Tibshirani, "An Introduction to the Bootstrap", 1993 (percentiles).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

FloatVector = NDArray[np.float64]
BoolVector = NDArray[np.bool_]
Indices = NDArray[np.intp]
Metric = Callable[[FloatVector, BoolVector], float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its bootstrap interval; ``low`` and ``high`` are percentiles."""

    value: float
    low: float
    high: float


def error_rates(llr: FloatVector, is_spoof: BoolVector) -> tuple[FloatVector, FloatVector]:
    """Return (p_miss, p_fa) at every threshold, from "everything is spoof" to "nothing is".

    Both are float64 (M,); p_miss rises and p_fa falls; equal scores share a threshold.

    Raises:
        ValueError: one of the two classes is missing.
    """
    n_spoof, n_bona = int(is_spoof.sum()), int((~is_spoof).sum())
    if n_spoof == 0 or n_bona == 0:
        raise ValueError("error rates need clips of both classes")
    order = np.argsort(llr, kind="stable")
    last_of_equals = np.append(np.diff(llr[order]) > 0, True)
    spoof_below = np.cumsum(is_spoof[order])[last_of_equals]
    bona_below = np.cumsum(~is_spoof[order])[last_of_equals]
    p_miss = np.append(0.0, spoof_below / n_spoof)
    p_fa = np.append(1.0, 1.0 - bona_below / n_bona)
    return p_miss, p_fa


def eer(llr: FloatVector, is_spoof: BoolVector) -> float:
    """Return the equal error rate, where the ROC's straight segments cross p_miss = p_fa."""
    p_miss, p_fa = error_rates(llr, is_spoof)
    i = int(np.argmax(p_miss >= p_fa))
    d0, d1 = p_fa[i - 1] - p_miss[i - 1], p_miss[i] - p_fa[i]
    share = d0 / (d0 + d1)
    return float(p_miss[i - 1] + share * (p_miss[i] - p_miss[i - 1]))


def auc(llr: FloatVector, is_spoof: BoolVector) -> float:
    """Return the area under the ROC; equal scores count one half."""
    p_miss, p_fa = error_rates(llr, is_spoof)
    return float(np.trapezoid(1.0 - p_miss[::-1], p_fa[::-1]))


def min_dcf(
    llr: FloatVector,
    is_spoof: BoolVector,
    *,
    pi_spoof: float = 0.05,
    cost_refused: float = 1.0,
    cost_passed: float = 10.0,
) -> float:
    """Return the least detection cost over all thresholds, over that of the better blind decision.

    As in the ASVspoof 5 evaluation plan, whose "miss" (cost 1) is a genuine voice refused and whose
    "false alarm" (cost 10) a spoof let pass: what are p_fa and p_miss here.
    """
    p_miss, p_fa = error_rates(llr, is_spoof)
    refused, passed = cost_refused * (1.0 - pi_spoof), cost_passed * pi_spoof
    return float((refused * p_fa + passed * p_miss).min() / min(refused, passed))


def tpr_at_fa(llr: FloatVector, is_spoof: BoolVector, max_fa: float) -> float:
    """Return the share of spoofs caught at the best threshold with at most ``max_fa`` false alarms."""
    p_miss, p_fa = error_rates(llr, is_spoof)
    return float(1.0 - p_miss[p_fa <= max_fa + 1e-12].min())


def threshold_at_fa(bona_llr: FloatVector, max_fa: float) -> float:
    """Return the lowest threshold that at most ``max_fa`` of the genuine clips, (N,) with N > 0, exceed."""
    allowed = int(np.floor(max_fa * len(bona_llr) + 1e-9))
    return float(np.sort(bona_llr)[::-1][min(allowed, len(bona_llr) - 1)])


def cllr(llr: FloatVector, is_spoof: BoolVector) -> float:
    """Return the cost of the llr in bits: 0 perfect, 1 worth nothing, above 1 misleading."""
    if is_spoof.all() or not is_spoof.any():
        raise ValueError("Cllr needs clips of both classes")
    miss = np.logaddexp(0.0, -llr[is_spoof]).mean()
    false_alarm = np.logaddexp(0.0, llr[~is_spoof]).mean()
    return float(0.5 * (miss + false_alarm) / np.log(2.0))


def min_cllr(llr: FloatVector, is_spoof: BoolVector) -> float:
    """Return the Cllr left after the best monotone recalibration (pool adjacent violators)."""
    order = np.argsort(llr, kind="stable")
    _, group = np.unique(llr[order], return_inverse=True)
    size = np.bincount(group).astype(np.float64)
    share = _pav(np.bincount(group, weights=is_spoof[order]) / size, size)[group]
    prior = np.log(is_spoof.sum() / (~is_spoof).sum())
    with np.errstate(divide="ignore"):
        best = np.log(share) - np.log1p(-share) - prior
    return cllr(best, is_spoof[order])


def gap_if_exact(
    llr: FloatVector, is_spoof: BoolVector, *, rounds: int = 300, seed: int = 0
) -> Interval | None:
    """Return the Cllr - Cllr_min that these very scores would show by chance, were they exact llr.

    The best recalibration fits the chance of so few clips, too, so even exact llr have a gap. Classes are
    drawn anew from each score's own posterior (a parametric bootstrap), at the share of spoofs there is;
    the value is the mean over draws, the interval their 95 %. Clips are drawn singly, though those of one
    source err together: with few sources chance reaches further. None where no draw has both classes.
    """
    prior = np.log(is_spoof.sum() / (~is_spoof).sum())
    posterior = 1 / (1 + np.exp(-(llr + prior)))
    rng = np.random.default_rng(seed)
    drawn = [rng.random(len(llr)) < posterior for _ in range(rounds)]
    gaps = [cllr(llr, own) - min_cllr(llr, own) for own in drawn if own.any() and not own.all()]
    return percentile_interval(float(np.mean(gaps)), gaps) if gaps else None


def bootstrap(
    metric: Metric,
    llr: FloatVector,
    is_spoof: BoolVector,
    source: Sequence[str],
    *,
    rounds: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return the figure with a percentile interval over resampled *sources*, not clips.

    Clips of one source (engine, speaker, site) err together, so whole sources are drawn with
    replacement, bona fide and spoof apart so that both classes stay present. With one source
    in a class the interval does not cover that class's source variation.
    """
    values = [metric(llr[i], is_spoof[i]) for i in draws(source, is_spoof, rounds=rounds, seed=seed)]
    return percentile_interval(metric(llr, is_spoof), values, level=level)


def draws(source: Sequence[str], is_spoof: BoolVector, *, rounds: int, seed: int = 0) -> Iterator[Indices]:
    """Yield the rows of ``rounds`` bootstrap draws of whole sources, each class for itself.

    A class of K sources gives K of them, with replacement; a class that is not there gives none.
    """
    rng = np.random.default_rng(seed)
    groups = [_by_source(source, member) for member in (is_spoof, ~is_spoof) if member.any()]
    for _ in range(rounds):
        yield np.concatenate([g[i] for g in groups for i in rng.integers(0, len(g), len(g))])


def percentile_interval(value: float, drawn: Sequence[float], *, level: float = 0.95) -> Interval:
    """Return a figure with the percentiles of its bootstrap draws that hold ``level`` of them."""
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(np.asarray(drawn, np.float64), [tail, 100.0 - tail])
    return Interval(value, float(low), float(high))


def wilson_interval(share: float, trials: int, *, level: float = 0.95) -> Interval:
    """Return the score interval of a share of independent trials (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    # at 0 and 1 rounding would put the share outside
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(share, float(min(share, low)), float(max(share, high)))


def _by_source(source: Sequence[str], member: BoolVector) -> list[Indices]:
    rows: dict[str, list[int]] = {}
    for i in np.flatnonzero(member).tolist():
        rows.setdefault(source[i], []).append(i)
    return [np.array(rows[name], dtype=np.intp) for name in sorted(rows)]


def _pav(value: FloatVector, size: FloatVector) -> FloatVector:
    """Isotonic regression: the rising sequence nearest to ``value`` in weighted squares."""
    blocks: list[tuple[float, float, int]] = []
    for v, n in zip(value, size, strict=True):
        mean, weight, count = float(v), float(n), 1
        while blocks and blocks[-1][0] >= mean:
            m, w, c = blocks.pop()
            mean, weight, count = (m * w + mean * weight) / (w + weight), w + weight, count + c
        blocks.append((mean, weight, count))
    return np.concatenate([np.full(c, m) for m, _, c in blocks])
