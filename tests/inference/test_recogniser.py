"""The recogniser: files held to their sums, tokens, what it asks of the runtime."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.challenge.words_heard import compare_heard
from guard.challenge.words_lists import vocabulary
from guard.codec.files import read_file
from guard.errors import ModelError
from guard.inference import recogniser as module
from guard.inference.recogniser import LANGUAGES, Recogniser, check_recogniser, load_recogniser
from guard.inference.whisper_text import WhisperText
from guard.media.log_mel import log_mel
from guard.media.resample import Resampler
from guard.resources import web_dir
from guard.types import FloatArray

SPECIAL = ("startofprev", "startoftranscript", "transcribe", "notimestamps", *LANGUAGES)
RATE_HZ = 16_000


def letters() -> list[str]:
    """The 256 tokens of single bytes, as every vocabulary of this kind begins."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in plain] + [chr(256 + n) for n in range(256 - len(plain))]


VOCABULARY = [*letters(), "Ġt", "hr", "ee", "Ġthr", "Ġthree", *(f"<|{name}|>" for name in SPECIAL)]
TEXT = WhisperText(VOCABULARY)


class FakeRuntime:
    """Answers with the tokens it was given and keeps what it was asked."""

    def __init__(self, answer: list[int] | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[FloatArray, list[int], dict[str, Any]]] = []

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        self.asked.append((features, prompts[0], options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return [SimpleNamespace(sequences_ids=[self.answer])]


def same(array: Any) -> Any:
    return array


def test_neighbours_merged_first_are_joined_first() -> None:
    # "hr" and "ee" come before "Ġthr": Ġ t hr ee -> Ġt hr ee -> Ġthr ee -> Ġthree
    assert TEXT.encode(" three") == [VOCABULARY.index("Ġthree")]
    assert TEXT.encode(" thr") == [VOCABULARY.index("Ġthr")]
    assert [VOCABULARY[n] for n in TEXT.encode("tree")] == ["t", "r", "ee"]


@given(st.text(max_size=60))
def test_text_survives_its_tokens(text: str) -> None:
    letters_and_signs = "".join(c for c in text if c.isalpha() or c.isspace() or c in ",.-!")
    assert TEXT.decode(TEXT.encode(letters_and_signs)) == letters_and_signs


def test_special_tokens_and_halves_of_letters_are_left_out() -> None:
    half = TEXT.encode("үш")[0]
    assert TEXT.decode([TEXT.special("kk"), *TEXT.encode("үш"), half]) == "үш"
    with pytest.raises(KeyError):
        TEXT.special("zz")


def test_the_picture_of_a_tone_is_brightest_in_its_band_and_of_fixed_size() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    low, high = (log_mel(np.sin(2 * np.pi * hz * time_s).astype(np.float32), 10) for hz in (300, 3000))
    assert low.shape == high.shape == (80, 1000)
    assert low.dtype == np.float32
    assert int(low[:, 50].argmax()) < int(high[:, 50].argmax())
    assert low[:, 50].max() == pytest.approx(low[:, 50].min() + 2.0, abs=1e-5)  # eight decades are kept
    assert np.array_equal(log_mel(np.zeros(0, np.float32), 1), np.full((80, 100), -1.5, np.float32))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_runtime_is_asked_in_the_language_and_told_the_whole_list(language: str) -> None:
    runtime = FakeRuntime(TEXT.encode(" three, three "))
    found = Recogniser(runtime, TEXT, same).transcribe(np.zeros(3 * RATE_HZ, np.float32), language)
    assert found == "three, three"
    features, prompt, options = runtime.asked[0]
    assert features.shape == (1, 80, 1000)
    end = [TEXT.special(name) for name in ("startoftranscript", language, "transcribe", "notimestamps")]
    assert prompt[-4:] == end
    told = TEXT.decode(prompt[1:-4])
    assert all(word in told for word in vocabulary(language))
    assert options["max_length"] > len(prompt)


def test_longer_speech_is_seen_whole_up_to_half_a_minute() -> None:
    runtime = FakeRuntime([])
    recogniser = Recogniser(runtime, TEXT, same)
    for seconds, frames in ((10.0, 1000), (12.3, 1300), (95.0, 3000)):
        assert recogniser.transcribe(np.zeros(round(seconds * RATE_HZ), np.float32), "ru") == ""
        assert runtime.asked[-1][0].shape == (1, 80, frames)


@pytest.mark.parametrize(
    ("samples", "language", "answer"),
    [
        (np.zeros(0, np.float32), "en", []),
        (np.full(RATE_HZ, np.nan, np.float32), "en", []),
        (np.zeros(RATE_HZ, np.float32), "fr", []),
        (np.zeros(RATE_HZ, np.float32), "en", RuntimeError("out of memory")),
        (np.zeros(RATE_HZ, np.float32), "en", [10**6]),
    ],
)
def test_what_fails_says_so(samples: FloatArray, language: str, answer: list[int] | Exception) -> None:
    with pytest.raises(ModelError) as caught:
        Recogniser(FakeRuntime(answer), TEXT, same).transcribe(samples, language)
    assert caught.value.code == "recogniser_failed"


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A runtime that notes how it was loaded, in place of ctranslate2."""
    loaded: list[dict[str, Any]] = []

    def whisper(name: str, **options: Any) -> FakeRuntime:
        loaded.append(options)
        if options["files"]["model.bin"] == b"refused":
            raise RuntimeError("unsupported model")
        return FakeRuntime(TEXT.encode(" three"))

    fake = ModuleType("ctranslate2")
    fake.models = SimpleNamespace(Whisper=whisper)  # type: ignore[attr-defined]
    fake.StorageView = SimpleNamespace(from_array=same)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ctranslate2", fake)
    return loaded


def model_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes = b"weights") -> Path:
    content = {
        "config.json": b"{}",
        "vocabulary.txt": "\n".join(VOCABULARY).encode(),
        "model.bin": weights,
    }
    for name, data in content.items():
        (folder / name).write_bytes(data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    monkeypatch.setattr(module, "SHA256", sums)
    return folder


def test_a_folder_is_loaded_from_memory_on_one_thread(
    runtime: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = load_recogniser(model_folder(tmp_path, monkeypatch))
    assert recogniser.transcribe(np.zeros(RATE_HZ, np.float32), "en") == "three"
    (options,) = runtime
    assert options["files"]["model.bin"] == b"weights"
    assert (options["inter_threads"], options["intra_threads"], options["device"]) == (1, 1, "cpu")


def test_weights_are_put_together_from_the_two_packages(
    runtime: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model_folder(tmp_path, monkeypatch)
    for number, name in enumerate(module.PACKAGES, 1):
        data = tmp_path / "site" / name / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").write_text("raise RuntimeError('its code is not run')\n")
        (data / f"model.bin.part{number}").write_bytes(
            (whole / "model.bin").read_bytes()[number * 4 - 4 :][:4]
        )
        for file in ("config.json", "vocabulary.txt"):
            (data / file).write_bytes((whole / file).read_bytes())
    monkeypatch.syspath_prepend(tmp_path / "site")
    load_recogniser()
    assert runtime[0]["files"]["model.bin"] == b"weights"


@pytest.mark.parametrize("name", ["config.json", "vocabulary.txt", "model.bin"])
def test_a_changed_file_is_refused_before_it_is_loaded(
    runtime: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = model_folder(tmp_path, monkeypatch)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(ModelError, match=name) as caught:
        load_recogniser(folder)
    assert caught.value.code == "recogniser_hash"
    assert runtime == []


def test_what_is_missing_is_named(
    runtime: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"config\.json") as caught:
        load_recogniser(tmp_path)
    assert caught.value.code == "recogniser_missing"
    monkeypatch.setattr(module, "PACKAGES", ("guard_no_such_package", "guard_none_either"))
    with pytest.raises(ModelError, match=r"guard_no_such_package.*guard-relay\[words\]") as caught:
        load_recogniser()
    assert caught.value.code == "recogniser_missing"


def test_a_check_before_the_start_finds_what_loading_would_miss(
    runtime: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ctranslate2"], "__spec__", SimpleNamespace(), raising=False)
    folder = model_folder(tmp_path, monkeypatch)
    check_recogniser(folder)
    (folder / "model.bin").unlink()
    with pytest.raises(ModelError, match=r"model\.bin"):
        check_recogniser(folder)
    monkeypatch.setattr(module, "PACKAGES", ("guard_no_such_package",))
    with pytest.raises(ModelError, match="guard_no_such_package"):
        check_recogniser()
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ModelError, match="ctranslate2"):
        check_recogniser(folder)
    assert runtime == []


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ModelError, match=r"pip install 'guard-relay\[words\]'") as caught:
        load_recogniser()
    assert caught.value.code == "recogniser_missing"


def test_a_model_the_runtime_refuses_is_told(
    runtime: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="unsupported model") as caught:
        load_recogniser(model_folder(tmp_path, monkeypatch, b"refused"))
    assert caught.value.code == "recogniser_load"


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("ctranslate2", *module.PACKAGES)),
    reason="the extra 'words' is not installed",
)
def test_the_real_model_writes_down_the_words_of_a_prompt() -> None:
    asked = ("seven", "window", "three")
    pause = np.zeros(RATE_HZ // 2, np.float32)
    parts = [pause]
    for word in asked:
        path = web_dir() / "sounds" / "en" / f"word.{vocabulary('en').index(word)}.webm"
        resampler = Resampler(48_000)
        parts += [resampler.push(frame.samples) for frame in read_file(path)]  # type: ignore[union-attr]
        parts += [resampler.flush(), pause]
    heard = load_recogniser().transcribe(np.concatenate(parts), "en")
    assert compare_heard(asked, heard, "en").found == 3, heard
