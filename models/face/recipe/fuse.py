"""How much each face signal should weigh: all detectors in use on clips of held-out faces and forgeries.

    GUARD_DATA=... python fuse.py --folder CHECKPOINTS --models WORK --out WORK   after temporal_pairs.py

``--models`` is an operator's folder of models, laid over the shipped ones; without it those are weighed.
Writes OUT/fusion.md, and CHECKPOINTS/fuse.json or fuse_shipped.json.

Reads the held-out pairs of temporal_pairs.py (the same person genuine and forged, through a real codec), runs
every loaded detector over their windows as a call does, and gives each clip the mean llr of each signal, 0
where it abstained. Weights are those of a logistic regression that may not be negative (a signal that points
the wrong way gets 0), fitted on the faces of one half and judged on the other, both ways round. The row "as
shipped" has the weights of the default configuration instead, the only one that speaks of the product: a sum
of clip means, without the bounds and waits of guard/fusion. It mixes forgeries the detectors were trained on,
forgeries they were not and feeds that are not live; the row below it has the second of these alone, against
the same genuine clips. Nothing here reads val.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import zlib
from pathlib import Path

import numpy as np
from data import ROOT, person_of, written_whole

sys.path.insert(0, str(ROOT))
from guard.app.parts import load_models
from guard.evaluation.metrics import auc, bootstrap, cllr, tpr_at_fa
from guard.fusion.config import FusionConfig
from guard.types import Abstain, Detector, FaceWindow, Finding, Kind, Signal

STEPS, RATE, DECAY = 4000, 0.05, 1e-3
KEY = ("recipe", "clip")
# as in temporal_fakes.py, which needs OpenCV: forgeries that no detector was trained on, and feeds that are
# not live, whose pictures are genuine whatever method their case names
HELD_OUT = ("pca", "morph")
EVENTS = ("frozen", "loop", "cut")


def clip_llrs(windows: list[FaceWindow], detectors: list[Detector]) -> dict[str, list[float]]:
    """Return the llr of every window a detector scored, by signal."""
    found: dict[str, list[float]] = {}
    for detector in detectors:
        forget = getattr(detector, "forget", None)
        if forget is not None:
            forget(*KEY)
        for window in windows:
            row = detector.prepare(window)
            if isinstance(row, Abstain):
                continue
            (finding,) = detector.score(row[None], [window])
            if isinstance(finding, Finding):
                found.setdefault(detector.signal.value, []).append(finding.llr)
    return found


def score_pairs(folder: Path, own: Path | None) -> list[dict]:
    """Return one row a clip; clips that an earlier run scored with the same models are not scored again."""
    models = load_models(own)
    detectors = [d for d in models.detectors if d.signal.kind is Kind.VIDEO]
    in_use = {name: models.sha256[name] for name in sorted(models.sha256)}
    kept = folder / kept_name(own)
    table = json.loads(kept.read_text()) if kept.exists() else {}
    rows = table.get("rows", []) if table.get("models") == in_use else []
    done = {row["pair"] for row in rows}
    for path in sorted((folder / "temporal").glob("held_*.pairs")):
        if path.stem in done:
            continue
        pair = pickle.loads(zlib.decompress(path.read_bytes()))
        for name in ("genuine", "forged"):
            llrs = clip_llrs(pair[name], detectors)
            about = {"pair": path.stem, "face": pair["face"], "spoof": name == "forged", "case": pair["case"]}
            rows.append({**about, "windows": len(pair[name]), "llrs": llrs})
        with written_whole(kept) as out:
            out.write(json.dumps({"models": in_use, "rows": rows}).encode())
        print(path.stem, len(rows), "clips", flush=True)
    return rows


def kept_name(own: Path | None) -> str:
    """Return the name of the file of scores: of an operator's models, or of the shipped ones."""
    return "fuse_shipped.json" if own is None else "fuse.json"


def fit(x: np.ndarray, spoof: np.ndarray) -> np.ndarray:
    """Return non-negative weights (S,) of llrs (N, S), without a shift: no evidence stays no evidence."""
    weight = np.full(x.shape[1], 0.5)
    side = np.where(spoof, 1.0, -1.0)
    for _ in range(STEPS):
        slope = -(side / (1 + np.exp(side * (x @ weight)))) @ x / len(x) + DECAY * weight
        weight = np.maximum(0.0, weight - RATE * slope)
    return weight


