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

SAMPLES, LARGE = 64_000, 4096


def halve(model: onnx.ModelProto) -> None:
    """Store large float32 weights as float16, with a cast that the runtime folds away at load."""
    for weight in list(model.graph.initializer):
        array = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or array.size < LARGE or "kernel" in weight.name:
            continue
        stored = f"{weight.name}.half"
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), stored))
        cast = helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)


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
        shrink: changes the graph before it is written, ``halve`` for instance.
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
