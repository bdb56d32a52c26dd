"""Genuine clips spoken again by coders that keep features only: Opus's neural ones, and codec2.

    python copies_coded.py KIND SHARE      KIND is fargan, dred or codec2; writes CACHE/copy-KIND

Resumable, and listed as copies.py lists its own: ``origin`` is the clip a copy was made of.
Sources: see opus_vocoder.py; codec2 is Rowe's sinusoidal coder (Debian codec2, LGPL-2.1).
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import opus_vocoder
import soundfile
import soxr
from copies import genuine
from data import cache

RATE = 16_000
CODEC2 = ("3200", "2400", "1600", "1400", "1300", "1200", "700C")

Copy = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def pitch(rng: np.random.Generator) -> float:
    """Half the copies keep their pitch; the others are a voice changed a little."""
    return float(np.exp(rng.uniform(-0.2, 0.2))) if rng.random() < 0.5 else 1.0


def fargan() -> Copy:
    built = opus_vocoder.program()
    return lambda x, rng: opus_vocoder.speak_again(built, x, pitch(rng))


def dred() -> Copy:
    built = opus_vocoder.program()
    return lambda x, rng: opus_vocoder.speak_again(
        built, x, pitch(rng), int(rng.integers(opus_vocoder.COARSEST + 1))
    )


def _codec2(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Code at one of codec2's rates, at 8 kHz, as a radio link does."""
    narrow = soxr.resample(x * (0.6 / (np.abs(x).max() + 1e-9)), RATE, 8_000)
    rate = str(rng.choice(CODEC2))
    with tempfile.TemporaryDirectory() as scratch:
        plain, coded, out = (str(Path(scratch) / name) for name in ("in", "bits", "out"))
        Path(plain).write_bytes((narrow * 32_767).astype("<i2").tobytes())
        subprocess.run(["c2enc", rate, plain, coded], check=True, capture_output=True)
        subprocess.run(["c2dec", rate, coded, out], check=True, capture_output=True)
        y = np.frombuffer(Path(out).read_bytes(), "<i2") / 32_768
    return soxr.resample(y, 8_000, RATE)


KINDS: dict[str, Callable[[], Copy]] = {"fargan": fargan, "dred": dred, "codec2": lambda: _codec2}
SEEDS = {"fargan": 11, "dred": 12, "codec2": 13}


def as_original(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return ``y`` with the length and the level of ``x``, clipped to full scale."""
    y = np.pad(y[: len(x)], (0, max(0, len(x) - len(y))))
    return np.clip(y * np.sqrt(np.mean(x**2) / (np.mean(y**2) + 1e-12)), -1, 1)


def main() -> None:
    kind, share = sys.argv[1], float(sys.argv[2])
    copy, folder = KINDS[kind](), cache() / f"copy-{kind}"
    folder.mkdir(exist_ok=True)
    rows = []
    for key, _, path in genuine():
        rng = np.random.default_rng([zlib.crc32(key.encode()), SEEDS[kind]])
        if rng.random() >= share:
            continue
        out = folder / f"{kind}_{key}.flac"
        if not out.exists():
            x, _ = soundfile.read(path)
            soundfile.write(out, as_original(copy(x, rng), x), RATE)
        rows.append((out.name, "spoof", f"copy-{kind}", key))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin"), *rows])
    print(kind, len(rows))


if __name__ == "__main__":
    main()
