"""Leave-engine-out: what each fold's heads and net make of the engines and sources they were not trained on.

    python rotate.py           writes the table ../rotation-full.md; a build on stated licences alone (the
                               shipped one) ../rotation.md

The scores calibrate the model (calibrate.py). Judged on recorded clips and engines
alone: copies are training aids, not attacks met in calls. Every augmented copy of a clip counts.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from cnn_spectra import Fine
from data import permissive_build
from folds import FOLDS, family, folds_of
from heads import Pooled, load_heads, scores
from mixture import Folds
from rotation_words import explained

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import auc, bootstrap, eer, tpr_at_fa

FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Held:
    """Scores of held-out windows: raw (N,), of half seconds (N, 8); item index and copy of each."""

    raw: np.ndarray
    second: np.ndarray
    item: np.ndarray
    copy: np.ndarray


def held_scores(folds: Folds, pooled: Pooled) -> Held:
    """Return every fold's scores of the recorded clips and engines it held out."""
    parts = []
    for k, rows in enumerate(folds.held):
        second = scores(load_heads(k), pooled.x[rows])[1]
        parts.append((folds.mixed(k), second, pooled.item[rows], pooled.copy[rows]))
    return Held(*(np.concatenate(column) for column in zip(*parts, strict=True)))


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
    engines = [sorted(set(group[(fold == k) & spoof])) for k in range(FOLDS)]
    words = explained(engines, len({family(name) for names in engines for name in names}))
    lines += ["", words] if words else []
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
    pooled = Pooled(items)
    found = table(items, held_scores(Folds(items, pooled, Fine(items)), pooled))
    print(found)
    name, clips = ("rotation.md", "stated") if permissive_build() else ("rotation-full.md", "any")
    (FOLDER / name).write_text(
        f"# Leave-engine-out, clips of {clips} licence (written by recipe/rotate.py)\n\n" + found
    )


if __name__ == "__main__":
    main()
