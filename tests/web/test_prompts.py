"""The spoken prompts: one for every command, check and word, playable, and of today's texts."""

from __future__ import annotations

import hashlib
import json
import tomllib

import av
import numpy as np
import pytest

from guard.challenge.commands import Gesture
from guard.challenge.words_lists import vocabulary
from guard.policy.texts import LANGUAGES, load_texts
from guard.resources import web_dir

FOLDER = web_dir() / "sounds"
TEXTS = load_texts()
SOURCES = tomllib.loads((FOLDER / "SOURCES.toml").read_text(encoding="utf-8"))


def said(language: str) -> dict[str, str]:
    keys = [key for key in TEXTS.keys if key.startswith(("command.", "check."))]
    words = {f"word.{number}": word for number, word in enumerate(vocabulary(language))}
    return {key: TEXTS.get(key, language) for key in keys} | words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_and_word_has_its_prompt_and_nothing_else_does(language: str) -> None:
    wanted = said(language)
    assert {f"command.{gesture.value}" for gesture in Gesture} <= wanted.keys()
    assert {path.stem for path in (FOLDER / language).iterdir()} == wanted.keys()
    assert {name: entry["text"] for name, entry in SOURCES[language].items()} == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_are_the_files_that_were_made(language: str) -> None:
    for name, entry in SOURCES[language].items():
        content = (FOLDER / language / f"{name}.webm").read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], f"{language}/{name}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_are_opus_that_can_be_heard(language: str) -> None:
    for name in SOURCES[language]:
        with av.open(str(FOLDER / language / f"{name}.webm")) as container:
            stream = container.streams.audio[0]
            assert stream.codec_context.name in {"opus", "libopus"}
            sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(stream)])
        longest_s = 2.5 if name.startswith("word.") else 8.0
        assert 0.3 < len(sound) / 48_000 < longest_s, f"{language}/{name}: {len(sound) / 48_000} s"
        assert 0.1 < np.abs(sound).max() <= 1.0, f"{language}/{name}"


def test_words_are_found_by_their_place() -> None:
    listed = json.loads((FOLDER / "words.json").read_text(encoding="utf-8"))
    assert listed == {language: list(vocabulary(language)) for language in LANGUAGES}


def test_all_prompts_together_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_000_000
