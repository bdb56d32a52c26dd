"""Reduces a decoded picture to what the checks are judged by: points, a small face, two colours.

The mesh's point groups of brow and cheeks are those commonly used where skin colour is measured over time:
bare skin in most faces, and neither eyes nor mouth, which move. Colours are means of the coded values,
because a mean over thousands of pixels tells changes far below one step of a single one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from guard.challenge.commands import Sight
from guard.media.boxes import bounding_box
from guard.media.quality import EYES
from guard.media.warp import warp
from guard.types import FloatArray, ImageArray

PATCH_PX = 64
PATCH_EYES_PX = 24.0
PATCH_MIDDLE = (32.0, 24.0)

# outlines by FaceMesh point: the brow between hair and eyebrows, the cheek at image left and at image right
_SKIN: tuple[tuple[int, ...], ...] = (
    (107, 66, 69, 109, 10, 338, 299, 296, 336, 9),
    (118, 119, 100, 126, 209, 49, 129, 203, 205, 50),
    (347, 348, 329, 355, 429, 279, 358, 423, 425, 280),
)
# below two pixels between the eyes there is nothing to measure
_MIN_EYES_PX = 2.0
# a channel that stands at its end no longer says what colour the light has
_CLIPPED_LOW, _CLIPPED_HIGH = 4, 250
# shares of the skin, darkest and brightest, left out: hair and shadow, and shine, which has the lamp's colour
_DARKEST, _BRIGHTEST = 0.1, 0.75
_MIN_SKIN_PIXELS = 40
# ITU-R BT.601, section 2.5.1
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

# what surrounds a face, in widths of the face's box: hair and ears beside and above, shoulders below the chin
_HAIR_BESIDE, _HAIR_ABOVE, _SHOULDERS_BESIDE = 0.35, 0.6, 1.1
_CELL_PX = 8
_MIN_AROUND_RATIO = 0.04


@dataclass(slots=True)
class SightMemory:
    """What ``make_sight`` keeps of one track from picture to picture: where faces were last seen.

    Its parts hold for pictures of ``size`` and are carried over where the sender changes it.
    """

    size: tuple[int, int] = (0, 0)
    place: FloatArray | None = None
    boxes: list[FloatArray] = field(default_factory=list)

    def follow(self, size: tuple[int, int]) -> None:
        """Carry the places over to pictures of another size (width, height in pixels)."""
        if self.place is not None and size != self.size:
            ratio = np.array([size[0] / self.size[0], size[1] / self.size[1]], np.float32)
            self.place[:, :2] /= ratio
            self.boxes = [box * np.tile(ratio, 2) for box in self.boxes]
        self.size = size


def make_sight(time_s: float, image: ImageArray, faces: Sequence[FloatArray], memory: SightMemory) -> Sight:
    """Return what a check needs of one picture.

    Args:
        time_s: monotonic seconds at which it arrived.
        image: uint8 (H, W, 3), RGB, at least 8 pixels each way.
        faces: float32 (468, 3) each, FaceMesh points in pixels of the picture.
        memory: of this track; changed.

    Raises:
        ValueError: the picture or the points have another shape.
    """
    _check(image, faces)
    height, width = image.shape[:2]
    memory.follow((width, height))
    points = max(faces, key=_size, default=None)
    if points is not None:
        memory.boxes = [bounding_box(face[:, :2]) for face in faces]
        place = patch_matrix(points)
        memory.place = memory.place if place is None else place
    return Sight(
        time_s=time_s,
        size=(width, height),
        faces=len(faces),
        points=points,
        patch=None if memory.place is None else warp(image, memory.place, PATCH_PX),
        face_rgb=None if points is None else skin_rgb(image, points),
        around_rgb=around_rgb(image, memory.boxes),
    )


def patch_matrix(points: FloatArray) -> FloatArray | None:
    """Return float32 (2, 3), picture to patch: upright, the eyes' middle at (32, 24), the eyes 24 px apart.

    The distance is taken in space, so that a turned head keeps its size. None where the eyes fall together.

    Args:
        points: float32 (468, 3).
    """
    left, right = (points[list(eye)].mean(axis=0).astype(np.float64) for eye in EYES)
    across, flat = right - left, float(np.hypot(*(right - left)[:2]))
    if not np.isfinite(across).all() or flat < _MIN_EYES_PX:
        return None
    scale = PATCH_EYES_PX / float(np.linalg.norm(across))
    c, s = scale * across[0] / flat, scale * across[1] / flat
    turn = np.array([[c, s], [-s, c]])
    shift = np.array(PATCH_MIDDLE) - turn @ ((left + right)[:2] / 2)
    return np.column_stack([turn, shift]).astype(np.float32)


def skin_rgb(image: ImageArray, points: FloatArray) -> FloatArray | None:
    """Return float32 (3,), the mean sRGB in [0, 255] of brow and cheeks without shine, shadow and clipping.

    None where too little of them lies in the picture or is neither black nor blown out.

    Args:
        image: uint8 (H, W, 3), RGB.
        points: float32 (468, 3).
    """
    height, width = image.shape[:2]
    outlines = [points[list(part), :2] for part in _SKIN]
    low = np.floor(np.min([part.min(axis=0) for part in outlines], axis=0))
    high = np.ceil(np.max([part.max(axis=0) for part in outlines], axis=0)) + 1
    left, top = np.clip(low, 0, (width, height)).astype(int)
    right, bottom = np.clip(high, 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return None
    mask = Image.new("L", (int(right - left), int(bottom - top)))
    draw = ImageDraw.Draw(mask)
    for part in outlines:
        draw.polygon([(float(x) - float(left), float(y) - float(top)) for x, y in part], fill=1)
    skin = image[top:bottom, left:right][np.asarray(mask, dtype=bool)]
    return _steady_mean(skin, _MIN_SKIN_PIXELS)


def around_rgb(image: ImageArray, boxes: Sequence[FloatArray]) -> FloatArray | None:
    """Return float32 (3,), the mean sRGB in [0, 255] away from every face and from the body below it.

    None where too little of the picture is left, or what is left is black or blown out.

    Args:
        image: uint8 (H, W, 3), RGB.
        boxes: float32 (4,) each, the box round a face's points: left, top, right, bottom in pixels.
    """
    cells = np.asarray(Image.fromarray(np.ascontiguousarray(image)).reduce(_CELL_PX))
    rows, columns = cells.shape[:2]
    y = (np.arange(rows)[:, None] + 0.5) * _CELL_PX
    x = (np.arange(columns)[None, :] + 0.5) * _CELL_PX
    free = np.ones((rows, columns), dtype=bool)
    for left, top, right, bottom in boxes:
        wide = right - left
        below = y > bottom
        beside = np.where(below, _SHOULDERS_BESIDE, _HAIR_BESIDE) * wide
        free &= ~((x > left - beside) & (x < right + beside) & (y > top - _HAIR_ABOVE * wide))
    return _unclipped_mean(cells[free], max(1, int(_MIN_AROUND_RATIO * rows * columns)))


def _check(image: ImageArray, faces: Sequence[FloatArray]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < _CELL_PX or image.dtype != np.uint8:
        raise ValueError(f"a picture must be uint8 (H, W, 3) of 8 pixels or more, not {image.shape}")
    for face in faces:
        if face.shape != (468, 3):
            raise ValueError(f"a face's points must be (468, 3), not {face.shape}")


def _size(points: FloatArray) -> float:
    box = bounding_box(points[:, :2])
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _steady_mean(pixels: ImageArray, least: int) -> FloatArray | None:
    """Return the mean of (N, 3) pixels without the darkest and brightest, and of these what is not clipped.

    In this order, because a limit on the value that bites moves with the light it measures.
    """
    if len(pixels) < least:
        return None
    luma = pixels @ _LUMA
    ends = [int(_DARKEST * len(luma)), int(_BRIGHTEST * len(luma))]
    dark, bright = np.partition(luma, ends)[ends]
    return _unclipped_mean(pixels[(luma >= dark) & (luma <= bright)], least // 2)


def _unclipped_mean(pixels: ImageArray, least: int) -> FloatArray | None:
    usable = pixels[_unclipped(pixels)]
    return _mean(usable) if len(usable) >= least else None


def _unclipped(pixels: ImageArray) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = (pixels.max(axis=1) < _CLIPPED_HIGH) & (pixels.min(axis=1) > _CLIPPED_LOW)
    return kept


def _mean(pixels: ImageArray) -> FloatArray:
    return np.asarray(pixels.mean(axis=0, dtype=np.float64), dtype=np.float32)
