"""Boxes, anchors and regions of interest for finding faces; geometry only.

Boxes are rows ``left, top, right, bottom``. Source of the shapes: Bazarevsky et al.,
BlazeFace, 2019, arXiv:1907.05047; Kartynnik et al., 2019, arXiv:1907.06724.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.types import FloatArray


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square of the picture: centre and side in pixels, angle in radians.

    A positive angle is clockwise as seen, since y points down.
    """

    x_px: float
    y_px: float
    side_px: float
    angle: float

    def turned(self, angle: float) -> Region:
        """Return the same square turned further by ``angle`` radians about its centre."""
        return Region(self.x_px, self.y_px, self.side_px, self.angle + angle)

    def matrix_to(self, size: int) -> FloatArray:
        """Return the float32 (2, 3) matrix from the picture to a ``size`` px square."""
        scale = size / self.side_px
        c, s = scale * math.cos(self.angle), scale * math.sin(self.angle)
        half = size / 2
        return np.array(
            [
                [c, s, half - c * self.x_px - s * self.y_px],
                [-s, c, half + s * self.x_px - c * self.y_px],
            ],
            dtype=np.float32,
        )


def anchor_centres(grids: Sequence[tuple[int, int]]) -> FloatArray:
    """Return float32 (N, 2) anchor centres in [0, 1], x then y.

    Args:
        grids: for each feature map its side in cells and the anchors per cell.
    """
    layers = []
    for cells, per_cell in grids:
        middle = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        layers.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), per_cell, axis=0))
    return np.concatenate(layers).astype(np.float32)


def decode_boxes(raw: FloatArray, anchors: FloatArray, input_px: int) -> tuple[FloatArray, FloatArray]:
    """Turn BlazeFace's regressions into boxes and key points, in units of its input.

    Args:
        raw: float32 (N, 16): centre x, y, width, height, six key points x, y; in input
            pixels, centre and key points relative to the anchor.
        anchors: float32 (N, 2) in [0, 1].
        input_px: side of the network's input.

    Returns:
        boxes float32 (N, 4) and key points float32 (N, 6, 2), both 1.0 = the input's side.
    """
    places = raw.reshape(len(raw), 8, 2) / np.float32(input_px)
    centre = places[:, 0] + anchors
    half = places[:, 1] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return boxes.astype(np.float32), (places[:, 2:] + anchors[:, None]).astype(np.float32)


def overlap(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Return float32 (N,): intersection over union of ``box`` (4,) with each of ``boxes`` (N, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    own = np.prod(np.clip(box[2:] - box[:2], 0, None))
    theirs = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    ratio: FloatArray = (shared / np.maximum(own + theirs - shared, 1e-9)).astype(np.float32)
    return ratio


def merge_overlapping(
    boxes: FloatArray, scores: FloatArray, threshold: float
) -> list[tuple[list[int], FloatArray]]:
    """Group boxes that show the same face, best score first (BlazeFace, section 4).

    Returns:
        For each face the rows that belong to it and their weights, float32, sum 1:
        blending by them steadies the box where plain suppression makes it jump.
    """
    left = [int(row) for row in np.argsort(-scores, kind="stable")]
    groups = []
    while left:
        near = overlap(boxes[left[0]], boxes[left]) > threshold
        near[0] = True
        rows = [row for row, same in zip(left, near, strict=True) if same]
        left = [row for row, same in zip(left, near, strict=True) if not same]
        weights = scores[rows] / scores[rows].sum()
        groups.append((rows, weights.astype(np.float32)))
    return groups


def bounding_box(points: FloatArray) -> FloatArray:
    """Return float32 (4,): the box around points (N, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def region_of_box(box: FloatArray, eye_left: FloatArray, eye_right: FloatArray, grow: float) -> Region:
    """Return the square around a detected box, turned so that the eyes are level."""
    side = float(max(box[2] - box[0], box[3] - box[1])) * grow
    centre = (box[:2] + box[2:]) / 2
    return Region(float(centre[0]), float(centre[1]), side, _slope(eye_left, eye_right))


def region_of_points(points: FloatArray, eye_left: FloatArray, eye_right: FloatArray, grow: float) -> Region:
    """Return the square around a face's points (N, 2), turned so that the eyes are level."""
    angle = _slope(eye_left, eye_right)
    c, s = math.cos(angle), math.sin(angle)
    level = points @ np.array([[c, -s], [s, c]], dtype=np.float32)
    box = bounding_box(level)
    x, y = (float(v) for v in (box[:2] + box[2:]) / 2)
    side = float(max(box[2] - box[0], box[3] - box[1])) * grow
    return Region(c * x - s * y, s * x + c * y, side, angle)


def _slope(eye_left: FloatArray, eye_right: FloatArray) -> float:
    return math.atan2(float(eye_right[1] - eye_left[1]), float(eye_right[0] - eye_left[0]))
