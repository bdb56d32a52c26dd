"""Synthetic clips spoken again by another vocoder: engine and vocoder combinations no engine ships.

    python respoken.py SHARE      writes CACHE/copy-respoken

``origin`` is the synthetic clip, so that a combination stays in its engine's fold; the group names both,
as in Kokoro+FARGAN. Half the voices are changed in pitch, by WORLD in formants as well.
"""

from __future__ import annotations

import csv
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import opus_vocoder
import soundfile
from copies_coded import as_original, pitch
from data import cache, training_clips

RATE, SEED = 16_000, 14
ENGINE_SETS = ("engines", "engines2")

Speak = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def changed_by_world(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` (samples,) resynthesised with pitch and spectral envelope each scaled at random."""
    import pyworld

    f0, t = pyworld.dio(x, RATE)
    f0 = pyworld.stonemask(x, f0, t, RATE)
    envelope, aperiodicity = pyworld.cheaptrick(x, f0, t, RATE), pyworld.d4c(x, f0, t, RATE)
    bins = np.arange(envelope.shape[1])
    read = bins / np.exp(rng.uniform(-0.12, 0.12))
    moved = np.stack([np.exp(np.interp(read, bins, row)) for row in np.log(envelope)])
    return pyworld.synthesize(f0 * np.exp(rng.uniform(-0.25, 0.25)), moved, aperiodicity, RATE)


def vocoders() -> dict[str, Speak]:
    built = opus_vocoder.program()
    return {
        "FARGAN": lambda x, rng: opus_vocoder.speak_again(built, x, pitch(rng)),
        "DRED": lambda x, rng: opus_vocoder.speak_again(
            built, x, pitch(rng), int(rng.integers(opus_vocoder.COARSEST + 1))
        ),
        "WORLD": changed_by_world,
    }


def synthetic() -> list[tuple[str, str, Path]]:
    """Return (key, engine, path) of every synthetic clip: the data folder's, then the engine sets'."""
    found = [(c.path.stem, c.group, c.path) for c in training_clips() if c.spoof]
    for name in ENGINE_SETS:
        manifest = cache() / name / "manifest.csv"
        if manifest.is_file():
            with manifest.open(newline="") as file:
                found += [
                    (Path(row["path"]).stem, row["group"], manifest.parent / row["path"])
                    for row in csv.DictReader(file)
                ]
    return found


def main() -> None:
    share, kinds = float(sys.argv[1]), vocoders()
    folder = cache() / "copy-respoken"
    folder.mkdir(exist_ok=True)
    rows = []
    for key, engine, path in synthetic():
        rng = np.random.default_rng([zlib.crc32(key.encode()), SEED])
        if rng.random() >= share:
            continue
        kind = str(rng.choice(list(kinds)))
        out = folder / f"respoken_{kind.lower()}_{key}.flac"
        if not out.exists():
            x, _ = soundfile.read(path)
            soundfile.write(out, as_original(kinds[kind](x, rng), x), RATE)
        rows.append((out.name, "spoof", f"{engine}+{kind}", key))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin"), *rows])
    print("respoken", len(rows))


if __name__ == "__main__":
    main()
