"""Tiny ONNX voice models for tests: how bright a sound is, which tells the golden pair apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

CARD = """
name = "{name}"
version = "1"
signal = "{signal}"
file = "model.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
summary = "brightness, a toy"
[input]
name = "audio"
shape = {shape}
dtype = "float32"
rate_hz = 16000
scaling = "samples in [-1, 1]"
level = "as_is"
{input}
[output]
name = "score"
spoof_is = "{spoof_is}"
{output}
[calibration]
a = 1.0
b = 0.0
limit_llr = 3.0
[data]
[measured]
"""


def constant(name: str, values: Any, dtype: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def model(
    nodes: Sequence[NodeProto],
    weights: Sequence[TensorProto] = (),
    *,
    shape: Sequence[int | str] = ("batch", 64_000),
    out: Sequence[int | str] = ("batch",),
    domains: Sequence[str] = (),
) -> ModelProto:
    """Return a model from ``audio`` of ``shape`` to ``score`` of shape ``out``."""
    graph = helper.make_graph(
        list(nodes),
        "toy",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, list(out))],
        list(weights),
    )
    imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def brightness(last: str = "score") -> tuple[list[NodeProto], list[TensorProto]]:
    """Return nodes and weights of mean |step| over mean |sample|, times ten, less three: (B,)."""
    node = helper.make_node
    nodes = [
        node("Flatten", ["audio"], ["flat"], axis=1),
        node("Slice", ["flat", "one", "end", "axis"], ["later"]),
        node("Slice", ["flat", "zero", "last", "axis"], ["sooner"]),
        node("Sub", ["later", "sooner"], ["step"]),
        node("Abs", ["step"], ["steps"]),
        node("Abs", ["flat"], ["sizes"]),
        node("ReduceMean", ["steps"], ["mean_step"], axes=[1], keepdims=0),
        node("ReduceMean", ["sizes"], ["mean_size"], axes=[1], keepdims=0),
        node("Add", ["mean_size", "tiny"], ["safe"]),
        node("Div", ["mean_step", "safe"], ["ratio"]),
        node("Mul", ["ratio", "ten"], ["scaled"]),
        node("Sub", ["scaled", "three"], [last]),
    ]
    weights = [
        *(constant(name, [value], np.int64) for name, value in (("zero", 0), ("one", 1), ("axis", 1))),
        constant("end", [2**40], np.int64),
        constant("last", [-1], np.int64),
        constant("tiny", 1e-6),
        constant("ten", 10.0),
        constant("three", 3.0),
    ]
    return nodes, weights


def good(shape: Sequence[int | str] = ("batch", 64_000)) -> ModelProto:
    """Return the plain toy: (B, ...) to (B,), larger for the synthetic golden clip."""
    return model(*brightness(), shape=shape, out=(shape[0],))


def two_columns() -> ModelProto:
    """Return the toy with AASIST's outputs: (B, 2), index 0 spoof, index 1 bona fide."""
    nodes, weights = brightness("spoof")
    nodes += [
        helper.make_node("Neg", ["spoof"], ["genuine"]),
        helper.make_node("Unsqueeze", ["spoof", "axis"], ["first"]),
        helper.make_node("Unsqueeze", ["genuine", "axis"], ["second"]),
        helper.make_node("Concat", ["first", "second"], ["score"], axis=1),
    ]
    return model(nodes, weights, out=("batch", 2))


def endless() -> ModelProto:
    """Return a toy whose loop has no end to speak of."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["sum", "sum"], ["sum_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_out", TensorProto.FLOAT, ["batch"]),
        ],
    )
    nodes, weights = brightness("start")
    nodes.append(helper.make_node("Loop", ["turns", "yes", "start"], ["score"], body=body))
    return model(nodes, [*weights, constant("turns", 2**62, np.int64), constant("yes", True, np.bool_)])


def written(
    folder: Path,
    content: ModelProto | bytes,
    changes: Sequence[tuple[str, str]] = (),
    /,
    **fields: str,
) -> tuple[Path, Path]:
    """Write model and card into a folder; ``changes`` are made in the card's text afterwards."""
    folder.mkdir(exist_ok=True)
    data = content if isinstance(content, bytes) else content.SerializeToString()
    values = {"name": "toy", "signal": "voice_spoof", "shape": "[64000]", "input": "", "output": ""}
    values |= {"spoof_is": "larger", "sha256": hashlib.sha256(data).hexdigest(), **fields}
    text = CARD.format(**values)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "given.onnx").write_bytes(data)
    (folder / "given.toml").write_text(text, encoding="utf-8")
    return folder / "given.onnx", folder / "given.toml"
