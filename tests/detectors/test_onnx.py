"""Models of several outputs: what is read, and what is refused with which code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from guard.detectors.card import Card, load_card
from guard.detectors.onnx import OnnxModel
from guard.errors import ModelError

CARD = """
name = "toy"
version = "1"
signal = "voice_spoof"
file = "model.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
summary = "a toy"
[input]
name = "audio"
shape = [8]
dtype = "float32"
scaling = "as it is"
[output]
name = "score"
spoof_is = "larger"
[outputs]
halves = [4]
quality = []
[calibration]
a = 1.0
b = 0.0
limit_llr = 5.0
[data]
[measured]
"""
Build = Callable[..., Card]


Sizes = Sequence[str | int | None]


def model(divide_by: float, outputs: Sequence[str], takes: Sizes) -> bytes:
    """``score``: mean; ``quality``: greatest; ``halves``: means of pairs, over ``divide_by``."""
    nodes = [
        helper.make_node("ReduceMean", ["audio"], ["score"], axes=[1], keepdims=0),
        helper.make_node("ReduceMax", ["audio"], ["quality"], axes=[1], keepdims=0),
        helper.make_node("Reshape", ["audio", "pairs"], ["paired"]),
        helper.make_node("ReduceMean", ["paired"], ["mean"], axes=[2], keepdims=0),
        helper.make_node("Div", ["mean", "by"], ["halves"]),
    ]
    shapes: dict[str, list[str | int]] = {"score": ["B"], "quality": ["B"], "halves": ["B", 4]}
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
        [
            numpy_helper.from_array(np.array([-1, 4, 2], np.int64), "pairs"),
            numpy_helper.from_array(np.array(divide_by, np.float32), "by"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def built(
        text: str = CARD,
        divide_by: float = 1.0,
        outputs: Sequence[str] = ("score", "quality", "halves"),
        takes: Sizes = ("B", 8),
    ) -> Card:
        content = model(divide_by, outputs, takes)
        (tmp_path / "model.onnx").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / "card.toml").write_text(text.replace("{sha256}", digest), encoding="utf-8")
        return load_card(tmp_path)

    return built


BATCH = np.arange(16, dtype=np.float32).reshape(2, 8)


def test_every_output_of_the_card_is_returned_by_its_name(build: Build) -> None:
    found = OnnxModel(build()).run(BATCH)
    np.testing.assert_allclose(found.raw, [3.5, 11.5])
    assert set(found.more) == {"halves", "quality"}
    np.testing.assert_allclose(found.more["quality"], [7.0, 15.0])
    np.testing.assert_allclose(found.more["halves"], BATCH.reshape(2, 4, 2).mean(axis=2))


def test_only_the_score_is_turned_where_smaller_is_spoof(build: Build) -> None:
    found = OnnxModel(build(CARD.replace('"larger"', '"smaller"'))).run(BATCH)
    np.testing.assert_allclose(found.raw, [-3.5, -11.5])
    np.testing.assert_allclose(found.more["quality"], [7.0, 15.0])


def test_raw_is_the_score_alone(build: Build) -> None:
    one = OnnxModel(build(CARD.replace("[outputs]\nhalves = [4]\nquality = []\n", "")))
    np.testing.assert_allclose(one.raw(BATCH), [3.5, 11.5])
    assert one.run(BATCH).more == {}


def test_output_that_the_file_lacks_is_refused_at_load(build: Build) -> None:
    with pytest.raises(ModelError, match="'halves'") as error:
        OnnxModel(build(outputs=("score", "quality")))
    assert error.value.code == "model_names"


def test_output_of_another_shape_is_refused_at_load(build: Build) -> None:
    with pytest.raises(ModelError, match="halves as float32") as error:
        OnnxModel(build(CARD.replace("halves = [4]", "halves = [8]")))
    assert error.value.code == "model_output"


def test_output_that_is_not_finite_is_refused(build: Build) -> None:
    with pytest.raises(ModelError, match="halves that is not finite") as error:
        OnnxModel(build(divide_by=0.0))
    assert error.value.code == "model_not_finite"


@pytest.mark.parametrize(
    ("takes", "said"),
    [
        (("B", 8), "the card says [6], the graph takes [8]"),
        ((1, 8), "the card says [6], the graph takes [8]"),
        (("B", 1, 6), "the card says [6], the graph takes [1, 6]"),
        (("B", "channels", 6), "the card says [6], the graph takes [any, 6]"),
    ],
)
def test_a_card_of_another_shape_than_the_graphs_is_told_both_in_one_line(
    build: Build, takes: Sizes, said: str
) -> None:
    with pytest.raises(ModelError) as error:
        OnnxModel(build(CARD.replace("shape = [8]", "shape = [6]"), takes=takes))
    assert error.value.code == "model_input"
    assert error.value.message == f"toy: {said}; correct input.shape"


@pytest.mark.parametrize("takes", [("B", "samples"), ("B", None), (None, 8), (1, 8), None])
def test_a_size_that_the_graph_leaves_open_takes_the_cards(build: Build, takes: Sizes | None) -> None:
    np.testing.assert_allclose(OnnxModel(build(takes=takes)).raw(BATCH), [3.5, 11.5])


def test_a_graph_without_a_batch_fails_in_the_dry_run(build: Build) -> None:
    with pytest.raises(ModelError) as error:
        OnnxModel(build(takes=(8,)))
    assert error.value.code in {"model_load", "model_run"}
