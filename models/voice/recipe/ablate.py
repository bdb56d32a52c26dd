"""Learning curves and ablations of the heads, on pooled windows; resumable, head by head.

    python ablate.py           writes CACHE/ablations/*.npy and rows.json
    python ablate_report.py    makes ../ablations.md and the plot of rows.json (guard's own environment)

One head a fold and seed, judged as rotate.py judges: on recorded clips and engines of its own fold, which it
has not heard. All rows are judged on the same windows and the same bootstrap draws: rows.json holds the
interval of every difference, too. Nothing here reads the val folder.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ablate_rows import Row, held_out, rows
from ablate_train import Bank, scores, train
from clips import Item, training_items
from data import cache
from folds import family, weights_of

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import draws, eer, tpr_at_fa

ROUNDS, MAX_FA = 200, 0.05


def folder() -> Path:
    """Return where scores and figures lie."""
    path = cache() / "ablations"
    (path / "states").mkdir(parents=True, exist_ok=True)
    return path


class Study:
    """The clips, their windows, and the windows every row is judged on."""

    def __init__(self) -> None:
        self.items: list[Item] = training_items()
        self.bank = Bank(self.items, folder() / "states" / "components.npy")
        natural = np.array([i.origin is None for i in self.items])[self.bank.item]
        self.judged = np.flatnonzero(natural)
        self.spoof = self.bank.spoof[self.judged]
        self.clean = self.bank.copy[self.judged] == 0
        self.group = [self.items[n].group for n in self.bank.item[self.judged]]
        self.drawn = list(draws(self.group, self.spoof, rounds=ROUNDS))

    def weight(self, row: Row, left_out: np.ndarray, seed: int) -> np.ndarray:
        """Return the weight of every window in the training of one fold, ``left_out`` (items,) of it."""
        taking_part = [item for item, out in zip(self.items, left_out, strict=True) if not out]
        kept = row.select(taking_part, np.random.default_rng(seed))
        number = {(item.set, item.row): n for n, item in enumerate(self.items)}
        weight = np.zeros(len(self.items))
        weight[[number[item.set, item.row] for item in kept]] = weights_of(kept)
        weight = weight[self.bank.item]
        return weight if row.copies is None else weight * np.isin(self.bank.copy, row.copies)

    def families(self, row: Row, seed: int) -> float:
        """Return how many families of engines the folds of one row are trained on, on average."""
        fold = held_out(self.items, row.held)
        count = []
        for k in range(fold.max() + 1):
            kept = row.select(
                [i for i, f in zip(self.items, fold, strict=True) if f != k], np.random.default_rng(seed)
            )
            count.append(len({family(i.group) for i in kept if i.spoof and i.origin is None}))
        return float(np.mean(count))

    def scores(self, row: Row, seed: int) -> np.ndarray:
        """Return float32 (judged windows,): each by the head that has not heard its clip."""
        kept = folder() / f"{row.name}-{seed}.npy"
        if kept.exists():
            return np.load(kept)
        began = time.process_time()
        fold, found = held_out(self.items, row.held), np.zeros(len(self.bank.item), np.float32)
        for k in range(fold.max() + 1):
            head = train(self.bank, self.weight(row, fold == k, seed), row.how, seed=100 * seed + k)
            mine = self.judged[fold[self.bank.item[self.judged]] == k]
            found[mine] = scores(head, self.bank, mine, row.how)
        print(f"{row.name} seed {seed}: {time.process_time() - began:.0f} CPU-s", flush=True)
        np.save(kept, found[self.judged])
        return found[self.judged]

    def figures(self, row: Row) -> dict[str, object]:
        """Return one line of the report; figures are means over seeds, or of the ensemble."""
        found = [self.scores(row, seed).astype(np.float64) for seed in row.seeds]
        found = [np.mean(found, axis=0)] if row.ensemble else found

        def mean(metric: object, rows_: np.ndarray) -> float:
            return float(np.mean([metric(raw[rows_], self.spoof[rows_]) for raw in found]))

        def rate(raw: np.ndarray, spoof: np.ndarray) -> float:
            return tpr_at_fa(raw, spoof, max_fa=MAX_FA)

        everything = np.arange(len(self.spoof))
        return {
            "name": row.name,
            "part": row.part,
            "label": row.label,
            "place": row.place,
            "heads": len(row.seeds),
            "families": self.families(row, row.seeds[0]),
            "windows": len(self.spoof),
            "engines": len({g for g, s in zip(self.group, self.spoof, strict=True) if s}),
            "sources": len({g for g, s in zip(self.group, self.spoof, strict=True) if not s}),
            "eer": mean(eer, everything),
            "eer_of_seeds": [round(eer(raw, self.spoof), 4) for raw in found],
            "tpr": mean(rate, everything),
            "eer_clean": mean(eer, np.flatnonzero(self.clean)),
            "eer_chain": mean(eer, np.flatnonzero(~self.clean)),
            "drawn_eer": [round(mean(eer, i), 5) for i in self.drawn],
            "drawn_tpr": [round(mean(rate, i), 5) for i in self.drawn],
        }


def main() -> None:
    torch.set_num_threads(1)
    path = folder() / "rows.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    study = Study()
    print(len(study.items), "clips,", len(study.judged), "windows judged", flush=True)
    for row in rows():
        key = f"{row.name}-of-{len(row.seeds)}" if row.ensemble else row.name
        if key not in known:
            known[key] = study.figures(row)
            path.write_text(json.dumps(known))
            print(f"{key}: EER {known[key]['eer']:.3f}, TPR {known[key]['tpr']:.2f}", flush=True)


if __name__ == "__main__":
    main()
