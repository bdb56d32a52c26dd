"""Measure a family on the clips kept from its training: mel distance, F0, noise floor, ends, offset.

    python check.py FAMILY [PNG]     PNG: spectrograms of one clip, original above copies by age

Exits with 1 where a copy is not a copy: another length, a silent or broken waveform, F0 lost.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyworld
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from copies import RATE, genuine

from vocoders.copies import AGE_SHARES, load, say
from vocoders.mels import log_mel
from vocoders.train import HELD_OUT

CLIPS = 12


def mel_of(x: np.ndarray) -> np.ndarray:
    """Return log-mel (80, frames) with a floor 7 nepers (61 dB) below the loudest."""
    mel = log_mel(torch.from_numpy(x).float()[None], 256)[0].numpy()
    return np.maximum(mel, mel.max() - 7)


def f0_of(x: np.ndarray) -> np.ndarray:
    return pyworld.stonemask(x, *pyworld.dio(x, RATE), RATE)


def floor_db(x: np.ndarray) -> float:
    """Return the level of the quietest twentieth of 20 ms frames, dB below the clip's level."""
    frames = np.sqrt(np.mean(x[: len(x) // 320 * 320].reshape(-1, 320) ** 2, 1))
    return float(20 * np.log10(np.quantile(frames, 0.05) + 1e-5) - 20 * np.log10(x.std()))


def measure(x: np.ndarray, y: np.ndarray, f0: np.ndarray) -> tuple[float, ...]:
    """Return mel distance, F0 ratio, voicing kept, noise floor gained (dB), end jump, offset."""
    other = f0_of(y)
    both = (f0 > 0) & (other > 0)
    ratio = float(np.median(other[both] / f0[both])) if both.sum() > 10 else float("nan")
    kept = float(both.sum() / max(1, (f0 > 0).sum()))
    jump = max(abs(y[0]), abs(y[-1])) - max(abs(x[0]), abs(x[-1]))
    distance = float(np.abs(mel_of(x) - mel_of(y)).mean())
    return distance, ratio, kept, floor_db(y) - floor_db(x), float(jump), float(y.mean() - x.mean())


def draw(path: str, sounds: list[np.ndarray]) -> None:
    """Write the log magnitudes of the sounds as one grey picture, one above the other."""
    import av

    bands = []
    for x in sounds:
        z = np.abs(
            np.fft.rfft(np.lib.stride_tricks.sliding_window_view(x[:48_000], 512)[::48] * np.hanning(512))
        )
        db = np.clip((20 * np.log10(z.T[::-1] + 1e-4) + 50) / 70, 0, 1)
        bands += [db, np.ones((3, db.shape[1]))]
    width = min(band.shape[1] for band in bands)
    image = (np.concatenate([band[:, :width] for band in bands]) * 255).astype(np.uint8)
    image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="gray")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = frame.width, frame.height, "gray", Fraction(1)
    Path(path).write_bytes(b"".join(bytes(p) for p in [*codec.encode(frame), *codec.encode(None)]))


def main() -> None:
    torch.set_num_threads(1)
    family = sys.argv[1]
    nets = load(family)
    paths = [path for _, _, path in genuine(permissive_only=True)][::HELD_OUT]
    paths = paths[:: max(1, len(paths) // CLIPS)][:CLIPS]
    sounds = [soundfile.read(path)[0] for path in paths]
    pitches = [f0_of(x) for x in sounds]
    pictured, failed = [sounds[3]], False
    for age in range(len(AGE_SHARES)):
        said = [say(nets[age], x, np.random.default_rng(0), spoiled=False) for x in sounds]
        rows = np.array([measure(x, y, f0) for x, y, f0 in zip(sounds, said, pitches, strict=True)])
        pictured.append(said[3])
        names = ("mel distance", "F0 ratio", "voicing kept", "floor dB", "end jump", "offset")
        middle = np.nanmedian(rows, 0)
        text = ", ".join(f"{name} {value:.3f}" for name, value in zip(names, middle, strict=True))
        print(f"{family} age {age}, {len(rows)} clips: {text}", flush=True)
        failed = not (np.isfinite(middle).all() and 0.9 < middle[1] < 1.1 and middle[2] > 0.5)
        failed |= any(len(x) != len(y) for x, y in zip(sounds, said, strict=True))
    if len(sys.argv) > 2:
        draw(sys.argv[2], pictured)
    if failed:
        sys.exit(f"{family}: the last age does not copy its clips; train it for longer")


if __name__ == "__main__":
    main()
