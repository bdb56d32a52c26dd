"""Says where dlib's face chip lies in guard's 224 px crop: ``TO_CHIP`` of ``guard.detectors.face_identity``.

    GUARD_DATA=/path/to/data .venv/bin/python models/face_identity/recipe/chip.py

UTKFace's pictures are chips of 200 px that dlib aligned by its own five points. This prints how far
FaceMesh's points in them lie from where dlib puts those with a padding of 0.2 (Davis King, dlib,
``get_face_chip_details``), and, from guard's own alignment of them, the square of the crop that a chip of
padding 0.25 covers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from guard.media.align import align_matrix_from

CHIP_PX, UTK_PX = 150, 200
UTK_PADDING, PADDING = 0.2, 0.25
# FaceMesh point, and dlib's place of it in the unit square
PLACES = {133: (0.3340850613712, 0.2290642403242), 362: (0.6460604764104, 0.2289674387677)}
PLACES |= {2: (0.4901123135679, 0.6277975316475)}


def main() -> None:
    path = Path(os.environ.get("GUARD_DATA", "")) / "face" / "real_train" / "landmarks.npz"
    if not path.is_file():
        sys.exit("GUARD_DATA is not set, or has no face/real_train/landmarks.npz")
    table = np.load(path)
    indices = [int(index) for index in table["sub_idx"]]
    points = table["lm"].astype(np.float32)
    for index, place in PLACES.items():
        wanted = (np.array(place) + UTK_PADDING) / (1 + 2 * UTK_PADDING) * UTK_PX
        found = np.median(points[:, indices.index(index)], axis=0)
        print(f"point {index}: {np.hypot(*(found - wanted)):.2f} px from dlib's place")
    to_crop = np.median([align_matrix_from(face, indices) for face in points], axis=0)
    # a side of padding 0.25 in the pixels of UTKFace's chip, about the same middle
    side = UTK_PX * (1 + 2 * PADDING) / (1 + 2 * UTK_PADDING)
    corner = to_crop[:, :2] @ np.full(2, (UTK_PX - side) / 2) + to_crop[:, 2]
    across = float(np.hypot(*to_crop[:, 0])) * side
    print(f"faces {len(points)}; left {corner[0]:.2f}, top {corner[1]:.2f}, side {across:.2f} px of the crop")
    print(f"scale to {CHIP_PX} px: {CHIP_PX / across:.4f}")


if __name__ == "__main__":
    main()
