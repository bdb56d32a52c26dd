"""Moves points and pictures by 2x3 affine matrices.

Coordinates are continuous: (0, 0) is the outer corner of the first pixel, whose
centre is (0.5, 0.5). A matrix maps source coordinates to target coordinates.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.types import FloatArray, ImageArray

_PAD_PX = 2


def transform_points(points: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return float32 (N, 2): the points (N, 2) after the affine ``matrix`` (2, 3)."""
    moved = points.astype(np.float64) @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2]
    return moved.astype(np.float32)


def invert(matrix: FloatArray) -> FloatArray:
    """Return the float32 (2, 3) matrix that undoes ``matrix``.

    Raises:
        ValueError: the matrix flattens the plane, so nothing can undo it.
    """
    return _inverse(matrix).astype(np.float32)


def scale_of(matrix: FloatArray) -> float:
    """Return target pixels per source pixel: the square root of the area ratio."""
    return float(math.sqrt(abs(np.linalg.det(matrix[:, :2].astype(np.float64)))))


def warp(image: ImageArray, matrix: FloatArray, size: int = 224) -> ImageArray:
    """Return the ``size`` x ``size`` picture that ``matrix`` cuts out of ``image``.

    Bilinear. A source more than twice as large is first averaged down over whole
    blocks, so that fine texture does not alias. What lies outside is black.

    Args:
        image: uint8 (H, W, 3).
        matrix: float32 (2, 3), image to target pixels.
        size: side of the target in pixels.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ValueError: the matrix flattens the plane.
    """
    back = _inverse(matrix)
    left, top, right, bottom = _source_region(back, size, image.shape[1], image.shape[0])
    if right <= left or bottom <= top:
        return np.zeros((size, size, 3), dtype=np.uint8)
    source = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    back[:, 2] -= (left, top)
    factor = int(1.0 / max(scale_of(matrix), 1e-6))
    if factor >= 2:
        source = source.reduce(factor)
        back /= factor
    cut = source.transform(
        (size, size), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(cut, dtype=np.uint8)


def _inverse(matrix: FloatArray) -> NDArray[np.float64]:
    linear = matrix[:, :2].astype(np.float64)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(linear)) < 1e-12:
        raise ValueError("the affine matrix cannot be inverted")
    inverse = np.linalg.inv(linear)
    return np.column_stack([inverse, -inverse @ matrix[:, 2].astype(np.float64)])


def _source_region(
    back: NDArray[np.float64], size: int, width: int, height: int
) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the pixels the target square touches."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], dtype=np.float64)
    touched = corners @ back[:, :2].T + back[:, 2]
    low = np.floor(touched.min(axis=0)) - _PAD_PX
    high = np.ceil(touched.max(axis=0)) + _PAD_PX
    left, top = np.clip(low, 0, (width, height)).astype(int)
    right, bottom = np.clip(high, 0, (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)
