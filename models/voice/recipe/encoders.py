"""A small head on the vectors of a speaker encoder, per fold: another ear beside the trunk; resumable.

    python encoders.py         after cnn_spectra.py; writes CACHE/cnn/speaker.npy and speaker-<fold>.npy

The encoder is the one guard ships for voice match (models/speaker: Resemblyzer's, GE2E), before its
compensation of channels, which knows sources that are held out here. DNSMOS's last layers were not tried:
170 CPU-ms a window are twice what a window may cost. Only recorded clips and engines are heard, no copies of
them (the heads do as well without them, ablations.md); weights and folds as in heads.py. Nothing
here reads the val folder.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from clips import training_items
from cnn import folder
from cnn_spectra import Fine
from folds import FOLDS, folds_of, weights_of
from heads import BATCH, DECAY, EPOCHS, RATE, SMOOTHING
from torch import nn
from torch.nn import functional as F

MODEL = Path(__file__).resolve().parents[2] / "speaker" / "model.onnx"
OUTPUT, HEARD, UNITS, DROPOUT = "unit_mean", 16, 32, 0.3


def vectors(fine: Fine, natural: np.ndarray) -> np.ndarray:
    """Return float32 (windows, 256): unit vectors of the encoder, none (NaN) for copies."""
    kept = folder() / "speaker.npy"
    if kept.exists():
        return np.load(kept)
    model = onnx.load(MODEL)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(OUTPUT))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = np.full((len(fine.item), 256), np.nan, np.float32)
    for number, source in enumerate(fine.sources):
        audio, mine = np.load(source, mmap_mode="r"), np.flatnonzero((fine.file == number) & natural)
        for start in range(0, len(mine), HEARD):
            rows = mine[start : start + HEARD]
            x = audio[fine.row[rows]].astype(np.float32) / 32768
            found[rows] = session.run([OUTPUT], {"audio": x})[0]
        print(source.name, len(mine), flush=True)
    np.save(kept, found)
    return found


def train(x: torch.Tensor, spoof: np.ndarray, weight: np.ndarray, seed: int) -> nn.Module:
    """Train one head on vectors (N, 256), as heads.py does; rows of weight 0 are never drawn."""
    torch.manual_seed(seed)
    head = nn.Sequential(
        nn.BatchNorm1d(x.shape[1], affine=False),
        nn.Dropout(DROPOUT),
        nn.Linear(x.shape[1], UNITS),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(UNITS, 1),
    )
    steps = EPOCHS * int((weight > 0).sum()) // BATCH
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    label = torch.from_numpy(spoof.astype(np.float32)) * (1 - 2 * SMOOTHING) + SMOOTHING
    rng = np.random.default_rng(seed)
    for rows in rng.choice(len(weight), (steps, BATCH), p=weight / weight.sum()):
        chosen = torch.from_numpy(rows)
        loss = F.binary_cross_entropy_with_logits(head(x[chosen]).squeeze(1), label[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
    return head.eval()


def main() -> None:
    torch.set_num_threads(1)
    items = training_items()
    fine = Fine(items)
    recorded = np.array([item.origin is None for item in items])
    weight, fold = np.zeros(len(items)), folds_of(items)[fine.item]
    weight[recorded] = weights_of([item for item in items if item.origin is None])
    x, weight = torch.from_numpy(vectors(fine, recorded[fine.item])), weight[fine.item]
    began = time.process_time()
    for k in range(FOLDS):
        head = train(x, fine.spoof, np.where(fold == k, 0.0, weight), seed=k)
        with torch.inference_mode():
            np.save(folder() / f"speaker-{k}.npy", head(x).squeeze(1).numpy())
    print(f"heads of {FOLDS} folds: {time.process_time() - began:.0f} CPU-s")


if __name__ == "__main__":
    main()
