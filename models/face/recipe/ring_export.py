"""Chooses, calibrates, measures and writes the model of the face-against-frame signal.

    GUARD_DATA=... python ring_export.py --folder CHECKPOINTS --out WORK/face_ring [--ablate]

``--folder`` is where ring_pairs.py wrote. Held-out faces are halved by a hash of their name: one half
chooses and calibrates, the other is only reported. Every choice is made by forgeries left out of
training: each kind of the pool in turn, and two kinds that are never in it. ``--ablate`` prints the same
figure with groups of features taken away instead, ``--judge unseen`` figures of the model in ``--out`` on
held-out faces after cameras and codecs that training never draws; neither writes anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from about import about, toml_text, write_licence
from calibrate import fit_or_nothing, note_of
from data import ROOT, person_of
from forge import HELD_OUT, TRAINED, WHOLE
from ring_model import KINDS, Kind, Model, fit, write_onnx

sys.path.insert(0, str(ROOT))
from guard.detectors.card import load_card
from guard.detectors.onnx import OnnxModel
from guard.media.contrasts import COUNT, NAMES, contrasts
from guard.media.ring import Patches

SEED = 7
# forgeries of the whole picture have no frame to differ from: not trained on, reported as they come out
PARTS = tuple(method for method in TRAINED if method not in WHOLE)
JUDGED = (*PARTS, *(method for method in HELD_OUT if method not in WHOLE))
# what training imitates only may not claim more than this from one window
LIMIT_LLR = 1.0
_ROUNDS = 500
_SIZES = ((40, 52), (52, 66), (66, 83))
GROUPS: dict[str, tuple[str, ...]] = {
    "sharpness": ("fine", "middle", "texture", "level0", "level1"),
    "colour bandwidth": ("colour_fine", "colour_middle", "colour_level", "floor_c"),
    "noise floor": ("floor_f",),
    "grain (likeness of neighbours)": ("grain",),
    "colour of the skin": ("blue", "red"),
    "seam (slope across the outline)": ("across", "colour_across"),
    "left against right": ("fine_inner_sides", "fine_edge_sides", "middle_inner", "middle_edge_sides"),
}


@dataclass(frozen=True)
class Rows:
    """Features of pairs, float32 (N, COUNT) each, and what is known of each pair."""

    real: np.ndarray
    fake: np.ndarray
    name: np.ndarray
    method: np.ndarray
    finish: np.ndarray
    codec: np.ndarray
    eye_px: np.ndarray

    def of(self, chosen: np.ndarray) -> Rows:
        return Rows(*(getattr(self, field)[chosen] for field in self.__dataclass_fields__))


def main() -> None:
    """Write the model and its card, or print the ablation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model and its card")
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument(
        "--judge", choices=("seen", "unseen"), help="family of ring_pairs.py's held-out pairs"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.judge:
        judge(read(args.folder, args.judge), args.out)
        return
    train, held = read(args.folder, "train"), read(args.folder, "seen")
    chooses = np.array([chooses_by(name) for name in held.name])
    choosing, reported = held.of(chooses), held.of(~chooses)
    if args.ablate:
        ablate(train, choosing)
        return
    kind = choose(train, choosing)
    models = left_out(kind, train)
    a, b = calibrate(models, choosing)
    figures = report(models, reported)
    args.out.mkdir(parents=True, exist_ok=True)
    write_onnx(models[""], args.out / "model.onnx")
    part = train.of(np.isin(train.method, PARTS))
    counts = {"pairs": len(part.real), "faces": len(set(part.name)), "held": len(reported.real)}
    text = card(args.out / "model.onnx", kind, (a, b), counts, figures)
    (args.out / "card.toml").write_text(text, encoding="utf-8")
    write_licence(args.out, about().card_licence("ring"))
    print(json.dumps(figures, indent=1))


def chooses_by(name: str) -> bool:
    """Return whether a held-out face chooses and calibrates; else it is reported."""
    return hashlib.sha256(f"ring/{person_of(name)}".encode()).digest()[0] < 128


def read(folder: Path, split: str) -> Rows:
    """Return the features of every part that ring_pairs.py wrote."""
    parts = []
    for path in sorted((folder / "ring").glob(f"{split}_*.npz")):
        with np.load(path) as stored:
            table = dict(stored)
        sides = [_features(table, kind) for kind in ("real", "fake")]
        size = len(table["name"])
        codec, eye_px = table.get("codec", np.full(size, "")), table.get("eye_px", np.zeros(size))
        parts.append([*sides, table["name"], table["method"], table["finish"], codec, eye_px])
    if not parts:
        sys.exit(f"{folder} has no ring/{split}_*.npz: run ring_pairs.py first")
    return Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _features(table: dict[str, np.ndarray], kind: str) -> np.ndarray:
    columns = [table[f"{field}_{kind}"] for field in Patches.__dataclass_fields__]
    rows = [contrasts(Patches(*(c[i] for c in columns))) for i in range(len(table["name"]))]
    return np.stack(rows)


def left_out(kind: Kind, train: Rows, keep: np.ndarray | None = None) -> dict[str, Model]:
    """Return for every forgery a model that never saw it, and the one that saw all of the pool as ``""``.

    Args:
        kind: of the models.
        train: the pool.
        keep: columns of the features the models may see; None for all.
    """
    columns = np.arange(COUNT) if keep is None else keep
    models = {}
    for method in (*PARTS, ""):
        used = train.of(np.isin(train.method, [m for m in PARTS if m != method]))
        models[method] = fit(kind, used.real[:, columns], used.fake[:, columns], SEED)
    return {method: models.get(method, models[""]) for method in (*JUDGED, "")}


def choose(train: Rows, choosing: Rows) -> Kind:
    """Return the kind of model with the highest mean AUC over forgeries left out in turn."""
    found = {kind: left_out_auc(kind, train, choosing) for kind in KINDS}
    for kind, value in found.items():
        print(f"{kind.name}: mean AUC of left-out forgeries {value:.4f}", flush=True)
    return max(found, key=lambda kind: found[kind])


def left_out_auc(kind: Kind, train: Rows, rows: Rows, keep: np.ndarray | None = None) -> float:
    """Return the mean AUC over forgeries, each scored by a model that never saw it."""
    columns = np.arange(COUNT) if keep is None else keep
    models, values = left_out(kind, train, keep), []
    for method in JUDGED:
        own = rows.of(rows.method == method)
        values.append(auc(models[method](own.real[:, columns]), models[method](own.fake[:, columns])))
    return float(np.mean(values))


def judge(rows: Rows, folder: Path) -> None:
    """Print the AUC of a written model by forgery and codec, its 95 % interval over faces, and the pairs."""
    model = OnnxModel(load_card(folder))
    real, fake = (model.raw(np.ascontiguousarray(side)) for side in (rows.real, rows.fake))
    part = np.isin(rows.method, JUDGED)
    kinds = {m: rows.method == m for m in (*JUDGED, *WHOLE)} | {"all with a frame": part}
    kinds |= {str(c): part & (rows.codec == c) for c in np.unique(rows.codec)}
    print("| kind | AUC | 95 % | pairs |\n|---|---|---|---|")
    for name, own in kinds.items():
        value, low, high = interval(real[own], fake[own], rows.name[own])
        print(f"| {name} | {value:.3f} | {low:.3f} to {high:.3f} | {own.sum()} |")


def ablate(train: Rows, choosing: Rows) -> None:
    """Print the mean AUC of left-out forgeries without each group of features, and with it alone.

    By the logistic regression: over a hundred models are fitted.
    """
    kind = KINDS[0]
    everything = left_out_auc(kind, train, choosing)
    print(f"| features | without | alone |\n|---|---|---|\n| all | {everything:.3f} | |")
    for group in GROUPS:
        mine = np.array([group_of(name) == group for name in NAMES])
        without, alone = (
            left_out_auc(kind, train, choosing, np.flatnonzero(chosen)) for chosen in (~mine, mine)
        )
        print(f"| {group} ({mine.sum()}) | {without:.3f} | {alone:.3f} |", flush=True)


def group_of(name: str) -> str:
    """Return the group of a feature: the one with the longest beginning that fits its name."""
    fits = [
        (len(start), group) for group, starts in GROUPS.items() for start in starts if name.startswith(start)
    ]
    return max(fits)[1]


def calibrate(models: dict[str, Model], choosing: Rows) -> tuple[float, float]:
    """Return (a, b), fitted on scores of models that never saw the forgery they scored."""
    real, fake = [], []
    for method in JUDGED:
        own = choosing.of(choosing.method == method)
        real.append(models[method](own.real))
        fake.append(models[method](own.fake))
    scores = np.concatenate([*real, *fake]).astype(np.float32)
    is_spoof = np.arange(len(scores)) >= sum(map(len, real))
    return fit_or_nothing("face_ring", scores, is_spoof)


def report(models: dict[str, Model], rows: Rows) -> dict[str, dict[str, list[float]]]:
    """Return AUC, its 95 % interval over faces and the number of pairs, by forgery, codec and face size."""

    def scored(chosen: np.ndarray) -> list[float]:
        own = rows.of(chosen)
        real, fake = (np.zeros(len(own.name)) for _ in range(2))
        for method in set(own.method):
            mine, model = own.method == method, models.get(str(method), models[""])
            real[mine], fake[mine] = model(own.real[mine]), model(own.fake[mine])
        return [*interval(real, fake, own.name), len(own.name)]

    part = np.isin(rows.method, JUDGED)
    sizes = {f"{low} to {high}": (rows.eye_px >= low) & (rows.eye_px < high) for low, high in _SIZES}
    return {
        "left_out_auc": {m: scored(rows.method == m) for m in JUDGED} | {"all": scored(part)},
        "whole_picture_auc": {m: scored(rows.method == m) for m in WHOLE},
        "finish_auc": {str(f): scored(part & (rows.finish == f)) for f in np.unique(rows.finish)},
        "codec_auc": {str(c): scored(part & (rows.codec == c)) for c in np.unique(rows.codec)},
        "eye_px_auc": {name: scored(part & chosen) for name, chosen in sizes.items()},
    }


def auc(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the probability that a forgery scores above a real face; ties count half."""
    below = np.searchsorted(np.sort(real), fake, "left") + np.searchsorted(np.sort(real), fake, "right")
    return float(below.mean() / 2 / len(real))


def interval(real: np.ndarray, fake: np.ndarray, names: np.ndarray) -> list[float]:
    """Return AUC and its 95 % interval, faces drawn with all their pairs."""
    rng = np.random.default_rng(SEED)
    _, owner = np.unique(names, return_inverse=True)
    rows = [np.flatnonzero(owner == face) for face in range(owner.max() + 1)]
    drawn = []
    for _ in range(_ROUNDS):
        take = np.concatenate([rows[face] for face in rng.integers(len(rows), size=len(rows))])
        drawn.append(auc(real[take], fake[take]))
    return [auc(real, fake), *(float(v) for v in np.percentile(drawn, [2.5, 97.5]))]


def card(
    path: Path,
    kind: Kind,
    ab: tuple[float, float],
    counts: dict[str, int],
    figures: dict[str, dict[str, list[float]]],
) -> str:
    """Return the card's text; what ``guard eval`` measured is added by hand, with its command."""
    template = (Path(__file__).parent / "ring_card.template.toml").read_text(encoding="utf-8")
    tables = []
    for title, table in figures.items():
        rows = "\n".join(f'"{k}" = [{v[0]:.3f}, {v[1]:.3f}, {v[2]:.3f}, {v[3]}]' for k, v in table.items())
        tables.append(f"[measured.{title}]\n{rows}")
    faces = about()
    train = (
        f"{faces.card_faces}; {counts['faces']} of them, {counts['pairs']} pairs of the pool of the frame "
        "detector's recipe; no forgery of others"
    )
    return template.format(
        licence=toml_text(faces.card_licence("ring")),
        train=toml_text(train),
        held=counts["held"],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        kind=kind.name,
        count=COUNT,
        a=ab[0],
        b=ab[1],
        limit_llr=LIMIT_LLR,
        nothing=note_of(ab[0]),
        methods=", ".join(f'"{method}"' for method in PARTS),
        tables="\n\n".join(tables),
    )


if __name__ == "__main__":
    main()
