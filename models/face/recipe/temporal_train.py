"""Trains, calibrates and measures the temporal model on the pairs of temporal_pairs.py; writes its card.

    GUARD_DATA=... python temporal_train.py --folder WORK [--out models/temporal]

Trained on the pairs of training faces. Of the held-out faces (by a hash of their name) one half calibrates
and chooses between the two kinds of model, the other measures; half of their pairs have forgeries and kinds
of change in time that training never saw.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from data import ROOT
from onnx import TensorProto, helper, numpy_helper
from temporal_fakes import EVENTS, UNSEEN_KINDS, UNSEEN_METHODS

sys.path.insert(0, str(ROOT))
from guard.detectors.temporal import Temporal
from guard.detectors.temporal_memory import SIZE, Readings
from guard.fusion.calibration import Logistic, fit_logistic
from guard.types import Abstain, FaceWindow

SEED = 20261123
# animated stills, not webcams: no more may be claimed of a window, whatever the held-out faces say
LIMIT_LLR = 1.0
NAMES = tuple(field.name for field in fields(Readings))
_ROW_EVERY_S = 0.9
_HIDDEN = 8
_STEPS = 1500


@dataclass(frozen=True)
class Rows:
    """What the model is given, row by row, and where each row comes from."""

    x: np.ndarray
    is_spoof: np.ndarray
    kind: np.ndarray
    method: np.ndarray
    event: np.ndarray
    face: np.ndarray

    def of(self, mask: np.ndarray) -> Rows:
        """Return the rows of a mask (N,)."""
        return Rows(*(getattr(self, field.name)[mask] for field in fields(Rows)))


def read(windows: Iterable[FaceWindow]) -> list[tuple[float, np.ndarray]]:
    """Return the model's input about once a second, as a call gives it."""
    detector = Temporal(_Unasked(), Logistic(1.0, 0.0, 1.0))
    found: list[tuple[float, np.ndarray]] = []
    for window in windows:
        row = detector.prepare(window)
        if not isinstance(row, Abstain) and (not found or window.end_s - found[-1][0] >= _ROW_EVERY_S):
            found.append((window.end_s, row))
    return found


class _Unasked:
    """Stands where the model will be: only the rows are wanted."""

    def raw(self, batch: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"no model to score {len(batch)} rows with")


def load_rows(folder: Path, split: str) -> Rows:
    """Return the rows of every pair of a split that is there.

    Raises:
        SystemExit: there is none.
    """
    found: list[tuple] = []
    for path in sorted((folder / "temporal").glob(f"{split}_*.pairs")):
        pair = pickle.loads(zlib.decompress(path.read_bytes()))
        case = pair["case"]
        for spoof, windows in ((False, pair["genuine"]), (True, pair["forged"])):
            for time_s, row in read(windows):
                if not spoof or time_s >= pair["shows_s"]:
                    found.append((row, spoof, case["fake"], case["method"], case["event"], pair["face"]))
    if not found:
        sys.exit(f"{folder / 'temporal'} holds no {split} pairs: run temporal_pairs.py first")
    x, *rest = zip(*found, strict=True)
    return Rows(np.stack(x).astype(np.float32), *(np.array(column) for column in rest))


def measures(face: str) -> bool:
    """Return whether a held-out face measures; else it calibrates."""
    return hashlib.sha256(f"temporal {face}".encode()).digest()[0] < 128


def weights_of(rows: Rows) -> np.ndarray:
    """Return float64 (N,): both classes and, within spoof, every kind alike."""
    weight = np.zeros(len(rows.x))
    weight[~rows.is_spoof] = 1 / max((~rows.is_spoof).sum(), 1)
    kinds = sorted(set(rows.kind[rows.is_spoof].tolist()))
    for kind in kinds:
        mask = rows.is_spoof & (rows.kind == kind)
        weight[mask] = 1 / (mask.sum() * len(kinds))
    return weight


