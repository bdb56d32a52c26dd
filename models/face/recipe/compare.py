"""Compares two models on held-out faces, in other draws than the calibration's, and says which to ship.

    GUARD_DATA=... python compare.py --folder CHECKPOINTS OLD_MODEL_FOLDER NEW_MODEL_FOLDER

The rule: the new one ships when its mean AUC over the forgeries that training never saw is higher,
the 95 % interval of the difference (bootstrap over faces) lies above 0, and the mean over the first
four forgeries has not fallen by more than 0.01. No validation folder takes part.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from data import ROOT, load
from forge import FIRST_TRAINED, HELD_OUT
from pairs import Pairs
from rebuild import load_rebuilder
from train import AUTOENCODERS, SEED, held_out_pairs, rank_auc

sys.path.insert(0, str(ROOT))
from guard.detectors.card import load_card
from guard.detectors.onnx import OnnxModel

PER_METHOD = 300
_ROUNDS = 1000
_WORST_LOSS = 0.01


def main() -> None:
    """Print AUC and cost of calibrated llr (bits) per forgery for both models, then the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds the autoencoders")
    parser.add_argument("models", type=Path, nargs=2, help="two folders with card.toml and model.onnx")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    faces = load(held_out=False)
    rebuilder = load_rebuilder(args.folder / AUTOENCODERS, faces, SEED)
    held = held_out_pairs(faces, rebuilder, PER_METHOD, seed=SEED + 1)
    old, new = (_llr(folder, held) for folder in args.models)
    methods = np.array(held.methods)
    rows = [(name, [name]) for name in dict.fromkeys(held.methods)]
    rows += [("first four", list(FIRST_TRAINED)), ("never trained on", list(HELD_OUT))]
    print("forgery, AUC old, AUC new, difference [95 %], cllr old, cllr new")
    found = {}
    for name, chosen in rows:
        found[name] = _difference(old, new, methods, chosen, held.names)
        low, high = found[name][1:]
        a, b = (_mean_auc(one, methods, chosen) for one in (old, new))
        bits = [_cllr(one[0], one[1][np.isin(methods, chosen)]) for one in (old, new)]
        aucs = f"{a:.3f}, {b:.3f}, {b - a:+.3f} [{low:+.3f}, {high:+.3f}]"
        print(f"{name}, {aucs}, {bits[0]:.3f}, {bits[1]:.3f}")
    better = found["never trained on"][1] > 0 and found["first four"][0] > -_WORST_LOSS
    print("ship the new model" if better else "keep the old model")


def _llr(folder: Path, held: Pairs) -> tuple[np.ndarray, np.ndarray]:
    card = load_card(folder)
    model = OnnxModel(card)
    parts = []
    for pictures in (held.real, held.fake):
        batch = pictures.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        raw = [model.raw(np.ascontiguousarray(batch[i : i + 64])) for i in range(0, len(batch), 64)]
        parts.append(card.calibration.llr(np.concatenate(raw)))
    return parts[0], parts[1]


def _mean_auc(scores: tuple[np.ndarray, np.ndarray], methods: np.ndarray, chosen: list[str]) -> float:
    real, fake = scores
    return float(np.mean([rank_auc(real[methods == m], fake[methods == m]) for m in chosen]))


def _difference(
    old: tuple[np.ndarray, np.ndarray],
    new: tuple[np.ndarray, np.ndarray],
    methods: np.ndarray,
    chosen: list[str],
    names: list[str],
) -> tuple[float, float, float]:
    """Return new minus old mean AUC and its 95 % interval, faces drawn with all their rows."""
    rng = np.random.default_rng(SEED)
    _, owner = np.unique(names, return_inverse=True)
    rows = [np.flatnonzero(owner == face) for face in range(owner.max() + 1)]
    drawn = []
    for _ in range(_ROUNDS):
        take = np.concatenate([rows[face] for face in rng.integers(len(rows), size=len(rows))])
        kinds = methods[take]
        pair = [_mean_auc((one[0][take], one[1][take]), kinds, chosen) for one in (old, new)]
        drawn.append(pair[1] - pair[0])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return _mean_auc(new, methods, chosen) - _mean_auc(old, methods, chosen), float(low), float(high)


def _cllr(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the cost of the llr in bits (Bruemmer and du Preez, 2006); 1 is what saying nothing costs."""
    return float((np.logaddexp(0, real).mean() + np.logaddexp(0, -fake).mean()) / 2 / np.log(2))


if __name__ == "__main__":
    main()
