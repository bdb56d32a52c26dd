"""Cards: what is read, what is refused and with which code."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.app.model_files import NETWORKS
from guard.detectors.card import load_card, read_model
from guard.detectors.gates import Gates
from guard.detectors.onnx import OnnxModel
from guard.detectors.table import FACE_IDENTITY, SPEAKER
from guard.errors import ModelError
from guard.fusion.calibration import Logistic
from guard.resources import models_dir
from guard.types import Signal

MODEL = b"not an onnx file"
GOOD = f"""
name = "toy"
version = "1"
signal = "voice_spoof"
file = "model.onnx"
sha256 = "{hashlib.sha256(MODEL).hexdigest()}"
licence = "Apache-2.0"
summary = "a toy"
[input]
name = "audio"
shape = [64000]
dtype = "float32"
rate_hz = 16000
scaling = "as it is"
[output]
name = "score"
spoof_is = "larger"
[calibration]
a = 1.0
b = 0.0
limit_llr = 5.0
[data]
[measured]
"""


def written(folder: Path, text: str, model: bytes | None = MODEL) -> Path:
    (folder / "card.toml").write_text(text, encoding="utf-8")
    if model is not None:
        (folder / "model.onnx").write_bytes(model)
    return folder


def test_good_card_is_read(tmp_path: Path) -> None:
    card = load_card(written(tmp_path, GOOD))
    assert card.signal is Signal.VOICE_SPOOF
    assert card.input.shape == (64_000,)
    assert card.output.larger_is_spoof
    assert read_model(card) == MODEL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('sha256 = "', 'sha256 = "x'),
        ('name = "toy"', 'nom = "toy"'),
        ('signal = "voice_spoof"', 'signal = "voice"'),
        ('file = "model.onnx"', 'file = "../model.onnx"'),
        ('spoof_is = "larger"', 'spoof_is = "1"'),
        ("shape = [64000]", "shape = [-1]"),
        ('dtype = "float32"', 'dtype = "float64"'),
        ("a = 1.0", "a = -1.0"),
        ("a = 1.0", "a = nan"),
        ("[measured]", ""),
        ("[input]", "[input"),
    ],
)
def test_wrong_card_is_refused_with_its_path(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(ModelError) as error:
        load_card(written(tmp_path, GOOD.replace(old, new)))
    assert error.value.code == "card_invalid"
    assert "card.toml" in error.value.message


@given(st.text(max_size=300))
def test_any_text_is_a_card_or_a_model_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("card")
    (folder / "card.toml").write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(ModelError):
        load_card(folder)


MORE = """
[outputs]
content = [4]
quality = []
timeline = [8]
[gates]
max_music = 0.6
min_quality = 2.2
[calibration.second]
a = 0.5
b = 0.1
limit_llr = 1.5
[[calibration.bins]]
name = "narrow"
a = 0.8
b = -0.3
[[calibration.bins]]
name = "noisy"
a = 0.4
b = 0.2
limit_llr = 2.0
[[calibration.bins]]
name = "lossy"
a = 0.7
b = 0.1
"""


def test_card_names_outputs_gates_and_the_calibration_of_bins_and_seconds(tmp_path: Path) -> None:
    card = load_card(written(tmp_path, GOOD + MORE))
    assert card.outputs == {"content": (4,), "quality": (), "timeline": (8,)}
    assert card.gates == Gates(max_music=0.6, min_quality=2.2)
    assert card.second == Logistic(0.5, 0.1, 1.5)
    assert card.bins == {
        "narrow": Logistic(0.8, -0.3, 5.0),
        "noisy": Logistic(0.4, 0.2, 2.0),
        "lossy": Logistic(0.7, 0.1, 5.0),
    }
    assert card.calibrations.default == card.calibration


def test_card_without_them_has_none(tmp_path: Path) -> None:
    card = load_card(written(tmp_path, GOOD))
    assert (card.outputs, card.gates, card.bins, card.second) == ({}, Gates(), {}, None)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("content = [4]", "content = [3]", "outputs.content"),
        ("content = [4]", 'content = "4"', "outputs.content"),
        ("content = [4]", "", "content"),
        ("quality = []", "", "quality"),
        ("timeline = [8]", "", "timeline"),
        ('spoof_is = "larger"', 'spoof_is = "smaller"', "timeline"),
        ("max_music = 0.6", "max_musik = 0.6", "max_musik"),
        ("max_music = 0.6", "max_music = 60", "max_music"),
        ('name = "noisy"', 'name = "narrow"', "narrow"),
        ('name = "noisy"', 'name = "wide"', "wide"),
        ("a = 0.4", "a = -0.4", "a > 0"),
    ],
)
def test_outputs_and_bins_that_do_not_fit_are_refused(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert old in GOOD + MORE
    with pytest.raises(ModelError, match=what) as error:
        load_card(written(tmp_path, (GOOD + MORE).replace(old, new)))
    assert error.value.code == "card_invalid"


def test_missing_card_and_missing_model_say_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        load_card(tmp_path)
    assert error.value.code == "card_missing"
    card = load_card(written(tmp_path, GOOD, model=None))
    with pytest.raises(ModelError) as error:
        read_model(card)
    assert error.value.code == "model_missing"


def test_changed_model_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    card = load_card(written(tmp_path, GOOD, model=MODEL + b"!"))
    with pytest.raises(ModelError) as error:
        OnnxModel(card)
    assert error.value.code == "model_hash"


def test_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        OnnxModel(load_card(written(tmp_path, GOOD)))
    assert error.value.code == "model_load"


# networks of the face windows and of people have cards of another form, tested with their readers
OTHERS = {*NETWORKS, SPEAKER, FACE_IDENTITY}
DETECTORS = sorted({path.parent.name for path in models_dir().glob("*/card.toml")} - OTHERS)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_shipped_file_is_the_one_on_its_card(name: str) -> None:
    assert len(read_model(load_card(models_dir() / name))) < 25_000_000
