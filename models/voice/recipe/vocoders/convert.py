"""Voice conversion: a recorded clip with another speaker's pitch, formants and mean spectrum.

    python convert.py SHARE       writes CACHE/copy-convert/*.flac and, at the end, manifest.csv

F0 goes to the other's median and range, the mel is warped by the vocal tract ratio that goes with it and
moved to the other's mean; the source-filter vocoder, or the diffusion after it, speaks the result. The
copy's ``origin`` is the clip whose words it says.
Source: Toda et al. 2007 (F0 and mean conversion as the simplest baseline).
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from copies import RATE, genuine
from data import cache

from vocoders.copies import blur, finish, load, spoil

SEED, MELS = 15, 80


def heard(net: nn.Module, x: np.ndarray) -> Tensor:
    """Return log-mel and F0 (1, 81, frames) of ``x`` at the vocoder's common level."""
    size = -(-len(x) // net.hop) * net.hop
    x = np.pad(x * 0.06 / (x.std() + 1e-6), (0, size - len(x)), "reflect")
    return net.condition(torch.from_numpy(x).float()[None])


def mean(mel: Tensor) -> Tensor:
    """Return the mean (1, mels, 1) of the frames within 4 nepers of the loudest, smoothed over bands."""
    level = mel.mean(1)[0]
    return blur(mel[:, :, level > level.max() - 4].mean(2, keepdim=True), 0, 3.0)


def warped(mel: Tensor, ratio: float) -> Tensor:
    """Move formants by ``ratio``: what stood at f stands at f * ratio."""
    top = np.log10(1 + 8000 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, MELS + 2)[1:-1]) - 1)
    places = np.log10(1 + hertz / ratio / 700) / top * (MELS + 1) - 1
    places = torch.from_numpy(np.clip(places, 0, MELS - 1)).float()
    low = places.long().clamp(max=MELS - 2)
    share = (places - low)[None, :, None]
    return mel[:, low] * (1 - share) + mel[:, low + 1] * share


@torch.inference_mode()
def converted(
    net: nn.Module, x: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return ``x`` as if the other had said it, or None where one has too little voice."""
    mine, theirs = heard(net, x), heard(net, other)
    f0, their_f0 = mine[0, -1], theirs[0, -1]
    if (f0 > 0).sum() < 20 or (their_f0 > 0).sum() < 20:
        return None
    a, b = f0[f0 > 0].log(), their_f0[their_f0 > 0].log()
    change = (b.median() - a.median()).clamp(-0.7, 0.7)
    spread = (b.std() / a.std().clamp(min=1e-3)).clamp(0.7, 1.4)
    wanted = ((f0.clamp(min=1).log() - a.median()) * spread + a.median() + change).exp().clamp(50, 600)
    # an octave of pitch goes with about 18 % of vocal tract length
    mel = warped(mine[:, :MELS], float(torch.exp(0.24 * change)))
    mel = mel + (mean(theirs[:, :MELS]) - mean(mel)).clamp(-1.2, 1.2) * float(rng.uniform(0.5, 1))
    given = torch.cat((spoil(mel, rng), torch.where(f0 > 0, wanted, f0)[None, None]), 1)
    torch.manual_seed(int(rng.integers(1 << 31)))
    return finish(net(given)[0].numpy(), x)


def main() -> None:
    torch.set_num_threads(1)
    share = float(sys.argv[1])
    nets = [net for family in ("source", "flow") for net in load(family)[2:]]
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
