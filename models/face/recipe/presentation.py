"""Trains, chooses, calibrates and exports the model of the signal ``presentation``.

    GUARD_DATA=... python presentation_rows.py --folder WORK
    python presentation.py --folder WORK --out WORK/presentation

Everything is chosen by faces kept out of training, on displays and cameras that training never drew.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from about import about, toml_text, write_licence
from calibrate import fit_or_nothing, note_of
from data import ROOT
from measure import rank_auc
from onnx import TensorProto, helper, numpy_helper
from presentation_display import HELD_OUT, TRAINED
from presentation_rows import Rows, read_rows

sys.path.insert(0, str(ROOT))
from guard.detectors.face_limits import FaceLimits
from guard.detectors.presentation_features import LEFT_PX, NAMES, TOP_PX, features
from guard.media.quality import fine_detail
from guard.types import FaceQuality

# simulated displays support no more for a single frame; fusion makes of a whole call at most twice as much
LIMIT_LLR = 0.5
# a number farther than this many spreads from what training saw counts as that far
CLIP = 4.0
BOOTSTRAP = 1000
HIDDEN = (0, 8, 16)
TONES = ("glare", "black", "white", "spread", "colour_mean", "colour_high", "warmth", "skew")
# where quality is measured in the crop (guard.media.quality), seen from the part the recipe keeps
_ROWS, _COLUMNS = slice(68 - TOP_PX, 156 - TOP_PX), slice(62 - LEFT_PX, 162 - LEFT_PX)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Table:
    """Numbers of faces: float32 (N, F), bool (N,) from a display, and what each row comes from."""

    x: np.ndarray
    is_spoof: np.ndarray
    kinds: np.ndarray
    family: np.ndarray
    names: np.ndarray


def judged(face: np.ndarray, eyes_px: float) -> bool:
    """Tell whether the detector would score this face (turned heads apart: the chips have none)."""
    luma = face[_ROWS, _COLUMNS].astype(np.float32) @ _LUMA
    quality = FaceQuality(float(eyes_px), fine_detail(luma), 0.0, float(luma.mean()), 1.0)
    return FaceLimits().reason_against(quality) is None


def table_of(rows: Rows) -> Table:
    """Return the numbers of every face of the pairs that the detector would score."""
    x, is_spoof, keep = [], [], []
    for pictures, spoof in ((rows.direct, False), (rows.shown, True)):
        for row, face in enumerate(pictures):
            if judged(face, rows.eyes_px[row]):
                x.append(features(face, float(rows.eyes_px[row])))
                is_spoof.append(spoof)
                keep.append(row)
    return Table(np.stack(x), np.array(is_spoof), rows.kinds[keep], rows.family[keep], rows.names[keep])


@dataclass(frozen=True)
class Net:
    """Standardise, clip, one hidden layer of tanh (or none), one output."""

    centre: np.ndarray
    spread: np.ndarray
    layers: list[tuple[np.ndarray, np.ndarray]]

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return float32 (N,), larger means spoof."""
        out = np.clip((x - self.centre) / self.spread, -CLIP, CLIP)
        for at, (weight, bias) in enumerate(self.layers):
            out = out @ weight.T + bias
            if at + 1 < len(self.layers):
                out = np.tanh(out)
        return out[:, 0].astype(np.float32)


def train(table: Table, hidden: int, columns: np.ndarray, seed: int = 7) -> Net:
    """Fit a net on the columns that are True; the others get no weight."""
    torch.manual_seed(seed)
    centre, spread = table.x.mean(axis=0), table.x.std(axis=0) + 1e-3
    scaled = np.clip((table.x - centre) / spread, -CLIP, CLIP) * columns
    x, y = torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(table.is_spoof.astype(np.float32))
    sizes = [x.shape[1], *([hidden] if hidden else []), 1]
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    net = torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.Tanh())][:-1])
    step = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    weight = torch.where(y > 0, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    for _ in range(600):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], y, weight, reduction="sum")
        step.zero_grad()
        loss.backward()
        step.step()
    weights = [(m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy()) for m in layers]
    weights[0] = (weights[0][0] * columns[None, :], weights[0][1])
    return Net(centre.astype(np.float32), spread.astype(np.float32), weights)


def auc_of(score: np.ndarray, table: Table, spoofs: np.ndarray) -> float:
    """Return the AUC of the spoofs marked against every bona fide face of the same family of cameras."""
    real = ~table.is_spoof & np.isin(table.family, table.family[spoofs])
    return float(rank_auc(score[real], score[spoofs]))


def interval(score: np.ndarray, table: Table, spoofs: np.ndarray) -> tuple[float, float, float]:
    """Return the AUC with its 95 % interval, bootstrapped over faces."""
    rng = np.random.default_rng(3)
    real = np.flatnonzero(~table.is_spoof & np.isin(table.family, table.family[spoofs]))
    fake = np.flatnonzero(spoofs)
    of_face: dict[str, tuple[list[int], list[int]]] = {}
    for at, rows in enumerate((real, fake)):
        for row in rows:
            of_face.setdefault(str(table.names[row]), ([], []))[at].append(int(row))
    faces = list(of_face.values())
    drawn = []
    for _ in range(BOOTSTRAP):
        chosen = [faces[i] for i in rng.integers(len(faces), size=len(faces))]
        sides = [np.array([row for face in chosen for row in face[at]], int) for at in (0, 1)]
        if len(sides[0]) and len(sides[1]):
            drawn.append(float(rank_auc(score[sides[0]], score[sides[1]])))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(rank_auc(score[real], score[fake])), float(low), float(high)