@dataclass(frozen=True)
class Model:
    """Standardised, clipped at 3, then a perceptron of one hidden layer (or none, where ``a`` is empty)."""

    mean: np.ndarray
    spread: np.ndarray
    layers: list[tuple[np.ndarray, np.ndarray]]

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return float32 (N,): larger means spoof."""
        h = np.clip((x - self.mean) / self.spread, -3, 3)
        for at, (a, b) in enumerate(self.layers):
            h = h @ a + b
            if at < len(self.layers) - 1:
                h = np.tanh(h)
        return h[:, 0].astype(np.float32)


def train(rows: Rows, hidden: int) -> Model:
    """Return a model fitted by weighted logistic loss; ``hidden`` 0 is plain logistic regression."""
    torch.manual_seed(SEED)
    mean, spread = rows.x.mean(axis=0), np.maximum(rows.x.std(axis=0), 0.05)
    x = torch.from_numpy(np.clip((rows.x - mean) / spread, -3, 3).astype(np.float32))
    y = torch.from_numpy(rows.is_spoof.astype(np.float32))
    weight = torch.from_numpy(weights_of(rows).astype(np.float32))
    sizes = [SIZE, *([hidden] if hidden else []), 1]
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    net = torch.nn.Sequential(*(m for layer in layers for m in (layer, torch.nn.Tanh())))[:-1]
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    for _ in range(_STEPS):
        noisy = x + 0.1 * torch.randn_like(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            net(noisy)[:, 0], y, weight, reduction="sum"
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        rates.step()
    fitted = [
        (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in layers
    ]
    return Model(mean, spread, fitted)


def auc(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the probability that a forged row scores above a genuine one."""
    order = np.sort(real)
    below = np.searchsorted(order, fake, "left") + np.searchsorted(order, fake, "right")
    return float(below.mean() / (2 * len(real))) if len(real) and len(fake) else float("nan")


