"""Windows that teach when to abstain: one voice, several at once, music, noise; all through the call chain.

    python gates.py            writes CACHE/gates/windows.npy (int16), dnsmos.npy, windows.csv and, for
                               each window, the trunk's pooled states: features-frozen.npy; resumable

Groups of clips and packages of sound are split: ``held`` is never trained on, and hears held noise only.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from functools import cache as once
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import torch
from call_codecs import code, telephone
from chain import RATE, WINDOW, augment, fit, noisy, through_call
from clips import clip_paths, training_items
from compute import device
from data import cache, training_clips
from device import browser, coloured, rms, room, trimmed
from fetch import tool
from material import draw, held
from pool import pooled
from trunk import load_trunk

CLASSES = ("one_voice", "several_voices", "music", "noise")
COUNTS = {"train": (500, 220, 240, 240), "held": (0, 100, 100, 100)}
PER_CONDITION = 40
DNSMOS_SAMPLES = 144_160
# raw output to the scale of listeners, as the package's own code has it (Reddy et al. 2022, DNSMOS P.835)
DNSMOS_OVRL = (-0.06766283, 1.11546468, 0.04602535)

Row = tuple[int, str, str, str, str]
Rng = np.random.Generator


@once
def voices(split: str) -> dict[bool, dict[str, list[Path]]]:
    """Return the clips of one split by class (true for spoof) and group."""
    speakers = {clip.path: f"{clip.source}/{clip.speaker}" for clip in training_clips()}
    paths = {name: clip_paths(name) for name in {item.set for item in training_items()}}
    found: dict[bool, dict[str, list[Path]]] = {False: {}, True: {}}
    for item in training_items():
        path = paths[item.set][item.row]
        group = item.group if item.spoof else speakers.get(path, item.group)
        if held(group) == (split == "held"):
            found[item.spoof].setdefault(group, []).append(path)
    return found


def pick(groups: dict[str, list[Path]], rng: Rng) -> tuple[str, np.ndarray]:
    """Return a random clip of a random group: its group and its samples."""
    name = sorted(groups)[int(rng.integers(len(groups)))]
    x, rate = soundfile.read(groups[name][int(rng.integers(len(groups[name])))], dtype="float32")
    if rate != RATE:
        sys.exit(f"a clip of {name} has {rate} Hz, every training clip must have {RATE}")
    return name, x


def several(groups: dict[bool, dict[str, list[Path]]], rng: Rng, split: str) -> tuple[str, np.ndarray]:
    """Return two or three groups' voices at once, within 6 dB, over nearly all of the window."""
    names, total = [], np.zeros(WINDOW)
    for n in range(2 if rng.random() < 0.7 else 3):
        name, x = pick(groups[rng.random() < 0.25], rng)
        while name in names:
            name, x = pick(groups[False], rng)
        x = fit(trimmed(x), rng).astype(np.float64)
        x = np.roll(x, int(rng.integers(-RATE // 4, RATE // 4))) if n else x
        total += x / rms(x) * 10 ** (rng.uniform(-6, 6) / 20 * (n > 0))
        names.append(name)
    total = room(total, rng) if rng.random() < 0.3 else total
    total = noisy(total, rng, split, 10.0) if rng.random() < 0.4 else total
    return "+".join(names), through_call(total, rng).samples


def music(groups: dict[bool, dict[str, list[Path]]], rng: Rng, split: str) -> tuple[str, np.ndarray]:
    """Return music, sometimes in a room, sometimes with a voice far under it."""
    x = draw("music", WINDOW, rng, split)
    if rng.random() < 0.12:
        voice = fit(pick(groups[False], rng)[1], rng)
        x = x + voice / rms(voice) * 10 ** (-rng.uniform(10, 18) / 20)
    x = room(x, rng) if rng.random() < 0.25 else x
    return "music", through_call(x, rng).samples


def noise(_: dict[bool, dict[str, list[Path]]], rng: Rng, split: str) -> tuple[str, np.ndarray]:
    """Return surroundings, a babbling crowd, coloured noise and hum, or tones."""
    kind = str(rng.choice(["noise", "babble", "coloured", "tones"], p=[0.55, 0.15, 0.2, 0.1]))
    if kind == "coloured":
        x = coloured(WINDOW, rng)
    elif kind == "tones":
        t = np.arange(WINDOW) / RATE
        x = sum(np.sin(2 * np.pi * f * t) for f in rng.uniform(200, 3000, int(rng.integers(1, 4))))
        x = x * (np.sin(2 * np.pi * rng.uniform(0.2, 2) * t) > rng.uniform(-1.2, 0.5))
        x = x + coloured(WINDOW, rng) * 10 ** (-rng.uniform(10, 50) / 20)
    else:
        x = draw(kind, WINDOW, rng, split)
        if rng.random() < 0.3:
            x = x + draw("noise", WINDOW, rng, split) * 10 ** (-rng.uniform(0, 15) / 20)
    return kind, through_call(x / rms(x), rng).samples


def at_snr(kind: str, snr_db: float) -> Callable[[np.ndarray, Rng], np.ndarray]:
    """Return a condition: held material of one kind under the voice."""
    return lambda x, rng: x + draw(kind, len(x), rng, "held") * rms(x) * 10 ** (-snr_db / 20)


CONDITIONS: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "clean": lambda x, _: x,
    "opus_24k": lambda x, _: code(x, "libopus", bit_rate=24_000),
    "opus_24k_loss_5": lambda x, rng: code(x, "libopus", bit_rate=24_000, loss=0.05, rng=rng, hide="conceal"),
    "telephone": lambda x, rng: telephone(x, rng).samples,
    "browser": browser,
    "room": room,
    "noise_15_db": at_snr("noise", 15),
    "noise_5_db": at_snr("noise", 5),
    "babble_15_db": at_snr("babble", 15),
    "music_15_db": at_snr("music", 15),
}


def chain_windows(split: str, label: int) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield the windows of one class: their rows (class, split, group, condition, spoof) and samples."""
    groups, makers = voices(split), (None, several, music, noise)
    for n in range(COUNTS[split][label]):
        rng = np.random.default_rng([label, n, split == "held"])
        make = makers[label]
        if make is None:
            group, x = pick(groups[n % 2 == 1], rng)
            yield (label, split, group, "chain", str(n % 2)), augment(x, rng, split, 5.0).samples
        else:
            group, x = make(groups, rng, split)
            yield (label, split, group, "chain", ""), x


def condition_windows(name: str) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield held-out windows of one voice under one condition, bona fide and spoof by turns."""
    groups = voices("held")
    for n in range(2 * PER_CONDITION):
        # the same clips in every condition
        rng = np.random.default_rng([9, n])
        group, x = pick(groups[n % 2 == 1], rng)
        x = fit(trimmed(x), rng).astype(np.float64)
        yield (0, "held", group, name, str(n % 2)), CONDITIONS[name](x * 0.05 / rms(x), rng)


def quality() -> Callable[[np.ndarray], float]:
    """Return DNSMOS P.835's overall score of a window, 1 to 5; the window is repeated to the model's 9 s."""
    (path,) = tool("speechmos").glob("speechmos/dnsmos_models/sig_bak_ovr.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def score(x: np.ndarray) -> float:
        (raw,) = session.run(None, {"input_1": np.resize(x, DNSMOS_SAMPLES)[None].astype(np.float32)})
        return float(np.polyval(DNSMOS_OVRL, raw[0][2]))

    return score


def planned() -> Iterator[tuple[str, Iterator[tuple[Row, np.ndarray]]]]:
    """Yield every part of the windows by name."""
    for split, counts in COUNTS.items():
        for label, count in enumerate(counts):
            if count:
                yield f"{split}-{CLASSES[label]}", chain_windows(split, label)
    for name in CONDITIONS:
        yield f"held-{name}", condition_windows(name)


def build() -> None:
    """Write the windows, their rows and the quality of a part of those with one voice."""
    folder = cache() / "gates"
    if (folder / "windows.csv").exists():
        return
    folder.mkdir(exist_ok=True)
    score, rows, windows, mos = quality(), [], [], []
    for name, makers in planned():
        part = folder / f"part-{name}.npz"
        if not part.exists():
            own = list(makers)
            # the teacher is slow: half of the training windows, a quarter of each condition
            every = 4 if name.startswith("train") else 8
            scores = [score(x) if row[0] == 0 and n % every < 2 else np.nan for n, (row, x) in enumerate(own)]
            sounds = np.stack([np.clip(x * 32767, -32768, 32767).astype(np.int16) for _, x in own])
            np.savez(
                folder / "unfinished.npz", rows=np.array([r for r, _ in own], str), windows=sounds, mos=scores
            )
            (folder / "unfinished.npz").rename(part)
            print(name, len(own), flush=True)
        with np.load(part) as stored:
            rows += stored["rows"].tolist()
            windows.append(stored["windows"])
            mos.append(stored["mos"])
    np.save(folder / "windows.npy", np.concatenate(windows))
    np.save(folder / "dnsmos.npy", np.concatenate(mos).astype(np.float32))
    with (folder / "windows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("label", "split", "group", "condition", "spoof"), *rows])


def extract() -> Path:
    """Write the pooled states of every window, float16 (N, 8, 4096), and return where."""
    out = cache() / "gates" / "features-frozen.npy"
    windows = np.load(cache() / "gates" / "windows.npy", mmap_mode="r")
    if not out.exists():
        trunk = load_trunk(cache() / "whisper-base.bin").to(device())
        parts = [windows[i : i + 8] / np.float32(32768) for i in range(0, len(windows), 8)]
        rows = np.concatenate([pooled(trunk, part).astype(np.float16) for part in parts])
        np.save(out.with_name("part-" + out.name), rows)
        out.with_name("part-" + out.name).rename(out)
    return out


def main() -> None:
    torch.set_num_threads(1)
    build()
    print(extract())


if __name__ == "__main__":
    main()
