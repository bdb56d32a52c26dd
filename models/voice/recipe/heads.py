"""Train the heads of every fold on pooled states; resumable, fold by fold.

    python heads.py            writes CACHE/tuned/<fold>.pt, an Ensemble of HEADS heads each

Batches are drawn by the weights of folds.py. One window in six has half seconds of another spliced in, so
that the scores of half seconds learn where a spoof begins; a splice of two genuine windows is genuine.
Nothing here reads the val folder.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from compute import device
from data import cache, permissive_build
from folds import FOLDS, folds_of, keep_folds, weights_of
from head import SEGMENTS, Ensemble, Head
from pool import pooled_file
from torch import Tensor
from torch.nn import functional as F
from windows import window_files

HEADS, EPOCHS, BATCH, RATE, DECAY, SMOOTHING = 3, 10, 128, 4e-4, 0.05, 0.03
SPLICED, SECOND_SHARE = 1 / 6, 0.2


def tuned(fold: int, ending: str = "pt") -> Path:
    """Return where the heads of one fold lie; a permissive-only build has heads of its own."""
    return cache() / "tuned" / f"{'permissive-' if permissive_build() else ''}{fold}.{ending}"


class Pooled:
    """The pooled states of all items' windows: one row each, in the order of items and copies."""

    def __init__(self, items: list[Item]) -> None:
        self.items, blocks = items, []
        item, copy = [], []
        for name in Counter(i.set for i in items):
            own = [(n, i.row) for n, i in enumerate(items) if i.set == name]
            for k, windows in enumerate(window_files(name)):
                if not pooled_file(windows).exists():
                    sys.exit(f"{pooled_file(windows)} is missing: run pool.py")
                blocks.append(np.load(pooled_file(windows), mmap_mode="r")[[row for _, row in own]])
                item += [n for n, _ in own]
                copy += [k] * len(own)
        self.x, self.item, self.copy = np.concatenate(blocks), np.array(item), np.array(copy)
        self.spoof = np.array([i.spoof for i in items])[self.item]

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return states (B, 8, 4096), labels of windows (B,) and of half seconds (B, 8)."""
        clean = self.x[rows]
        x, second = clean.copy(), np.repeat(self.spoof[rows][:, None], SEGMENTS, 1).astype(np.float32)
        for b in np.flatnonzero(rng.random(len(rows)) < SPLICED):
            donor, length = int(rng.integers(len(rows))), int(rng.integers(2, SEGMENTS - 1))
            start = int(rng.integers(0, SEGMENTS - length + 1))
            x[b, start : start + length] = clean[donor, start : start + length]
            second[b, start : start + length] = self.spoof[rows[donor]]
        window = (second.sum(1) >= 2).astype(np.float32)
        return torch.from_numpy(x).float(), torch.tensor(window), torch.tensor(second)


def train_head(pooled: Pooled, weight: np.ndarray, seed: int) -> Head:
    """Train one head; rows of weight 0 are never drawn."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = Head()
    sample = torch.from_numpy(pooled.x[:: max(1, len(pooled.x) // 1000)]).float()
    head.centre.data, head.scale.data = sample.mean((0, 1)), 1 / (sample.std((0, 1)) + 0.02)
    where = device()
    head.to(where)
    free = [p for p in head.parameters() if p.requires_grad]
    steps = EPOCHS * int((weight > 0).sum()) // BATCH
    optimiser = torch.optim.AdamW(free, lr=RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    for rows in rng.choice(len(weight), (steps, BATCH), p=weight / weight.sum()):
        x, window, second = (part.to(where) for part in pooled.batch(np.sort(rows), rng))
        scores, parts = head(x)
        soft = [t * (1 - 2 * SMOOTHING) + SMOOTHING for t in (window, second)]
        loss = F.binary_cross_entropy_with_logits(scores, soft[0])
        loss = loss + SECOND_SHARE * F.binary_cross_entropy_with_logits(parts, soft[1])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
    return head.cpu().eval()


def scores(net: torch.nn.Module, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return raw scores of windows (N,) and of their half seconds (N, 8) of pooled states (N, 8, 4096)."""
    with torch.inference_mode():
        found = [net(torch.from_numpy(part).float()) for part in np.array_split(x, max(1, len(x) // 256))]
    return tuple(np.concatenate([f[k].numpy() for f in found]) for k in (0, 1))


def load_heads(fold: int) -> Ensemble:
    """Return the heads of one fold; exits where they were not trained."""
    if not tuned(fold).exists():
        sys.exit(f"{tuned(fold)} is missing: run heads.py")
    net = Ensemble([Head() for _ in range(HEADS)])
    net.load_state_dict(torch.load(tuned(fold), weights_only=True))
    return net.eval()


def load_final() -> Ensemble:
    """Return the shipped ensemble: the heads of all folds."""
    return Ensemble([head for k in range(FOLDS) for head in load_heads(k).heads]).eval()


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    pooled = Pooled(items)
    weight, fold = weights_of(items)[pooled.item], folds_of(items)[pooled.item]
    print(len(items), "clips,", len(weight), "windows", flush=True)
    (cache() / "tuned").mkdir(exist_ok=True)
    keep_folds(items, tuned(0).with_suffix(".folds.json"), [tuned(k) for k in range(FOLDS)])
    for k in range(FOLDS):
        if not tuned(k).exists():
            began = time.process_time()
            kept = np.where(fold == k, 0.0, weight)
            heads = [train_head(pooled, kept, seed=HEADS * k + n) for n in range(HEADS)]
            torch.save(Ensemble(heads).state_dict(), tuned(k))
            print(f"fold {k}: {time.process_time() - began:.0f} CPU-s", flush=True)


if __name__ == "__main__":
    main()