def report(rows: list[dict]) -> str:
    """Return the page: each signal alone, then the fusions, all judged on faces that chose no weight."""
    signals = sorted({name for row in rows for name in row["llrs"]})
    x = np.array([[float(np.mean(row["llrs"].get(s, [0.0]))) for s in signals] for row in rows])
    asked = np.array([[s in row["llrs"] for s in signals] for row in rows])
    spoof = np.array([row["spoof"] for row in rows])
    faces = [row["face"] for row in rows]
    half = np.array([sum(person_of(face).encode()) % 2 for face in faces], bool)
    weights = {side: fit(x[half == side], spoof[half == side]) for side in (False, True)}
    fitted = np.where(half, x @ weights[False], x @ weights[True])
    lines = [
        "# How the face signals were weighed (written by recipe/fuse.py)", "",
        f"{len(rows)} clips of {len(set(faces))} held-out faces, half forged; 95 % intervals over faces.", "",
        "| | coverage | AUC | TPR % at 5 % FA | Cllr bits | weight, fitted on all | weight as shipped |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    everything = fit(x, spoof)
    shipped = np.array([FusionConfig().weights.get(Signal(name), 0.0) for name in signals])
    for n, name in enumerate(signals):
        about = (f"{asked[:, n].mean():.2f}", f"{everything[n]:.2f}", f"{shipped[n]:.1f}")
        lines.append(_line(name, x[:, n], spoof, faces, about))
    sums = {
        "all, weight 1 each": x.sum(1),
        "weights of the other half": fitted,
        "**as shipped**": x @ shipped,
    }
    lines += [_line(name, score, spoof, faces, ("", "", "")) for name, score in sums.items()]
    lines += _held_out_methods(rows, x @ shipped, spoof, faces)
    lines += [
        "",
        "AUC by how the clip was forged, weights of the other half:",
        "",
        "| kind | method | clips | AUC |",
        "|---|---|---|---|",
    ]
    kinds = sorted({(r["case"]["fake"], r["case"]["method"]) for r in rows if r["spoof"]})
    for kind, method in kinds:
        own = np.array(
            [r["spoof"] and (r["case"]["fake"], r["case"]["method"]) == (kind, method) for r in rows]
        )
        both = own | ~spoof
        lines.append(f"| {kind} | {method} | {own.sum()} | {auc(fitted[both], spoof[both]):.2f} |")
    return "\n".join(lines) + "\n"


def _held_out_methods(rows: list[dict], score: np.ndarray, spoof: np.ndarray, faces: list[str]) -> list[str]:
    """Return the row of the forgeries no detector was trained on; none where the clips hold no such one."""
    cases = [row["case"] for row in rows]
    unseen = np.array([case["method"] in HELD_OUT and case["fake"] not in EVENTS for case in cases]) & spoof
    if not unseen.any():
        return []
    kept = np.flatnonzero(unseen | ~spoof)
    name = f"as shipped, held-out methods only ({unseen.sum()} forged clips)"
    return [_line(name, score[kept], spoof[kept], [faces[n] for n in kept], ("", "", ""))]


def _line(
    name: str, score: np.ndarray, spoof: np.ndarray, faces: list[str], about: tuple[str, str, str]
) -> str:
    """Return a row; ``about`` is the coverage, the weight fitted on all, and the weight as shipped."""
    area = bootstrap(auc, score, spoof, faces, rounds=300)
    span = f"{area.value:.2f} [{area.low:.2f}, {area.high:.2f}]"
    rate = 100 * tpr_at_fa(score, spoof, max_fa=0.05)
    covered, fitted, shipped = about
    return f"| {name} | {covered} | {span} | {rate:.0f} | {cllr(score, spoof):.2f} | {fitted} | {shipped} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where temporal_pairs.py put its pairs")
    parser.add_argument("--models", type=Path, help="laid over the shipped models; without it those alone")
    parser.add_argument("--out", type=Path, required=True, help="folder of fusion.md")
    args = parser.parse_args()
    rows = score_pairs(args.folder, args.models)
    if not rows:
        sys.exit(f"{args.folder}/temporal holds no held-out pairs: run temporal_pairs.py first")
    page = report(rows)
    print(page)
    (args.out / "fusion.md").write_text(page)


if __name__ == "__main__":
    main()
