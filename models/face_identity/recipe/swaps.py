"""Measures a live swap against a photo of the person whose face was swapped out: pairs of clips.

    GUARD_DATA=/path/to/data .venv/bin/python models/face_identity/recipe/swaps.py

``GUARD_DATA`` holds face/val_clips: webcam clips before and after a live swap. They are measured only:
nothing is chosen by them. A photo is a clip's first look that is described. Compared with the genuine clip's
photo are its own looks from 1 s on (same minute, same camera: easy), the looks of the swapped clip, and those
of the other genuine clips (nobody says which of them show one person). Compared with the swapped clip's photo
are its own later looks, and those of the other swapped clips, by whether the manifest's ``identity``, the
face that was put on, is the same.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guard.codec.files import read_file
from guard.detectors.face_identity import CALL, PHOTO, FaceIdentity, load_face_identity
from guard.detectors.vector_card import PersonCalibration
from guard.resources import models_dir
from guard.types import FaceWindow, VideoFrame
from guard.windows.face_models import FaceModels, load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

LATER_S = 1.0
ROUNDS = 2000
COMPARISONS = (
    "same_clip",
    "swapped",
    "other_genuine",
    "within_swapped",
    "swapped_same_face",
    "swapped_other_face",
)


@dataclass
class Clip:
    """Times (N,) and vectors (N, 128) of every described look at a clip's first face; the face put on."""

    put_on: str
    times: np.ndarray
    vectors: np.ndarray


def described(path: Path, put_on: str, detector: FaceIdentity, models: FaceModels) -> Clip:
    """Return the looks of one clip."""
    stage, times, rows = None, [], []
    for frame in read_file(path, session="measure"):
        if not isinstance(frame, VideoFrame):
            continue
        stage = stage or FaceWindows(frame.key, FaceWindowConfig(glimpse_hz=5.0), models)
        for item in stage.push(frame):
            row = detector.prepare(item) if isinstance(item, FaceWindow) and item.face == 0 else None
            if isinstance(row, np.ndarray):
                times.append(frame.time_s)
                rows.append(detector.describe(row[None])[0])
    return Clip(put_on, np.array(times), np.array(rows).reshape(-1, 128))


def clips(folder: Path, detector: FaceIdentity, models: FaceModels) -> Iterator[tuple[Clip, Clip]]:
    """Yield the genuine and the swapped clip of each pair."""
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        found: dict[str, dict[str, Clip]] = {}
        for line in csv.DictReader(file):
            clip = described(folder / line["path"], line["identity"], detector, models)
            found.setdefault(line["pair"], {})[line["label"]] = clip
    for _, pair in sorted(found.items()):
        yield pair["real"], pair["fake"]


def compared(pairs: list[tuple[Clip, Clip]]) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Return, by what is compared, of each two clips the face put on in the photo's, and the distances."""
    found: dict[str, list[tuple[str, np.ndarray]]] = {name: [] for name in COMPARISONS}
    for genuine, swapped in pairs:
        photo, mask, who = genuine.vectors[0], swapped.vectors[0], swapped.put_on
        found["same_clip"].append((who, 1 - genuine.vectors[genuine.times >= LATER_S] @ photo))
        found["swapped"].append((who, 1 - swapped.vectors @ photo))
        found["within_swapped"].append((who, 1 - swapped.vectors[1:] @ mask))
        for other, other_swapped in pairs:
            if other is not genuine:
                found["other_genuine"].append((who, 1 - other.vectors @ photo))
                name = "swapped_same_face" if other_swapped.put_on == who else "swapped_other_face"
                found[name].append((who, 1 - other_swapped.vectors @ mask))
    return found


def summary(rows: list[tuple[str, np.ndarray]], calibration: PersonCalibration) -> dict[str, object]:
    """Return what the looks and clips of one comparison say; intervals over faces put on."""
    looks = np.concatenate([d for _, d in rows])
    above = [float((calibration.other_llr(d.astype(np.float32)) > 0).mean()) for _, d in rows]
    llr = [float(calibration.llr(calibration.other_llr(d.astype(np.float32))).mean()) for _, d in rows]
    faces = sorted({who for who, _ in rows})
    of = {who: [i for i, (w, _) in enumerate(rows) if w == who] for who in faces}
    rng, drawn = np.random.default_rng(0), []
    for _ in range(ROUNDS):
        chosen = [i for p in rng.integers(len(faces), size=len(faces)) for i in of[faces[p]]]
        drawn.append([np.mean([above[i] for i in chosen]), np.mean([llr[i] > 0 for i in chosen])])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    values = (float(np.mean(above)), float(np.mean([x > 0 for x in llr])))
    shares = [[round(float(x), 3) for x in v] for v in zip(values, low, high, strict=True)]
    return {
        "clips": len(rows),
        "faces_put_on": len(faces),
        "looks": len(looks),
        "distance_10_50_90": [round(float(q), 3) for q in np.percentile(looks, [10, 50, 90])],
        "looks_that_seem_another": shares[0],
        "clips_with_llr_above_0": shares[1],
        "mean_llr": round(float(np.mean(llr)), 3),
    }


def main() -> None:
    folder = Path(os.environ.get("GUARD_DATA", "")) / "face" / "val_clips"
    if not (folder / "manifest.csv").is_file():
        sys.exit("GUARD_DATA is not set, or has no face/val_clips: set it to the folder that has")
    identity = load_face_identity(models_dir() / "face_identity")
    pairs = list(clips(folder, identity.detector, load_face_models(models_dir())))
    kept = [p for p in pairs if len(p[0].vectors) and len(p[1].vectors) > 1 and p[0].times[-1] >= LATER_S]
    calls, photos = (identity.card.calibrations[name] for name in (CALL, PHOTO))
    tables = {
        name: summary(rows, calls if name == "within_swapped" else photos)
        for name, rows in compared(kept).items()
        if rows
    }
    sys.stdout.write(json.dumps({"pairs": len(kept), "of": len(pairs), **tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
