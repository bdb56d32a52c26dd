"""Copy-synthesis: every recorded clip spoken again by a vocoder, so that voice, words and room say nothing.

    python copies.py KIND SHARE      KIND is world, griffinlim or lpc; writes CACHE/copy-KIND

The copy's ``origin`` is the clip it was made of: it stays in that clip's fold and group.
Sources: Morise et al. 2016 (WORLD); Griffin and Lim 1984; Makhoul 1975 (linear prediction).
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile
from data import cache, training_clips
from scipy import linalg, signal

RATE = 16_000


def world(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """F0, smoothed spectrum and band aperiodicity, coded to few numbers a frame, then synthesised."""
    import pyworld

    x = x.astype(np.float64)
    f0, t = pyworld.dio(x, RATE)
    f0 = pyworld.stonemask(x, f0, t, RATE)
    envelope, aperiodicity = pyworld.cheaptrick(x, f0, t, RATE), pyworld.d4c(x, f0, t, RATE)
    size = (envelope.shape[1] - 1) * 2
    envelope = pyworld.decode_spectral_envelope(
        pyworld.code_spectral_envelope(envelope, RATE, int(rng.choice([24, 40, 60]))), RATE, size
    )
    f0 = f0 * rng.uniform(0.9, 1.12)
    return pyworld.synthesize(f0, envelope, aperiodicity, RATE)


def mel_matrix(n_fft: int, mels: int) -> np.ndarray:
    """Return float64 (mels, n_fft // 2 + 1): triangles evenly spaced on the HTK mel scale."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, n_fft // 2 + 1)
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(up, down))


def griffinlim(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mel magnitudes, inverted by least squares, phases found by Griffin-Lim."""
    n_fft, hop = [(512, 128), (1024, 256), (1024, 200)][rng.integers(3)]
    mels = int(rng.choice([60, 80, 100]))
    filters = mel_matrix(n_fft, mels)
    _, _, z = signal.stft(x, RATE, nperseg=n_fft, noverlap=n_fft - hop)
    magnitude = np.maximum(np.linalg.pinv(filters) @ (filters @ np.abs(z)), 1e-6)
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(int(rng.choice([8, 20, 40]))):
        _, y = signal.istft(magnitude * phase, RATE, nperseg=n_fft, noverlap=n_fft - hop)
        _, _, z = signal.stft(y, RATE, nperseg=n_fft, noverlap=n_fft - hop)
        phase = np.exp(1j * np.angle(z[:, : magnitude.shape[1]]))
    _, y = signal.istft(magnitude * phase, RATE, nperseg=n_fft, noverlap=n_fft - hop)
    return y


def lpc(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All-pole filter per 20 ms, driven by pulses and noise of the residual's energy."""
    import pyworld

    f0, _ = pyworld.dio(x.astype(np.float64), RATE, frame_period=10.0)
    hop, order = 160, int(rng.choice([16, 20, 28]))
    window = np.hanning(3 * hop)
    padded, out, phase, state = np.pad(x, (hop, 2 * hop)), [], 0.0, np.zeros(order)
    for n in range(len(x) // hop):
        frame = padded[n * hop : n * hop + 3 * hop] * window
        r = np.correlate(frame, frame, "full")[3 * hop - 1 : 3 * hop + order]
        r[0] = r[0] * 1.0001 + 1e-7
        a = linalg.solve_toeplitz(r[:-1], r[1:])
        gain = np.sqrt(max(r[0] - a @ r[1:], 1e-10) / np.sum(window**2))
        noise = rng.standard_normal(hop)
        pitch = f0[min(n, len(f0) - 1)]
        if pitch > 0:
            steps = phase + np.cumsum(np.full(hop, pitch / RATE))
            pulses = np.diff(np.floor(np.append(phase, steps)))
            phase = steps[-1] % 1.0
            noise = 0.85 * pulses * np.sqrt(RATE / pitch) + 0.3 * noise
        y, state = signal.lfilter([gain], np.append(1.0, -a), noise, zi=state)
        out.append(y)
    return np.concatenate(out)


def genuine(permissive_only: bool = False) -> list[tuple[str, str, Path]]:
    """Return (key, group, path) of every recorded clip, the data folder's first."""
    found = [(c.path.stem, c.group, c.path) for c in training_clips(permissive_only) if not c.spoof]
    for name in ("packaged", "packaged2"):
        manifest = cache() / name / "manifest.csv"
        if manifest.is_file():
            with manifest.open(newline="") as file:
                for row in csv.DictReader(file):
                    path = manifest.parent / row["path"]
                    found.append((path.stem, row["group"], path))
    return found


KINDS = {"world": world, "griffinlim": griffinlim, "lpc": lpc}
SEEDS = {"griffinlim": 0, "lpc": 1, "world": 3}


def main() -> None:
    kind, share = sys.argv[1], float(sys.argv[2])
    folder = cache() / f"copy-{kind}"
    folder.mkdir(exist_ok=True)
    rows = []
    for n, (key, _, path) in enumerate(genuine()):
        rng = np.random.default_rng([n, SEEDS[kind]])
        if rng.random() >= share:
            continue
        out = folder / f"{kind}_{key}.flac"
        if not out.exists():
            x, _ = soundfile.read(path)
            y = np.asarray(KINDS[kind](x, rng), np.float64)[: len(x)]
            y = np.pad(y, (0, len(x) - len(y)))
            y *= np.sqrt(np.mean(x**2) / (np.mean(y**2) + 1e-12))
            soundfile.write(out, np.clip(y, -1, 1), RATE)
        rows.append((out.name, "spoof", f"copy-{kind}", key))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin"), *rows])
    print(kind, len(rows))


if __name__ == "__main__":
    main()
