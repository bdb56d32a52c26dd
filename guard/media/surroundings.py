"""What lies around a face, in little: for what no aligned crop shows, such as the frame of a screen.

The axes are the picture's, not the head's: a device that is held, or a door, does not lean with the head.
"""

from __future__ import annotations

import numpy as np

from guard.media.blocks import block_means
from guard.media.quality import eyes_of
from guard.types import FloatArray, ImageArray

PER_EYES = 10
"""Pixels for the distance between the middles of the eyes."""

LEFT, ABOVE, RIGHT, BELOW = 6, 6, 6, 7
"""How far it reaches from the middle between the eyes, in distances of the eyes."""

SHAPE = ((ABOVE + BELOW) * PER_EYES, (LEFT + RIGHT) * PER_EYES)
OUTSIDE = 0
_LEAST_PX = 4.0


def surroundings(image: ImageArray, points: FloatArray) -> ImageArray | None:
    """Return uint8 (130, 120): the green channel around a face; ``OUTSIDE`` beyond the picture's edge.

    Row 60 and column 60 are the middle between the eyes. None where the points fall together.

    Args:
        image: uint8 (H, W, 3).
        points: float32 (468, 2), FaceMesh points in its pixels.
    """
    x, y, eyes_px = eyes_of(points)
    if not (np.isfinite((x, y, eyes_px)).all() and eyes_px >= _LEAST_PX):
        return None
    step = eyes_px / PER_EYES
    # means over squares before every so many pixels are taken, or lines finer than that would beat
    side = max(1, int(step))
    height, width = image.shape[0] // side, image.shape[1] // side
    rows = np.floor((y + (np.arange(SHAPE[0]) - ABOVE * PER_EYES) * step) / side).astype(np.int64)
    columns = np.floor((x + (np.arange(SHAPE[1]) - LEFT * PER_EYES) * step) / side).astype(np.int64)
    down, across = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    out = np.full(SHAPE, OUTSIDE, np.uint8)
    if not (down.any() and across.any()):
        return out
    top, left = int(rows[down][0]), int(columns[across][0])
    bottom, right = int(rows[down][-1]) + 1, int(columns[across][-1]) + 1
    part = image[top * side : bottom * side, left * side : right * side, 1]
    little = block_means(part, side, side)
    taken = little[np.ix_(rows[down] - top, columns[across] - left)]
    out[np.ix_(down, across)] = np.maximum(taken, OUTSIDE + 1)
    return out
