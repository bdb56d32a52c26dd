"""Augmented 4 s windows of every training clip, cached outside git, resumable.

    python windows.py SET COPIES     writes CACHE/windows/SET-<k>.npy, one per copy number k

SET is ``real`` (the data folder's clips), a set that another script made, or ``all``.
Copy 0 is the clean clip, the others went through the call chain, each by its own seed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
from chain import RATE, WINDOW, augment, fit
from clips import clip_paths, made_sets
from data import cache

STEP = 250


def window_file(name: str, copy: int) -> Path:
    """Return where one copy of a set's windows lies: int16 (clips, 64000)."""
    return cache() / "windows" / f"{name}-{copy}.npy"


def window_files(name: str) -> list[Path]:
    """Return the finished files of one set, in the order of their copy numbers."""
    found = (cache() / "windows").glob(f"{name}-*.npy")
    return sorted(
        (p for p in found if p.stem.rpartition("-")[0] == name), key=lambda p: int(p.stem.rpartition("-")[2])
    )


def make(name: str, copy: int) -> None:
    """Write one copy of a set's windows; goes on where an earlier run stopped."""
    out, paths = window_file(name, copy), clip_paths(name)
    if out.exists() and np.load(out, mmap_mode="r").shape[0] >= len(paths):
        return
    out.parent.mkdir(exist_ok=True)
    part, mark = out.with_suffix(".part"), out.with_suffix(".rows")
    shape = (len(paths), WINDOW)
    done = int(mark.read_text()) if mark.exists() and part.exists() else 0
    rows = np.lib.format.open_memmap(
        part, "r+" if done else "w+", None if done else np.int16, None if done else shape
    )
    if rows.shape != shape:
        sys.exit(f"{part} has {len(rows)} rows, {len(paths)} clips are listed; delete it and run again")
    for n in range(done, len(paths)):
        x, rate = soundfile.read(paths[n], dtype="float32")
        if rate != RATE:
            sys.exit(f"{paths[n]} has {rate} Hz, every training clip must have {RATE}")
        rng = np.random.default_rng([copy, n, crc32(name.encode())])
        y = fit(x) if copy == 0 else augment(x, rng)
        rows[n] = np.clip(y * 32767, -32768, 32767).astype(np.int16)
        if n % STEP == STEP - 1:
            rows.flush()
            mark.write_text(str(n + 1))
            print(name, copy, n + 1, "of", len(paths), flush=True)
    rows.flush()
    part.rename(out)
    mark.unlink(missing_ok=True)
    print(name, copy, len(paths), "done", flush=True)


def main() -> None:
    copies = [int(k) for k in sys.argv[2].split(",")]
    for name in ["real", *made_sets()] if sys.argv[1] == "all" else [sys.argv[1]]:
        for k in copies:
            # a vocoder's copy is heard once, through the chain: its original is there in every copy
            if not (name.startswith("copy-") and k != 1):
                make(name, k)


if __name__ == "__main__":
    main()
