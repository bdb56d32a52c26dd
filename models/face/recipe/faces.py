"""Makes face/real_train of an organisation's own photographs: square chips of each face, and landmarks.npz.

    GUARD_DATA=... python faces.py PHOTOS

Takes every JPEG, PNG and WebP file of the folder PHOTOS in which there is one face, not too small, not
turned and not cut off; the others are named with the reason and left out. The face is turned upright and
brought to the size of UTKFace's chips, whose proportions the recipe knows. In guard's own environment, with
the networks guard ships. A photograph named ``PERSON__ANYTHING.jpg`` keeps that name: see data.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from check import LIPS
from data import CHIP_SIZE_PX, ROOT, denied, refuse_denied
from PIL import Image

sys.path.insert(0, str(ROOT))
from guard.errors import MediaError
from guard.media.photo import read_photo
from guard.media.ring import OVAL
from guard.windows.face_models import FaceModels, load_face_models

# FaceMesh points that are kept: outline, lips, both eyes, both brows, nose
EYES = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
EYES += (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROWS = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327, 129, 358, 48, 278)
POINTS = (*OVAL, *LIPS, *EYES, *BROWS, *NOSE)
_CORNERS = ((33, 133), (362, 263))
# medians of UTKFace's chips: where the middle between the eyes lies and how far apart they are
MIDDLE_PX, EYES_PX = (100.0, 59.0), 81.0
MIN_EYES_PX = 60.0
MIN_PRESENCE = 0.9
# of the nose from the middle between the eyes, in their distance: beyond it the head is turned too far
MAX_TURN = 0.25
KINDS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Chip:
    """A face as the recipe takes it: uint8 (200, 200, 3) RGB and float32 (P, 2), POINTS in its pixels."""

    picture: np.ndarray
    points: np.ndarray


def chip_of(photo: np.ndarray, models: FaceModels) -> Chip | str:
    """Return the face of a photo, uint8 (H, W, 3) RGB, or why it cannot be used."""
    found = models.find(photo)
    if len(found) != 1:
        return "no face found" if not found else "several faces"
    mesh = models.mesh(photo, found[0].region())
    mesh = models.mesh(photo, mesh.region())
    if mesh.presence < MIN_PRESENCE:
        return "no face found"
    flat = mesh.points[:, :2].astype(np.float64)
    left, right = (flat[list(pair)].mean(axis=0) for pair in _CORNERS)
    apart, middle = float(np.hypot(*(right - left))), (left + right) / 2
    if apart < MIN_EYES_PX:
        return f"less than {MIN_EYES_PX:.0f} px between the eyes"
    along = (right - left) / apart
    if abs(float((flat[4] - middle) @ along)) > MAX_TURN * apart:
        return "the head is turned"
    # from chip to photo: x and y of the chip go along the eyes and down from them
    step = np.column_stack([along, (-along[1], along[0])]) * (apart / EYES_PX)
    start = middle - step @ np.array(MIDDLE_PX)
    corners = start + np.array([(x, y) for x in (0, CHIP_SIZE_PX) for y in (0, CHIP_SIZE_PX)]) @ step.T
    if corners.min() < 0 or (corners >= photo.shape[1::-1]).any():
        return "the face is too near to the edge"
    points = (flat[list(POINTS)] - start) @ np.linalg.inv(step).T
    return Chip(_cut(photo, step, start), points.astype(np.float32))


def _cut(photo: np.ndarray, step: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the chip; a large photo is made smaller first, so that nothing aliases."""
    picture, by = Image.fromarray(photo), max(1, int(np.linalg.norm(step[:, 0])))
    small = picture.reduce(by)
    (a, b), (d, e) = step / by
    c, f = start / by
    turned = small.transform(
        (CHIP_SIZE_PX, CHIP_SIZE_PX), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BICUBIC
    )
    return np.asarray(turned, np.uint8)


def main() -> None:
    """Write the chips and their landmarks; say what was left out and why.

    Raises:
        SystemExit: the folders are wrong, there is a landmarks.npz already, or no photo can be used.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    photos = parser.parse_args().photos.absolute()
    out = Path(os.environ.get("GUARD_DATA", "")) / "face" / "real_train"
    if not os.environ.get("GUARD_DATA") or not out.is_absolute():
        sys.exit("GUARD_DATA: set it to the whole path of the folder in which face/real_train is to be made")
    if (out / "landmarks.npz").exists():
        sys.exit(
            f"{out / 'landmarks.npz'} is there: nothing is written over; remove it, or name another folder"
        )
    if not photos.is_dir():
        sys.exit(f"{photos} is no folder: name the folder of photographs by PHOTOS")
    names = sorted(path.name for path in photos.iterdir() if path.suffix.lower() in KINDS)
    refuse_denied(photos, names, denied())
    models, left_out, kept = load_face_models(ROOT / "models"), Counter[str](), {}
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            found = chip_of(read_photo((photos / name).read_bytes()), models)
        except MediaError as error:
            found = error.message
        if isinstance(found, str):
            left_out[found] += 1
            print(f"left out: {name}: {found}", flush=True)
            continue
        chip = f"{name}.png"  # the whole name: a.jpg and a.png are two photographs
        Image.fromarray(found.picture).save(out / chip)
        kept[chip] = found.points
    if not kept:
        sys.exit(f"{photos} has no photograph that can be used ({dict(left_out)})")
    np.savez(
        out / "landmarks.npz", names=np.array(list(kept)), lm=np.stack(list(kept.values())), sub_idx=POINTS
    )
    print(f"{len(kept)} faces in {out}, {left_out.total()} photographs left out {dict(left_out)}")


if __name__ == "__main__":
    main()
