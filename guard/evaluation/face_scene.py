"""Do the pictures give their class away without the face? A detector that learns that has learnt nothing.

Real and fake pictures of a folder may differ in background, light or coding, and figures measured on it
then praise a detector for the wrong thing (shortcut learning: Geirhos et al., Nature Machine Intelligence 2,
2020). So a simple classifier is shown the crops with the face masked out. It is trained and tested on the
folder itself, by cross-validation over whole videos (both clips of a pair on one side): near chance is good.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from guard.evaluation.face_watch import face_area
from guard.types import FaceWindow

Scene = NDArray[np.float64]

FOLDS = 10
_GRID = 4
_RIDGE = 1.0
_ROUNDS = 50
_LUMA = np.array([0.299, 0.587, 0.114])


def features(window: FaceWindow) -> Scene:
    """Return float64 (26,): colours, light by place and fine structure of the crop outside its face.

    Mean and standard deviation of R, G, B; log energy of the 4-neighbour Laplacian, and of the
    differences across and down; log share of pixels at the ends of the scale; mean luma of 4 x 4 places.
    """
    kept = ~face_area(window)
    pixels = window.crop.astype(np.float64)
    outside = pixels[kept] if kept.any() else pixels.reshape(-1, 3)
    luma = pixels @ _LUMA
    # a difference with a pixel of the face is one of the face
    inner = kept[1:-1, 1:-1] & kept[:-2, 1:-1] & kept[2:, 1:-1] & kept[1:-1, :-2] & kept[1:-1, 2:]
    edges = 4 * luma[1:-1, 1:-1] - luma[:-2, 1:-1] - luma[2:, 1:-1] - luma[1:-1, :-2] - luma[1:-1, 2:]
    across = np.diff(luma, axis=1)[kept[:, 1:] & kept[:, :-1]]
    down = np.diff(luma, axis=0)[kept[1:] & kept[:-1]]
    extreme = float(((outside < 3) | (outside > 252)).mean())
    fine = [_energy(edges[inner]), _energy(across), _energy(down), np.log(extreme + 1e-3)]
    return np.concatenate([outside.mean(axis=0), outside.std(axis=0), fine, _places(luma, kept)])


def judge(scenes: NDArray[np.float64], is_spoof: NDArray[np.bool_], groups: Sequence[str]) -> Scene:
    """Return a score (N,) of each scene by a classifier that never saw its group; larger means spoof.

    Ridge logistic regression on standardised features, in ``FOLDS`` folds; a group always falls
    into the fold that its name says. A fold whose rest lacks a class scores 0.

    Args:
        scenes: float64 (N, F).
        is_spoof: bool (N,).
        groups: what must not be divided: the pair, or else the video.
    """
    names = sorted(set(groups), key=lambda name: (crc32(name.encode()), name))
    fold = {name: n % FOLDS for n, name in enumerate(names)}
    folds = np.array([fold[name] for name in groups])
    out = np.zeros(len(scenes))
    for n in range(FOLDS):
        test, train = folds == n, folds != n
        if test.any() and is_spoof[train].any() and not is_spoof[train].all():
            out[test] = _scores(scenes[train], is_spoof[train], scenes[test])
    return out


def _scores(train: NDArray[np.float64], is_spoof: NDArray[np.bool_], test: NDArray[np.float64]) -> Scene:
    centre, scale = train.mean(axis=0), train.std(axis=0) + 1e-9
    x = np.column_stack([(train - centre) / scale, np.ones(len(train))])
    target = is_spoof.astype(np.float64)
    weight = np.where(is_spoof, 0.5 / is_spoof.sum(), 0.5 / (~is_spoof).sum()) * len(train)
    pull = np.diag(np.append(np.full(train.shape[1], _RIDGE), 0.0))
    theta = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(x @ theta, -30, 30)))
        gradient = x.T @ (weight * (p - target)) + pull @ theta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + pull + 1e-9 * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        theta -= step * min(1.0, 2.0 / (float(np.abs(step).max()) + 1e-12))
    return np.asarray(np.column_stack([(test - centre) / scale, np.ones(len(test))]) @ theta)


def _energy(differences: NDArray[np.float64]) -> float:
    return float(np.log(np.mean(differences**2) + 1e-3)) if differences.size else 0.0


def _places(luma: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean luma of the places of a grid; those under the face say what the rest says."""
    rest = float(luma[kept].mean()) if kept.any() else float(luma.mean())
    side = luma.shape[0] // _GRID
    out = np.full(_GRID * _GRID, rest)
    for n in range(len(out)):
        spot = np.s_[n // _GRID * side : (n // _GRID + 1) * side, n % _GRID * side : (n % _GRID + 1) * side]
        if kept[spot].mean() > 0.1:
            out[n] = luma[spot][kept[spot]].mean()
    return out
