"""Train two heads per fold of groups on cached features; the mean of all is the model.

    python train.py            writes CACHE/head.pt and CACHE/calibration.json

Scores of the groups a head was not trained on calibrate it. Groups are engines of synthetic
clips and sources of genuine ones; a copy made of a genuine clip stays in that clip's fold, so
that no fold has heard the speaker it is judged on. Nothing here reads the val folder.
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
from guard.evaluation.metrics import cllr, eer, min_cllr
from guard.fusion.calibration import fit_logistic

FOLDS, HEADS, EPOCHS, BATCH = 5, 2, 6, 128
RATE, DECAY, SMOOTHING, COPY_SHARE = 4e-4, 0.05, 0.03, 1 / 3


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
    """Each class sums to one half; a source that has both classes gives as much to the one as to the other.

    So the source (a site, a microphone, a speaker) says nothing about the class. A source weighs as the root
    of its size; copies weigh a third of their originals.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for n, item in enumerate(items):
        kind = "copy" if item.origin else "spoof" if item.spoof else "genuine"
        rows.setdefault((item.source, kind), []).append(n)
    weight = np.zeros(len(items))
    for (source, kind), members in rows.items():
        original = max(len(rows.get((source, k), ())) for k in ("genuine", "spoof")) ** 0.5
        engines = Counter(items[n].group for n in members)
        share = np.array([engines[items[n].group] ** -0.5 for n in members])
        weight[members] = share / share.sum() * original * (COPY_SHARE if kind == "copy" else 1.0)
    spoof = np.array([item.spoof for item in items])
    for cls in (spoof, ~spoof):
        weight[cls] *= 0.5 / weight[cls].sum()
    return weight


def load(items: list[Item]) -> tuple[torch.Tensor, np.ndarray]:
    """Return features (windows, SEGMENTS, FEATURES) and the item index of every window."""
    plan, start = [], 0
    for name, count in Counter(item.set for item in items).items():
        plan += [(path, start, count) for path in feature_files(name)]
        start += count
    x = torch.empty(sum(count for _, _, count in plan), SEGMENTS, FEATURES)
    index, row = [], 0
    for path, first, count in plan:
        block = np.load(path, mmap_mode="r")
        if len(block) != count:
            sys.exit(f"{path} has {len(block)} rows, {count} clips are listed; delete it and run features.py")
        x[row : row + count] = torch.tensor(np.asarray(block)).transpose(1, 2).flatten(2)
        index.append(np.arange(first, first + count))
        row += count
    return x, np.concatenate(index)


def standardise(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre and scale the features in place; return what the heads need to do the same."""
    sample = x[:: max(1, len(x) // 3000)]
    centre, scale = sample.mean((0, 1)), 1 / (sample.std((0, 1)) + 0.02)
    for part in x.split(512):
        part.sub_(centre).mul_(scale)
    return centre, scale


def train_head(z: torch.Tensor, y: np.ndarray, w: np.ndarray, seed: int) -> Head:
    """Train one head on standardised rows drawn by weight; rows of weight 0 are never drawn."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = Head()
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * int((w > 0).sum()) // BATCH
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    target = torch.tensor(y, dtype=torch.float32) * (1 - 2 * SMOOTHING) + SMOOTHING
    for rows in rng.choice(len(z), (steps, BATCH), p=w / w.sum()):
        pick = torch.tensor(np.sort(rows))
        loss = F.binary_cross_entropy_with_logits(head.classify(z[pick]), target[pick])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
    return head.eval()


def scores(head: Head, z: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return torch.cat([head.classify(part) for part in z.split(256)]).numpy()


def _by_group(groups: np.ndarray, y: np.ndarray, llr: np.ndarray) -> None:
    for name in sorted(set(groups)):
        for spoof in (False, True):
            m = (groups == name) & (y == spoof)
            if m.any():
                right, kind = ((llr[m] > 0) == spoof).mean(), "spoof" if spoof else "genuine"
                print(f"{kind:8} {name:45} {m.sum():5} {llr[m].mean():6.2f} {right:.2f}")


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    x, index = load(items)
    y = np.array([i.spoof for i in items])[index]
    w = weights_of(items)[index]
    fold = folds_of(items)[index]
    natural = np.array([i.origin is None for i in items])[index]
    print(len(items), "clips,", len(x), "windows", flush=True)
    centre, scale = standardise(x)
    held = np.zeros(len(x), np.float32)
    heads = []
    for k in range(FOLDS):
        for seed in range(HEADS):
            head = train_head(x, y, np.where(fold == k, 0.0, w), seed=HEADS * k + seed)
            held[fold == k] += scores(head, x[torch.tensor(fold == k)]) / HEADS
            head.centre.data, head.scale.data = centre, scale
            heads.append(head)
        print("fold", k, flush=True)
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
    _by_group(np.array([i.group for i in items])[index], y, llr)
    print(json.dumps(report, indent=1))
    if os.environ.get("GUARD_FOLDS_ONLY"):
        return
    torch.save(Ensemble(heads).state_dict(), cache() / "head.pt")
    (cache() / "calibration.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
