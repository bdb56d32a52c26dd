"""Trains short runs, each with one choice taken out, and measures what each choice buys.

    GUARD_DATA=... python ablate.py --folder CHECKPOINTS [--steps N] [--start NET] [NAME...]

Every run starts alike, sees as many pairs and is measured on the same held-out faces, cameras and
codecs it never saw. A run that is finished is not done again. What it prints, a Markdown table, is
written to ``ablation.md`` in the folder; the figures to ``ablation.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from forge import HELD_OUT
from measure import Judged, crossed_auc, faces_drawn, interval, mean_auc
from net import FaceNet
from pairs import Pairs
from pool import SEED
from train import LEVEL_SHARE, Plan, held_out_pairs, logits, train

RUNS = {
    "everything": {},
    "head on the whole picture's mean instead of regions": {"relative": False},
    "no ranking of pairs in the loss": {"rank_share": 0.0},
    "score kept from following sharpness": {"level_share": LEVEL_SHARE},
    "every layer learns": {"keep_first": False},
    "no forgery made as sharp as the real picture, grainy or clean": {
        "without": frozenset({"even", "grainy", "clean"})
    },
    "no whole generated pictures": {"without": frozenset({"generated"})},
    "no face out of an autoencoder (decoded)": {"without": frozenset({"decoded"})},
    "no face with another history (recoded)": {"without": frozenset({"recoded"})},
    "no other people's faces (swap, swap_bottleneck)": {"without": frozenset({"swap", "swap_bottleneck"})},
}


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds pool and autoencoders")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--start", type=Path, help="a net.pt whose trunk every run goes on with")
    parser.add_argument("--per-method", type=int, default=60)
    parser.add_argument("names", nargs="*", help="of runs; none: all")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    held = held_out_pairs(args.folder, "unseen", args.per_method, seed=SEED + 2)
    notes = args.folder / "ablation.json"
    for name in args.names or RUNS:
        done = json.loads(notes.read_text()) if notes.is_file() else {}
        if name in done:
            continue
        out = args.folder / "ablation" / name.split(",")[0].replace(" ", "_").replace("'", "")
        out.mkdir(parents=True, exist_ok=True)
        plan = Plan(args.steps, start=args.start, **RUNS[name])
        net = train(plan, args.folder, out, every=args.steps, note=lambda *_: None)
        done[name] = _figures(net, held)
        notes.write_text(json.dumps(done, indent=1))
        print(name, done[name], flush=True)
    table = _table(json.loads(notes.read_text()), args.steps, len(held.names))
    (args.folder / "ablation.md").write_text(table)
    print(table)


def _figures(net: FaceNet, held: Pairs) -> dict[str, float | list[float]]:
    judged = Judged(logits(net, held.real), logits(net, held.fake))
    methods, every = np.array(held.methods), np.arange(len(held.methods))
    found: dict[str, float | list[float]] = {}
    trained = tuple(method for method in dict.fromkeys(held.methods) if method not in HELD_OUT)
    for name, chosen in (("trained", trained), ("unseen", HELD_OUT)):
        drawn = [mean_auc(judged, methods, chosen, rows) for rows in faces_drawn(held.names, 400)]
        found[name] = [mean_auc(judged, methods, chosen, every), *interval(drawn)]
    for method in HELD_OUT:
        found[method] = mean_auc(judged, methods, (method,), every)
    found["sharp_forgery"], found["soft_forgery"] = crossed_auc(judged, held, HELD_OUT)
    found["pairs"] = float((judged.fake > judged.real)[np.isin(methods, HELD_OUT)].mean())
    return found


def _table(done: dict[str, dict], steps: int, pairs: int) -> str:
    lines = [
        f"{steps} steps of 16 pairs each; {pairs} held-out pairs, cameras and codecs never trained with.",
        "",
        "| run | trained forgeries | forgeries never trained on | pca | morph | generated_unseen |"
        " sharp forgery, soft real | soft forgery, sharp real | pairs in order |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in RUNS if name in done):
        row = done[name]
        ranges = [
            f"{row[key][0]:.3f} [{row[key][1]:.3f}, {row[key][2]:.3f}]" for key in ("trained", "unseen")
        ]
        rest = [f"{row[key]:.3f}" for key in (*HELD_OUT, "sharp_forgery", "soft_forgery", "pairs")]
        lines.append("| " + " | ".join([name, *ranges, *rest]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
