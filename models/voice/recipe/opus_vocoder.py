"""The neural vocoder and the neural speech coder inside Opus 1.5, with their weights, built from source.

FARGAN speaks cepstra and pitch again; DRED's rate-distortion autoencoder codes them in under 2 kbit/s first.
Sources: Valin et al. 2024 (FARGAN); Valin et al. 2023 (DRED). Licence: BSD-3-Clause, weights included.
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import numpy as np
from data import cache
from fetch import fetch
from packaged import SOURCES

RATE, PEAK = 16_000, 0.6
DELAY = 240
"""Samples by which FARGAN's speech comes after what it was made of: its analysis looks ahead."""
COARSEST = 15


def program() -> Path:
    """Return the built program, building Opus first (two CPU-minutes) where it is missing."""
    package = next(p for p in tomllib.loads(SOURCES.read_text())["engine"] if p["name"] == "opus")
    root = fetch(package, cache() / "packages") / f"opus-{package['version'].partition('-')[0]}"
    library, out = root / ".libs" / "libopus.a", root / "opus_vocoder"
    if not library.is_file():
        options = ["--enable-dred", "--enable-deep-plc", "--disable-shared", "--disable-doc"]
        flags = {**os.environ, "CFLAGS": "-O3 -mavx2 -mfma"}
        subprocess.run(["./configure", "--disable-extra-programs", *options], cwd=root, env=flags, check=True)
        subprocess.run(["make"], cwd=root, check=True)
    source = Path(__file__).with_suffix(".c")
    if not out.is_file() or out.stat().st_mtime < source.stat().st_mtime:
        include = [f"-I{root / part}" for part in ("", "dnn", "celt", "silk", "include")]
        command = ["cc", "-O2", "-DHAVE_CONFIG_H", *include, source, library, "-lm", "-o", out]
        subprocess.run(command, check=True)
    return out


def speak_again(built: Path, x: np.ndarray, pitch: float = 1.0, level: int | None = None) -> np.ndarray:
    """Return ``x`` (samples,) at 16 kHz spoken by FARGAN, as long as ``x``; peaks at about PEAK.

    ``pitch`` scales the fundamental frequency. ``level`` 0 (fine) to 15 (coarse) codes by DRED first.
    """
    scaled = np.pad(x, (0, DELAY)) * (PEAK / (np.abs(x).max() + 1e-9))
    done = subprocess.run(
        [str(built), f"{pitch:.3f}", str(-1 if level is None else level)],
        input=(scaled * 32_767).astype("<i2").tobytes(),
        check=True,
        capture_output=True,
    )
    y = np.frombuffer(done.stdout, "<i2")[DELAY:][: len(x)].astype(np.float64) / 32_768
    return np.pad(y, (0, len(x) - len(y)))
