"""Figures on held-out pairs: AUC by method, the crossed AUC, differences with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # so that the figures can be had, and tested, without the recipe's environment
    from pairs import Pairs

SEED = 20261122
_ROUNDS = 1000


@dataclass(frozen=True)
class Judged:
    """Scores of held-out pairs by one model: float (N,) each, larger means spoof."""

    real: np.ndarray
    fake: np.ndarray


def rank_auc(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the chance that a forgery scores above a real face; ties count half."""
    order = np.sort(real)
    below = np.searchsorted(order, fake, "left") + np.searchsorted(order, fake, "right")
    return float(below.mean() / (2 * len(real)))


def mean_auc(judged: Judged, methods: np.ndarray, chosen: tuple[str, ...], rows: np.ndarray) -> float:
    """Return the mean AUC over ``chosen`` methods, each against all real pictures among ``rows``."""
    kinds, fake, real = methods[rows], judged.fake[rows], judged.real[rows]
    return float(np.mean([rank_auc(real, fake[kinds == method]) for method in chosen]))


def crossed_auc(judged: Judged, pairs: Pairs, chosen: tuple[str, ...]) -> tuple[float, float]:
    """Return the AUC of sharp forgeries against soft real pictures, and of soft against sharp ones.

    "Sharp" and "soft" are the upper and lower third by the variance of the Laplacian. A detector that
    has learned sharpness instead of forgery is far from 0.5 in both, on opposite sides.
    """
    wanted = np.isin(pairs.methods, chosen)
    real, fake = sharpness(pairs.real), sharpness(pairs.fake)[wanted]
    scores = judged.fake[wanted]
    low, high = np.quantile(real, [1 / 3, 2 / 3])
    return (
        rank_auc(judged.real[real < low], scores[fake > high]),
        rank_auc(judged.real[real > high], scores[fake < low]),
    )


def sharpness(pictures: np.ndarray) -> np.ndarray:
    """Return float (N,): the variance of the Laplacian of each picture's brightness."""
    grey = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    edges = 4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1]
    edges -= grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return edges.var(axis=(1, 2))


def faces_drawn(names: list[str], rounds: int = _ROUNDS) -> list[np.ndarray]:
    """Return the rows of ``rounds`` bootstrap draws of faces, each with all of its rows."""
    rng = np.random.default_rng(SEED)
    _, owner = np.unique(names, return_inverse=True)
    rows = [np.flatnonzero(owner == face) for face in range(owner.max() + 1)]
    return [
        np.concatenate([rows[face] for face in rng.integers(len(rows), size=len(rows))])
        for _ in range(rounds)
    ]


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of bootstrapped ``values``; draws that lack a class are left out."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def difference(old: Judged, new: Judged, pairs: Pairs, chosen: tuple[str, ...]) -> tuple[float, float, float]:
    """Return new minus old mean AUC over ``chosen`` and its 95 % interval over faces."""
    methods, every = np.array(pairs.methods), np.arange(len(pairs.methods))
    drawn = [
        mean_auc(new, methods, chosen, rows) - mean_auc(old, methods, chosen, rows)
        for rows in faces_drawn(pairs.names)
    ]
    middle = mean_auc(new, methods, chosen, every) - mean_auc(old, methods, chosen, every)
    return (middle, *interval(drawn))


def cllr(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the cost of the llr in bits (Bruemmer and du Preez, 2006); 1 is what saying nothing costs."""
    return float((np.logaddexp(0, real).mean() + np.logaddexp(0, -fake).mean()) / 2 / np.log(2))
