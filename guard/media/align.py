"""Aligns a face to the 224x224 crop every face detector sees.

A similarity transform (scale, rotation, shift; never a shear or a mirror) lays eye
corners, nose and mouth corners on fixed places. The face, cheek to cheek, then takes
53 % of the crop's width; hairline and neck stay visible, for that is where swapped
faces are sewn on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guard.media.warp import invert, scale_of, transform_points, warp
from guard.types import FloatArray

__all__ = [
    "CROP_SIZE_PX",
    "STABLE_INDICES",
    "align_matrix",
    "align_matrix_from",
    "invert",
    "scale_of",
    "transform_points",
    "warp",
]

CROP_SIZE_PX = 224

# Where the stable FaceMesh points lie in the crop: the median of 4,800 faces after
# Procrustes alignment, made symmetric. "Left" of the mesh is the image's left.
_TEMPLATE: dict[int, tuple[float, float]] = {
    33: (73.0, 88.0),  # outer corner of the eye at image left
    133: (97.1, 89.5),  # inner corner
    362: (126.9, 89.5),  # inner corner of the eye at image right
    263: (151.0, 88.0),  # outer corner
    168: (112.0, 85.2),  # bridge of the nose, between the eyes
    197: (112.0, 97.8),  # middle of the bridge
    4: (112.0, 116.5),  # tip of the nose
    2: (112.0, 126.1),  # base of the nose
    61: (88.8, 140.7),  # mouth corner at image left
    291: (135.2, 140.7),  # mouth corner at image right
}
STABLE_INDICES: tuple[int, ...] = tuple(_TEMPLATE)
_MESH_POINTS = 468


def align_matrix(landmarks: FloatArray) -> FloatArray:
    """Return the float32 (2, 3) similarity from image pixels to the crop.

    Args:
        landmarks: float32 (468, 2), FaceMesh points in image pixels.

    Raises:
        ValueError: wrong shape, or the points fall together or are not finite.
    """
    if landmarks.shape != (_MESH_POINTS, 2):
        raise ValueError(f"landmarks must be (468, 2), not {landmarks.shape}")
    return _fit(landmarks[list(STABLE_INDICES)], np.array(list(_TEMPLATE.values())))


def align_matrix_from(points: FloatArray, indices: Sequence[int] | NDArray[np.int64]) -> FloatArray:
    """Return what ``align_matrix`` returns, from a subset of the mesh.

    With every stable point present the result is the same as from the full mesh.

    Args:
        points: float32 (N, 2), image pixels.
        indices: N FaceMesh indices, one per point.

    Raises:
        ValueError: fewer than three of the stable points, or a degenerate shape.
    """
    if points.ndim != 2 or points.shape != (len(indices), 2):
        raise ValueError(f"{points.shape} points do not match {len(indices)} indices")
    row_of = {int(index): row for row, index in enumerate(indices)}
    shared = [index for index in STABLE_INDICES if index in row_of]
    if len(shared) < 3:
        raise ValueError(f"alignment needs three of the FaceMesh points {STABLE_INDICES}, got {shared}")
    return _fit(points[[row_of[index] for index in shared]], np.array([_TEMPLATE[i] for i in shared]))


def _fit(source: FloatArray, target: NDArray[np.float64]) -> FloatArray:
    """Return the least-squares similarity; closed form with points as complex numbers."""
    if not np.isfinite(source).all():
        raise ValueError("the landmarks are not finite")
    a = source[:, 0].astype(np.float64) + 1j * source[:, 1].astype(np.float64)
    b = target[:, 0] + 1j * target[:, 1]
    a_centred, b_centred = a - a.mean(), b - b.mean()
    spread = float(np.vdot(a_centred, a_centred).real)
    if spread < 1e-6:
        raise ValueError("the landmarks fall together")
    turn = complex(np.vdot(a_centred, b_centred)) / spread
    if abs(turn) < 1e-9:
        raise ValueError("the landmarks do not have the shape of a face")
    shift = b.mean() - turn * a.mean()
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], dtype=np.float32
    )
