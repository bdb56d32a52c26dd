"""Measures pairs for the face-against-frame signal: a real face and its forgery, as patches.

Training reads the pool of pairs that pool.py drew. Held-out faces are drawn here, each with the size of
its face and its codec noted, so that figures can be told apart by them. Of every picture only what
``guard.media.ring`` measures is kept: features can be changed without drawing again.

    GUARD_DATA=... python ring_pairs.py --folder CHECKPOINTS [--shards N] [--held N] [--family seen|unseen]

Files are written to CHECKPOINTS/ring in parts; a run cut off goes on with the next part.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from chain import LEFT_PX, SEEN, TOP_PX, UNSEEN, Surroundings, through_codec
from data import ROOT, Face, Faces, load
from forge import HELD_OUT, TRAINED, WHOLE, Forger, fit_pca
from pool import AUTOENCODERS
from rebuild import load_rebuilder

sys.path.insert(0, str(ROOT))
from guard.media.align import align_matrix_from
from guard.media.ring import BROWS, MOUTH, OVAL, SIDE_PX, Patches, measure_patches
from guard.media.warp import transform_points, warp

SEED = 41
METHODS = (*TRAINED, *HELD_OUT)
FAMILIES = {"seen": SEEN, "unseen": UNSEEN}
PART = 200  # pairs a file of held-out faces
EYE_PX = (40.0, 82.0)  # between the middles of the eyes in the picture sent; the training pictures have 82
_QUALITY = {
    "none": (0, 1),
    "jpeg": (35, 96),
    "vp8": (6, 50),
    "h264": (18, 38),
    "vp9": (10, 52),
    "mpeg4": (2, 14),
}
_PAD_PX = 24
_SHAKE_PX = (0.3, 1.2)  # of landmarks, in pixels of the crop


@dataclass(frozen=True)
class Sent:
    """One draw of what follows the forgery; ``quality`` is the codec's own number."""

    eye_px: float
    codec: str
    quality: int
    rescale: float
    shake_px: float


def draw_sent(rng: np.random.Generator, family: Surroundings) -> Sent:
    """Return one random call of a family."""
    codec = str(rng.choice(list(family.codecs), p=list(family.codecs.values())))
    return Sent(
        eye_px=float(np.exp(rng.uniform(*np.log(EYE_PX)))),
        codec=codec,
        quality=int(rng.integers(*_QUALITY[codec])),
        rescale=float(rng.uniform(0.55, 1.0)) if rng.random() < 0.2 else 1.0,
        shake_px=float(rng.uniform(*_SHAKE_PX)),
    )


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds pool/ and autoencoders.pt")
    parser.add_argument("--shards", type=int, default=36, help="of the pool, to train on")
    parser.add_argument("--held", type=int, default=2400, help="pairs of held-out faces")
    parser.add_argument("--family", choices=sorted(FAMILIES), default="seen", help="of the held-out pairs")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    (args.folder / "ring").mkdir(parents=True, exist_ok=True)
    training = load(held_out=False)
    measure_pool(args.folder, training, args.shards)
    measure_held(args.folder, training, args.held, args.family)


def measure_pool(folder: Path, faces: Faces, shards: int) -> None:
    """Write the patches of the pool's first ``shards`` files."""
    known = {face.name: face for face in faces.faces}
    for path in sorted((folder / "pool").glob("*.npy"))[:shards]:
        out = folder / "ring" / f"train_{path.stem}.npz"
        if out.is_file():
            continue
        pictures, notes = np.load(path), json.loads(path.with_suffix(".json").read_text())
        rng = np.random.default_rng((SEED, 0, int(path.stem)))
        rows = [
            _of_pool(pair, known[name], faces.indices, rng)
            for pair, name in zip(pictures, notes["names"], strict=True)
        ]
        kept = {"name": notes["names"], "method": notes["methods"], "finish": notes["finishes"]}
        _write(out, rows, kept)


def _of_pool(
    pair: np.ndarray, face: Face, indices: list[int], rng: np.random.Generator
) -> tuple[Patches, Patches]:
    """Return the patches of one pair; the pool does not say which were mirrored, so the picture must."""
    crop, points = aligned(face.image, face, indices)
    own = _grey(crop[TOP_PX : TOP_PX + SIDE_PX, LEFT_PX : LEFT_PX + SIDE_PX])
    given = _grey(pair[0])
    if np.corrcoef(own.ravel(), given[:, ::-1].ravel())[0, 1] > np.corrcoef(own.ravel(), given.ravel())[0, 1]:
        pair = pair[:, :, ::-1]
    points = shaken(points, float(rng.uniform(*_SHAKE_PX)), rng)
    around = ((TOP_PX, 224 - TOP_PX - SIDE_PX), (LEFT_PX, 224 - LEFT_PX - SIDE_PX), (0, 0))
    real, fake = (measure_crop(np.pad(side, around, mode="reflect"), points, indices) for side in pair)
    return real, fake


