"""Logistic calibration: from a raw detector score to a natural log-likelihood ratio.

Source: Brümmer and du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006, section 5 (affine calibration, prior-weighted
logistic regression). Symbols follow the paper: raw score s, weights a and b, prior pi.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray

# of the logistic loss where nothing is known (p (1 - p) at p = 1/2), about which one source's weight is told
_CURVATURE = 0.25
MAX_LIMIT_LLR = 1e9


@dataclass(frozen=True, slots=True)
class Logistic:
    """The affine map ``llr = a * s + b``; ``limit_llr`` bounds what one window may claim.

    ``a`` is positive: calibration never turns the sign of a score (a card states the
    sign of its raw output instead). The limit is how far the calibration data can carry:
    n clips cannot support a claim much stronger than log(n).
    """

    a: float
    b: float
    limit_llr: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.a, self.b, self.limit_llr]).all() and self.a > 0 and self.limit_llr > 0):
            raise ValueError("calibration needs finite a > 0, b and limit_llr > 0")
        if self.limit_llr > MAX_LIMIT_LLR:
            raise ValueError(f"limit_llr must be at most {MAX_LIMIT_LLR:g}: no number of clips carries more")

    def llr(self, s: FloatArray) -> FloatArray:
        """Return float32 (N,) natural log-likelihood ratios of raw scores (N,)."""
        llr = np.clip(self.a * s.astype(np.float64) + self.b, -self.limit_llr, self.limit_llr)
        return llr.astype(np.float32)


@dataclass(frozen=True, slots=True)
class BinnedLogistic:
    """One affine map for each bin of windows (channel, noise, loss); ``default`` for all other bins."""

    default: Logistic
    bins: Mapping[str, Logistic] = field(default_factory=dict)

    def llr(self, s: FloatArray, bins: Sequence[str]) -> FloatArray:
        """Return float32 (N,) natural log-likelihood ratios of raw scores (N,) of windows of ``bins``."""
        maps = [self.bins.get(name, self.default) for name in bins]
        return np.array([m.llr(s[i : i + 1])[0] for i, m in enumerate(maps)], np.float32)


def fit_logistic(
    s: FloatArray,
    is_spoof: NDArray[np.bool_],
    *,
    weight: FloatArray | None = None,
    ridge: float = 1e-3,
) -> tuple[float, float]:
    """Return (a, b) that minimise the prior-weighted logistic loss at pi = 0.5.

    Args:
        s: raw scores (N,), larger means spoof.
        is_spoof: bool (N,); both classes must occur.
        weight: non-negative (N,), for balancing sources; each class is rescaled to sum to one half.
        ridge: pulls a toward 1 / std(s), for separable data, where the loss has no minimum.

    Raises:
        ValueError: a class is missing, a score is not finite, or the scores do not rise with spoof.
    """
    if is_spoof.all() or not is_spoof.any():
        raise ValueError("calibration needs scores of both classes")
    if not np.isfinite(s).all():
        raise ValueError("calibration needs finite scores")
    x = s.astype(np.float64)
    centre, scale = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([(x - centre) / scale, np.ones_like(x)], axis=1)
    target = is_spoof.astype(np.float64)
    w = _class_weights(is_spoof, weight)
    theta = _newton(design, target, w, _Prior(np.array([1.0, 0.0]), np.array([ridge, 0.0])))
    a, b = float(theta[0] / scale), float(theta[1] - theta[0] * centre / scale)
    if a <= 0:
        raise ValueError("raw scores do not rise with spoof; check the sign stated in the card")
    return a, b


def fit_bins(
    s: FloatArray,
    is_spoof: NDArray[np.bool_],
    bins: Sequence[str],
    weight: FloatArray | None = None,
    *,
    sources: Sequence[str] | None = None,
    prior_sources: float = 12.0,
) -> dict[str, tuple[float, float]]:
    """Return (a, b) of each bin, drawn toward the fit of all bins the more, the fewer its sources.

    The maximum a posteriori fit under a Gaussian prior round the pooled (a, b) that is worth
    ``prior_sources`` sources: a bin of few speakers or engines tells little about its channel, however
    many windows they gave. A bin without both classes has the pooled fit.

    Args:
        s: raw scores (N,), larger means spoof.
        is_spoof: bool (N,); both classes must occur.
        bins: name of each score's bin, N of them.
        weight: as in ``fit_logistic``; each class of each bin is rescaled to sum to one half.
        sources: what each score comes from (speaker, engine); without it every score counts as one.
        prior_sources: how many sources the pooled fit is worth in each bin.

    Raises:
        ValueError: as ``fit_logistic`` does for all bins together.
    """
    a, b = fit_logistic(s, is_spoof, weight=weight)
    x = s.astype(np.float64)
    centre, scale = float(x.mean()), float(x.std()) or 1.0
    pooled = np.array([a * scale, b + a * centre])
    names = np.array(bins)
    origins = np.arange(len(x)).astype(str) if sources is None else np.array(sources)
    fits = {}
    for name in sorted(set(names.tolist())):
        rows = (names == name) & (True if weight is None else weight > 0)
        design = np.stack([(x[rows] - centre) / scale, np.ones(int(rows.sum()))], axis=1)
        kept = None if weight is None else weight[rows]
        worth = _fewest(is_spoof[rows], origins[rows])
        theta = pooled if worth == 0 else _drawn(design, is_spoof[rows], kept, pooled, prior_sources / worth)
        fits[name] = (float(theta[0] / scale), float(theta[1] - theta[0] * centre / scale))
    return fits


def _fewest(is_spoof: NDArray[np.bool_], origins: NDArray[np.str_]) -> int:
    """Return the number of sources of the class that has fewer."""
    return min(len(set(origins[cls].tolist())) for cls in (is_spoof, ~is_spoof))


def _drawn(
    design: NDArray[np.float64],
    is_spoof: NDArray[np.bool_],
    weight: FloatArray | None,
    pooled: NDArray[np.float64],
    pull: float,
) -> NDArray[np.float64]:
    """Return the weights of one bin; a bin whose scores fall with spoof is drawn until they rise."""
    w, target = _class_weights(is_spoof, weight), is_spoof.astype(np.float64)
    while True:
        theta = _newton(design, target, w, _Prior(pooled, np.full(2, pull * _CURVATURE)))
        if theta[0] > 0:
            return theta
        pull *= 2.0


def _class_weights(is_spoof: NDArray[np.bool_], weight: FloatArray | None) -> NDArray[np.float64]:
    w = np.ones(is_spoof.shape, np.float64) if weight is None else weight.astype(np.float64)
    out = np.zeros_like(w)
    for cls in (is_spoof, ~is_spoof):
        out[cls] = 0.5 * w[cls] / w[cls].sum()
    return out


@dataclass(frozen=True, slots=True)
class _Prior:
    """Gaussian prior of the two weights: its centre, and how hard it pulls on each."""

    centre: NDArray[np.float64]
    pull: NDArray[np.float64]


def _newton(
    design: NDArray[np.float64], t: NDArray[np.float64], w: NDArray[np.float64], prior: _Prior
) -> NDArray[np.float64]:
    penalty = np.diag(prior.pull)
    theta = prior.centre.copy()
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ theta, -50.0, 50.0)))
        gradient = design.T @ (w * (p - t)) + penalty @ (theta - prior.centre)
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design + penalty + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # a full Newton step may overshoot far from the minimum
        theta -= step * min(1.0, 2.0 / (float(np.abs(step).max()) + 1e-12))
        if float(np.abs(step).max()) < 1e-9:
            break
    return theta
