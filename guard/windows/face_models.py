"""Finds faces and their 468 points: what goes into the two networks and what comes out.

Pre- and post-processing are our own; the networks' files, shapes and scaling are named
in ``models/blazeface/card.toml`` and ``models/facemesh/card.toml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guard.detectors.tflite import NetworkCard, TfliteModel, load_network, load_network_card
from guard.errors import ModelError
from guard.media.boxes import (
    Region,
    anchor_centres,
    decode_boxes,
    merge_overlapping,
    region_of_box,
    region_of_points,
)
from guard.media.warp import invert, transform_points, warp
from guard.types import FloatArray, ImageArray

# BlazeFace, section 3: two anchors per cell on the fine map, six on the coarse one
_GRIDS = ((16, 2), (8, 6))
_MIN_SCORE = 0.5
_SAME_FACE_OVERLAP = 0.3
# side of FaceMesh's region, in sizes of the face
FACE_REGION_GROW = 1.5
_EYE_OUTER_LEFT, _EYE_OUTER_RIGHT = 33, 263
_LOGIT_LIMIT = 80.0
# of what a network saw; points of real faces stay within one
_FARTHEST = 100.0
_PLAIN_PX = 128


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face BlazeFace found; everything in pixels of the picture.

    Args:
        box: float32 (4,): left, top, right, bottom; forehead to chin.
        points: float32 (6, 2): eye at image left, eye at image right, nose, mouth, two ears.
        score: in [0, 1].
    """

    box: FloatArray
    points: FloatArray
    score: float

    def region(self) -> Region:
        """Return where FaceMesh should look."""
        return region_of_box(self.box, self.points[0], self.points[1], FACE_REGION_GROW)


@dataclass(frozen=True, slots=True)
class Mesh:
    """The points of one face: float32 (468, 3), x and y in pixels of the picture.

    Depth has the same unit and grows away from the camera. ``logit`` is FaceMesh's own that there is
    a face at all: 25 to 40 where it fits one well, and below 10 where the face stands on its head.
    """

    points: FloatArray
    logit: float

    @property
    def presence(self) -> float:
        """The probability in [0, 1] that there is a face."""
        return 1.0 / (1.0 + math.exp(-max(self.logit, -_LOGIT_LIMIT)))

    def region(self) -> Region:
        """Return where FaceMesh should look in the next picture."""
        flat = self.points[:, :2]
        return region_of_points(flat, flat[_EYE_OUTER_LEFT], flat[_EYE_OUTER_RIGHT], FACE_REGION_GROW)

    def scaled(self, x: float, y: float) -> Mesh:
        """Return the points in a picture whose sides are ``x`` and ``y`` times as long."""
        ratio = np.array([x, y, (x + y) / 2], dtype=np.float32)
        return Mesh(self.points * ratio, self.logit)


class FaceModels:
    """BlazeFace and FaceMesh on one thread; share it between tracks, not between threads."""

    def __init__(self, blazeface: NetworkCard, facemesh: NetworkCard) -> None:
        self._finder_card, self._mesher_card = blazeface, facemesh
        self._finder: TfliteModel = load_network(blazeface)
        self._mesher: TfliteModel = load_network(facemesh)
        self._anchors = anchor_centres(_GRIDS)

    @property
    def cards(self) -> tuple[NetworkCard, NetworkCard]:
        """The cards of the two networks, for reports."""
        return self._finder_card, self._mesher_card

    def check(self) -> None:
        """Run both networks on a plain picture.

        Raises:
            ModelError: one of them fails on it.
        """
        plain = np.full((_PLAIN_PX, _PLAIN_PX, 3), 128, np.uint8)
        self.find(plain)
        self.mesh(plain, Region(_PLAIN_PX / 2, _PLAIN_PX / 2, float(_PLAIN_PX), 0.0))

    def find(self, image: ImageArray) -> list[FoundFace]:
        """Return the faces of a picture, best first.

        Args:
            image: uint8 (H, W, 3), RGB.

        Raises:
            ModelError: the runtime failed, or found a face far outside the picture.
        """
        height, width = image.shape[:2]
        whole = Region(width / 2, height / 2, float(max(width, height)), 0.0)
        size = self._finder_card.input_shape[0]
        matrix = whole.matrix_to(size)
        raw, logits = self._finder.run(_tensor(warp(image, matrix, size), self._finder_card))
        scores = _sigmoid(logits.reshape(-1))
        boxes, points = decode_boxes(raw[0], self._anchors, size)
        good = (scores > _MIN_SCORE) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        _check_near(self._finder_card, boxes[good], points[good])
        return self._merged(boxes[good] * size, points[good] * size, scores[good], invert(matrix))

    def mesh(self, image: ImageArray, region: Region) -> Mesh:
        """Return the points of the face in ``region``; look at ``presence`` before using them.

        Args:
            image: uint8 (H, W, 3), RGB.
            region: where the face is.

        Raises:
            ModelError: the runtime failed, or drew points far outside the region.
        """
        size = self._mesher_card.input_shape[0]
        matrix = region.matrix_to(size)
        raw, logit = self._mesher.run(_tensor(warp(image, matrix, size), self._mesher_card))
        points = raw.reshape(-1, 3)
        _check_near(self._mesher_card, points / np.float32(size))
        flat = transform_points(points[:, :2], invert(matrix))
        depth = points[:, 2:] * np.float32(region.side_px / size)
        return Mesh(np.concatenate([flat, depth], axis=1), float(logit.reshape(-1)[0]))

    @staticmethod
    def _merged(
        boxes: FloatArray, points: FloatArray, scores: FloatArray, back: FloatArray
    ) -> list[FoundFace]:
        faces = []
        for rows, weights in merge_overlapping(boxes, scores, _SAME_FACE_OVERLAP):
            box = (weights[:, None] * boxes[rows]).sum(axis=0)
            face = (weights[:, None, None] * points[rows]).sum(axis=0)
            corners = transform_points(box.reshape(2, 2), back).reshape(4)
            faces.append(FoundFace(corners, transform_points(face, back), float(scores[rows[0]])))
        return faces


def load_face_models(models: Path) -> FaceModels:
    """Load both networks from the folder of models (``guard.resources.models_dir``).

    Raises:
        ModelError: a card or a file is missing, changed or cannot be run.
    """
    return FaceModels(load_network_card(models / "blazeface"), load_network_card(models / "facemesh"))


def _check_near(card: NetworkCard, *places: FloatArray) -> None:
    """Refuse places, in sizes of what the network saw, with which nothing can be computed further on."""
    if any(np.abs(place).max(initial=0.0) > _FARTHEST for place in places):
        raise ModelError("model_out_of_range", f"{card.name} returned points far outside what it saw")


def _tensor(picture: ImageArray, card: NetworkCard) -> FloatArray:
    return (picture.astype(np.float32) * np.float32(card.scale) + np.float32(card.offset))[None]


def _sigmoid(logits: FloatArray) -> FloatArray:
    return (1.0 / (1.0 + np.exp(-np.clip(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT)))).astype(np.float32)
