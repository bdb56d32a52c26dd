"""Voice conversion: a recorded clip with another speaker's pitch, formants and mean spectrum.

    python convert.py SHARE       writes CACHE/copy-convert/*.flac and, at the end, manifest.csv

WORLD moves F0 to the other's mean and range and warps the envelope by the ratio that goes with it; the
mel of that is moved to the other's mean and spoken by the Vocos-like or the HiFi-GAN-like vocoder, so
that the waveform is a neural one throughout. Sources: Toda et al. 2007 (F0 and mean conversion); WORLD.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np
import pyworld
import soundfile
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from copies import RATE, genuine
from features import cache

from vocoders.copies import blur, finish, load, spoil

SEED = 15


def pitch(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return F0 (Hz, 0 where unvoiced) and frame times."""
    f0, t = pyworld.dio(x, RATE)
    return pyworld.stonemask(x, f0, t, RATE), t


def moved(x: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Return ``x`` in the other's pitch and formants, or None where one has too little voice."""
    f0, t = pitch(x)
    theirs = pitch(other)[0]
    if (f0 > 0).sum() < 40 or (theirs > 0).sum() < 40:
        return None
    mine, theirs = np.log(f0[f0 > 0]), np.log(theirs[theirs > 0])
    spread = np.clip(theirs.std() / mine.std(), 0.7, 1.4)
    change = np.clip(np.median(theirs) - np.median(mine), -0.7, 0.7)
    wanted = np.where(f0 > 0, np.exp((np.log(np.maximum(f0, 1)) - np.median(mine)) * spread), 0)
    wanted *= np.exp(np.median(mine) + change)
    envelope, aperiodicity = pyworld.cheaptrick(x, f0, t, RATE), pyworld.d4c(x, f0, t, RATE)
    # an octave of pitch goes with about 18 % of vocal tract length
    warp = np.exp(-0.24 * change)
    places = np.clip(np.arange(envelope.shape[1]) * warp, 0, envelope.shape[1] - 1)
    low = places.astype(int)
    high, share = np.minimum(low + 1, envelope.shape[1] - 1), places - low
    warped = np.exp(np.log(envelope[:, low]) * (1 - share) + np.log(envelope[:, high]) * share)
    return pyworld.synthesize(np.clip(wanted, 0, 600), warped, aperiodicity, RATE)


def heard(net: nn.Module, x: np.ndarray) -> Tensor:
    """Return the mel of ``x`` at the vocoder's common level."""
    size = -(-len(x) // net.hop) * net.hop
    x = np.pad(x * 0.06 / (x.std() + 1e-6), (0, size - len(x)), "reflect")
    return net.condition(torch.from_numpy(x).float()[None])


def mean(mel: Tensor) -> Tensor:
    """Return the mean (1, mels, 1) of the frames within 4 nepers of the loudest, smoothed over bands."""
    level = mel.mean(1)[0]
    return blur(mel[:, :, level > level.max() - 4].mean(2, keepdim=True), 0, 3.0)


@torch.inference_mode()
def converted(
    net: nn.Module, x: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return ``x`` as if the other had said it, or None where one has too little voice."""
    made = moved(x, other)
    if made is None:
        return None
    mel = heard(net, np.pad(made, (0, max(0, len(x) - len(made))))[: len(x)])
    mel = mel + (mean(heard(net, other)) - mean(mel)).clamp(-1.2, 1.2) * rng.uniform(0.5, 1)
    return finish(net(spoil(mel, rng))[0].numpy(), x)


def main() -> None:
    torch.set_num_threads(1)
    share = float(sys.argv[1])
    nets = [net for family in ("vocos", "hifigan") for net in load(family)[2:]]
    folder = cache() / "copy-convert"
    folder.mkdir(exist_ok=True)
    rows, began, clips = [], time.process_time(), genuine()
    for n, (key, group, path) in enumerate(clips):
        rng = np.random.default_rng([n, SEED])
        if rng.random() >= share:
            continue
        out = folder / f"convert_{key}.flac"
        if not out.exists():
            others = [theirs for _, their_group, theirs in clips if their_group != group]
            x, other = soundfile.read(path)[0], soundfile.read(others[rng.integers(len(others))])[0]
            y = converted(nets[rng.integers(len(nets))], x, other, rng)
            if y is None:
                continue
            soundfile.write(out, y, RATE)
        rows.append((out.name, "spoof", "copy-convert", key))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin"), *rows])
    print("convert", len(rows), f"{time.process_time() - began:.0f} CPU-s")


if __name__ == "__main__":
    main()
