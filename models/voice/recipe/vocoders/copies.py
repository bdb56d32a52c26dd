"""Speak a share of the recorded clips again through a trained family of vocoders.

    python copies.py FAMILY SHARE       writes CACHE/copy-FAMILY/*.flac and, at the end, manifest.csv

Each copy draws the age of the weights (early ones are rougher) and how its mel is spoiled: blurred over
time and frequency, told with fewer bands, with noise, as the acoustic model of a speech synthesiser would
give it, or left whole. Level, length and offset are the original's, so that they say nothing.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from copies import RATE, genuine
from data import cache

from vocoders.codec import Codec
from vocoders.families import FAMILIES
from vocoders.flow import Flow
from vocoders.mels import FLOOR, filters

AGE_SHARES = (0.12, 0.2, 0.28, 0.4)
RUMBLE = butter(2, 20, fs=RATE, output="sos")


def load(family: str) -> list[nn.Module]:
    """Return the vocoder at each of its ages, youngest first."""
    nets = []
    for age in range(len(AGE_SHARES)):
        net = FAMILIES[family].build()
        net.load_state_dict(torch.load(cache() / "vocoders" / f"{family}-{age}.pt", weights_only=True))
        if isinstance(net, Flow):
            net.rough = [load("source")[-1]]
        if isinstance(net, Codec):
            net.rough = [load("vocos")[age]]
        nets.append(net.eval())
    return nets


def blur(mel: Tensor, frames: float, bands: float) -> Tensor:
    """Smooth (1, mels, frames) by Gaussians of these standard deviations; 0 leaves that axis."""
    for sigma, axis in ((frames, 2), (bands, 1)):
        if sigma:
            reach = int(np.ceil(3 * sigma))
            k = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
            wide = mel.transpose(1, 2) if axis == 1 else mel
            wide = F.pad(wide, (reach, reach), "replicate")
            wide = F.conv1d(wide.transpose(0, 1), (k / k.sum())[None, None]).transpose(0, 1)
            mel = wide.transpose(1, 2) if axis == 1 else wide
    return mel


def fewer_bands(mel: Tensor, count: int) -> Tensor:
    """Tell (1, mels, frames) by ``count`` bands and guess the mels back by least squares."""
    fine, coarse = filters(1024, mel.shape[1]), filters(1024, count)
    between = coarse @ torch.linalg.pinv(fine)
    told = between @ mel.exp()
    return (torch.linalg.pinv(between) @ told).clamp(min=FLOOR).log()


def spoil(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a mel like the one a speech synthesiser's acoustic model would give; a third are left whole."""
    if rng.random() < 1 / 3:
        return mel
    if rng.random() < 0.25:
        mel = fewer_bands(mel, int(rng.choice([40, 50, 60, 70])))
    if rng.random() < 0.7:
        mel = blur(mel, rng.choice([0, 0.6, 1.0, 1.4]), rng.choice([0, 0.5, 0.9, 1.3]))
    if rng.random() < 0.5:
        grain = torch.from_numpy(rng.standard_normal(mel.shape)).float() * rng.uniform(0.03, 0.2)
        # only where something sounds: noise on the floor would be a hiss that no clip has
        mel = mel + grain * (mel > mel.amax() - 7)
    return mel


def hushed(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Lower ``y`` where ``x`` is 30 dB under its own level: no copy hisses where its clip is quiet."""
    a, b = (np.sqrt(np.maximum(uniform_filter1d(z**2, 480), 0)) for z in (x, y))
    gain = np.where(a < 0.03 * x.std(), np.minimum(1, (a + 1e-6) / (b + 1e-6)), 1)
    return y * uniform_filter1d(gain, 160)


def finish(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Give ``y`` the length and level of ``x``, and what lies under 20 Hz, where no voice is."""
    y = np.pad(y[: len(x)].astype(np.float64), (0, max(0, len(x) - len(y))))
    low = sosfiltfilt(RUMBLE, x)
    x, y = x - low, y - sosfiltfilt(RUMBLE, y)
    y = hushed(y * x.std() / (y.std() + 1e-9), x)
    return np.clip(y + np.where(uniform_filter1d(x**2, 480) > 1e-12, low, 0), -1, 1)


@torch.inference_mode()
def say(net: nn.Module, x: np.ndarray, rng: np.random.Generator, spoiled: bool = True) -> np.ndarray:
    """Return ``x`` said again; the vocoder hears it at a common level."""
    level = 0.06 / (x.std() + 1e-6)
    size = -(-len(x) // net.hop) * net.hop
    sound = torch.from_numpy(np.pad(x * level, (0, size - len(x)), "reflect")).float()[None]
    if isinstance(net, Codec):
        net.used = int(rng.integers(2, net.most + 1)) if spoiled else net.most
    if isinstance(net, Flow):
        net.steps = int(rng.choice([6, 8, 12, 20])) if spoiled else 12
        net.start = float(rng.uniform(0.35, 0.7)) if spoiled else 0.5
    given = net.condition(sound)
    if spoiled and net.mels:
        # what stands under the mel is F0, which may be moved
        move = rng.uniform(0.87, 1.15) if rng.random() < 0.5 else 1.0
        given = torch.cat((spoil(given[:, : net.mels], rng), given[:, net.mels :] * move), 1)
    torch.manual_seed(int(rng.integers(1 << 31)))
    return finish(net(given)[0].numpy(), x)


def main() -> None:
    torch.set_num_threads(1)
    family, share = sys.argv[1], float(sys.argv[2])
    nets = load(family)
    folder = cache() / f"copy-{family}"
    folder.mkdir(exist_ok=True)
    rows, began = [], time.process_time()
    for n, (key, _, path) in enumerate(genuine()):
        rng = np.random.default_rng([n, FAMILIES[family].seed])
        if rng.random() >= share:
            continue
        out = folder / f"{family}_{key}.flac"
        if not out.exists():
            x, _ = soundfile.read(path)
            net = nets[rng.choice(len(nets), p=AGE_SHARES)]
            soundfile.write(out, say(net, x, rng), RATE)
        rows.append((out.name, "spoof", f"copy-{family}", key))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin"), *rows])
    print(family, len(rows), f"{time.process_time() - began:.0f} CPU-s")


if __name__ == "__main__":
    main()
