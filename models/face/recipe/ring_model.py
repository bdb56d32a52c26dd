"""The small model of the face-against-frame signal: fitted without a framework, written as ONNX.

Features are standardised and cut at four standard deviations, so that one odd patch cannot carry a score;
then a logistic regression, or a perceptron of one hidden layer. Every pair counts alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

CUT = 4.0
_STEPS = 2000
_BATCH = 512
_RATE = 3e-3


@dataclass(frozen=True)
class Kind:
    """Which model: ``hidden`` 0 is a logistic regression; ``decay`` draws its weights to nothing."""

    hidden: int
    decay: float

    @property
    def name(self) -> str:
        what = f"perceptron of {self.hidden}" if self.hidden else "logistic regression"
        return f"{what}, decay {self.decay:g}"


KINDS = (Kind(0, 300.0), Kind(48, 0.1), Kind(128, 0.1))


@dataclass(frozen=True)
class Model:
    """``mean`` and ``spread`` (F,), then the layers: weights (F, H) or (F, 1), offsets."""

    mean: np.ndarray
    spread: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return float64 (N,) raw scores, larger means spoof, of features (N, F)."""
        x = np.clip((features - self.mean) / self.spread, -CUT, CUT)
        for weights, offset in self.layers[:-1]:
            x = np.maximum(x @ weights + offset, 0)
        weights, offset = self.layers[-1]
        return (x @ weights + offset)[:, 0]


def fit(kind: Kind, real: np.ndarray, fake: np.ndarray, seed: int) -> Model:
    """Return a model fitted on features (N, F) of real faces and of forgeries."""
    x = np.vstack([real, fake]).astype(np.float64)
    y = np.concatenate([np.zeros(len(real)), np.ones(len(fake))])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-4
    z = np.clip((x - mean) / spread, -CUT, CUT)
    layers = _perceptron(kind, z, y, seed) if kind.hidden else _logistic(kind, z, y)
    return Model(mean, spread, layers)


def _logistic(kind: Kind, z: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return the one layer, by Newton's method."""
    design = np.hstack([z, np.ones((len(z), 1))])
    weights, pull = np.zeros(design.shape[1]), np.full(design.shape[1], kind.decay)
    pull[-1] = 1e-6
    for _ in range(8):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (p - y) + pull * weights
        bend = (design * (p * (1 - p))[:, None]).T @ design + np.diag(pull)
        weights = weights - np.linalg.solve(bend, slope)
    return ((weights[:-1, None], weights[-1:]),)


def _perceptron(
    kind: Kind, z: np.ndarray, y: np.ndarray, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    torch.manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Dropout(0.2),
        torch.nn.Linear(z.shape[1], kind.hidden),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(kind.hidden, 1),
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=kind.decay)
    given, wanted = (torch.tensor(values, dtype=torch.float32) for values in (z, y))
    rng = np.random.default_rng(seed)
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - step / _STEPS)
        rows = torch.from_numpy(rng.integers(len(z), size=_BATCH))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(given[rows])[:, 0], wanted[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    linear = [part for part in net if isinstance(part, torch.nn.Linear)]
    return tuple(
        (part.weight.detach().numpy().T.astype(np.float64), part.bias.detach().numpy().astype(np.float64))
        for part in linear
    )


def write_onnx(model: Model, path: Path) -> None:
    """Write ``features`` float32 (B, F) -> ``spoof_logit`` float32 (B, 1)."""
    values = {"mean": model.mean, "spread": model.spread, "low": np.array(-CUT), "high": np.array(CUT)}
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["x0"]),
    ]
    last = len(model.layers) - 1
    for number, (weights, offset) in enumerate(model.layers):
        values |= {f"w{number}": weights, f"b{number}": offset}
        out = "spoof_logit" if number == last else f"h{number}"
        nodes.append(helper.make_node("Gemm", [f"x{number}", f"w{number}", f"b{number}"], [out]))
        if number != last:
            nodes.append(helper.make_node("Relu", [out], [f"x{number + 1}"]))
    graph = helper.make_graph(
        nodes,
        "face_ring",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(model.mean)])],
        [helper.make_tensor_value_info("spoof_logit", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, str(path))
