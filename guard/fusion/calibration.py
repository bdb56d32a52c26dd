"""Logistic calibration: from a raw detector score to a natural log-likelihood ratio.

Source: Brümmer and du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006, section 5 (affine calibration, prior-weighted
logistic regression). Symbols follow the paper: raw score s, weights a and b, prior pi.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray


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

    def llr(self, s: FloatArray) -> FloatArray:
        """Return float32 (N,) natural log-likelihood ratios of raw scores (N,)."""
        llr = np.clip(self.a * s.astype(np.float64) + self.b, -self.limit_llr, self.limit_llr)
        return llr.astype(np.float32)


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
        ValueError: a class is missing, or the scores do not rise with spoof.
    """
    if is_spoof.all() or not is_spoof.any():
        raise ValueError("calibration needs scores of both classes")
    x = s.astype(np.float64)
    centre, scale = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([(x - centre) / scale, np.ones_like(x)], axis=1)
    t = is_spoof.astype(np.float64)
    w = _class_weights(is_spoof, weight)
    theta = _newton(design, t, w, ridge)
    a, b = float(theta[0] / scale), float(theta[1] - theta[0] * centre / scale)
    if a <= 0:
        raise ValueError("raw scores do not rise with spoof; check the sign stated in the card")
    return a, b


def _class_weights(is_spoof: NDArray[np.bool_], weight: FloatArray | None) -> NDArray[np.float64]:
    w = np.ones(is_spoof.shape, np.float64) if weight is None else weight.astype(np.float64)
    out = np.zeros_like(w)
    for cls in (is_spoof, ~is_spoof):
        out[cls] = 0.5 * w[cls] / w[cls].sum()
    return out


def _newton(
    design: NDArray[np.float64], t: NDArray[np.float64], w: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    prior, penalty = np.array([1.0, 0.0]), np.diag([ridge, 0.0])
    theta = prior.copy()
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ theta, -50.0, 50.0)))
        gradient = design.T @ (w * (p - t)) + penalty @ (theta - prior)
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design + penalty + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # a full Newton step may overshoot far from the minimum
        theta -= step * min(1.0, 2.0 / (float(np.abs(step).max()) + 1e-12))
        if float(np.abs(step).max()) < 1e-9:
            break
    return theta
