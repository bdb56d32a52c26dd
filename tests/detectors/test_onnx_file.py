"""Looking into an ONNX file: what it would read and need is seen before a runtime opens it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from guard.detectors.onnx_file import check_file
from guard.errors import ModelError
from guard.resources import models_dir
from tests.app.toy_models import brightness, constant, good, model


def code_of(content: ModelProto | bytes) -> str | None:
    data = content if isinstance(content, bytes) else content.SerializeToString()
    try:
        check_file(data, "given.onnx")
    except ModelError as error:
        assert "given.onnx" in error.message
        return error.code
    return None


def outside(name: str) -> TensorProto:
    """Return a tensor that lies in another file."""
    tensor = constant(name, [0.0])
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def in_a_branch(tensor: TensorProto) -> ModelProto:
    """Return the toy with a tensor two graphs deep: in a constant of a branch."""
    result = helper.make_tensor_value_info("branch_out", TensorProto.FLOAT, None)
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["branch_out"], value=tensor)], "b", [], [result]
    )
    nodes, weights = brightness()
    nodes.append(helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch))
    return model(nodes, [*weights, constant("yes", True, np.bool_)])


def test_ordinary_models_pass() -> None:
    assert code_of(good()) is None
    assert code_of(in_a_branch(constant("inside", [1.0]))) is None
    for name in ("voice_spoof", "face_frame"):
        assert code_of((models_dir() / name / "model.onnx").read_bytes()) is None


def test_tensors_in_other_files_are_seen_wherever_they_hide() -> None:
    nodes, weights = brightness()
    assert code_of(model(nodes, [*weights, outside("w")])) == "model_external"
    assert code_of(in_a_branch(outside("w"))) == "model_external"
    hinted = outside("w")
    hinted.data_location = TensorProto.DEFAULT
    assert code_of(model(nodes, [*weights, hinted])) == "model_external"


def test_operators_of_others_are_refused_by_name() -> None:
    nodes, weights = brightness()
    nodes.append(helper.make_node("Steal", ["audio"], ["unused"], domain="evil.example"))
    strange = model(nodes, weights, domains=("evil.example",))
    with pytest.raises(ModelError, match=r"evil\.example\.Steal") as error:
        check_file(strange.SerializeToString(), "given.onnx")
    assert error.value.code == "model_ops"


def test_functions_the_file_brings_along_are_no_foreign_operators() -> None:
    nodes, weights = brightness()
    nodes.append(helper.make_node("Same", ["score"], ["unused"], domain="own"))
    content = model(nodes, weights, domains=("own",))
    same = [helper.make_node("Identity", ["x"], ["y"])]
    content.functions.append(
        helper.make_function("own", "Same", ["x"], ["y"], same, [helper.make_opsetid("", 17)])
    )
    assert code_of(content) is None


def test_the_runtimes_own_format_and_an_empty_graph_are_no_onnx() -> None:
    data = good().SerializeToString()
    assert code_of(data[:4] + b"ORTM" + data[8:]) == "model_load"
    assert code_of(b"") == "model_load"
    assert code_of(model([])) == "model_load"


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_never_crashes(data: bytes) -> None:
    assert code_of(data) in {None, "model_load", "model_external", "model_ops"}


GOOD = good().SerializeToString()


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_or_a_cut_never_crashes(at: int, byte: int) -> None:
    changed = bytearray(GOOD)
    changed[at] = byte
    codes = {None, "model_load", "model_external", "model_ops"}
    assert code_of(bytes(changed)) in codes
    assert code_of(GOOD[:at]) in codes
