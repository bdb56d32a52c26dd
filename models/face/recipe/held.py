"""Pairs of faces kept out of training: what is calibrated, chosen and measured with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from chain import INPUT_PX, SEEN, UNSEEN
from data import load, written_whole
from forge import HELD_OUT, TRAINED, FacePca, Forger, fit_pca
from pairs import Pairs, draw_pairs
from pool import AUTOENCODERS, SEED
from rebuild import load_rebuilder


def held_out_pairs(
    folder: Path, surroundings: str, per_method: int, seed: int = SEED, side_px: int = INPUT_PX
) -> Pairs:
    """Return pairs of faces never trained on, every method in turn; drawn once, then read from the folder.

    Args:
        folder: holds the autoencoders.
        surroundings: ``seen`` (training's cameras and codecs) or ``unseen`` (others).
        per_method: pairs of each method.
        seed: of the draw.
        side_px: of the pictures; another than the detector's for size.py alone.
    """
    # soft.py fits on every held_*.npz: the draws that judge are not among them
    size = "" if side_px == INPUT_PX else f"_{side_px}px"
    path = folder / f"{'held' if seed == SEED else 'judged'}_{surroundings}_{per_method}_{seed}{size}.npz"
    if not path.is_file():
        faces = load(held_out=True)
        forger = Forger(faces, load_rebuilder(folder / AUTOENCODERS, None, SEED), _components(folder))
        methods = [method for method in (*TRAINED, *HELD_OUT) for _ in range(per_method)]
        family = replace({"seen": SEEN, "unseen": UNSEEN}[surroundings], side_px=side_px)
        drawn = draw_pairs(forger, faces, methods, np.random.default_rng(seed), family)
        with written_whole(path) as out:
            np.savez(out, **vars(drawn))
    stored = np.load(path)
    lists = {name: stored[name].tolist() for name in ("methods", "finishes", "names")}
    return Pairs(real=stored["real"], fake=stored["fake"], **lists)


def _components(folder: Path) -> FacePca:
    """Return the principal components of the training faces, fitted at first use."""
    path = folder / "components.npz"
    if not path.is_file():
        with written_whole(path) as out:
            np.savez(out, **vars(fit_pca(load(held_out=False), 200, SEED)))
    stored = np.load(path)
    return FacePca(mean=stored["mean"], basis=stored["basis"])