def interval(rows: Rows, figure: Callable[[Rows], float], draws: int = 500) -> tuple[float, float, float]:
    """Return a figure and its 95 % interval, bootstrapped over faces."""
    rng = np.random.default_rng(SEED)
    faces = sorted(set(rows.face.tolist()))
    where = {face: np.flatnonzero(rows.face == face) for face in faces}
    drawn = [
        figure(rows.of(np.concatenate([where[faces[i]] for i in rng.integers(len(faces), size=len(faces))])))
        for _ in range(draws)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return figure(rows), float(low), float(high)


def graph(model: Model) -> onnx.ModelProto:
    """Return the model as ONNX: ``readings`` float32 (B, SIZE) to ``spoof_logit`` (B, 1)."""
    tensors = {"mean": model.mean, "spread": model.spread, "low": np.array(-3), "high": np.array(3)}
    nodes = [
        helper.make_node("Sub", ["readings", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["h0"]),
    ]
    last = len(model.layers) - 1
    for at, (a, b) in enumerate(model.layers):
        tensors |= {f"a{at}": a, f"b{at}": b}
        out = "spoof_logit" if at == last else f"z{at}"
        nodes.append(helper.make_node("Gemm", [f"h{at}", f"a{at}", f"b{at}"], [out]))
        if at < last:
            nodes.append(helper.make_node("Tanh", [out], [f"h{at + 1}"]))
    values = [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in tensors.items()]
    ends = (("readings", SIZE), ("spoof_logit", 1))
    into, out_of = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", k]) for n, k in ends)
    made = helper.make_graph(nodes, "temporal", [into], [out_of], values)
    found = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(found)
    return found


def main() -> None:
    """Train both models, keep the better one, write it and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where temporal_pairs.py left its pairs")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "temporal")
    args = parser.parse_args()
    torch.set_num_threads(1)
    trained, held = load_rows(args.folder, "train"), load_rows(args.folder, "held")
    of_measuring = np.array([measures(face) for face in held.face])
    calibrating, measuring = held.of(~of_measuring), held.of(of_measuring)
    models = {hidden: train(trained, hidden) for hidden in (0, _HIDDEN)}
    chosen = max(models, key=lambda hidden: unseen_auc(models[hidden], calibrating))
    model = models[chosen]
    a, b = calibrate(model, calibrating)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "model.onnx"
    path.write_bytes(graph(model).SerializeToString())
    figures = measure(model, Logistic(a, b, LIMIT_LLR), measuring)
    pairs = {
        split: len(list((args.folder / "temporal").glob(f"{split}_*.pairs"))) for split in ("train", "held")
    }
    values = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "a": f"{a:.6f}",
        "b": f"{b:.6f}",
        "limit_llr": LIMIT_LLR,
        "size": SIZE,
        "hidden": chosen,
        "train_pairs": pairs["train"],
        "held_pairs": pairs["held"],
        "names": ", ".join(f'"{name}"' for name in NAMES),
        "figures": "\n".join(figures),
    }
    template = (Path(__file__).parent / "temporal.card.template.toml").read_text(encoding="utf-8")
    (args.out / "card.toml").write_text(template.format(**values), encoding="utf-8")
    print("\n".join([f"hidden {chosen}", f"a {a:.3f} b {b:.3f}", *figures]))


def unseen(rows: Rows) -> np.ndarray:
    """Return bool (N,): rows of forgeries or kinds of change that training never saw."""
    new = np.isin(rows.kind, UNSEEN_KINDS) | np.isin(rows.method, UNSEEN_METHODS)
    return rows.is_spoof & new & ~np.isin(rows.kind, EVENTS)


def unseen_auc(model: Model, rows: Rows) -> float:
    """Return the AUC of what training never saw against genuine rows."""
    raw = model.raw(rows.x)
    return auc(raw[~rows.is_spoof], raw[unseen(rows)])


def calibrate(model: Model, rows: Rows) -> tuple[float, float]:
    """Return (a, b); half of the spoof weight lies on what training never saw."""
    new = unseen(rows)
    old = rows.is_spoof & ~new
    weight = np.where(new, 0.5 / new.sum(), np.where(old, 0.5 / old.sum(), 1 / (~rows.is_spoof).sum()))
    return fit_logistic(model.raw(rows.x), rows.is_spoof, weight=weight.astype(np.float32))


def measure(model: Model, calibration: Logistic, rows: Rows) -> list[str]:
    """Return lines of TOML: AUC of each kind with its 95 % interval over faces, and genuine rows above 0."""

    def of(mask: np.ndarray) -> str:
        part = rows.of(mask | ~rows.is_spoof)
        found = interval(part, lambda r: auc(model.raw(r.x[~r.is_spoof]), model.raw(r.x[r.is_spoof])))
        return f"[{found[0]:.3f}, {found[1]:.3f}, {found[2]:.3f}]"

    kinds = sorted(set(rows.kind[rows.is_spoof].tolist()))
    faces = len(set(rows.face.tolist()))
    lines = [f"faces = {faces}", f"genuine_rows = {int((~rows.is_spoof).sum())}"]
    lines += [f"all = {of(rows.is_spoof & ~np.isin(rows.kind, EVENTS))}", f"never_seen = {of(unseen(rows))}"]
    for kind in kinds:
        mask = rows.is_spoof & (rows.kind == kind)
        lines.append(f"{kind} = {of(mask)}  # {int(mask.sum())} rows")
    genuine = rows.of(~rows.is_spoof)
    llr = calibration.llr(model.raw(genuine.x))
    lines.append(f"genuine_above_0 = {float((llr > 0).mean()):.3f}")
    lines.append(f"genuine_at_limit = {float((llr >= 0.999 * LIMIT_LLR).mean()):.3f}")
    for name in ("frozen", "repeated", "cut"):
        lines.append(f"genuine_{name} = {float(genuine.x[:, NAMES.index(name)].max()):.3f}  # highest")
    return lines


if __name__ == "__main__":
    main()
