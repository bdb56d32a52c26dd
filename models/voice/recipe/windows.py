"""Augmented 4 s windows of every training clip, cached outside git, resumable.

    python windows.py SET COPIES     writes CACHE/windows/SET-<k>.npy, one per copy number k, and beside it
                                     SET-<k>.concealed.npy: the share of each window that was lost on the way

SET is ``real`` (the data folder's clips), a set that another script made, or ``all``.
Copy 0 is the clean clip, the others went through the call chain, each by its own seed. Windows made before
their losses were kept stay as they are: their calls are drawn again, compared with them, and only the losses
are written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
from chain import RATE, WINDOW, Received, augment, fit
from clips import clip_paths, made_sets
from data import cache

STEP = 250


def window_file(name: str, copy: int) -> Path:
    """Return where one copy of a set's windows lies: int16 (clips, 64000)."""
    return cache() / "windows" / f"{name}-{copy}.npy"


def concealed_file(windows: Path) -> Path:
    """Return where the share of each window lies that a receiver invented: float32 (clips,)."""
    return windows.with_name(f"{windows.stem}.concealed.npy")


def window_files(name: str | None = None) -> list[Path]:
    """Return the finished files of one set, or of all, in the order of sets and copy numbers."""
    found = [p for p in (cache() / "windows").glob("*-*.npy") if not p.stem.endswith(".concealed")]
    parts = [(*p.stem.rpartition("-")[::2], p) for p in found]
    return [p for _, _, p in sorted((s, int(k), p) for s, k, p in parts if name in (None, s))]


def concealed_shares(windows: Path) -> np.ndarray:
    """Return float32 (clips,): which share of each window was lost; exits where that was never written."""
    told = concealed_file(windows)
    if not told.exists():
        sys.exit(f"{told} is missing: run windows.py all 0,1,2, which keeps the windows that are there")
    return np.load(told)


def drawn(name: str, copy: int, row: int, clip: Path) -> tuple[np.ndarray, float]:
    """Return the window int16 (64000,) of one clip's copy, and the share of it that was lost."""
    x, rate = soundfile.read(clip, dtype="float32")
    if rate != RATE:
        sys.exit(f"{clip} has {rate} Hz, every training clip must have {RATE}")
    rng = np.random.default_rng([copy, row, crc32(name.encode())])
    y = Received.whole(fit(x)) if copy == 0 else augment(x, rng)
    window = np.clip(y.samples * 32767, -32768, 32767).astype(np.int16)
    return window, float(y.concealed.mean())


def make(name: str, copy: int) -> None:
    """Write one copy of a set's windows and what of them was lost; goes on where an earlier run stopped."""
    out, clips = window_file(name, copy), clip_paths(name)
    told, mark, count = concealed_file(out), out.with_suffix(".rows"), len(clips)
    known = np.load(out, mmap_mode="r") if _rows_in(out) >= count else None
    if known is not None and _rows_in(told) >= count:
        return
    out.parent.mkdir(exist_ok=True)
    targets = [(told, np.float32, (count,))]
    if known is None:
        targets.append((out, np.int16, (count, WINDOW)))
    kept = mark.exists() and all(path.with_suffix(".part").exists() for path, _, _ in targets)
    done = int(mark.read_text()) if kept else 0
    parts = [_opened(*target, fresh=done == 0) for target in targets]
    for n in range(done, count):
        window, share = drawn(name, copy, n, clips[n])
        if known is not None and not np.array_equal(window, known[n]):
            sys.exit(f"row {n} of {out} is not what is drawn now: delete it and its pooled states, run again")
        for part, value in zip(parts, (share, window), strict=False):
            part[n] = value
        if n % STEP == STEP - 1:
            for part in parts:
                part.flush()
            mark.write_text(str(n + 1))
            print(name, copy, n + 1, "of", count, flush=True)
    for part, (path, _, _) in zip(parts, targets, strict=True):
        part.flush()
        path.with_suffix(".part").rename(path)
    mark.unlink(missing_ok=True)
    print(name, copy, count, "done" if known is None else "losses done", flush=True)


def _rows_in(path: Path) -> int:
    return len(np.load(path, mmap_mode="r")) if path.exists() else 0


def _opened(path: Path, dtype: type, shape: tuple[int, ...], *, fresh: bool) -> np.memmap:
    """Return the unfinished file of ``path``, begun anew or as it was left."""
    part = path.with_suffix(".part")
    if fresh:
        return np.lib.format.open_memmap(part, "w+", dtype, shape)
    rows = np.lib.format.open_memmap(part, "r+")
    if rows.shape != shape:
        sys.exit(f"{part} has {len(rows)} rows, {shape[0]} clips are listed; delete it and run again")
    return rows


def main() -> None:
    copies = [int(k) for k in sys.argv[2].split(",")]
    for name in ["real", *made_sets()] if sys.argv[1] == "all" else [sys.argv[1]]:
        for k in copies:
            # a vocoder's copy is heard once, through the chain: its original is there in every copy
            if not (name.startswith("copy-") and k != 1):
                make(name, k)


if __name__ == "__main__":
    main()
