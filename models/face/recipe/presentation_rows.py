"""Draws faces filmed directly and from displays, as the detector is given them, for presentation.py.

    GUARD_DATA=... python presentation_rows.py --folder WORK [--train 4000] [--held 1200]

Pairs share face, shot, camera, call and draws of noise. They are kept in files of ``SHARD`` pairs, each
with a seed of its own, so a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from chain import SEEN, UNSEEN, Surroundings, draw_call, through_call
from data import CHIP_SIZE_PX, Face, Faces, load
from presentation_display import HELD_OUT, TRAINED, direct, draw_shot, plane_of, recaptured

SHARD = 100
SEED = 41
# FaceMesh indices of the corners of both eyes
_EYES = ((33, 133), (263, 362))


@dataclass(frozen=True)
class Rows:
    """Pairs, row by row the same face and call.

    Args:
        direct: uint8 (N, 128, 128, 3), the face filmed directly.
        shown: uint8 (N, 128, 128, 3), the face filmed from a display.
        kinds: of the display.
        family: ``seen`` or ``unseen`` cameras and codecs.
        names: file name of the face.
        eyes_px: between the eyes in the picture the detector was given.
    """

    direct: np.ndarray
    shown: np.ndarray
    kinds: np.ndarray
    family: np.ndarray
    names: np.ndarray
    eyes_px: np.ndarray


def read_rows(folder: Path, split: str) -> Rows:
    """Return every pair of a split that was drawn so far.

    Raises:
        SystemExit: there are none.
    """
    files = sorted(folder.glob(f"{split}-*.npz"))
    if not files:
        sys.exit(f"no {split}-*.npz in {folder}: run presentation_rows.py first")
    tables = [np.load(file) for file in files]
    return Rows(*(np.concatenate([t[key] for t in tables]) for key in Rows.__dataclass_fields__))


def eye_distance(points: np.ndarray, indices: list[int]) -> float:
    """Return the distance between the middles of the eyes, in pixels of ``points``."""
    left, right = (points[[indices.index(index) for index in eye]].mean(axis=0) for eye in _EYES)
    return float(np.hypot(*(right - left)))


def draw_pair(
    face: Face, indices: list[int], kind: str, family: str, seed: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a face filmed directly and from a display, uint8 (128, 128, 3), and the distance of its eyes."""
    rng = np.random.default_rng(seed)
    around: Surroundings = SEEN if family == "seen" else UNSEEN
    shot, call = draw_shot(rng), draw_call(rng, around.codecs)
    points, plane = shot.points(face.points), plane_of(shot)
    side = max(72, int(CHIP_SIZE_PX * call.scale) // 2 * 2)
    eyes_px = eye_distance(points, indices) * side / CHIP_SIZE_PX
    light = int(rng.integers(2**32))
    filmed = (
        direct(face.image, shot, plane, np.random.default_rng(light)),
        recaptured(face.image, shot, plane, kind, np.random.default_rng(light)),
    )
    one, other = (
        through_call(around.camera(picture, np.random.default_rng(light), points), points, indices, call)
        for picture in filmed
    )
    return one, other, eyes_px


def draw_shard(
    path: Path, faces: Faces, kinds: tuple[str, ...], families: tuple[str, ...], seed: int
) -> None:
    """Write ``SHARD`` pairs."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(SHARD):
        face = faces.faces[int(rng.integers(len(faces.faces)))]
        kind, family = kinds[at % len(kinds)], str(rng.choice(families))
        one, other, eyes_px = draw_pair(face, faces.indices, kind, family, int(rng.integers(2**32)))
        rows.append((one, other, kind, family, face.name, eyes_px))
    table = dict(zip(Rows.__dataclass_fields__, map(np.array, zip(*rows, strict=True)), strict=True))
    unfinished = path.with_name(f"unfinished-{path.name}")
    np.savez_compressed(unfinished, **table)
    unfinished.rename(path)


def main() -> None:
    """Draw what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--train", type=int, default=4000, help="pairs of training faces")
    parser.add_argument("--held", type=int, default=1400, help="pairs of faces kept back")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.folder.mkdir(parents=True, exist_ok=True)
    plans = (
        ("held", args.held, TRAINED + HELD_OUT, ("seen", "unseen")),
        ("train", args.train, TRAINED, ("seen",)),
    )
    for number, (split, count, kinds, families) in enumerate(plans):
        faces = load(held_out=split == "held")
        for shard in range(-(-count // SHARD)):
            path = args.folder / f"{split}-{shard:04d}.npz"
            if not path.exists():
                draw_shard(path, faces, kinds, families, seed=SEED + 1000 * number + shard)
                print(path.name, flush=True)


if __name__ == "__main__":
    main()
