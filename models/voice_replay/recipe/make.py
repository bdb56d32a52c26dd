"""Make the windows the detector learns from and is measured on, in CACHE/replay (int16, about 1.2 GB).

python make.py test | train-0 | train-1 ...     a copy of the training clips each, in other scenes

Every clip goes both ways, spoken and replayed, whoever spoke it (a person or an engine): so that neither the
speaker nor the engine says anything about the class. Speakers (where the manifest names them, else sources)
and engines are split once, by a hash of their name; devices and rooms of the test are others, too.
Only clips with a permissive licence are used.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
from scene import CONDITIONS, SHARES, call, scene

sys.path.append(str(Path(__file__).resolve().parents[2] / "voice" / "recipe"))
from data import cache, training_clips

TEST_CLIPS, TEST_SHARE = 80, 0.3


@dataclass(frozen=True)
class Source:
    path: Path
    synthetic: bool
    group: str

    @property
    def test(self) -> bool:
        """Whether its speaker or engine is kept for the test."""
        return crc32(f"replay {self.group}".encode()) % 1000 < TEST_SHARE * 1000


def folder() -> Path:
    """Return where the windows lie, outside git."""
    place = cache() / "replay"
    place.mkdir(exist_ok=True)
    return place


def sources() -> list[Source]:
    """Return the permissively licensed clips: the data folder's, packaged speech, engines."""
    found = [
        Source(c.path, c.spoof, _one(c.group if c.spoof or not c.speaker else f"{c.source}/{c.speaker}"))
        for c in training_clips(permissive_only=True)
    ]
    for name in ("packaged", "engines"):
        manifest = cache() / name / "manifest.csv"
        if not manifest.is_file():
            sys.exit(f"{manifest} is missing; run make -C models/voice speech first")
        with manifest.open(newline="") as file:
            rows = list(csv.DictReader(file))
        found += [Source(cache() / name / r["path"], r["label"] == "spoof", _one(r["group"])) for r in rows]
    return found


def _one(group: str) -> str:
    """Join the sets that one announcer spoke."""
    return "asterisk-Allison" if "asterisk-core-sounds" in group else group


def read(path: Path) -> np.ndarray:
    x, rate = soundfile.read(path, dtype="float32")
    assert rate == 16_000, path
    return x


def _short(x: np.ndarray) -> np.ndarray:
    return np.round(np.clip(x, -1, 1) * 32767).astype(np.int16)


def make(name: str) -> None:
    """Write audio int16 (N, 64000) and one note per row; done already if the file exists."""
    test = name == "test"
    copy = 0 if test else int(name.removeprefix("train-"))
    if (folder() / f"{name}.npy").exists():
        return
    chosen = [s for s in sources() if s.test == test]
    if test:
        order = np.random.default_rng(5).permutation(len(chosen))
        chosen = [chosen[i] for i in sorted(order[:TEST_CLIPS])]
    audio: list[np.ndarray] = []
    notes: list[dict[str, object]] = []
    for n, source in enumerate(chosen):
        x = read(source.path)
        for replay in (False, True):
            seed = [int(test), n, int(replay), copy]
            y, drawn = scene(x, replay=replay, synthetic=source.synthetic, test=test, seed=seed)
            rng = np.random.default_rng([99, *seed])
            for condition in CONDITIONS if test else [str(rng.choice(CONDITIONS, p=SHARES))]:
                audio.append(_short(call(y, condition, rng)))
                note = {"clip": source.path.stem, "group": source.group, "synthetic": source.synthetic}
                notes.append({**note, **asdict(drawn), "condition": condition})
        if n % 50 == 0:
            print(n, "of", len(chosen), flush=True)
    (folder() / f"{name}.json").write_text(json.dumps(notes))
    np.save(folder() / f"part-{name}.npy", np.stack(audio))
    (folder() / f"part-{name}.npy").rename(folder() / f"{name}.npy")


if __name__ == "__main__":
    make(sys.argv[1])
