"""Foreign voice models: windows brought to their form, and outputs read as the card says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper

from guard.detectors.card import InputSpec, load_card
from guard.detectors.contract import FittedModel, check_contract, cut, fit, fitted
from guard.detectors.onnx import Batch, OnnxModel
from guard.errors import ModelError
from guard.resources import models_dir
from guard.types import FloatArray
from tests.app.toy_models import brightness, constant, good, model, two_columns, written

SPEC = InputSpec("audio", (64_600,), "float32", "", 16_000, shorter="repeat")
WINDOWS = (np.random.default_rng(1).standard_normal((3, 64_000)) * 0.1).astype(np.float32)


def loaded(folder: Path, content: ModelProto, **fields: str) -> OnnxModel:
    model_path, card_path = written(folder, content, **fields)
    model_path.rename(folder / "model.onnx")
    card_path.rename(folder / "card.toml")
    return OnnxModel(load_card(folder))


def bright(rows: FloatArray) -> FloatArray:
    """Return what the toy computes, by numpy."""
    step, size = np.abs(np.diff(rows, axis=1)).mean(axis=1), np.abs(rows).mean(axis=1)
    return np.asarray(10 * step / (size + 1e-6) - 3, np.float32)


def test_a_longer_input_is_filled_by_repeating_or_with_zeros() -> None:
    repeated = fit(WINDOWS, SPEC)
    assert repeated.shape == (3, 64_600)
    np.testing.assert_array_equal(repeated[:, :64_000], WINDOWS)
    np.testing.assert_array_equal(repeated[:, 64_000:], WINDOWS[:, :600])
    filled = fit(WINDOWS, replace(SPEC, shape=(1, 128_000), shorter="zeros"))
    assert filled.shape == (3, 1, 128_000)
    assert not filled[:, :, 64_000:].any()
    twice = fit(WINDOWS, replace(SPEC, shape=(128_000,)))
    np.testing.assert_array_equal(twice[:, 64_000:], WINDOWS)


def test_a_shorter_input_is_cut_or_covered_by_parts() -> None:
    (first,) = cut(WINDOWS, replace(SPEC, shape=(16_000,), longer="cut"))
    np.testing.assert_array_equal(first, WINDOWS[:, :16_000])
    parts = cut(WINDOWS, replace(SPEC, shape=(30_000,), longer="average"))
    assert [part.shape for part in parts] == [(3, 30_000)] * 3
    np.testing.assert_array_equal(parts[0], WINDOWS[:, :30_000])
    np.testing.assert_array_equal(parts[-1], WINDOWS[:, -30_000:])
    assert len(cut(WINDOWS, replace(SPEC, shape=(63_600,), longer="average"))) == 1


def test_levels_are_set_by_row_and_silence_stays_silent() -> None:
    rows = np.concatenate([WINDOWS, np.zeros((1, 64_000), np.float32)])
    rms = fit(rows, replace(SPEC, shape=(64_000,), level="rms_0.05"))
    np.testing.assert_allclose(np.sqrt(np.mean(rms[:3] ** 2, axis=1)), 0.05, rtol=1e-5)
    peak = fit(rows, replace(SPEC, shape=(64_000,), level="peak_1"))
    np.testing.assert_allclose(np.abs(peak[:3]).max(axis=1), 1.0, rtol=1e-6)
    assert not rms[3].any()
    assert not peak[3].any()


class Row:
    """A scripted model that scores the first sample of each row."""

    def raw(self, batch: Batch) -> FloatArray:
        return np.asarray(batch.reshape(len(batch), -1)[:, 0], np.float32)


def test_scores_of_the_parts_are_averaged_window_by_window() -> None:
    spec = replace(SPEC, shape=(32_000,), longer="average")
    expected = (WINDOWS[:, 0] + WINDOWS[:, 32_000]) / 2
    np.testing.assert_allclose(FittedModel(Row(), spec).raw(WINDOWS), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "card"),
    [
        (("batch", 64_600), {"shape": "[64600]", "input": 'shorter = "repeat"'}),
        (("batch", 1, 64_600), {"shape": "[1, 64600]", "input": 'shorter = "repeat"'}),
        ((1, 64_600), {"shape": "[64600]", "input": 'shorter = "repeat"'}),
    ],
)
def test_aasists_length_works_with_any_batch_axis(
    tmp_path: Path, shape: tuple[int | str, ...], card: dict[str, str]
) -> None:
    scorer = fitted(loaded(tmp_path, good(shape), **card))
    together = scorer.run(WINDOWS).raw
    np.testing.assert_allclose(together, bright(fit(WINDOWS, SPEC)), rtol=1e-3)
    singles = np.concatenate([scorer.run(row[None]).raw for row in WINDOWS])
    np.testing.assert_allclose(together, singles, rtol=1e-5)


def test_guards_own_form_is_not_wrapped(tmp_path: Path) -> None:
    model = loaded(tmp_path, good())
    assert fitted(model) is model


@pytest.mark.parametrize(
    ("output", "spoof_is", "factor"),
    [
        ("column = 0", "larger", 1),
        ("column = 1", "smaller", 1),
        ("column = 1", "larger", -1),
        ("column = 0\nminus_column = 1", "larger", 2),
    ],
)
def test_the_card_says_which_column_is_spoof(tmp_path: Path, output: str, spoof_is: str, factor: int) -> None:
    model = loaded(tmp_path, two_columns(), output=output, spoof_is=spoof_is)
    np.testing.assert_allclose(model.raw(WINDOWS), factor * bright(WINDOWS), rtol=1e-3)


def test_two_columns_without_a_named_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"\(B,\) or \(B, 1\)") as error:
        loaded(tmp_path, two_columns())
    assert error.value.code == "model_output"
    with pytest.raises(ModelError, match=r"output\.column") as error:
        loaded(tmp_path / "one", good(), output="column = 1")
    assert error.value.code == "model_output"


def test_a_column_of_one_is_read_as_the_score(tmp_path: Path) -> None:
    nodes, weights = brightness("flat_score")
    nodes.append(helper.make_node("Reshape", ["flat_score", "form"], ["score"]))
    content = model(nodes, [*weights, constant("form", [-1, 1], np.int64)], out=("batch", 1))
    np.testing.assert_allclose(loaded(tmp_path, content).raw(WINDOWS), bright(WINDOWS), rtol=1e-3)


@pytest.mark.parametrize(
    ("fields", "changes", "word"),
    [
        ({}, [("rate_hz = 16000", "rate_hz = 8000")], "rate_hz is 8000"),
        ({}, [("rate_hz = 16000", "")], "rate_hz is None"),
        ({}, [('dtype = "float32"', 'dtype = "uint8"')], "dtype"),
        ({"shape": "[2, 64000]"}, [], r"\[N\] or \[1, N\]"),
        ({"shape": "[1, 1, 64000]"}, [], r"\[N\] or \[1, N\]"),
        ({"shape": "[15999]", "input": 'longer = "cut"'}, [], "1 to 8 s"),
        ({"shape": "[1000000000000]", "input": 'shorter = "zeros"'}, [], "1 to 8 s"),
        ({"shape": "[64600]"}, [], "input.shorter is missing"),
        ({"shape": "[32000]"}, [], "input.longer is missing"),
    ],
)
def test_what_windows_cannot_be_brought_to_is_refused(
    tmp_path: Path, fields: dict[str, str], changes: list[tuple[str, str]], word: str
) -> None:
    _, card = written(tmp_path, b"", changes, **fields)
    card.rename(tmp_path / "card.toml")
    with pytest.raises(ModelError, match=word) as error:
        check_contract(load_card(tmp_path))
    assert error.value.code == "model_contract"


@pytest.mark.parametrize(
    "fields",
    [
        {"input": 'shorter = "mirror"'},
        {"input": 'longer = "middle"'},
        {"output": "column = 2"},
        {"output": "column = true"},
        {"output": "minus_column = 1"},
        {"output": "column = 1\nminus_column = 1"},
    ],
)
def test_words_a_card_does_not_know_are_refused(tmp_path: Path, fields: dict[str, str]) -> None:
    _, card = written(tmp_path, b"", **fields)
    card.rename(tmp_path / "card.toml")
    with pytest.raises(ModelError) as error:
        load_card(tmp_path)
    assert error.value.code == "card_invalid"


def test_the_shipped_card_fits() -> None:
    card = load_card(models_dir() / "voice_spoof")
    check_contract(card)
    assert card.input.level == "as_is"
