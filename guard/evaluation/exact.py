"""Exact limits of rates and shares, for counts too small for a normal approximation.

Sources: Garwood, Biometrika 28, 1936 (Poisson); Clopper and Pearson, Biometrika 26, 1934 (binomial).
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log

from guard.evaluation.metrics import Interval

_HALVINGS = 80


def rate(events: int, exposure: float, confidence: float = 0.95) -> Interval:
    """Return events per unit of exposure with its exact two-sided Poisson interval.

    Args:
        events: how many were seen.
        exposure: hours, days or calls in which they were; above 0.
    """
    tail = (1 - confidence) / 2
    top = 2.0 * events + 20.0
    low = _solve(lambda mean: 1 - _poisson_at_most(events - 1, mean), tail, top) if events else 0.0
    high = _solve(lambda mean: 1 - _poisson_at_most(events, mean), 1 - tail, top)
    return Interval(events / exposure, low / exposure, high / exposure)


def upper_rate(events: int, exposure: float, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper limit of a Poisson rate."""
    top = 2.0 * events + 20.0
    return _solve(lambda mean: 1 - _poisson_at_most(events, mean), confidence, top) / exposure


def share(hits: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return hits of trials with their exact two-sided binomial interval; trials is above 0."""
    tail = (1 - confidence) / 2
    low = _solve(lambda p: 1 - _binomial_at_most(hits - 1, trials, p), tail, 1.0) if hits else 0.0
    high = 1.0 if hits == trials else _solve(lambda p: 1 - _binomial_at_most(hits, trials, p), 1 - tail, 1.0)
    return Interval(hits / trials, low, high)


def _solve(rising: Callable[[float], float], wanted: float, top: float) -> float:
    """Return where a function that rises on [0, top] reaches ``wanted``."""
    low, high = 0.0, top
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return high


def _poisson_at_most(events: int, mean: float) -> float:
    if mean <= 0:
        return 1.0
    return sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(events + 1))


def _binomial_at_most(hits: int, trials: int, p: float) -> float:
    if p <= 0 or hits >= trials:
        return 1.0
    if p >= 1:
        return 0.0
    ways = lgamma(trials + 1)
    return sum(
        exp(ways - lgamma(k + 1) - lgamma(trials - k + 1) + k * log(p) + (trials - k) * log(1 - p))
        for k in range(hits + 1)
    )