def measure_held(folder: Path, training: Faces, count: int, family: str) -> None:
    """Draw ``count`` pairs of held-out faces and write their patches."""
    faces = load(held_out=True)
    rebuilder = load_rebuilder(folder / AUTOENCODERS, training, SEED)
    forger = Forger(faces, rebuilder, fit_pca(training, 160, SEED))
    for part in range(-(-count // PART)):
        out = folder / "ring" / f"{family}_{part:03d}.npz"
        if out.is_file():
            continue
        rng = np.random.default_rng((SEED, 1 + sorted(FAMILIES).index(family), part))
        rows: list[tuple[Patches, Patches]] = []
        notes: dict[str, list[object]] = {key: [] for key in ("name", "method", "finish", "codec", "eye_px")}
        for index in range(PART):
            face = faces.faces[int(rng.integers(len(faces.faces)))]
            method = METHODS[index % len(METHODS)]
            sent = draw_sent(rng, FAMILIES[family])
            *pictures, finish = draw_pair(forger, face, method, rng, FAMILIES[family])
            seed = int(rng.integers(2**32))
            looks = [look(p, face, faces.indices, sent, np.random.default_rng(seed)) for p in pictures]
            rows.append((looks[0], looks[1]))
            for key, value in zip(notes, (face.name, method, finish, sent.codec, sent.eye_px), strict=True):
                notes[key].append(value)
        _write(out, rows, notes)


def draw_pair(
    forger: Forger, face: Face, method: str, rng: np.random.Generator, family: Surroundings
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a camera's picture of a face, its forgery, and how that was finished."""
    seed = int(rng.integers(2**32))
    picture = family.camera(face.image, np.random.default_rng(seed), face.points)
    if method in WHOLE and rng.random() < 0.5:
        forged, finish = forger.forge_and_name(face, face.image, method, rng)
        return picture, family.camera(forged, np.random.default_rng(seed), face.points), finish
    return picture, *forger.forge_and_name(face, picture, method, rng)


def look(
    picture: np.ndarray, face: Face, indices: list[int], sent: Sent, rng: np.random.Generator
) -> Patches:
    """Return the patches of a picture as they are measured at the other end."""
    scale = sent.eye_px / native_eye_px(face, indices)
    side = max(64, int(picture.shape[0] * scale) // 2 * 2)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    out = cv2.resize(picture, (side, side), interpolation=how)
    if sent.codec == "jpeg":
        data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, sent.quality])[1]
        out = cv2.imdecode(data, cv2.IMREAD_COLOR)
    elif sent.codec != "none":
        out = through_codec(out, sent.codec, sent.quality)
    if sent.rescale < 1:
        small = max(48, int(side * sent.rescale))
        out = cv2.resize(out, (small, small), interpolation=cv2.INTER_AREA)
        out = cv2.resize(out, (side, side), interpolation=cv2.INTER_LINEAR)
    crop, points = aligned(out, face, indices)
    return measure_crop(crop, shaken(points, sent.shake_px, rng), indices)


def aligned(picture: np.ndarray, face: Face, indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the 224 px crop and the landmarks in it; where the picture ends its edge is mirrored."""
    points = (face.points * (picture.shape[0] / face.image.shape[0])).astype(np.float32)
    matrix = align_matrix_from(points, indices)
    moved = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ np.array([_PAD_PX, _PAD_PX], np.float32)
    padded = cv2.copyMakeBorder(picture, *(_PAD_PX,) * 4, cv2.BORDER_REFLECT_101)
    return warp(padded, moved.astype(np.float32), 224), transform_points(points, matrix)


def native_eye_px(face: Face, indices: list[int]) -> float:
    """Return the distance between the middles of the eyes in the training picture."""
    eyes = face.points[[indices.index(point) for point in (33, 133, 263, 362)]]
    return float(np.linalg.norm(eyes[:2].mean(axis=0) - eyes[2:].mean(axis=0)))


def shaken(points: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Move landmarks as a mesh's move from picture to picture: all together, and each a little."""
    single = rng.normal(0, strength / 2, points.shape)
    return (points + single + rng.normal(0, strength, 2)).astype(np.float32)


def measure_crop(crop: np.ndarray, points: np.ndarray, indices: list[int]) -> Patches:
    """Return the patches of an aligned crop; ``points`` are the landmarks in it."""
    row = {index: number for number, index in enumerate(indices)}
    return measure_patches(crop, *(points[[row[i] for i in chosen]] for chosen in (OVAL, BROWS, MOUTH)))


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture.mean(axis=2, dtype=np.float32)


def _write(path: Path, rows: list[tuple[Patches, Patches]], notes: dict[str, list[object]]) -> None:
    """Write patches and notes; a file is there whole or not at all."""
    packed = {
        f"{field}_{kind}": np.stack([getattr(pair[side], field) for pair in rows])
        for side, kind in enumerate(("real", "fake"))
        for field in Patches.__dataclass_fields__
    }
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        np.savez(out, **packed, **{key: np.array(values) for key, values in notes.items()})
    part.replace(path)
    print(path.name, flush=True)


if __name__ == "__main__":
    main()
