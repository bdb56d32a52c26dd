"""Trains, calibrates and measures the temporal model on the pairs of temporal_pairs.py; writes its card.

    GUARD_DATA=... python temporal_train.py --folder CHECKPOINTS --out WORK/temporal

Logistic regression on the pairs of training faces. Of the held-out faces (by a hash of their name) one half
calibrates, the other measures; half of their pairs have forgeries and kinds of change in time that training
never saw, and of the kinds it saw each is measured by a model that was trained without it.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
from about import about, toml_text, write_licence
from calibrate import fit_or_nothing, note_of
from data import ROOT, person_of
from onnx import TensorProto, helper, numpy_helper
from temporal_clips import smooth
from temporal_fakes import EVENTS, UNSEEN_KINDS, UNSEEN_METHODS

sys.path.insert(0, str(ROOT))
from guard.detectors.temporal import Temporal
from guard.detectors.temporal_memory import SIZE, TemporalReadings
from guard.fusion.calibration import Logistic
from guard.types import Abstain, FaceWindow

SEED = 20261123
# animated stills, not webcams: no more may be claimed of a window, whatever the held-out faces say
LIMIT_LLR = 1.0
NAMES = tuple(field.name for field in fields(TemporalReadings))
_ROW_EVERY_S = 0.9
_RIDGE = 0.02
_CLIP = 3.0
# how far expression bends a face at most, in pixels of the crop, and light shades it
_BEND_PX, _SHADE, _GRID = 1.5, 0.06, 6


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
        seen = detector.read(window)
        if not isinstance(seen, Abstain) and (not found or window.end_s - found[-1][0] >= _ROW_EVERY_S):
            found.append((window.end_s, seen.row()))
    return found


def expressive(windows: list[FaceWindow], seed: int) -> list[FaceWindow]:
    """Return the windows with a face that moves in itself and turns in its light, as no animated still does.

    Genuine footage bends and shades the inside of a face from look to look; without it a detector takes
    expression for flicker. The same draw serves the genuine and the forged clip of a pair.
    """
    rng = np.random.default_rng((SEED, seed))
    bend_px, shade = float(rng.uniform(0, _BEND_PX)), float(rng.uniform(0, _SHADE))
    times = np.array([window.end_s for window in windows])
    field = np.stack([smooth(times, bend_px, 1.2, rng) for _ in range(_GRID * _GRID * 2)], axis=1)
    light = np.stack([smooth(times, shade, 0.8, rng) for _ in range(3)], axis=1)
    y, x = np.mgrid[0:224, 0:224].astype(np.float32)
    reach = np.exp(-((((x - 112) / 58) ** 2 + ((y - 115) / 74) ** 2) ** 3)).astype(np.float32)
    found = []
    for at, window in enumerate(windows):
        grid = field[at].reshape(_GRID, _GRID, 2).astype(np.float32)
        push = cv2.resize(grid, (224, 224), interpolation=cv2.INTER_CUBIC) * reach[..., None]
        crop = cv2.remap(window.crop, x + push[..., 0], y + push[..., 1], cv2.INTER_LINEAR)
        tilt = light[at, 0] * (x - 112) / 60 + light[at, 1] * (y - 115) / 70 + light[at, 2] / 2
        crop = np.clip(crop * (1 + tilt * reach)[..., None], 0, 255).astype(np.uint8)
        found.append(replace(window, crop=crop))
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
    for number, path in enumerate(sorted((folder / "temporal").glob(f"{split}_*.pairs"))):
        pair = pickle.loads(zlib.decompress(path.read_bytes()))
        case = pair["case"]
        for spoof, windows in ((False, pair["genuine"]), (True, pair["forged"])):
            still = case["event"] == "still" or (case["fake"] == "frozen" and spoof)
            for time_s, row in read(windows if still else expressive(windows, number)):
                if not spoof or time_s >= pair["shows_s"]:
                    found.append((row, spoof, case["fake"], case["method"], case["event"], pair["face"]))
    if not found:
        sys.exit(f"{folder / 'temporal'} holds no {split} pairs: run temporal_pairs.py first")
    x, *rest = zip(*found, strict=True)
    return Rows(np.stack(x).astype(np.float32), *(np.array(column) for column in rest))


def measures(face: str) -> bool:
    """Return whether a held-out face measures; else it calibrates."""
    return hashlib.sha256(f"temporal {person_of(face)}".encode()).digest()[0] < 128


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
    """Standardised, clipped at 3 spreads, weighed and summed."""

    mean: np.ndarray
    spread: np.ndarray
    weight: np.ndarray
    bias: float

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return float32 (N,): larger means spoof."""
        return (_standard(x, self.mean, self.spread) @ self.weight + self.bias).astype(np.float32)


