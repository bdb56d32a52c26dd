"""The pictures between two looks at a face: its points in each, and each picture in little.

Temporal signals need more pictures than the five a second that are cut out and scored; they need no
crops of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from guard.media.blocks import block_means
from guard.types import Glimpse, ImageArray, VideoFrame
from guard.windows.face_models import Mesh

THUMBNAIL = (18, 32)
# a face that is out of sight keeps no more pictures than this
MAX_KEPT = 32
_MAX_SKIPPED = 60


class Glimpses:
    """Collects what is seen of one video track, and hands each face what is new to it."""

    def __init__(self) -> None:
        self._pictures: list[tuple[VideoFrame, ImageArray, Mapping[int, Mesh]]] = []
        self._taken_s: dict[int, float] = {}
        self._skipped_s: list[float] = []

    def due(self, time_s: float, step_s: float) -> bool:
        """Tell whether the newest picture kept is ``step_s`` seconds old."""
        return not self._pictures or time_s - self._pictures[-1][0].time_s >= step_s

    def skip(self, frame: VideoFrame) -> None:
        """Note that a picture came and was not looked at."""
        self._skipped_s = [*self._skipped_s, *frame.skipped_s, frame.time_s][-_MAX_SKIPPED:]

    def add(self, frame: VideoFrame, meshes: Mapping[int, Mesh]) -> None:
        """Keep one picture: its times, its thumbnail and the points of the faces found in it."""
        skipped_s = (*self._skipped_s, *frame.skipped_s)[-_MAX_SKIPPED:]
        self._skipped_s = []
        # only the picture's size is used later on: the pixels are not kept
        empty = np.empty((frame.image.shape[0], frame.image.shape[1], 0), np.uint8)
        kept = VideoFrame(frame.key, frame.time_s, empty, skipped_s)
        self._pictures.append((kept, thumbnail(frame.image), dict(meshes)))
        del self._pictures[:-MAX_KEPT]
        oldest_s = self._pictures[0][0].time_s
        self._taken_s = {face: at_s for face, at_s in self._taken_s.items() if at_s >= oldest_s}

    def take(self, face: int) -> tuple[Glimpse, ...]:
        """Return the pictures since this face was last asked for, oldest first."""
        since_s = self._taken_s.get(face, float("-inf"))
        new = [picture for picture in self._pictures if picture[0].time_s > since_s]
        if new:
            self._taken_s[face] = new[-1][0].time_s
        return tuple(_glimpse(frame, little, meshes, face) for frame, little, meshes in new)


def thumbnail(image: ImageArray) -> ImageArray:
    """Return uint8 (18, 32): means of the green channel over equal parts of the picture (H, W, 3)."""
    rows, columns = THUMBNAIL
    height, width = image.shape[:2]
    if height < rows or width < columns:
        y, x = np.arange(rows) * height // rows, np.arange(columns) * width // columns
        return np.ascontiguousarray(image[y][:, x, 1])
    tall, wide = height // rows, width // columns
    return block_means(image[: tall * rows, : wide * columns, 1], tall, wide).astype(np.uint8)


def _glimpse(frame: VideoFrame, little: ImageArray, meshes: Mapping[int, Mesh], face: int) -> Glimpse:
    height, width = frame.image.shape[:2]
    mesh = meshes.get(face)
    points = None if mesh is None else np.ascontiguousarray(mesh.points[:, :2])
    return Glimpse(frame.time_s, points, little, (width, height), frame.skipped_s, len(meshes))
