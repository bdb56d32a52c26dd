"""Makes the lip-sync model: simulated calls, a logistic regression, its calibration, card and figures.

    GUARD_DATA=... python lip_sync.py --folder CHECKPOINTS/lip_sync --out WORK/lip_sync [--calls 40]

Runs with guard's own environment (and ``onnx`` from its development tools). CHECKPOINTS keeps the features of
every simulated call: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from about import toml_text
from calibrate import fit_or_nothing, note_of
from data import denied
from lip_sync_seen import answers
from lip_sync_simulate import CASES, SPLITS, Voice, load_voices, make_call
from onnx import TensorProto, helper, numpy_helper

from guard.detectors.lip_sync import LipSync
from guard.detectors.lip_sync_features import NAMES
from guard.detectors.onnx import Batch
from guard.fusion.calibration import Logistic
from guard.types import FloatArray

SEED = 20261122
# of the calls of a split; the other splits have a third and a half as many
SHARES = {"train": 1.0, "calibrate": 0.34, "measure": 0.5}
WEIGHTS = {"other_voice": 0.3, "shifted": 0.2, "still": 0.2, "babble": 0.15, "smoothed": 0.15}
# which way each feature may push: -1 only away from spoof, +1 only towards it, 0 either way. What the
# simulation would teach against the meaning of a feature is not believed.
SIGNS = {"movement_in_pauses": 1, "lag_searched": 0}
LIMIT_LLR = 1.0
CLIP = 3.0


@dataclass(frozen=True)
class Rows:
    """Answers of one split: features (N, 10), case, call and windows of each, and coverage by case."""

    features: np.ndarray
    case: np.ndarray
    call: np.ndarray
    windows: np.ndarray
    coverage: dict[str, float]

    @property
    def is_spoof(self) -> np.ndarray:
        return self.case != CASES[0]

    def weights(self) -> np.ndarray:
        """Return weights by which every call of a case counts the same, and each case as WEIGHTS says."""
        out = np.zeros(len(self.case))
        for case in set(self.case):
            mine = self.case == case
            _, at, count = np.unique(self.call[mine], return_inverse=True, return_counts=True)
            each = 1.0 / count[at]
            out[mine] = each / each.sum() * WEIGHTS.get(str(case), 1.0)
        return out


@dataclass(frozen=True)
class Regression:
    """A logistic regression over standardised, clipped features: spoof where positive."""

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    bias: float

    def raw(self, features: np.ndarray) -> np.ndarray:
        z = np.clip((features - self.mean) / self.spread, -CLIP, CLIP)
        return (z @ self.weights + self.bias).astype(np.float32)


class _Unasked:
    """A model that is not asked: only what is prepared for it is collected."""

    def raw(self, batch: Batch) -> FloatArray:
        del batch
        raise AssertionError("the simulation scores nothing")


def main() -> None:
    """Write the model and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where simulated calls are kept")
    parser.add_argument("--calls", type=int, default=40, help="training calls of each case")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model and its card")
    args = parser.parse_args()
    named = os.environ.get("GUARD_DATA", "")
    if not (Path(named) / "voice" / "train" / "manifest.csv").is_file():
        sys.exit(f"GUARD_DATA={named!r}: set it to the folder that holds voice/train/manifest.csv")
    voices = load_voices(Path(named), denied())
    splits = {
        split: gather(voices, split, max(2, round(args.calls * SHARES[split])), args.folder)
        for split in SPLITS
    }
    model = fit(splits["train"])
    held = splits["calibrate"]
    weight = held.weights().astype(np.float32)
    a, b = fit_or_nothing("lip_sync", model.raw(held.features), held.is_spoof, weight)
    args.out.mkdir(parents=True, exist_ok=True)
    export(model, args.out / "model.onnx")
    figures = measure(splits["measure"], model, Logistic(a, b, LIMIT_LLR))
    counts = [[sum(v.split == s for v in voices) for s in SPLITS], [len(set(splits[s].call)) for s in SPLITS]]
    card = _card(args.out / "model.onnx", model, (a, b), counts, licences(Path(named))) + figures
    (args.out / "card.toml").write_text(card, encoding="utf-8")
    print(card)


def gather(voices: list[Voice], split: str, calls: int, folder: Path) -> Rows:
    """Return the detector's answers on the calls of one split, simulated where they are not kept yet."""
    own = [voice for voice in voices if voice.split == split]
    parts, cases, numbers, windows, coverage = [], [], [], [], {}
    for case in CASES:
        answered, asked = 0, 0
        for number in range(calls * (3 if case == CASES[0] else 1)):
            path = folder / split / f"{case}_{number}.npz"
            if not path.is_file():
                _simulate(own, case, (SPLITS.index(split), number), path)
            kept = np.load(path)
            parts.append(kept["features"])
            cases += [case] * len(kept["features"])
            numbers += [f"{case}_{number}"] * len(kept["features"])
            windows.append(kept["windows"])
            answered, asked = answered + int(kept["windows"].sum()), asked + int(kept["asked"])
        coverage[case] = answered / asked
    features = np.concatenate(parts).astype(np.float64)
    return Rows(features, np.array(cases), np.array(numbers), np.concatenate(windows), coverage)


