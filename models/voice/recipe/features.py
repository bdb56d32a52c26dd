"""Pooled trunk states of augmented copies of the training clips, cached outside git, resumable.

    python features.py NAME COPIES   writes CACHE/NAME-<k>.npy, one per copy number k

Each window gives float16 (states, SEGMENTS, 2, 512): mean and spread of the state over each half second.
Copy 0 is the clean clip.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import torch
from chain import augment, fit
from data import cache, training_clips
from trunk import load_trunk

SEGMENTS, BATCH = 8, 8


class Pooled(torch.nn.Module):
    """Samples (B, 64000) to (B, STATES, SEGMENTS, 2, 512)."""

    def __init__(self, trunk: torch.nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        parts = self.trunk(audio).unflatten(2, (SEGMENTS, -1))
        mean = parts.mean(3)
        spread = torch.sqrt(((parts - mean.unsqueeze(3)) ** 2).sum(3) / (parts.shape[3] - 1))
        return torch.stack([mean, spread], 3)


def runtime() -> onnxruntime.InferenceSession:
    """Return the frozen trunk in onnxruntime, twice as fast as torch on one core."""
    path = cache() / "trunk.onnx"
    if not path.exists():
        net = Pooled(load_trunk(cache() / "whisper-base.bin")).eval()
        program = torch.onnx.export(
            net, (torch.zeros(8, 64_000),), dynamo=True, input_names=["audio"], verbose=False
        )
        path.write_bytes(program.model_proto.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def extract(paths: list[Path], copy: int, trunk: onnxruntime.InferenceSession, out: Path) -> None:
    """Write the features of one augmented copy of every clip; done already if the file exists."""
    if out.exists():
        return
    rows = []
    for start in range(0, len(paths), BATCH):
        batch = np.zeros((BATCH, 64_000), np.float32)
        part = paths[start : start + BATCH]
        for i, path in enumerate(part):
            x, rate = soundfile.read(path, dtype="float32")
            assert rate == 16_000, path
            rng = np.random.default_rng([copy, start + i])
            batch[i] = fit(x) if copy == 0 else augment(x, rng)
        (pooled,) = trunk.run(None, {"audio": batch})
        rows.append(pooled[: len(part)].astype(np.float16))
    temporary = out.with_name("part-" + out.name)
    np.save(temporary, np.concatenate(rows))
    temporary.rename(out)


def main() -> None:
    torch.set_num_threads(1)
    what, copies = sys.argv[1], [int(k) for k in sys.argv[2].split(",")]
    trunk = runtime()
    if what == "real":
        paths = [clip.path for clip in training_clips()]
    else:
        with (cache() / what / "manifest.csv").open(newline="") as file:
            paths = [cache() / what / row["path"] for row in csv.DictReader(file)]
    for k in copies:
        extract(paths, k, trunk, cache() / f"{what}-{k}.npy")
        print(what, k, len(paths), flush=True)


if __name__ == "__main__":
    main()
