"""Train nets on folds of speakers and engines; calibrate on what each has not heard.

python train.py         reads CACHE/replay/train-*.npy, writes CACHE/replay/nets.pt and calibration.json

The test windows are not read here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from make import folder
from net import LogBands, Net, statistics
from torch import Tensor
from torch.nn import functional as F

sys.path.append(str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import cllr, eer, min_cllr
from guard.fusion.calibration import fit_logistic

FOLDS, EPOCHS, BATCH, RATE, DECAY = 5, 25, 64, 1e-3, 0.1


def statistics_of(path: Path, front: LogBands) -> Tensor:
    """Return the statistics (N, STATISTICS) of the windows in one file; kept beside it."""
    kept = path.with_name("statistics-" + path.name)
    if not kept.exists():
        audio, rows = np.load(path, mmap_mode="r"), []
        with torch.inference_mode():
            for i in range(0, len(audio), 16):
                rows.append(
                    statistics(front(torch.tensor(audio[i : i + 16].astype(np.float32) / 32768))).numpy()
                )
        np.save(kept, np.concatenate(rows))
    return torch.tensor(np.load(kept))


def load() -> tuple[Tensor, list[dict[str, object]]]:
    """Return the statistics of all training copies, and the notes of their windows."""
    paths, front = sorted(folder().glob("train-*.npy")), LogBands()
    if not paths:
        sys.exit(f"there is no train-0.npy in {folder()}; run make.py train-0 first")
    notes = [note for path in paths for note in json.loads(path.with_suffix(".json").read_text())]
    return torch.cat([statistics_of(path, front) for path in paths]), notes


def train(x: Tensor, y: np.ndarray, seed: int) -> Net:
    """Train one net on rows (N, STATISTICS)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Net()
    net.centre.copy_(x.mean(0))
    net.scale.copy_(1 / (x.std(0) + 1e-3))
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.2)
    target = torch.tensor(y, dtype=torch.float32) * 0.94 + 0.03
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for i in range(0, len(x) - BATCH + 1, BATCH):
            pick = torch.tensor(order[i : i + BATCH])
            loss = F.binary_cross_entropy_with_logits(net(x[pick]), target[pick])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            plan.step()
    return net.eval()


def main() -> None:
    torch.set_num_threads(1)
    x, notes = load()
    y = np.array([note["replay"] for note in notes])
    fold = np.array([crc32(f"fold {note['group']}".encode()) % FOLDS for note in notes])
    held, nets = np.zeros(len(x), np.float32), []
    for k in range(FOLDS):
        mine = torch.tensor(fold != k)
        net = train(x[mine], y[fold != k], seed=k)
        with torch.inference_mode():
            held[fold == k] = net(x[~mine]).numpy()
        nets.append(net.state_dict())
        found = eer(held[fold == k].astype(np.float64), y[fold == k])
        print("fold", k, int((~mine).sum()), f"windows held out, EER {found:.3f}", flush=True)
    a, b = fit_logistic(held, y)
    llr = (a * held + b).astype(np.float64)
    report = {"a": a, "b": b, "windows": len(x), "clips": len({note["clip"] for note in notes})}
    report |= {
        "held_out_eer": eer(llr, y),
        "held_out_cllr": cllr(llr, y),
        "held_out_cllr_min": min_cllr(llr, y),
    }
    for condition in sorted({str(note["condition"]) for note in notes}):
        rows = np.array([note["condition"] == condition for note in notes])
        print(f"{condition:6} {rows.sum():5} windows, EER {eer(llr[rows], y[rows]):.3f}")
    print(report)
    torch.save(nets, folder() / "nets.pt")
    (folder() / "calibration.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
