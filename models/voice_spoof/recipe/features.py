"""Pooled trunk states of augmented copies of the training clips, cached outside git, resumable.

    python features.py NAME COPIES   writes CACHE/NAME-<k>.npy, one per copy number k

Each window gives float16 (states, SEGMENTS, 2, 512): mean and spread of the state over each half second.
Copy 0 is the clean clip.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from chain import augment, fit
from data import training_clips
from trunk import load_trunk

SEGMENTS = 8


def cache() -> Path:
    """Return the folder named by GUARD_CACHE, outside git."""
    named = os.environ.get("GUARD_CACHE")
    if not named:
        sys.exit(
            "GUARD_CACHE must name a folder for features and copies (about 2 GB), outside the repository"
        )
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named)


def pool(states: torch.Tensor) -> np.ndarray:
    """(B, S, 200, 512) to float16 (B, S, SEGMENTS, 2, 512)."""
    parts = states.unflatten(2, (SEGMENTS, -1))
    return torch.stack([parts.mean(3), parts.std(3)], 3).numpy().astype(np.float16)


def extract(paths: list[Path], copy: int, trunk: torch.nn.Module, out: Path) -> None:
    """Write the features of one augmented copy of every clip; done already if the file exists."""
    if out.exists():
        return
    rows = []
    for start in range(0, len(paths), 16):
        batch = []
        for i, path in enumerate(paths[start : start + 16]):
            x, rate = soundfile.read(path, dtype="float32")
            assert rate == 16_000, path
            rng = np.random.default_rng([copy, start + i])
            batch.append(fit(x) if copy == 0 else augment(x, rng))
        with torch.inference_mode():
            rows.append(pool(trunk(torch.tensor(np.stack(batch)))))
    temporary = out.with_suffix(".part.npy")
    np.save(temporary, np.concatenate(rows))
    temporary.rename(out)


def main() -> None:
    torch.set_num_threads(1)
    what, copies = sys.argv[1], [int(k) for k in sys.argv[2].split(",")]
    trunk = load_trunk(cache() / "whisper-base.bin")
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
