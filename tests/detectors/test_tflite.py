from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from guard.detectors.tflite import TfliteModel, load_network, load_network_card
from guard.errors import ModelError
from guard.resources import models_dir


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(models_dir() / "blazeface", tmp_path / "blazeface"))


def edit(folder: Path, old: str, new: str) -> None:
    card = folder / "card.toml"
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["blazeface", "facemesh"])
def test_the_shipped_cards_fit_their_files(name: str) -> None:
    card = load_network_card(models_dir() / name)
    model = load_network(card)
    results = model.run(np.zeros(model.input_shape, dtype=np.float32))
    assert len(results) == len(card.outputs)
    assert all(result.dtype == np.float32 for result in results)
    assert (models_dir() / name / "LICENSE").read_text().startswith("The MIT License")


def test_outputs_come_in_the_order_asked_for(folder: Path) -> None:
    card = load_network_card(folder)
    content = (folder / card.file).read_bytes()
    zeros = np.zeros((1, *card.input_shape), dtype=np.float32)
    boxes, scores = TfliteModel("m", content, card.outputs).run(zeros)
    assert (boxes.shape, scores.shape) == ((1, 896, 16), (1, 896, 1))
    again = TfliteModel("m", content, card.outputs[::-1]).run(zeros)
    assert np.array_equal(again[0], scores) and np.array_equal(again[1], boxes)


def test_results_stay_when_the_next_picture_is_run(folder: Path) -> None:
    model = load_network(load_network_card(folder))
    first = model.run(np.zeros(model.input_shape, dtype=np.float32))[0]
    kept = first.copy()
    model.run(np.ones(model.input_shape, dtype=np.float32))
    assert np.array_equal(first, kept)


def test_a_changed_file_is_refused_with_its_name_and_what_to_do(folder: Path) -> None:
    card = load_network_card(folder)
    weights = folder / card.file
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(
        ModelError, match=rf"{card.file}.*sha256.*reinstall guard or run its recipe"
    ) as caught:
        load_network(card)
    assert caught.value.code == "model_hash"


def test_a_missing_file_is_named(folder: Path) -> None:
    card = load_network_card(folder)
    (folder / card.file).unlink()
    with pytest.raises(ModelError, match=card.file) as caught:
        load_network(card)
    assert caught.value.code == "model_missing"


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing/card\.toml") as caught:
        load_network_card(tmp_path / "nothing")
    assert caught.value.code == "card_missing"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('name = "blazeface"', "", "name"),
        ('name = "blazeface"', 'name = ""', "name"),
        ('file = "face', 'file = "../face', "own folder"),
        ('sha256 = "e', 'sha256 = "E', "sha256"),
        ("[256, 256, 3]", "[256, -1, 3]", "input.shape"),
        ('dtype = "float32"', 'dtype = "int8"', "float32"),
        ('colour_order = "RGB"', 'colour_order = "BGR"', "RGB"),
        ("offset = -1.0", "", "offset"),
        ("[input]", "[input", "card.toml"),
    ],
)
def test_a_wrong_card_is_refused_with_the_key(folder: Path, old: str, new: str, named: str) -> None:
    edit(folder, old, new)
    with pytest.raises(ModelError, match=named) as caught:
        load_network_card(folder)
    assert caught.value.code == "card_invalid"


def test_a_card_with_another_input_than_the_file_is_refused(folder: Path) -> None:
    edit(folder, "[256, 256, 3]", "[128, 128, 3]")
    with pytest.raises(ModelError, match=r"128.*256") as caught:
        load_network(load_network_card(folder))
    assert caught.value.code == "card_invalid"


def test_an_output_the_file_does_not_have_is_named(folder: Path) -> None:
    edit(folder, 'name = "regressors"', 'name = "boxes"')
    with pytest.raises(ModelError, match=r"boxes.*regressors") as caught:
        load_network(load_network_card(folder))
    assert caught.value.code == "model_output_missing"


@pytest.mark.parametrize("content", [b"", b"not a network", bytes(4000)])
def test_bytes_that_are_no_network_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"broken\.tflite") as caught:
        TfliteModel("broken.tflite", content, ("out",))
    assert caught.value.code == "model_unreadable"


def test_a_wrong_input_shape_is_refused(folder: Path) -> None:
    model = load_network(load_network_card(folder))
    with pytest.raises(ModelError, match=r"\(1, 256, 256, 3\), not \(1, 128, 128, 3\)"):
        model.run(np.zeros((1, 128, 128, 3), dtype=np.float32))


def test_values_that_are_not_finite_are_refused(folder: Path) -> None:
    model = load_network(load_network_card(folder))
    with pytest.raises(ModelError, match="not finite"):
        model.run(np.full(model.input_shape, np.nan, dtype=np.float32))