def chosen_by(score: np.ndarray, held: Table) -> float:
    """Return what decides between models: AUC of displays never trained on, by cameras never trained on."""
    return auc_of(score, held, held.is_spoof & np.isin(held.kinds, HELD_OUT) & (held.family == "unseen"))


def choose(fit: Table, held: Table) -> tuple[Net, dict[str, float]]:
    """Return the best of the nets tried, and what each reached."""
    subsets = {"all": np.ones(len(NAMES), bool), "no_tones": ~np.isin(NAMES, TONES)}
    found: dict[str, float] = {}
    best: Net | None = None
    for name, columns in subsets.items():
        for hidden in HIDDEN:
            net = train(fit, hidden, columns)
            reached = chosen_by(net.raw(held.x), held)
            if not found or reached > max(found.values()):
                best = net
            found[f"{name}_{hidden}"] = round(reached, 4)
    assert best is not None
    return best, found


def calibrate(score: np.ndarray, held: Table) -> tuple[float, float]:
    """Half of the spoof weight lies on displays never trained on, half on the others."""
    unseen = np.isin(held.kinds, HELD_OUT)
    weight = np.ones(len(score), np.float32)
    for rows in (held.is_spoof & unseen, held.is_spoof & ~unseen):
        weight[rows] = 0.5 / max(1, rows.sum())
    weight[~held.is_spoof] = 1 / (~held.is_spoof).sum()
    return fit_or_nothing("presentation", score, held.is_spoof, weight)


def export(net: Net, path: Path) -> None:
    """Write the net as ONNX: float32 (B, 21) in, float32 (B,) out."""
    first = [("centre", net.centre), ("spread", net.spread)]
    first += [("low", np.float32(-CLIP)), ("high", np.float32(CLIP)), ("flat", np.array([-1], np.int64))]
    nodes = [
        helper.make_node("Sub", ["numbers", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
    ]
    at = "clipped"
    for number, (weight, bias) in enumerate(net.layers):
        first += [(f"w{number}", weight.T.astype(np.float32).copy()), (f"b{number}", bias.astype(np.float32))]
        nodes.append(helper.make_node("Gemm", [at, f"w{number}", f"b{number}"], [f"h{number}"]))
        at = f"h{number}"
        if number + 1 < len(net.layers):
            nodes.append(helper.make_node("Tanh", [at], [f"t{number}"]))
            at = f"t{number}"
    nodes.append(helper.make_node("Reshape", [at, "flat"], ["spoof_logit"]))
    graph = helper.make_graph(
        nodes,
        "presentation",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", len(NAMES)])],
        [helper.make_tensor_value_info("spoof_logit", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in first],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def figures(score: np.ndarray, held: Table) -> str:
    """Return the card's table of figures: AUC with interval and number of spoofs, by display and camera."""
    lines = []
    for family in ("seen", "unseen"):
        for kind in (*TRAINED, *HELD_OUT):
            spoofs = held.is_spoof & (held.kinds == kind) & (held.family == family)
            if not spoofs.any():  # in a small run not every display is drawn
                continue
            auc, low, high = interval(score, held, spoofs)
            lines.append(f"{kind}_{family} = [{auc:.3f}, {low:.3f}, {high:.3f}, {int(spoofs.sum())}]")
    for name, kinds in (("trained", TRAINED), ("held_out", HELD_OUT)):
        auc, low, high = interval(score, held, held.is_spoof & np.isin(held.kinds, kinds))
        count = int((held.is_spoof & np.isin(held.kinds, kinds)).sum())
        lines.append(f"all_{name} = [{auc:.3f}, {low:.3f}, {high:.3f}, {count}]")
    return "\n".join(lines)


def main() -> None:
    """Train, choose, calibrate, export, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="where presentation_rows.py left its pairs"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the model and its card")
    args = parser.parse_args()
    torch.set_num_threads(1)
    fit, held = (table_of(read_rows(args.folder, split)) for split in ("train", "held"))
    net, tried = choose(fit, held)
    score = net.raw(held.x)
    a, b = calibrate(score, held)
    export(net, args.out / "model.onnx")
    template = (Path(__file__).parent / "presentation.card.template.toml").read_text(encoding="utf-8")
    faces = about()
    train_on = (
        f"{faces.card_faces}; filmed directly and from displays, both by simulation "
        f"(recipe/presentation_display.py); {len(fit.x)} pictures"
    )
    card = template.format(
        licence=toml_text(faces.card_licence("presentation")),
        train=toml_text(train_on),
        sha256=hashlib.sha256((args.out / "model.onnx").read_bytes()).hexdigest(),
        a=a,
        b=b,
        limit_llr=LIMIT_LLR,
        nothing=note_of(a),
        numbers=len(NAMES),
        held=len(held.x),
        tried="\n".join(f"{name} = {value}" for name, value in tried.items()),
        figures=figures(score, held),
    )
    (args.out / "card.toml").write_text(card, encoding="utf-8")
    write_licence(args.out, faces.card_licence("presentation"))
    print(card)


if __name__ == "__main__":
    main()
