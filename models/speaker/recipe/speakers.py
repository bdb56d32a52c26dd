"""Speech of many speakers in segments of 4 s, each sent through several channels, as embeddings.

GUARD_DATA/voice/train and what the voice recipe took out of Debian packages (GUARD_CACHE/packaged) name
speakers: 4 s of one speaker are one clip, or short clips joined. No clip of voice/val is read.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import defaultdict
from os import environ
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "voice" / "recipe"))

from call_codecs import code  # noqa: E402
from device import coloured, microphone, room  # noqa: E402
from export import base_file  # noqa: E402

RATE, SAMPLES = 16_000, 64_000
MOST_SEGMENTS = 6
# speakers with one clip only are the others of pairs; so many are enough
MOST_SINGLE = 50
# groups in which more than one person speaks
SEVERAL = ("deb:warzone2100-data", "deb:asterisk-core-sounds-en-g722")
# the same announcer under another name
SAME = {"deb:asterisk-core-sounds-es-g722": "asterisk-Allison"}
CHANNELS = (
    "clean",
    "opus",
    "opus_loss",
    "g711",
    "device",
    "noise_15",
    "noise_5",
)


def folder(name: str) -> Path:
    """Return the folder an environment variable names; exits where it is not set."""
    if not environ.get(name):
        sys.exit(f"{name} is not set: GUARD_DATA holds voice/train, GUARD_CACHE the voice recipe's packaged/")
    return Path(environ[name])


def clips_of_speakers() -> dict[str, list[Path]]:
    """Return the genuine clips of every named speaker."""
    found: dict[str, list[Path]] = defaultdict(list)
    train, packaged = folder("GUARD_DATA") / "voice" / "train", folder("GUARD_CACHE") / "packaged"
    for root, key in ((train, "speaker"), (packaged, "group")):
        with (root / "manifest.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                # LJSpeech is read by one woman, but her clips come out of several sites' conversions
                unusable = row["label"] != "bonafide" or not row[key] or row[key] == "LJSpeech"
                if not unusable and row[key] not in SEVERAL:
                    found[SAME.get(row[key], row[key])].append(root / row["path"])
    return {speaker: sorted(paths) for speaker, paths in sorted(found.items())}


def segments_of(paths: list[Path], rng: np.random.Generator) -> list[np.ndarray]:
    """Return up to 14 segments of 4 s: a clip of 3 s and more, or shorter ones joined."""
    out: list[np.ndarray] = []
    rest = np.zeros(0, np.float32)
    for at in rng.permutation(len(paths)):
        clip, rate = soundfile.read(paths[at], dtype="float32", always_2d=True)
        assert rate == RATE, paths[at]
        if len(clip) >= 3 * RATE and not len(rest):
            out.append(np.resize(clip.mean(axis=1), SAMPLES))
            continue
        rest = np.concatenate([rest, clip.mean(axis=1)])
        if len(rest) >= SAMPLES:
            out.append(rest[:SAMPLES])
            rest = rest[SAMPLES:] if len(rest) > 1.5 * SAMPLES else rest[:0]
    if not out and len(rest) >= 2 * RATE:
        out.append(np.resize(rest, SAMPLES))
    return out[:MOST_SEGMENTS]


def noisy(x: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of a random colour at a signal-to-noise ratio over the whole segment."""
    noise = coloured(len(x), rng)
    gain = float(np.sqrt(np.mean(x**2) / (np.mean(noise**2) + 1e-12))) * 10 ** (-snr_db / 20)
    return (x + noise * gain).astype(np.float32)


def through(x: np.ndarray, channel: str, seed: int) -> np.ndarray:
    """Return the segment as the channel delivers it; ``device`` is another microphone and room, then Opus."""
    rng = np.random.default_rng([seed, CHANNELS.index(channel)])
    if channel == "clean":
        return x
    if channel.startswith("noise_"):
        return noisy(x, float(channel.removeprefix("noise_")), rng)
    if channel == "g711":
        return code(x, "pcm_mulaw")
    if channel == "device":
        x = noisy(microphone(room(x, rng), rng), float(rng.uniform(15, 35)), rng)
    loss = 0.05 if channel == "opus_loss" else 0.0
    return code(x, "libopus", bit_rate=24_000, loss=loss, rng=rng, hide="conceal")


class Embedder:
    """Runs base.onnx on one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(base_file()), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, segments: list[np.ndarray]) -> np.ndarray:
        """Return float32 (N, 256), each of length 1."""
        batches = [np.stack(segments[at : at + 8]) for at in range(0, len(segments), 8)]
        return np.concatenate([self._session.run(None, {"audio": x.astype(np.float32)})[0] for x in batches])


def all_segments() -> dict[str, list[np.ndarray]]:
    """Return the segments of each speaker, of few of those who have only one clip."""
    clips, rng = clips_of_speakers(), np.random.default_rng(0)
    single = [who for who, paths in clips.items() if len(paths) == 1]
    left_out = set(rng.permutation(single)[MOST_SINGLE:])
    return {who: segments_of(paths, rng) for who, paths in clips.items() if who not in left_out}


def embeddings(channels: tuple[str, ...] = CHANNELS) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the speaker of each segment, and the embeddings of all segments for each channel; resumable."""
    sha256 = hashlib.sha256(base_file().read_bytes()).hexdigest()[:12]
    kept = folder("GUARD_CACHE") / "speaker" / sha256
    kept.mkdir(parents=True, exist_ok=True)
    missing = [channel for channel in channels if not (kept / f"{channel}.npy").is_file()]
    if missing or not (kept / "speakers.npy").is_file():
        parts, embed = all_segments(), Embedder()
        np.save(kept / "speakers.npy", np.array([who for who, found in parts.items() for _ in found]))
        segments = [x for found in parts.values() for x in found]
        for channel in missing:
            made = embed([through(x, channel, i) for i, x in enumerate(segments)])
            np.save(kept / f"{channel}.npy", made)
    return np.load(kept / "speakers.npy"), {c: np.load(kept / f"{c}.npy") for c in channels}


if __name__ == "__main__":
    speakers, found = embeddings(tuple(sys.argv[1:]) or CHANNELS)
    print(f"{len(speakers)} segments of {len(set(speakers))} speakers, {len(found)} channels")
