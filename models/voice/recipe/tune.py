"""Fine-tune Whisper's first layers and the head on all but one fold; resumable.

    python tune.py FOLD [STEPS]      writes CACHE/tuned/FOLD.pt; FOLD -1 holds nothing out

Batches are drawn by the weights of folds.py out of the cached windows (windows.py). One window in six has
half seconds of another spliced in, so that the scores of half seconds learn where a spoof begins; a splice of
two genuine windows is genuine. Nothing here reads the val folder.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from data import cache, permissive_build
from folds import folds_of, weights_of
from head import SEGMENTS
from net import Detector, loss_of, masked
from torch import Tensor, nn
from windows import WINDOW, window_files

STEPS, BATCH, TRUNK_RATE, HEAD_RATE, SMOOTHING = 800, 24, 8e-5, 4e-4, 0.03
SPLICED, WARM_UP, SAVE_EVERY = 1 / 6, 0.15, 50


def tuned(fold: int, ending: str = "pt") -> Path:
    """Return where the net of one fold lies; a permissive-only build has nets of its own."""
    return cache() / "tuned" / f"{'permissive-' if permissive_build() else ''}{fold}.{ending}"


class Windows:
    """The cached windows of all items: ``batch`` gives samples and labels of drawn rows."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.spoof = np.array([item.spoof for item in items])
        self._files = {
            name: [np.load(p, mmap_mode="r") for p in window_files(name)]
            for name in Counter(i.set for i in items)
        }
        empty = [name for name, files in self._files.items() if not files]
        if empty:
            sys.exit(f"no windows of {', '.join(empty)}: run windows.py")

    def copies(self, item: int) -> int:
        """Return how many augmented copies of an item there are."""
        return len(self._files[self.items[item].set])

    def samples(self, item: int, copy: int) -> np.ndarray:
        """Return float32 (64000,)."""
        of = self.items[item]
        return self._files[of.set][copy][of.row].astype(np.float32) / 32768

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples (B, 64000), labels of windows (B,) and of half seconds (B, SEGMENTS)."""
        x = np.stack([self.samples(n, int(rng.integers(self.copies(n)))) for n in rows])
        second = np.repeat(self.spoof[rows][:, None], SEGMENTS, 1).astype(np.float32)
        step, clean = WINDOW // SEGMENTS, x.copy()
        for b in np.flatnonzero(rng.random(len(rows)) < SPLICED):
            donor, length = int(rng.integers(len(rows))), int(rng.integers(2, SEGMENTS - 1))
            start = int(rng.integers(0, SEGMENTS - length + 1))
            part = slice(start * step, (start + length) * step)
            level = np.sqrt((clean[b] ** 2).mean() / ((clean[donor] ** 2).mean() + 1e-9))
            x[b, part] = np.clip(clean[donor, part] * level, -1, 1)
            second[b, start : start + length] = self.spoof[rows[donor]]
        window = (second.sum(1) >= 2).astype(np.float32)
        return torch.tensor(x), torch.tensor(window), torch.tensor(second)


def scores(net: Detector, windows: Windows, rows: np.ndarray, copy: int) -> tuple[np.ndarray, np.ndarray]:
    """Return raw scores of windows (N,) and of their half seconds (N, SEGMENTS), one copy of each item."""
    net.eval()
    found: list[tuple[Tensor, Tensor]] = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for part in np.array_split(rows, max(1, len(rows) // 32)):
            x = torch.tensor(np.stack([windows.samples(n, min(copy, windows.copies(n) - 1)) for n in part]))
            found.append(net(x))
    return tuple(np.concatenate([f[k].float().numpy() for f in found]) for k in (0, 1))


def start(windows: Windows, weight: np.ndarray, seed: int) -> Detector:
    """Return the net before training: Whisper's weights, and a head whose inputs are centred and scaled."""
    torch.manual_seed(0)  # the same head in every fold, so that the folds' nets can be averaged
    net, rng = Detector(), np.random.default_rng(seed)
    for parameter in net.trunk.parameters():
        parameter.requires_grad_(True)
    net.trunk.positions.requires_grad_(False)
    sample = np.random.default_rng(0).choice(len(weight), 192, p=weight / weight.sum())
    with torch.no_grad():
        parts = [net.features(net.trunk.mel(windows.batch(r, rng)[0])) for r in np.split(sample, 12)]
    features = torch.cat(parts)
    net.head.centre.data = features.mean((0, 1))
    net.head.scale.data = 1 / (features.std((0, 1)) + 0.02)
    return net


class Run:
    """A net with its optimiser and plan of rates; kept in a checkpoint, so that training can go on."""

    def __init__(self, net: Detector, steps: int) -> None:
        self.net, self.done = net, 0
        head = [p for p in net.head.parameters() if p.requires_grad]
        trunk = [p for p in net.trunk.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": head, "lr": HEAD_RATE, "weight_decay": 0.05},
                {"params": trunk, "lr": TRUNK_RATE, "weight_decay": 0.01},
            ]
        )
        rates = [HEAD_RATE, TRUNK_RATE]
        self.plan = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, rates, steps, pct_start=WARM_UP)

    def step(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.plan.step()
        self.done += 1

    def save(self, path: Path) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("net", "optimiser", "plan")}
        torch.save({**parts, "done": self.done}, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def resume(self, path: Path) -> None:
        if path.exists():
            kept = torch.load(path, weights_only=True)
            for name in ("net", "optimiser", "plan"):
                getattr(self, name).load_state_dict(kept[name])
            self.done = kept["done"]


def tune(windows: Windows, weight: np.ndarray, fold: int, steps: int) -> Detector:
    """Train from the last checkpoint on; rows of weight 0 are never drawn."""
    trained = np.where(folds_of(windows.items) == fold, 0.0, weight)
    run = Run(start(windows, weight, seed=0), steps)
    run.resume(tuned(fold, "checkpoint"))
    began, mean = time.process_time(), 0.0
    for n in range(run.done, steps):
        rng = np.random.default_rng([n, fold + 1])
        torch.manual_seed(n)
        rows = rng.choice(len(trained), BATCH, p=trained / trained.sum())
        loss = one_step(run.net, windows.batch(rows, rng), rng)
        run.step(loss)
        mean = loss.item() if not mean else 0.98 * mean + 0.02 * loss.item()
        if run.done % SAVE_EVERY == 0:
            run.save(tuned(fold, "checkpoint"))
            spent = time.process_time() - began
            print(f"fold {fold} step {n + 1} of {steps} loss {mean:.3f} {spent:.0f} CPU-s", flush=True)
    return run.net.eval()


def one_step(net: Detector, drawn: tuple[Tensor, Tensor, Tensor], rng: np.random.Generator) -> Tensor:
    """Return the loss of one batch."""
    audio, window, second = drawn
    net.head.train()
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            mel = masked(net.trunk.mel(audio), rng)
        features = net.features(mel)
    return loss_of(net.head(features), window, second, SMOOTHING)


def main() -> None:
    torch.set_num_threads(1)
    fold, steps = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else STEPS
    out = tuned(fold)
    out.parent.mkdir(exist_ok=True)
    if out.exists():
        print(f"{out} is there already")
        return
    items = training_items()
    windows = Windows(items)
    print(len(items), "clips", Counter("spoof" if i.spoof else "genuine" for i in items), flush=True)
    net = tune(windows, weights_of(items), fold, steps)
    torch.save(net.state_dict(), out)
    tuned(fold, "checkpoint").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
