"""Looking into an ONNX file: what it would read and need is seen before a runtime opens it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from guard.detectors.card import load_card
from guard.detectors.onnx import OnnxModel
from guard.detectors.onnx_file import check_file
from guard.errors import ModelError
from guard.resources import models_dir
from tests.app.toy_models import brightness, constant, good, model, written


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


def test_the_name_of_a_foreign_operator_reaches_no_terminal_as_it_is() -> None:
    nodes, weights = brightness()
    nodes.append(helper.make_node("\x1b[31mSteal", ["audio"], ["unused"], domain="evil.example"))
    with pytest.raises(ModelError) as error:
        check_file(model(nodes, weights).SerializeToString(), "given.onnx")
    assert error.value.message.isprintable()


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


def varint(value: int, padded_to: int = 1) -> bytes:
    """Return the number, with needless empty groups of seven bits up to ``padded_to`` bytes."""
    groups: list[int] = []
    while value or len(groups) < padded_to:
        groups.append(value & 0x7F)
        value >>= 7
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def spelt(number: int, payload: bytes, high_bits: int = 0, padded_to: int = 1) -> bytes:
    """Return a field of bytes; its key has bits that a parser of 32 bits drops, or needless bytes."""
    return varint((number << 3 | 2) + (high_bits << 32), padded_to) + varint(len(payload)) + payload


SPELLINGS = [(1, 1), (2, 1), (7, 1), (8, 1), (0, 2), (0, 5), (0, 10), (1 << 20, 1)]


def with_field(number: int, payload: bytes, high_bits: int, padded_to: int) -> bytes:
    """Return the toy with one more field in its graph, spelt that way."""
    nodes, weights = brightness("bright")
    nodes.append(helper.make_node("MatMul", ["flat", "W"], ["told"]))
    nodes.append(helper.make_node("Squeeze", ["told", "axis"], ["flat_told"]))
    nodes.append(helper.make_node("Add", ["bright", "flat_told"], ["score"]))
    made = model(nodes, weights)
    graph = made.graph.SerializeToString() + spelt(number, payload, high_bits, padded_to)
    made.ClearField("graph")
    return bytes(made.SerializeToString()) + spelt(7, graph)


def weights_of(file: str) -> bytes:
    """Return the toy's matrix W, whose numbers lie in another file."""
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[64_000, 1])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", "0"), ("length", "256000")):
        tensor.external_data.add(key=key, value=value)
    return bytes(tensor.SerializeToString())


@pytest.mark.parametrize(("high_bits", "padded_to"), SPELLINGS)
def test_no_spelling_of_a_key_hides_a_field(high_bits: int, padded_to: int) -> None:
    foreign = helper.make_node("Steal", ["audio"], ["unused"], domain="evil.example").SerializeToString()
    assert code_of(with_field(5, weights_of("other.bin"), high_bits, padded_to)) == "model_load"
    assert code_of(with_field(1, foreign, high_bits, padded_to)) == "model_load"
    assert code_of(with_field(5, weights_of("other.bin"), 0, 1)) == "model_external"
    assert code_of(with_field(1, foreign, 0, 1)) == "model_ops"


def test_the_runtime_reads_what_such_a_key_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the test above is there; where a runtime refuses the file itself, this one says so."""
    np.zeros(64_000, np.float32).tofile(tmp_path / "other.bin")
    monkeypatch.chdir(tmp_path)
    hiding = with_field(5, weights_of("other.bin"), 1, 1)
    session = onnxruntime.InferenceSession(hiding, providers=["CPUExecutionProvider"])
    (score,) = session.run(None, {"audio": np.ones((1, 64_000), np.float32)})
    assert np.isfinite(score).all()


def test_a_model_that_was_put_in_place_by_hand_is_looked_into_as_well(tmp_path: Path) -> None:
    for high_bits, code in ((0, "model_external"), (1, "model_load")):
        content, card = written(tmp_path, with_field(5, weights_of("other.bin"), high_bits, 1))
        content.rename(tmp_path / "model.onnx")
        card.rename(tmp_path / "card.toml")
        with pytest.raises(ModelError) as error:
            OnnxModel(load_card(tmp_path))
        assert error.value.code == code


GOOD = good().SerializeToString()


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_or_a_cut_never_crashes(at: int, byte: int) -> None:
    changed = bytearray(GOOD)
    changed[at] = byte
    codes = {None, "model_load", "model_external", "model_ops"}
    assert code_of(bytes(changed)) in codes
    assert code_of(GOOD[:at]) in codes


SPELLING = st.one_of(st.just((0, 1)), st.tuples(st.integers(0, 2**34), st.integers(1, 10)))


@settings(max_examples=300)
@given(SPELLING, SPELLING, SPELLING, st.booleans())
def test_an_outside_tensor_is_seen_or_refused_however_keys_are_spelt(
    of_graph: tuple[int, int], of_tensor: tuple[int, int], of_entry: tuple[int, int], says_where: bool
) -> None:
    entry = b"".join(spelt(number, text) for number, text in ((1, b"location"), (2, b"other.bin")))
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[64_000, 1])
    if says_where:
        tensor.data_location = TensorProto.EXTERNAL
    nodes, weights = brightness()
    made = model(nodes, weights)
    graph = made.graph.SerializeToString()
    graph += spelt(5, tensor.SerializeToString() + spelt(13, entry, *of_entry), *of_tensor)
    made.ClearField("graph")
    content = made.SerializeToString() + spelt(7, graph, *of_graph)
    plain = {of_graph, of_tensor, of_entry} == {(0, 1)}
    assert code_of(content) == "model_external" if plain else code_of(content) is not None


HINT = with_field(5, weights_of("other.bin"), 0, 1)
# the keys of the graph and of the tensor, and what is in the tensor; not the toy's nodes
PLACES = [*range(12), *range(HINT.index(weights_of("other.bin")) - 4, len(HINT))]


@settings(max_examples=300)
@given(st.sampled_from(PLACES), st.binary(max_size=6), st.integers(0, 6))
def test_what_is_let_through_has_the_runtime_open_no_other_file(at: int, put: bytes, cut: int) -> None:
    """Bytes of a model with an outside tensor are changed; the runtime, which lacks the file, judges."""
    content = HINT[:at] + put + HINT[at + cut :]
    if code_of(content) is not None:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen types of its own
        assert "xternal" not in str(error)
