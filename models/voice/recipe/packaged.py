"""Recorded human speech out of Debian packages: short prompts and words joined to clips of 4.6 s.

    python packaged.py [SET]   writes CACHE/SET/*.flac and manifest.csv; SET is packaged or packaged2

Packages are pinned by sha256 (sources.toml); each language of a package is a group of its own.
"""

from __future__ import annotations

import csv
import sys
import tomllib
import zipfile
from pathlib import Path

import av
import numpy as np
import soundfile
from data import cache, refuse
from fetch import fetch

RATE, SECONDS = 16_000, 4.6
SOURCES = Path(__file__).resolve().parent / "sources.toml"


def decode(path: Path, most_s: float = 600.0) -> np.ndarray:
    """Return mono float samples at 16 kHz, at most the first ``most_s`` seconds."""
    form = path.suffix[1:] if path.suffix in (".g722", ".gsm") else None
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path), format=form, metadata_errors="ignore") as container:
        parts: list[np.ndarray] = []
        for frame in container.decode(audio=0):
            parts += [r.to_ndarray().ravel() for r in resampler.resample(frame)]
            if frame.time is not None and frame.time > most_s:
                break
    parts += [r.to_ndarray().ravel() for r in resampler.resample(None)]
    return np.concatenate(parts)[: int(most_s * RATE)] if parts else np.zeros(0, np.float32)


def trim(x: np.ndarray) -> np.ndarray:
    """Cut what lies more than 40 dB under the peak off both ends."""
    if not len(x) or np.abs(x).max() < 1e-3:
        return x[:0]
    loud = np.flatnonzero(np.abs(x) > 0.01 * np.abs(x).max())
    return x[max(0, loud[0] - 400) : loud[-1] + 800]


def joined(files: list[Path], count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return up to ``count`` clips; no file is used twice."""
    order, clips, parts = [files[i] for i in rng.permutation(len(files))], [], []
    for path in order:
        try:
            x = trim(decode(path))
        except av.FFmpegError:
            continue
        if len(x) < 0.25 * RATE:
            continue
        level = 0.05 / (np.sqrt(np.mean(x**2)) + 1e-6)
        parts += [x * level, np.zeros(int(rng.uniform(0.03, 0.35) * RATE), np.float32)]
        if sum(map(len, parts)) >= SECONDS * RATE:
            clips.append(np.clip(np.concatenate(parts)[: int(SECONDS * RATE)], -1, 1))
            parts = []
        if len(clips) == count:
            break
    return clips


def clips_of(package: dict, start: int) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Return one package's manifest rows, each with its samples; ``start`` is the number of rows before."""
    refuse("sources", f"deb:{package['name']}", "sources.toml")
    root = fetch(package, cache() / "packages")
    if "archive" in package:
        inner = root / "archive"
        if not inner.is_dir():
            zipfile.ZipFile(root / package["archive"]).extractall(inner)
    found: list[tuple[tuple[str, ...], np.ndarray]] = []
    for name, pattern in package["groups"].items():
        # other languages of one package are other speakers, unless sources.toml joins them
        group = f"deb:{package['name']}" + ("" if package.get("one_group") else f"/{name}")
        files = sorted(root.glob(pattern))
        rng = np.random.default_rng(start + len(found))
        for n, x in enumerate(joined(files, package["clips"], rng)):
            path = f"packaged_{package['name']}_{name}_{n:03}.flac"
            found.append(((path, "bonafide", group, "", package["licence"]), x))
        print(package["name"], name, len(files), start + len(found), flush=True)
    return found


def main() -> None:
    which = sys.argv[1] if len(sys.argv) > 1 else "packaged"
    folder = cache() / which
    folder.mkdir(exist_ok=True)
    rows: list[tuple[str, ...]] = []
    for package in tomllib.loads(SOURCES.read_text())["speech"]:
        if package.get("set", "packaged") != which:
            continue
        for row, x in clips_of(package, len(rows)):
            soundfile.write(folder / row[0], x, RATE)
            rows.append(row)
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin", "licence"), *rows])


if __name__ == "__main__":
    main()