def _standard(x: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.clip((x - mean) / spread, -_CLIP, _CLIP)


def train(rows: Rows) -> Model:
    """Return the minimum of the weighted logistic loss with a ridge, by Newton's method."""
    mean, spread = rows.x.mean(axis=0), np.maximum(rows.x.std(axis=0), 0.05)
    design = np.column_stack([_standard(rows.x, mean, spread), np.ones(len(rows.x))]).astype(np.float64)
    weight, ridge = weights_of(rows), np.diag([_RIDGE] * SIZE + [0.0])
    theta = np.zeros(SIZE + 1)
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
        gradient = design.T @ (weight * (p - rows.is_spoof)) + ridge @ theta
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + ridge
        theta -= np.linalg.solve(hessian + 1e-9 * np.eye(SIZE + 1), gradient)
    return Model(mean, spread, theta[:-1], float(theta[-1]))


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
    tensors = {
        "mean": model.mean,
        "spread": model.spread,
        "low": np.array(-_CLIP),
        "high": np.array(_CLIP),
        "weight": model.weight[:, None],
        "bias": np.array([model.bias]),
    }
    nodes = [
        helper.make_node("Sub", ["readings", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["standard"]),
        helper.make_node("Gemm", ["standard", "weight", "bias"], ["spoof_logit"]),
    ]
    values = [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in tensors.items()]
    ends = (("readings", SIZE), ("spoof_logit", 1))
    into, out_of = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", k]) for n, k in ends)
    made = helper.make_graph(nodes, "temporal", [into], [out_of], values)
    found = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(found)
    return found


def main() -> None:
    """Train, calibrate and measure; write the model and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where temporal_pairs.py left its pairs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model and its card")
    args = parser.parse_args()
    trained, held = load_rows(args.folder, "train"), load_rows(args.folder, "held")
    of_measuring = np.array([measures(face) for face in held.face])
    calibrating, measuring = held.of(~of_measuring), held.of(of_measuring)
    model = train(trained)
    a, b = calibrate(model, calibrating)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "model.onnx"
    path.write_bytes(graph(model).SerializeToString())
    figures = measure(trained, model, Logistic(a, b, LIMIT_LLR), measuring)
    pairs = {
        split: len(list((args.folder / "temporal").glob(f"{split}_*.pairs"))) for split in ("train", "held")
    }
    faces = about()
    values = {
        "licence": toml_text(faces.card_licence("temporal")),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "a": f"{a:.6f}",
        "b": f"{b:.6f}",
        "limit_llr": LIMIT_LLR,
        "nothing": note_of(a),
        "size": SIZE,
        "train": toml_text(
            f"{pairs['train']} pairs of clips (genuine, forged) of 4 to 9 s, animated from stills and coded "
            f"with real VP8 or H.264; no footage and no forgery of others. Stills: {faces.card_faces}"
        ),
        "held_pairs": pairs["held"],
        "weights": "\n".join(f"{name} = {w:.3f}" for name, w in zip(NAMES, model.weight, strict=True)),
        "figures": "\n".join(figures),
    }
    template = (Path(__file__).parent / "temporal.card.template.toml").read_text(encoding="utf-8")
    (args.out / "card.toml").write_text(template.format(**values), encoding="utf-8")
    write_licence(args.out, faces.card_licence("temporal"))
    print("\n".join([f"a {a:.3f} b {b:.3f}", values["weights"], *figures]))


def unseen(rows: Rows) -> np.ndarray:
    """Return bool (N,): rows of forgeries or kinds of change that training never saw."""
    new = np.isin(rows.kind, UNSEEN_KINDS) | np.isin(rows.method, UNSEEN_METHODS)
    return rows.is_spoof & new & ~np.isin(rows.kind, EVENTS)


def calibrate(model: Model, rows: Rows) -> tuple[float, float]:
    """Return (a, b); half of the spoof weight lies on what training never saw."""
    new = unseen(rows)
    old = rows.is_spoof & ~new
    share = [0.5 / max(mask.sum(), 1) for mask in (new, old)]
    weight = np.where(new, share[0], np.where(old, share[1], 1 / max((~rows.is_spoof).sum(), 1)))
    return fit_or_nothing("temporal", model.raw(rows.x), rows.is_spoof, weight.astype(np.float32))


def measure(trained: Rows, model: Model, calibration: Logistic, rows: Rows) -> list[str]:
    """Return lines of TOML: AUC of each kind with its 95 % interval over faces and its number of rows."""

    def of(mask: np.ndarray, by: Model) -> str:
        part = rows.of(mask | ~rows.is_spoof)
        found = interval(part, lambda r: auc(by.raw(r.x[~r.is_spoof]), by.raw(r.x[r.is_spoof])))
        return f"[{found[0]:.3f}, {found[1]:.3f}, {found[2]:.3f}, {int(mask.sum())}]"

    swapped = rows.is_spoof & ~np.isin(rows.kind, EVENTS)
    genuine = rows.of(~rows.is_spoof)
    lines = [f"faces = {len(set(rows.face.tolist()))}", f"genuine_rows = {len(genuine.x)}"]
    lines += [f"swapped = {of(swapped, model)}", f"swapped_never_seen = {of(unseen(rows), model)}"]
    for kind in sorted(set(rows.kind[rows.is_spoof].tolist())):
        # an event's number is nothing to a model that never met it: those kinds are not left out
        by = model if kind in EVENTS else train(trained.of(trained.kind != kind))
        lines.append(f"{kind} = {of(rows.is_spoof & (rows.kind == kind), by)}")
    llr = calibration.llr(model.raw(genuine.x))
    lines.append(f"genuine_above_0 = {float((llr > 0).mean()):.3f}")
    lines.append(f"genuine_at_limit = {float((llr >= 0.999 * LIMIT_LLR).mean()):.3f}")
    for name in ("frozen", "repeated", "cut"):
        column = genuine.x[:, NAMES.index(name)]
        lines.append(f"genuine_{name} = [{float((column > 0).mean()):.3f}, {float(column.max()):.3f}]")
    return lines


if __name__ == "__main__":
    main()
