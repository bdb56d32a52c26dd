"""Trains short runs, each with one choice taken out, and measures what each choice buys.

    GUARD_DATA=... python ablate.py --folder CHECKPOINTS [--steps N] [--start NET] [NAME...]

Every run starts alike, sees as many pairs and is measured on the same held-out faces, cameras and
codecs it never saw. A run that is finished is not done again. The Markdown table is printed and
written to ``ablation.md`` in the folder; intervals are 95 %, bootstrapped over faces.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from forge import HELD_OUT
from held import held_out_pairs
from measure import Judged, crossed_auc, difference, mean_auc
from net import FaceNet
from pairs import Pairs
from pool import SEED
from train import LEVEL_SHARE, Plan, logits, train

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
    """Train what is missing, measure every run that is there and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds pool and autoencoders")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--start", type=Path, help="a net.pt whose trunk every run goes on with")
    parser.add_argument("--per-method", type=int, default=100)
    parser.add_argument("names", nargs="*", help="of runs; none: all")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for name in args.names or RUNS:
        out = _folder(args.folder, name)
        plan = Plan(args.steps, start=args.start, **RUNS[name])
        if not (out / "net.pt").is_file():
            out.mkdir(parents=True, exist_ok=True)
            train(plan, args.folder, out, every=args.steps, note=lambda *_: None)
    held = held_out_pairs(args.folder, "unseen", args.per_method, seed=SEED + 2)
    scores = {}
    for name, choices in RUNS.items():
        weights = _folder(args.folder, name) / "net.pt"
        if weights.is_file():
            net = FaceNet(choices.get("relative", True))
            net.load_state_dict(torch.load(weights, weights_only=True))
            scores[name] = Judged(logits(net, held.real), logits(net, held.fake))
    table = _table(scores, held, args.steps)
    (args.folder / "ablation.md").write_text(table)
    print(table)


def _folder(folder: Path, name: str) -> Path:
    return folder / "ablation" / name.partition(",")[0].replace(" ", "_").replace("'", "")


def _table(scores: dict[str, Judged], held: Pairs, steps: int) -> str:
    trained = tuple(method for method in dict.fromkeys(held.methods) if method not in HELD_OUT)
    methods, every = np.array(held.methods), np.arange(len(held.methods))
    unseen = np.isin(methods, HELD_OUT)
    lines = [
        f"{steps} steps of 16 pairs each; {len(methods)} held-out pairs, other cameras and codecs.",
        "",
        "| run | trained forgeries | never trained on | difference to the first row |"
        " sharp forgery, soft real | soft forgery, sharp real | pairs in order |",
        "|---|---|---|---|---|---|---|",
    ]
    first = next(iter(scores.values()))
    for name, judged in scores.items():
        aucs = [f"{mean_auc(judged, methods, chosen, every):.3f}" for chosen in (trained, HELD_OUT)]
        moved, low, high = difference(first, judged, held, HELD_OUT)
        against = "" if judged is first else f"{moved:+.3f} [{low:+.3f}, {high:+.3f}]"
        crossed = [f"{value:.3f}" for value in crossed_auc(judged, held, HELD_OUT)]
        ordered = f"{float((judged.fake > judged.real)[unseen].mean()):.3f}"
        lines.append("| " + " | ".join([name, *aucs, against, *crossed, ordered]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
