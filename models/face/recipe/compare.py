"""Compares two models on held-out faces, in other draws than the calibration's, and says which to ship.

    GUARD_DATA=... python compare.py --folder CHECKPOINTS [--ship] OLD_MODEL_FOLDER NEW_MODEL_FOLDER

``--ship`` puts the new model and its card into the old one's folder where the rule says so.

The rule, written before the first run of 0.3: on cameras and codecs that neither version was trained
with, the new one ships when (1) its mean AUC over the forgeries that training never saw (pca, morph,
generated_unseen) is higher and the 95 % interval of the difference (bootstrap over faces) lies above
0, and (2) its mean over the first four forgeries has not fallen by more than 0.01. No validation
folder takes part. A version that failed is not measured again on the same draw.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from data import ROOT
from forge import FIRST_TRAINED, HELD_OUT
from held import held_out_pairs
from measure import Judged, cllr, crossed_auc, difference, mean_auc
from pairs import Pairs
from pool import SEED
from ship import settled

sys.path.insert(0, str(ROOT))
from guard.detectors.card import load_card
from guard.detectors.onnx import OnnxModel

_WORST_LOSS = 0.01


def main() -> None:
    """Print AUC and cost of calibrated llr (bits) per forgery for both models, then the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds the autoencoders")
    parser.add_argument("--per-method", type=int, default=60)
    parser.add_argument("--draw", type=int, default=1, help="another number draws other pairs")
    parser.add_argument("--ship", action="store_true", help="put the new model in place if the rule says so")
    parser.add_argument("models", type=Path, nargs=2, help="two folders with card.toml and model.onnx")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    held = held_out_pairs(args.folder, "unseen", args.per_method, seed=SEED + args.draw)
    old, new = (_llr(folder, held) for folder in args.models)
    print(f"{len(held.names)} pairs: forgery, AUC old, new, difference [95 %], cllr old, new")
    ships = _report(old, new, held)
    print("ship the new model" if ships else "keep the old model")
    if args.ship:
        print(settled(*args.models, ships=ships))


def _report(old: Judged, new: Judged, held: Pairs) -> bool:
    methods, every = np.array(held.methods), np.arange(len(held.methods))
    rows = [(name, (name,)) for name in dict.fromkeys(held.methods)]
    rows += [("first four", FIRST_TRAINED), ("never trained on", HELD_OUT)]
    found = {}
    for name, chosen in rows:
        found[name] = difference(old, new, held, chosen)
        a, b = (mean_auc(one, methods, chosen, every) for one in (old, new))
        bits = [cllr(one.real, one.fake[np.isin(methods, chosen)]) for one in (old, new)]
        moved, low, high = found[name]
        print(
            f"{name}, {a:.3f}, {b:.3f}, {moved:+.3f} [{low:+.3f}, {high:+.3f}], {bits[0]:.3f}, {bits[1]:.3f}"
        )
    for name, chosen in (("never trained on", HELD_OUT), ("whole pictures", ("generated_unseen",))):
        pair = [crossed_auc(one, held, chosen) for one in (old, new)]
        print(f"{name}, sharp forgeries against soft real pictures, {pair[0][0]:.3f}, {pair[1][0]:.3f}")
        print(f"{name}, soft forgeries against sharp real pictures, {pair[0][1]:.3f}, {pair[1][1]:.3f}")
    return found["never trained on"][1] > 0 and found["first four"][0] > -_WORST_LOSS


def _llr(folder: Path, held: Pairs) -> Judged:
    card = load_card(folder)
    model = OnnxModel(card)
    parts = []
    for pictures in (held.real, held.fake):
        batch = pictures.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        raw = [model.raw(np.ascontiguousarray(batch[i : i + 64])) for i in range(0, len(batch), 64)]
        parts.append(card.calibration.llr(np.concatenate(raw)))
    return Judged(parts[0], parts[1])


if __name__ == "__main__":
    main()
