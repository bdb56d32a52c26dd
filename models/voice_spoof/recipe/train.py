"""Train the head on cached features, leave-group-out for calibration and choice, then on everything.

    python train.py            writes CACHE/head.pt and CACHE/calibration.json

Groups are engines of synthetic clips and sources of genuine ones; a copy made of a genuine clip
stays in that clip's fold, so that no fold has heard the speaker it is judged on. Nothing here
reads the val folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from clips import Item, feature_files, training_items
from features import cache
from head import FEATURES, SEGMENTS, Ensemble, Head
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import cllr, eer, min_cllr  # noqa: E402
from guard.fusion.calibration import fit_logistic  # noqa: E402

FOLDS, EPOCHS, BATCH = 5, 14, 128
RATE, DECAY, SMOOTHING = 4e-4, 0.05, 0.03


def folds_of(items: list[Item]) -> np.ndarray:
    """Deal sources to folds, largest first; an engine goes to one fold, a copy follows its original."""
    fold = np.zeros(len(items), int)
    for spoof in (False, True):
        count = Counter(i.group for i in items if i.spoof == spoof and i.origin is None)
        order = [name for name, _ in sorted(count.items(), key=lambda kv: (-kv[1], kv[0]))]
        for n, item in enumerate(items):
            if item.spoof == spoof and item.origin is None:
                fold[n] = order.index(item.group) % FOLDS
    place = {item.key: fold[n] for n, item in enumerate(items) if item.origin is None}
    for n, item in enumerate(items):
        if item.origin is not None:
            fold[n] = place[item.origin]
    return fold


def weights_of(items: list[Item]) -> np.ndarray:
    """Each class sums to one half; inside a class a group weighs as the root of its size."""
    weight = np.zeros(len(items))
    for spoof in (False, True):
        rows = [n for n, i in enumerate(items) if i.spoof == spoof]
        count = Counter(items[n].group for n in rows)
        raw = np.array([count[items[n].group] ** -0.5 for n in rows])
        weight[rows] = 0.5 * raw / raw.sum()
    return weight


def load(items: list[Item]) -> tuple[np.ndarray, np.ndarray]:
    """Return float16 features (copies x items, SEGMENTS, FEATURES) and the item index of every row."""
    blocks, index, start = [], [], 0
    for name, count in Counter(item.set for item in items).items():
        for path in feature_files(name):
            block = np.load(path, mmap_mode="r")
            assert len(block) == count, f"{path} has {len(block)} rows, {count} clips are listed; delete it"
            blocks.append(block.transpose(0, 2, 1, 3, 4).reshape(count, SEGMENTS, FEATURES))
            index.append(np.arange(start, start + count))
        start += count
    return np.concatenate(blocks), np.concatenate(index)


def train_head(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Head:
    """Train one head on rows drawn by weight."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = Head()
    sample = x[rng.choice(len(x), min(len(x), 4000), replace=False)].astype(np.float32)
    head.centre.data = torch.tensor(sample.mean((0, 1)))
    head.scale.data = 1 / torch.tensor(sample.std((0, 1)) + 0.02)
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * len(x) // BATCH
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    p = w / w.sum()
    for _ in range(steps):
        rows = np.sort(rng.choice(len(x), BATCH, p=p))
        target = torch.tensor(y[rows], dtype=torch.float32)
        target = target * (1 - 2 * SMOOTHING) + SMOOTHING
        loss = F.binary_cross_entropy_with_logits(head(torch.tensor(x[rows].astype(np.float32))), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
    return head.eval()


def scores(head: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        parts = [head(torch.tensor(x[i : i + 256].astype(np.float32))) for i in range(0, len(x), 256)]
    return torch.cat(parts).numpy()


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    x, index = load(items)
    y = np.array([i.spoof for i in items])[index]
    w = weights_of(items)[index]
    fold = folds_of(items)[index]
    natural = np.array([i.origin is None for i in items])[index]
    print(len(items), "clips,", len(x), "windows", flush=True)
    held = np.zeros(len(x), np.float32)
    heads = []
    for k in range(FOLDS):
        head = train_head(x[fold != k], y[fold != k], w[fold != k], seed=k)
        held[fold == k] = scores(head, x[fold == k])
        heads.append(head)
    # judged on recorded and downloaded clips only: copies are training aids, not attacks met in calls
    a, b = fit_logistic(held[natural], y[natural], weight=w[natural].astype(np.float32))
    llr = (a * held + b).astype(np.float64)
    report = {
        "a": a,
        "b": b,
        "held_out_eer": eer(llr[natural], y[natural]),
        "held_out_cllr": cllr(llr[natural], y[natural]),
        "held_out_min_cllr": min_cllr(llr[natural], y[natural]),
        "windows": len(x),
    }
    groups = np.array([i.group for i in items])[index]
    for name in sorted(set(groups)):
        for spoof in (False, True):
            m = (groups == name) & (y == spoof)
            if m.any():
                print(
                    f"  {'spoof' if spoof else 'bona fide':9} {name:45} {m.sum():6} mean llr {llr[m].mean():6.2f} right {((llr[m] > 0) == spoof).mean():.2f}"
                )
    print(json.dumps(report, indent=1))
    if os.environ.get("GUARD_FOLDS_ONLY"):
        return
    full = [train_head(x, y, w, seed=100 + k) for k in range(3)]
    torch.save(Ensemble(full).state_dict(), cache() / "head.pt")
    (cache() / "calibration.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
