"""Pooled states of the frozen trunk for every cached window; resumable, file by file.

    python pool.py [PART OF]   writes CACHE/pooled/SET-<k>.npy, float16 (clips, 8, 4096)

PART of OF splits the files between processes. The layers are computed in bfloat16, faster on a processor that
knows it. The log-mel is not: in bfloat16 quiet bands drown in the rounding of loud ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from compute import device
from data import cache
from head import FEATURES, SEGMENTS, segment_features
from trunk import Trunk, load_trunk
from windows import window_files

BATCH = 32


def pooled_file(windows: Path) -> Path:
    """Return where the pooled states of one file of windows lie."""
    return cache() / "pooled" / windows.name


def pooled(trunk: Trunk, audio: np.ndarray) -> np.ndarray:
    """Return float32 (B, 8, 4096): the pooled states of samples float32 (B, 64000)."""
    where = trunk.positions.device
    with torch.inference_mode():
        mel = trunk.mel(torch.from_numpy(audio).to(where))
        with torch.autocast(where.type, torch.bfloat16):
            states = trunk.encode(mel)
        return segment_features(states.float()).cpu().numpy()


def pool(trunk: Trunk, source: Path) -> None:
    """Write the pooled states of one file of windows."""
    x, out = np.load(source, mmap_mode="r"), pooled_file(source)
    if out.exists():
        return
    rows = np.empty((len(x), SEGMENTS, FEATURES), np.float16)
    for start in range(0, len(x), BATCH):
        rows[start : start + BATCH] = pooled(trunk, x[start : start + BATCH].astype(np.float32) / 32768)
    unfinished = out.with_name(f"part-{out.name}")
    np.save(unfinished, rows)
    unfinished.rename(out)
    print(out.name, len(rows), flush=True)


def main() -> None:
    torch.set_num_threads(1)
    part, of = (int(n) for n in sys.argv[1:3]) if len(sys.argv) > 2 else (0, 1)
    (cache() / "pooled").mkdir(exist_ok=True)
    trunk = load_trunk(cache() / "whisper-base.bin").to(device())
    files = sorted(window_files(), key=lambda p: -p.stat().st_size)
    for source in files[part::of]:
        pool(trunk, source)


if __name__ == "__main__":
    main()
