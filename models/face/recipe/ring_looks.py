"""Says what several looks at one face are worth: AUC of the medians over 1, 2, 4 and 8 looks.

    GUARD_DATA=... python ring_looks.py --folder CHECKPOINTS [--model models/face_ring] [--pairs N]

Every look at a held-out face is the same picture moved a little, with fresh grain, coded anew, with
landmarks found anew. Real calls differ more from look to look, so this is the least looks bring.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from chain import SEEN
from data import ROOT, Face, load
from forge import Forger, fit_pca
from pool import AUTOENCODERS
from rebuild import load_rebuilder
from ring_export import JUDGED, interval
from ring_pairs import SEED, Sent, draw_pair, draw_sent, look

sys.path.insert(0, str(ROOT))
from guard.detectors.card import load_card
from guard.detectors.onnx import OnnxModel
from guard.media.contrasts import contrasts

LOOKS = 8
_COUNTS = (1, 2, 4, 8)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds autoencoders.pt")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "face_ring")
    parser.add_argument("--pairs", type=int, default=160)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    training, faces = load(held_out=False), load(held_out=True)
    rebuilder = load_rebuilder(args.folder / AUTOENCODERS, training, SEED)
    forger = Forger(faces, rebuilder, fit_pca(training, 160, SEED))
    rng = np.random.default_rng((SEED, 9))
    names, rows = [], []
    for index in range(args.pairs):
        face = faces.faces[int(rng.integers(len(faces.faces)))]
        *pictures, _ = draw_pair(forger, face, JUDGED[index % len(JUDGED)], rng, SEEN)
        sent, seed = draw_sent(rng, SEEN), int(rng.integers(2**32))
        rows.append([_looks(p, face, faces.indices, sent, np.random.default_rng(seed)) for p in pictures])
        names.append(face.name)
    features = np.array(rows)  # (pairs, 2, LOOKS, COUNT)
    model = OnnxModel(load_card(args.model))
    print("| looks | AUC | 95 % |\n|---|---|---|")
    for count in _COUNTS:
        medians = np.median(features[:, :, :count], axis=2).astype(np.float32)
        real, fake = (model.raw(np.ascontiguousarray(medians[:, side])) for side in (0, 1))
        value, low, high = interval(real, fake, np.array(names))
        print(f"| {count} | {value:.3f} | {low:.3f} to {high:.3f} |")


def _looks(
    picture: np.ndarray, face: Face, indices: list[int], sent: Sent, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the features of LOOKS looks at one picture."""
    found = []
    for _ in range(LOOKS):
        shift = rng.uniform(-3, 3, 2).astype(np.float32)
        matrix = np.column_stack([np.eye(2, dtype=np.float32), shift])
        moved = cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
        grainy = moved + rng.normal(0, 1.5, moved.shape)
        there = replace(face, points=face.points + shift)
        seen = np.clip(np.round(grainy), 0, 255).astype(np.uint8)
        found.append(contrasts(look(seen, there, indices, sent, rng)))
    return found


if __name__ == "__main__":
    main()
