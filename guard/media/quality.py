"""What a face in a picture is like: size, sharpness, turn, light."""

from __future__ import annotations

import math

import numpy as np

from guard.types import FaceQuality, FloatArray, ImageArray

# corners of the eyes in FaceMesh, image left and image right
EYES = ((33, 133), (263, 362))
# pairs of points on the two sides of the face, ear to jaw: image left, image right
_SIDES = ((234, 454), (127, 356), (93, 323), (132, 361))
# brow to lower lip, cheek to cheek, in the 224 px crop of guard.media.align: always inside the face
FACE_ROWS, FACE_COLUMNS = slice(68, 156), slice(62, 162)
# a face with a smaller share of fine detail is soft: there genuine faces look much like forged ones
SOFT_BELOW = 20.0
FACE_BINS = ("soft", "default")
# ITU-R BT.601, section 2.5.1
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def face_quality(crop: ImageArray, points: FloatArray, confidence: float) -> FaceQuality:
    """Measure one face.

    Args:
        crop: uint8 (224, 224, 3), RGB, aligned by ``guard.media.align``.
        points: float32 (468, 3), FaceMesh points and depth in pixels of the picture.
        confidence: probability in [0, 1] that it is a face.
    """
    luma = crop[FACE_ROWS, FACE_COLUMNS].astype(np.float32) @ LUMA
    return FaceQuality(
        eye_distance_px=eyes_of(points)[2],
        sharpness=fine_detail(luma),
        yaw_deg=yaw_deg(points),
        luma=float(luma.mean()),
        confidence=confidence,
    )


def eyes_of(points: FloatArray) -> tuple[float, float, float]:
    """Return the middle between the eyes, x and y, and the distance of their middles, in pixels.

    Args:
        points: float32 (468, 2 or more), FaceMesh points.
    """
    left, right = (points[list(corners), :2].mean(axis=0, dtype=np.float64) for corners in EYES)
    x, y = (left + right) / 2
    return float(x), float(y), float(np.hypot(*(right - left)))


def yaw_deg(points: FloatArray) -> float:
    """Return how far the head is turned, positive toward image right.

    The line from one side of the face to the other is parallel to the picture in a
    frontal view; its slope into depth is the turn.
    """
    left, right = (points[[pair[side] for pair in _SIDES]].mean(axis=0) for side in (0, 1))
    across = right - left
    return math.degrees(math.atan2(float(across[2]), float(np.hypot(across[0], across[1]))))


def outside_ratio(points: FloatArray, width: int, height: int) -> float:
    """Return the part of the face's points (N, 2) that lie outside the picture, in [0, 1]."""
    inside = ((points >= 0) & (points <= (width, height))).all(axis=1)
    return float(1.0 - inside.mean())


def face_bin(quality: FaceQuality) -> str:
    """Return which calibration of a face detector a face takes, one of ``FACE_BINS``."""
    return "soft" if quality.sharpness < SOFT_BELOW else "default"


def fine_detail(luma: FloatArray) -> float:
    """Return how much of the variance of luma (H, W) in [0, 255] is fine detail, in percent.

    The Laplacian is taken of means over 2 x 2 pixels: the edges of a codec's blocks, which stay sharp in a
    blurred picture, are mostly gone there; set against the luma's own variance it does not follow contrast.
    """
    height, width = (n // 2 for n in luma.shape)
    means = luma[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
    # below a variance of 1 there is nothing but rounding
    return 100.0 * laplacian_variance(means) / max(float(luma.var()), 1.0)


def laplacian_variance(luma: FloatArray) -> float:
    """Return the variance of the 4-neighbour Laplacian of luma (H, W) in [0, 255].

    Source: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.
    """
    edges = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4.0 * luma[1:-1, 1:-1]
    return float(edges.var())
