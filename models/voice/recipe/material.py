"""Music, surroundings and babble for the call chain and the gates, out of pinned packages.

    python material.py         writes CACHE/material/<kind>-<split>.npy and .json, resumable

``music`` and ``noise`` come from the packages that sources.toml lists under [[music]] and [[noise]], split by
package; ``babble`` is four to eight recorded voices at once, split by the voices' groups. int16 at 16 kHz.
"""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from collections.abc import Callable
from functools import cache as remember
from functools import partial
from pathlib import Path
from zlib import crc32

import av
import numpy as np
import soundfile
from data import cache, refuse, training_clips
from fetch import fetch
from packaged import SOURCES, decode, trim

RATE = 16_000
KINDS, SPLITS = ("music", "noise", "babble"), ("train", "held")
PIECE_S, SHORT_S, SCENE_S = 40, 4, 12
BABBLES = {"train": 40, "held": 14}


@remember
def bank(kind: str, split: str) -> tuple[np.ndarray, list[tuple[str, int, int]]]:
    """Return the mapped int16 samples of one kind and its pieces (name, start, stop); exits where missing."""
    path = cache() / "material" / f"{kind}-{split}.npy"
    if not path.exists():
        sys.exit(
            f"{path} is missing: the call chain takes its noise from there; run python material.py first"
        )
    return np.load(path, mmap_mode="r"), [tuple(p) for p in json.loads(path.with_suffix(".json").read_text())]


def draw(kind: str, count: int, rng: np.random.Generator, split: str = "train") -> np.ndarray:
    """Return float64 (count,) of unit rms: a random place of a random piece, repeated where it is short."""
    samples, pieces = bank(kind, split)
    for _ in range(8):
        _, start, stop = pieces[int(rng.integers(len(pieces)))]
        at = start + int(rng.integers(0, max(1, stop - start - count)))
        x = np.resize(samples[at : min(stop, at + count)], count).astype(np.float64)
        rms = float(np.sqrt(np.mean(x**2)))
        if rms > 20:  # not one of the pauses of a piece
            return x / rms
    return x / (rms + 1.0)


def held(group: str) -> bool:
    """Return whether a group of clips is one of the quarter that only held-out figures use."""
    return crc32(f"material {group}".encode()) % 4 == 0


def level(x: np.ndarray) -> np.ndarray:
    """Return the sound as int16, its loudest half second at -20 dBFS rms."""
    size = RATE // 2
    power = np.convolve(x.astype(np.float64) ** 2, np.ones(size) / size, "same")[:: size // 4]
    return (np.clip(x * 0.1 / np.sqrt(power.max() + 1e-12), -1, 1) * 32767).astype(np.int16)


def pieces_of(package: dict, rng: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    """Return the named pieces of one package; sounds shorter than SHORT_S are strung together to scenes."""
    refuse("sources", f"deb:{package['name']}", "sources.toml")
    root = fetch(package, cache() / "packages")
    files = sorted({path for pattern in package["files"] for path in root.glob(pattern)})
    found, scene = [], []
    order = [files[i] for i in rng.permutation(len(files))][: package.get("most", len(files))]
    for path in order:
        try:
            x = trim(decode(path, PIECE_S))
        except (av.FFmpegError, IndexError):  # broken, or no sound in it
            continue
        if len(x) >= SHORT_S * RATE:
            found.append((f"{package['name']}/{path.name}", level(x)))
        elif len(x):
            scene += [level(x), np.zeros(int(rng.uniform(0, 0.25) * RATE), np.int16)]
        if sum(map(len, scene)) > SCENE_S * RATE:
            found.append((f"{package['name']}/scene {len(found)}", np.concatenate(scene)))
            scene = []
    return found


def voices(split: str) -> dict[str, list[Path]]:
    """Return the genuine clips of the data folder and the packages by group, of one split."""
    groups: dict[str, list[Path]] = {}
    for clip in training_clips():
        if not clip.spoof:
            # the data folder's sources hold many speakers each
            groups.setdefault(f"{clip.source}/{clip.speaker}", []).append(clip.path)
    for name in ("packaged", "packaged2"):
        manifest = cache() / name / "manifest.csv"
        if manifest.is_file():
            with manifest.open(newline="") as file:
                for row in csv.DictReader(file):
                    groups.setdefault(row["group"], []).append(manifest.parent / row["path"])
    return {group: paths for group, paths in groups.items() if held(group) == (split == "held")}


def babble(split: str) -> list[tuple[str, np.ndarray]]:
    """Return pieces of 12 s: 4 to 8 groups at once, a clip after the other, at -6 to 0 dB."""
    groups, found = voices(split), []
    names = sorted(groups)
    for n in range(BABBLES[split]):
        rng = np.random.default_rng([n, split == "held"])
        total = np.zeros(SCENE_S * RATE)
        for name in rng.choice(names, int(rng.integers(4, 9)), replace=False):
            paths, parts = groups[name], []
            while sum(map(len, parts)) < len(total):
                x, _ = soundfile.read(paths[int(rng.integers(len(paths)))])
                parts.append(x / (np.sqrt(np.mean(x**2)) + 1e-6))
            total += np.concatenate(parts)[: len(total)] * 10 ** (-rng.uniform(0, 6) / 20)
        found.append((f"babble {n}", level(total)))
    return found


def part(name: str, make: Callable[[], list[tuple[str, np.ndarray]]]) -> list[tuple[str, np.ndarray]]:
    """Return the pieces that ``make`` gives, or those an earlier run left under this name."""
    path = cache() / "material" / "parts" / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pieces = make()
        unfinished = path.with_name(f"{name}.part.npz")
        np.savez(
            unfinished,
            names=np.array([n for n, _ in pieces]),
            **{str(i): x for i, (_, x) in enumerate(pieces)},
        )
        unfinished.rename(path)
        print(
            name, len(pieces), "pieces", f"{sum(len(x) for _, x in pieces) / RATE / 60:.1f} min", flush=True
        )
    with np.load(path) as stored:
        return [(str(name), stored[str(i)]) for i, name in enumerate(stored["names"])]


def write(kind: str, split: str, pieces: list[tuple[str, np.ndarray]]) -> None:
    """Write one bank under a new name first: another process may have the old one mapped."""
    path, at, notes = cache() / "material" / f"{kind}-{split}.npy", 0, []
    for name, x in pieces:
        notes.append((name, at, at + len(x)))
        at += len(x)
    path.with_suffix(".json").write_text(json.dumps(notes))
    unfinished = path.with_name(f"part-{path.name}")
    np.save(unfinished, np.concatenate([x for _, x in pieces]))
    unfinished.rename(path)
    print(kind, split, len(pieces), "pieces", f"{at / RATE / 60:.1f} min", flush=True)


def main() -> None:
    listed = tomllib.loads(SOURCES.read_text())
    for kind in sys.argv[1:] or KINDS:
        parts: dict[str, list[tuple[str, np.ndarray]]] = {split: [] for split in SPLITS}
        if kind == "babble":
            for split in SPLITS:
                parts[split] = part(f"babble-{split}", partial(babble, split))
        else:
            for package in listed[kind]:
                rng = np.random.default_rng(crc32(package["name"].encode()))
                split = "held" if package.get("held") else "train"
                parts[split] += part(f"{kind}-{package['name']}", partial(pieces_of, package, rng))
        for split in SPLITS:
            write(kind, split, parts[split])


if __name__ == "__main__":
    main()
