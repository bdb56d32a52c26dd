"""Writes a torch net over 4 s of samples as one ONNX file, and holds the file to the net."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

SAMPLES, LARGE, HEAD_FEATURES = 64_000, 4096, 4096


def small(model: onnx.ModelProto) -> None:
    """Store the graph's large constants small; what they are stored as is turned back at load.

    Fourier kernels are computed from one row, the heads' first layers (features, units) are kept in 8 bits
    with a step for each unit, other weights as float16.
    """
    for weight in list(model.graph.initializer):
        array = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or array.size < LARGE:
            continue
        if weight.name.endswith("kernel"):
            nodes, stored = _fourier(weight.name, array.shape[2])
        elif array.ndim == 2 and array.shape[0] == HEAD_FEATURES:
            nodes, stored = _eight_bits(weight.name, array)
        else:
            stored = {f"{weight.name}.half": array.astype(np.float16)}
            nodes = [helper.make_node("Cast", list(stored), [weight.name], to=TensorProto.FLOAT)]
        model.graph.initializer.remove(weight)
        model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in stored.items())
        for node in reversed(nodes):
            model.graph.node.insert(0, node)


Stored = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]


def _eight_bits(name: str, array: np.ndarray) -> Stored:
    """Return what makes a matrix (features, units) of 8 bits a place."""
    step = np.abs(array).max(0) / 127
    stored = {
        f"{name}.int8": np.round(array / step).astype(np.int8),
        f"{name}.step": step.astype(np.float32),
        f"{name}.zero": np.zeros(len(step), np.int8),
    }
    return [helper.make_node("DequantizeLinear", list(stored), [name], axis=1)], stored


def _fourier(name: str, size: int) -> Stored:
    """Return what makes ``spectrum.fourier_kernel(size)`` of a table of one turn."""
    turn, n = 2 * np.pi * np.arange(size) / size, np.arange(size)
    band = np.arange(size // 2 + 1)
    stored = {
        f"{name}.cosine": np.cos(turn).astype(np.float32),
        f"{name}.window": (0.5 - 0.5 * np.cos(turn)).astype(np.float32),
        f"{name}.n": n[None, :],
        # minus a sine is the cosine a quarter further on
        f"{name}.band": np.concatenate([band, band])[:, None],
        f"{name}.ahead": np.repeat([0, size // 4], len(band))[:, None],
        f"{name}.size": np.array(size),
        f"{name}.middle": np.array([1]),
    }
    node, part = (
        helper.make_node,
        {key: f"{name}.{key}" for key in ("turned", "place", "wrapped", "wave", "rows")},
    )
    return [
        node("Mul", [f"{name}.band", f"{name}.n"], [part["turned"]]),
        node("Add", [part["turned"], f"{name}.ahead"], [part["place"]]),
        node("Mod", [part["place"], f"{name}.size"], [part["wrapped"]]),
        node("Gather", [f"{name}.cosine", part["wrapped"]], [part["wave"]]),
        node("Mul", [part["wave"], f"{name}.window"], [part["rows"]]),
        node("Unsqueeze", [part["rows"], f"{name}.middle"], [name]),
    ], stored


def write_onnx(
    net: nn.Module,
    path: Path,
    outputs: list[str],
    *,
    tolerance: float,
    shrink: Callable[[onnx.ModelProto], None] | None = None,
) -> None:
    """Write the net and exit where the file's outputs on noise differ from the net's.

    Args:
        net: samples float32 (B, 64000) to one tensor, or a tuple of them.
        path: of the file.
        outputs: their names in the graph.
        tolerance: the largest difference to torch that is taken for rounding.
        shrink: changes the graph before it is written, ``small`` for instance.
    """
    example = torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(0)) * 0.05
    model = torch.onnx.export(
        net,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        input_names=["audio"],
        output_names=outputs,
        opset_version=18,
        verbose=False,
    ).model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.doc_string = ""
    del model.graph.value_info[:]
    if shrink is not None:
        shrink(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(outputs, {"audio": example.numpy()})
    with torch.inference_mode():
        wanted = net(example)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    worst = max(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True))
    print(f"{path.stat().st_size / 1e6:.2f} MB, torch against ONNX {worst:.1e}")
    if worst > tolerance:
        sys.exit("the exported model differs from the trained one")
