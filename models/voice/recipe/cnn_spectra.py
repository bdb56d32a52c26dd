"""Fine spectra of every cached window, as cnn_net.py hears them; resumable, file by file.

    python cnn_spectra.py      writes CACHE/fine/SET-<k>.npy, int8 (clips, 400, 256, 3), some 5.5 GB

Eight bits are enough: steps of 0.3 dB and of 1/127 of a phase's cosine.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from clips import Item, training_items
from cnn_net import BINS, CHANNELS, FRAMES, RANGE_DB, FineSpectrum
from data import cache
from torch import Tensor
from windows import window_files

BATCH = 32
# log power lies in 0..8 tens of dB, phases in -1..1
MIDDLE = torch.tensor([RANGE_DB / 20, 0.0, 0.0])
STEPS = torch.tensor([127 / (RANGE_DB / 20), 127.0, 127.0])


def fine_file(windows: Path) -> Path:
    """Return where the spectra of one file of windows lie."""
    return cache() / "fine" / windows.name


def stored(spectra: Tensor) -> np.ndarray:
    """Return int8 (B, 400, 256, 3) of spectra (B, 3, 400, 256)."""
    x = (spectra.permute(0, 2, 3, 1) - MIDDLE) * STEPS
    return torch.clamp(x.round(), -127, 127).to(torch.int8).numpy()


def heard(block: np.ndarray) -> Tensor:
    """Return spectra (B, 3, frames, 256) of stored ones, without the middle: the net takes means off."""
    return (torch.from_numpy(block).float() / STEPS).permute(0, 3, 1, 2)


class Fine:
    """The spectra of all windows, in the order of heads.Pooled; ``item``, ``copy``, ``spoof`` of each."""

    def __init__(self, items: list[Item]) -> None:
        self.files: list[np.ndarray] = []
        self.sources: list[Path] = []
        file, row, item, copy = [], [], [], []
        for name in Counter(i.set for i in items):
            own = [(n, i.row) for n, i in enumerate(items) if i.set == name]
            for k, windows in enumerate(window_files(name)):
                if not fine_file(windows).exists():
                    raise SystemExit(f"{fine_file(windows)} is missing: run cnn_spectra.py")
                file += [len(self.files)] * len(own)
                self.sources.append(windows)
                self.files.append(np.load(fine_file(windows), mmap_mode="r"))
                row += [r for _, r in own]
                item += [n for n, _ in own]
                copy += [k] * len(own)
        self.file, self.row = np.array(file), np.array(row)
        self.item, self.copy = np.array(item), np.array(copy)
        self.spoof = np.array([i.spoof for i in items])[self.item]

    def windows(self, rows: np.ndarray, start: np.ndarray | None = None, length: int = FRAMES) -> Tensor:
        """Return spectra (B, 3, length, 256), each from its own first frame."""
        first = np.zeros(len(rows), int) if start is None else start
        out = np.empty((len(rows), length, BINS, CHANNELS), np.int8)
        for n, (row, at) in enumerate(zip(rows, first, strict=True)):
            out[n] = self.files[self.file[row]][self.row[row], at : at + length]
        return heard(out)


def write(front: FineSpectrum, source: Path) -> None:
    """Write the spectra of one file of windows."""
    out = fine_file(source)
    if out.exists():
        return
    x = np.load(source, mmap_mode="r")
    unfinished = out.with_name(f"part-{out.name}")
    rows = np.lib.format.open_memmap(unfinished, "w+", np.int8, (len(x), FRAMES, BINS, CHANNELS))
    for start in range(0, len(x), BATCH):
        audio = torch.from_numpy(x[start : start + BATCH].astype(np.float32) / 32768)
        rows[start : start + BATCH] = stored(front(audio))
    rows.flush()
    unfinished.rename(out)
    print(out.name, len(rows), flush=True)


def main() -> None:
    torch.set_num_threads(1)
    (cache() / "fine").mkdir(exist_ok=True)
    front = FineSpectrum()
    with torch.inference_mode():
        for name in Counter(item.set for item in training_items()):
            for source in window_files(name):
                write(front, source)


if __name__ == "__main__":
    main()
