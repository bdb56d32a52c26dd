"""Is what was trained on every engine better than the folds' heads together? Asked inside the folds.

    python refit.py            after heads.py; writes CACHE/refit-<fold>.pt and ../refit.md

The shipped heads are those of the folds: none has heard every engine. What is left when a fold is held out is
dealt into folds once more, and a head of each of these (``parts``), together as they would ship, stands
against the fold's own heads, which heard all that is left (``whole``): as many heads, the same windows.

**The rule, committed before anything was measured.** Heads and nets trained on every engine ship beside the
folds' if ``whole`` has the lower EER over all held-out windows and the upper end of the 95 % interval of the
paired difference, over engines and sources, is below +1 point. ``val`` is not read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from clips import training_items
from data import cache, permissive_build
from folds import FOLDS, folds_of, weights_of
from head import Ensemble, Head
from heads import Pooled, load_heads, train_head
from mixture import held_heads

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import draws, eer, percentile_interval, tpr_at_fa

ROUNDS, MAX_FA, FIRST_SEED = 1000, 0.05, 100
OUT = Path(__file__).resolve().parent.parent / "refit.md"
INTRODUCTION = """# Heads that heard every engine, or the folds' together

Written by `recipe/refit.py`, whose rule was committed before the first figure. n = {windows} held-out
windows of {engines} engines and {sources} sources, three heads in every row; intervals over engines and
sources, {rounds} draws. `val` was not read.

| heads | EER % [95 %] | TPR % at 5 % FA [95 %] |
|---|---|---|
"""


def parts_of(fold: int, item_fold: np.ndarray, pooled: Pooled, weight: np.ndarray) -> Ensemble:
    """Return a head of each part of what is left without ``fold``; trained once, then read."""
    kept = cache() / f"refit-{'permissive-' if permissive_build() else ''}{fold}.pt"
    if not kept.exists():
        left = np.flatnonzero(item_fold != fold)
        part = np.full(len(item_fold), -1)
        part[left] = folds_of([pooled.items[n] for n in left])
        own = np.where(item_fold[pooled.item] == fold, 0.0, weight)
        heads = [
            train_head(pooled, np.where(part[pooled.item] == k, 0.0, own), FIRST_SEED + FOLDS * fold + k)
            for k in range(FOLDS)
        ]
        torch.save(Ensemble(heads).state_dict(), kept)
        print(kept.name, flush=True)
    net = Ensemble([Head() for _ in range(FOLDS)])
    net.load_state_dict(torch.load(kept, weights_only=True))
    return net.eval()


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    pooled = Pooled(items)
    item_fold, weight = folds_of(items), weights_of(items)[pooled.item]
    found: dict[str, list[np.ndarray]] = {"parts": [], "whole": []}
    judged = []
    for k in range(FOLDS):
        nets = {"parts": parts_of(k, item_fold, pooled, weight), "whole": load_heads(k)}
        for name, net in nets.items():
            held, raw = held_heads(net, pooled, k)
            found[name].append(raw)
        judged.append(held)
    rows = np.concatenate(judged)
    write({name: np.concatenate(own) for name, own in found.items()}, pooled, rows)


def write(raw: dict[str, np.ndarray], pooled: Pooled, rows: np.ndarray) -> None:
    """Write the table of both ways and their paired difference."""
    spoof, group = pooled.spoof[rows], [pooled.items[n].group for n in pooled.item[rows]]
    drawn = list(draws(group, spoof, rounds=ROUNDS))
    names = np.array(group)
    counts = {"engines": len(set(names[spoof])), "sources": len(set(names[~spoof]))}
    lines, errors = [INTRODUCTION.format(windows=len(rows), rounds=ROUNDS, **counts)], {}
    for name, own in raw.items():
        errors[name] = 100 * np.array([eer(own, spoof), *(eer(own[i], spoof[i]) for i in drawn)])
        caught = [100 * tpr_at_fa(own[i], spoof[i], max_fa=MAX_FA) for i in drawn]
        error = percentile_interval(errors[name][0], errors[name][1:].tolist())
        rate = percentile_interval(100 * tpr_at_fa(own, spoof, max_fa=MAX_FA), caught)
        lines.append(
            f"| {name} | {error.value:.1f} [{error.low:.0f}, {error.high:.0f}] | "
            f"{rate.value:.0f} [{rate.low:.0f}, {rate.high:.0f}] |\n"
        )
    gap = errors["whole"] - errors["parts"]
    span = percentile_interval(gap[0], gap[1:].tolist())
    lines.append(
        f"\nwhole less parts: {span.value:+.1f} [{span.low:+.1f}, {span.high:+.1f}] points of EER.\n"
    )
    OUT.write_text("".join(lines))
    print(OUT.read_text())


if __name__ == "__main__":
    main()