def _simulate(voices: list[Voice], case: str, number: tuple[int, int], path: Path) -> None:
    """Keep the answers on one call."""
    rng = np.random.default_rng([SEED, CASES.index(case), *number])
    detector = LipSync(_Unasked(), Logistic(1.0, 0.0, LIMIT_LLR))
    rows, reasons = answers(detector, make_call(voices, case, rng), rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    features = np.stack([row.features for row in rows]) if rows else np.zeros((0, len(NAMES)), np.float32)
    windows = np.array([row.windows for row in rows], int)
    asked = windows.sum() + sum(reasons.values())
    partial = path.with_suffix(".part.npz")
    np.savez(partial, features=features, windows=windows, asked=asked)
    partial.replace(path)


def fit(rows: Rows) -> Regression:
    """Return the regression of the rows, each weight held on the side SIGNS gives it."""
    x, t, w = rows.features, rows.is_spoof.astype(float), rows.weights()
    w = np.where(rows.is_spoof, w / w[rows.is_spoof].sum(), w / w[~rows.is_spoof].sum()) / 2
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.clip((x - mean) / spread, -CLIP, CLIP)
    theta, bias = np.zeros(z.shape[1]), 0.0
    signs = np.array([SIGNS.get(name, -1) for name in NAMES])
    for _ in range(6000):  # gradient descent, projected: convex, and ten numbers
        wrong = w * (1 / (1 + np.exp(-np.clip(z @ theta + bias, -40, 40))) - t)
        theta -= 1.0 * (z.T @ wrong + 1e-3 * theta)
        theta = np.where(signs * theta < 0, 0.0, theta)
        bias -= 1.0 * wrong.sum()
    return Regression(mean, spread, theta, float(bias))


def export(model: Regression, path: Path) -> None:
    """Write the regression as ONNX: float32 (B, 10) to (B, 1)."""
    tensors = {
        "mean": model.mean[None],
        "scale": 1.0 / model.spread[None],
        "weights": model.weights[:, None],
        "bias": np.array([[model.bias]]),
        "low": np.array(-CLIP),
        "high": np.array(CLIP),
    }
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
        helper.make_node("MatMul", ["clipped", "weights"], ["weighed"]),
        helper.make_node("Add", ["weighed", "bias"], ["spoof_logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lip_sync",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(NAMES)])],
        [helper.make_tensor_value_info("spoof_logit", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, str(path))


def measure(rows: Rows, model: Regression, calibration: Logistic) -> str:
    """Return the card's [measured]: each case against the genuine calls; means over a call's windows."""
    llr = calibration.llr(model.raw(rows.features))
    own = {case: _per_call(rows, llr, case) for case in CASES}
    genuine, calls = llr[rows.case == CASES[0]], own[CASES[0]]
    tight = _per_call(rows, rows.features[:, 0], CASES[0])
    loose = calls[tight <= np.quantile(tight, 0.25)]
    out = [
        "# simulated calls of 36 s with voices kept back; [value, low, high], 95 % bootstrapped over calls"
    ]
    out += ["[measured.genuine]", f"calls = {len(calls)}", f"answered = {rows.coverage[CASES[0]]:.3f}"]
    out += [f"windows_above_0 = {np.mean(genuine > 0):.3f}", f"calls_above_0 = {np.mean(calls > 0):.3f}"]
    out += [f"median_correlation = {np.median(tight):.3f}"]
    out += ["# of the quarter of calls whose lips follow the loudness least", "[measured.genuine_loose]"]
    out += [f"calls = {len(loose)}", f"median_correlation = {np.quantile(tight, 0.125):.3f}"]
    out += [f"calls_above_0 = {np.mean(loose > 0):.3f}"]
    for case in CASES[1:]:
        out += [f"[measured.{case}]", f"calls = {len(own[case])}", f"answered = {rows.coverage[case]:.3f}"]
        out += [f"window_auc = {rank_auc(llr[rows.case == case], genuine):.3f}"]
        low, high = _interval(own[case], calls)
        out += [f"call_auc = [{rank_auc(own[case], calls):.3f}, {low:.3f}, {high:.3f}]"]
        out += [f"calls_above_0 = {np.mean(own[case] > 0):.3f}"]
    return "\n".join(out) + "\n"


def _per_call(rows: Rows, values: np.ndarray, case: str) -> np.ndarray:
    """Return the mean of each call of a case over its windows."""
    names = dict.fromkeys(rows.call[rows.case == case])
    return np.array([np.average(values[rows.call == c], weights=rows.windows[rows.call == c]) for c in names])


def rank_auc(spoof: np.ndarray, genuine: np.ndarray) -> float:
    """Return the chance that a spoof scores above a genuine one; ties count half."""
    values = np.concatenate([spoof, genuine])
    _, at, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[at]
    return float((rank[: len(spoof)].sum() - len(spoof) * (len(spoof) + 1) / 2) / (len(spoof) * len(genuine)))


def _interval(spoof: np.ndarray, genuine: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(SEED)
    drawn = [rank_auc(rng.choice(spoof, len(spoof)), rng.choice(genuine, len(genuine))) for _ in range(1000)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def licences(data: Path) -> str:
    """Return the licences of the genuine voices as their list states them."""
    with (data / "voice" / "train" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "bonafide"]
    return ", ".join(sorted({row["licence"].strip() or "not stated" for row in rows}))


def _card(
    path: Path, model: Regression, ab: tuple[float, float], counts: list[list[int]], voices: str
) -> str:
    template = (Path(__file__).parent / "lip_sync.card.template.toml").read_text(encoding="utf-8")
    names = "[" + ", ".join(f'"{name}"' for name in NAMES) + "]"
    return template.format(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        a=ab[0],
        nothing=note_of(ab[0]),
        b=ab[1],
        licence=toml_text(f"Apache-2.0 (ten numbers); licences of the voices they were fitted on: {voices}"),
        about_voices=toml_text(
            f"genuine clips of voice/train ({voices}); every mouth is simulated from them"
        ),
        voices=counts[0],
        calls=counts[1],
        features=names,
        weights=[round(float(w), 3) for w in model.weights],
    )


if __name__ == "__main__":
    main()
