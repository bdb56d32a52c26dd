"""Leave-engine-out: what each fold's net makes of the engines and sources it was not trained on.

    python rotate.py [FOLD]    writes every fold's scores to CACHE/tuned, and the table ../rotation.md

With FOLD only that fold's scores are made.

The scores calibrate the model (calibrate.py) and choose between builds. Judged on recorded clips and engines
alone: copies are training aids, not attacks met in calls. Every augmented copy of a clip counts.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from data import permissive_build
from folds import FOLDS, folds_of
from net import Detector
from tune import Windows, scores, tuned

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import auc, bootstrap, eer, tpr_at_fa

TABLE = Path(__file__).resolve().parent.parent / "rotation.md"


@dataclass(frozen=True)
class Held:
    """Scores of held-out windows: raw (N,), of half seconds (N, 8); item index and copy of each."""

    raw: np.ndarray
    second: np.ndarray
    item: np.ndarray
    copy: np.ndarray


def load_net(fold: int) -> Detector:
    """Return the fold's net; exits where it was not trained."""
    if not tuned(fold).exists():
        sys.exit(f"{tuned(fold)} is missing: run tune.py {fold}")
    net = Detector()
    net.load_state_dict(torch.load(tuned(fold), weights_only=True))
    return net.eval()


def held_fold(items: list[Item], fold: int) -> Held:
    """Return one net's scores of its held-out recorded clips and engines; kept in the cache."""
    path = tuned(fold, "held.npz")
    if path.exists():
        kept = np.load(path)
        return Held(kept["raw"], kept["second"], kept["item"], kept["copy"])
    windows, net = Windows(items), load_net(fold)
    natural = np.array([i.origin is None for i in items])
    rows, parts = np.flatnonzero((folds_of(items) == fold) & natural), []
    for copy in range(max(windows.copies(n) for n in rows)):
        some = rows[[copy < windows.copies(n) for n in rows]]
        parts.append((*scores(net, windows, some, copy), some, np.full(len(some), copy)))
    held = Held(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    # the names tell the clips of two builds apart: their numbers differ
    keys = np.array([items[n].key for n in held.item])
    np.savez(path, raw=held.raw, second=held.second, item=held.item, copy=held.copy, key=keys)
    print("fold", fold, len(rows), "clips", flush=True)
    return held


def held_scores(items: list[Item]) -> Held:
    """Return every fold's scores of what it held out."""
    folds = [held_fold(items, k) for k in range(FOLDS)]
    columns = ("raw", "second", "item", "copy")
    return Held(*(np.concatenate([getattr(held, name) for held in folds]) for name in columns))


def table(items: list[Item], held: Held) -> str:
    """Return the table of all held-out figures as Markdown."""
    spoof = np.array([i.spoof for i in items])[held.item]
    group = np.array([i.group for i in items])[held.item]
    fold = folds_of(items)[held.item]
    lines = ["| fold | engines | windows | EER % [95 %] | TPR % at 5 % FA |", "|---|---|---|---|---|"]
    for k in (*range(FOLDS), None):
        m = np.ones(len(fold), bool) if k is None else fold == k
        score = held.raw[m].astype(np.float64)
        error = bootstrap(eer, score, spoof[m], group[m].tolist(), rounds=200)
        rate = 100 * tpr_at_fa(score, spoof[m], max_fa=0.05)
        span = f"{100 * error.value:.1f} [{100 * error.low:.0f}, {100 * error.high:.0f}]"
        engines = len(set(group[m & spoof]))
        lines.append(f"| {'all' if k is None else k} | {engines} | {m.sum()} | {span} | {rate:.0f} |")
    lines += ["", "| engine held out | windows | AUC | TPR % at 5 % FA of its fold |", "|---|---|---|---|"]
    for name in sorted(set(group[spoof]), key=str.lower):
        own = (group == name) & spoof
        other = (fold == fold[own][0]) & ~spoof
        both = np.concatenate([held.raw[own], held.raw[other]]).astype(np.float64)
        label = np.concatenate([np.ones(own.sum(), bool), np.zeros(other.sum(), bool)])
        caught = (held.raw[own] > np.quantile(held.raw[other], 0.95)).mean()
        lines.append(f"| {name} | {own.sum()} | {auc(both, label):.2f} | {100 * caught:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    if len(sys.argv) > 1:
        held_fold(items, int(sys.argv[1]))
        return
    found = table(items, held_scores(items))
    print(found)
    if not permissive_build():
        TABLE.write_text("# Leave-engine-out (written by recipe/rotate.py)\n\n" + found)


if __name__ == "__main__":
    main()
