"""Whether a larger input sees more: the same pairs and steps at 128 px and at other sizes.

    GUARD_DATA=... python size.py --folder CHECKPOINTS [--sides 128 192] [--pairs N] [--steps N]

The piece of the face stays what it is; its pixels become finer. At 128 px the eyes lie 53 px apart, at 192 px
80, about as far as in the training pictures: what a larger input still sees of a face that fills it is what
the crop throws away. Same draws, same order, every layer from ImageNet's weights; measured on held-out faces
and other cameras and codecs. A step that is finished is not done again. Prints a Markdown table; differences
are to the first size, intervals 95 %, bootstrapped over faces.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from chain import INPUT_PX, SEEN
from data import load
from forge import HELD_OUT, Forger
from held import held_out_pairs
from measure import Judged, difference, mean_auc
from net import FaceNet
from pool import AUTOENCODERS, SEED, SHARD_PAIRS, draw_shard
from rebuild import load_rebuilder
from train import Plan, logits, train

DRAW = SEED + 5  # of its own: no model was chosen on it


def main() -> None:
    """Draw, train and measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds the autoencoders")
    parser.add_argument("--sides", type=int, nargs="+", default=[INPUT_PX, 192])
    parser.add_argument("--pairs", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--per-method", type=int, default=60)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    scores = {}
    for side in args.sides:
        net = trained(args.folder, side, args.pairs, args.steps)
        held = held_out_pairs(args.folder, "unseen", args.per_method, DRAW, side)
        began = time.thread_time()
        judged = Judged(logits(net, held.real), logits(net, held.fake))
        ms = 1000 * (time.thread_time() - began) / (2 * len(held.names))
        scores[side] = judged, ms
    methods, every = np.array(held.methods), np.arange(len(held.methods))
    known = tuple(method for method in dict.fromkeys(held.methods) if method not in HELD_OUT)
    print(f"{args.steps} steps of 16 of {args.pairs} pairs; {len(methods)} held-out pairs\n")
    print("| input | trained forgeries | difference | never trained on | difference | in order | ms |")
    print("|---|---|---|---|---|---|---|")
    first = scores[args.sides[0]][0]
    for side, (judged, ms) in scores.items():
        cells = [f"{side} px"]
        for chosen in (known, HELD_OUT):
            moved, low, high = difference(first, judged, held, chosen)
            cells.append(f"{mean_auc(judged, methods, chosen, every):.3f}")
            cells.append("" if judged is first else f"{moved:+.3f} [{low:+.3f}, {high:+.3f}]")
        cells += [f"{float((judged.fake > judged.real).mean()):.3f}", f"{ms:.1f}"]
        print("| " + " | ".join(cells) + " |")


def trained(folder: Path, side: int, pairs: int, steps: int) -> FaceNet:
    """Return the net of one size, trained on pairs of that size; both are kept in a folder of their own."""
    own = folder / f"size-{side}"
    (own / "pool").mkdir(parents=True, exist_ok=True)
    shards = range(-(-pairs // SHARD_PAIRS))
    lacking = [shard for shard in shards if not (own / "pool" / f"{shard:04d}.npy").is_file()]
    if lacking:
        faces = load(held_out=False)
        forger = Forger(faces, load_rebuilder(folder / AUTOENCODERS, None, SEED))
        for shard in lacking:
            draw_shard(own, shard, forger, faces, replace(SEEN, side_px=side))
    plan = Plan(steps, side_px=side)
    return train(
        plan, own, own, every=100, note=lambda step, loss, _: print(side, step, round(loss, 4), flush=True)
    )


if __name__ == "__main__":
    main()
