"""Writes models/face_identity/model.onnx: dlib's face network as ONNX, weights stored as bytes.

    python models/face_identity/recipe/export.py

The structure is dlib's (``dnn_face_recognition_ex.cpp``, by Davis King): He et al.'s residual network with
29 convolutions; a block that halves the picture adds the average-pooled input, and whichever of the two has
fewer channels or rows is filled up with zeros. Written node by node, so that bytes stay bytes: a kernel is
``(bytes - zero) * scale``, which the runtime works out once when it loads the file. The affine layer after
each convolution is folded into that scale and into the bias. The end divides by the vector's length.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from weights import Tensor, fetch

OUT = Path(__file__).resolve().parents[1] / "model.onnx"
MEAN = (122.782, 117.001, 104.298)  # dlib::input_rgb_image, which divides by 256
SIDE_PX, SIZE = 150, 128
# name, channels in, channels out, halves the picture; from the input on
BLOCKS = (
    *(("conv32_" + n, 32, 32, False) for n in "123"),
    ("conv64_down", 32, 64, True),
    *(("conv64_" + n, 64, 64, False) for n in "123"),
    ("conv128_down", 64, 128, True),
    *(("conv128_" + n, 128, 128, False) for n in "12"),
    ("conv256_down", 128, 256, True),
    *(("conv256_" + n, 256, 256, False) for n in "12"),
    ("conv256_down_out", 256, 256, True),
)


class Graph:
    """Nodes and constants, named in the order they come."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], **attributes: object) -> str:
        """Add one node and return the name of its output."""
        out = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def keep(self, array: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def floats(self, array: np.ndarray) -> str:
        """Return float32 values stored as float16."""
        return self.add("Cast", [self.keep(array.astype(np.float16))], to=TensorProto.FLOAT)

    def conv(self, x: str, name: str, *, stride: int, pad: int) -> str:
        """Add a convolution with the affine layer behind it: ``(w * x + bias) * gain + shift``."""
        kernel, gain = self.tensors[f"{name}/conv/filters"], self.tensors[f"{name}/scale/weights"].value
        bias = self.tensors[f"{name}/conv/bias"].value * gain + self.tensors[f"{name}/scale/biases"].value
        stored = np.ascontiguousarray(kernel.stored.transpose(3, 2, 0, 1))  # HWIO to OIHW
        columns = gain.reshape(-1, 1, 1, 1)
        if stored.dtype == np.uint8:
            zero = np.float32(-kernel.low / kernel.scale)
            whole = self.add("Cast", [self.keep(stored)], to=TensorProto.FLOAT)
            centred = self.add("Sub", [whole, self.keep(np.array(zero, np.float32))])
            weights = self.add("Mul", [centred, self.keep((columns * kernel.scale).astype(np.float32))])
        else:
            weights = self.add("Mul", [self.floats(stored), self.keep(columns.astype(np.float32))])
        inputs = [x, weights, self.keep(bias.astype(np.float32))]
        return self.add("Conv", inputs, strides=[stride] * 2, pads=[pad] * 4)

    def block(self, x: str, name: str, rows: tuple[int, int], channels: tuple[int, int]) -> str:
        """Add a residual block; ``rows`` and ``channels`` before and after it."""
        halves = rows[0] != rows[1]
        first = self.conv(x, f"{name}/conv1", stride=2 if halves else 1, pad=0 if halves else 1)
        deep = self.conv(self.add("Relu", [first]), f"{name}/conv2", stride=1, pad=1)
        short = self.add("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2]) if halves else x
        deep = self._filled(deep, (rows[0] - 3) // 2 + 1 if halves else rows[0], rows[1])
        if channels[0] != channels[1]:
            short = self._pad(short, [0, 0, 0, 0, 0, channels[1] - channels[0], 0, 0])
        return self.add("Relu", [self.add("Add", [deep, short])])

    def _filled(self, x: str, have: int, want: int) -> str:
        return x if have == want else self._pad(x, [0, 0, 0, 0, 0, 0, want - have, want - have])

    def _pad(self, x: str, pads: list[int]) -> str:
        return self.add("Pad", [x, self.keep(np.array(pads, np.int64))])


def build(tensors: dict[str, Tensor]) -> onnx.ModelProto:
    """Return the network: float32 (B, 3, 150, 150) RGB of 255 in, float32 (B, 128) of length 1 out."""
    g = Graph(tensors)
    mean = np.array(MEAN, np.float32).reshape(1, 3, 1, 1)
    x = g.add("Sub", ["face", g.keep(mean)])
    x = g.add("Div", [x, g.keep(np.array(256, np.float32))])
    x = g.add("Relu", [g.conv(x, "conv32_down", stride=2, pad=0)])
    x = g.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2])
    rows = ((SIDE_PX - 7) // 2 + 1 - 3) // 2 + 1
    for name, before, after, halves in BLOCKS:
        next_rows = rows // 2 if halves else rows
        x = g.block(x, name, (rows, next_rows), (before, after))
        rows = next_rows
    x = g.add("Flatten", [g.add("GlobalAveragePool", [x])])
    x = g.add("MatMul", [x, g.floats(tensors["fc"].value)])
    length = g.add("ReduceL2", [x, g.keep(np.array([1], np.int64))], keepdims=1)
    g.nodes.append(helper.make_node("Div", [x, length], ["vector"]))
    graph = helper.make_graph(
        g.nodes,
        "face_identity",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, ["B", 3, SIDE_PX, SIDE_PX])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["B", SIZE])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="guard")
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    content = build(fetch()).SerializeToString(deterministic=True)
    OUT.write_bytes(content)
    sys.stdout.write(f"{OUT}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}\n")


if __name__ == "__main__":
    main()
