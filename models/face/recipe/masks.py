"""Where a forged face goes into the picture: outlines and feathered masks."""

from __future__ import annotations

import cv2
import numpy as np

OVAL = 36  # the first landmarks of the file run round the face
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)


def hull_mask(outline: np.ndarray, size: int) -> np.ndarray:
    """Return float32 (size, size): 1 inside the convex hull of ``outline`` (N, 2), else 0."""
    mask = np.zeros((size, size), np.float32)
    hull = cv2.convexHull(outline.astype(np.float32))
    cv2.fillConvexPoly(mask, np.round(hull * 8).astype(np.int32), 1.0, lineType=cv2.LINE_AA, shift=3)
    return np.minimum(mask, 1.0)


def swap_mask(
    points: np.ndarray, rows: dict[int, int], whole_face: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return float32 (200, 200) in 0..1: how much of the forged face is laid on each pixel.

    Args:
        points: float32 (P, 2), the face's landmarks.
        rows: the row in ``points`` of each FaceMesh index.
        whole_face: never the mouth alone.
        rng: draws outline, size, unevenness and feathering.
    """
    oval = points[:OVAL]
    kind = rng.random()
    if kind < 0.45:
        outline = oval
    elif kind < 0.7:  # brows to chin: forehead stays the victim's
        brows = points[[rows[i] for i in _BROWS]]
        low = oval[oval[:, 1] > brows[:, 1].mean()]
        outline = np.concatenate([brows - (0, rng.uniform(0, 8)), low])
    elif kind < 0.85 or whole_face:  # a box's inscribed ellipse
        centre, radius = oval.mean(axis=0), np.ptp(oval, axis=0) / 2 * rng.uniform(0.8, 1.05, 2)
        outline = _ellipse(centre, radius)
    else:  # mouth and chin only, as dubbing tools do
        mouth = points[OVAL : OVAL + 20]
        outline = _ellipse(mouth.mean(axis=0), np.ptp(mouth, axis=0) * rng.uniform(0.7, 1.3, 2) + 6)
    return _soften(hull_mask(outline, 200), rng)


def _ellipse(centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return centre + np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius


def _soften(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:  # an uneven outline, as segmentation nets draw it
        coarse = rng.normal(0, 1, (6, 6, 2)).astype(np.float32) * float(rng.uniform(0, 4))
        push = cv2.resize(coarse, mask.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]].astype(np.float32)
        mask = cv2.remap(mask, x + push[..., 0], y + push[..., 1], cv2.INTER_LINEAR)
    grow = int(rng.integers(-12, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1, 2 * abs(grow) + 1))
    mask = cv2.erode(mask, kernel) if grow < 0 else cv2.dilate(mask, kernel)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1.0, 9.0)))
    return mask * float(rng.choice([1.0, 1.0, 1.0, 0.85]))
