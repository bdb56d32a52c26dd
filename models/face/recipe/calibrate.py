"""Calibration for the cards: the line of ``fit_logistic``, or one that claims nothing.

Too few faces or too short a training may leave a model whose scores do not rise with forgeries on faces it
never saw. Such a score is no evidence, so its llr is 0 whatever it is; the card says so and the run goes on.
"""

from __future__ import annotations

import sys

import numpy as np
from data import ROOT

sys.path.insert(0, str(ROOT))
from guard.fusion.calibration import fit_logistic

# a card's slope must be above 0; this one takes any score to an llr of 0
NOTHING = 1e-6


def fit_or_nothing(
    what: str, scores: np.ndarray, is_spoof: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, float]:
    """Return a and b of the calibration, (NOTHING, 0) where ``scores`` do not rise with spoof.

    Args:
        what: whose scores they are, for the warning.
        scores: float32 (N,), larger is meant to be spoof.
        is_spoof: bool (N,).
        weight: as ``fit_logistic`` takes it.

    Raises:
        SystemExit: there are no scores of one of the classes, or not all are finite.
    """
    if is_spoof.all() or not is_spoof.any() or not np.isfinite(scores).all():
        sys.exit(
            f"{what}: held-out scores of both classes are needed, finite ones: more faces, or larger sizes"
        )
    try:
        return fit_logistic(scores, is_spoof, weight=weight)
    except ValueError as error:
        print(f"WARNING: {what}: {error}. It claims nothing (llr 0) until it is trained on more.", flush=True)
        return NOTHING, 0.0


def note_of(a: float) -> str:
    """Return what a card says beside its calibration where it claims nothing, else nothing."""
    return "; its scores did NOT rise with forgeries there, so it claims nothing" if a == NOTHING else ""
