"""A live face swap for measuring what a check does to one: a portrait's mesh drawn over the caller's face.

What a simple live program does, in numpy alone: FaceMesh finds the caller's points, each triangle of the
portrait goes where they are, the result passes through as few pixels as such a program's network gives back,
takes on the caller's colours and is blended in with a soft edge. It knows nothing of hands: the face is drawn
over whatever hides it. Where FaceMesh finds no face it draws none. Nothing here is in a training set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from guard.types import FloatArray, ImageArray
from guard.windows.face_models import FaceModels
from guard.windows.face_track import FaceTrackConfig, FaceTracker

_NETWORK_PX = 112
# the newest points' part: a program smooths what it draws, so that it does not tremble
_NEWEST = 0.6
_SHRUNK_PX, _SOFT_PX = 7, 4.0
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_Points = NDArray[np.float64]


class LiveSwap:
    """Puts one portrait's face on the faces of a video, picture by picture.

    Args:
        models: find the faces, as guard's own do.
        portrait: uint8 (H, W, 3), RGB, of the face that is put on.

    Raises:
        ValueError: the portrait shows no face.
    """

    def __init__(self, models: FaceModels, portrait: ImageArray) -> None:
        found = models.find(portrait)
        if not found:
            raise ValueError("the portrait shows no face")
        near = models.mesh(portrait, found[0].region())
        self._portrait = portrait
        self._source = models.mesh(portrait, near.region()).points[:, :2].astype(np.float64)
        self._triangles = delaunay(self._source)
        self._tracker = FaceTracker(FaceTrackConfig(), models)
        self._smooth: FloatArray | None = None

    def push(self, picture: ImageArray, time_s: float) -> ImageArray:
        """Return uint8 (H, W, 3): the picture with the other face; as it is where no face is found."""
        faces = self._tracker.push(picture, time_s)
        if not faces:
            self._smooth = None
            return picture
        points = faces[0].mesh.points
        if self._smooth is not None:
            points = np.asarray(_NEWEST * points + (1 - _NEWEST) * self._smooth, np.float32)
        self._smooth = points
        return self._put_on(picture, points)

    def _put_on(self, picture: ImageArray, points: FloatArray) -> ImageArray:
        drawn, covered = self._bent(points.astype(np.float64), picture.shape[:2])
        oval = Image.new("L", (picture.shape[1], picture.shape[0]))
        ImageDraw.Draw(oval).polygon([(float(x), float(y)) for x, y in points[list(_OVAL), :2]], fill=255)
        inside = np.where(covered, np.asarray(oval.filter(ImageFilter.MinFilter(_SHRUNK_PX))), 0)
        soft = Image.fromarray(inside.astype(np.uint8)).filter(ImageFilter.GaussianBlur(_SOFT_PX))
        if (inside > 0).sum() < _NETWORK_PX:
            return picture
        face = _coloured_like(_through_network(drawn, points), picture, inside > 0)
        weight = np.asarray(soft, np.float32)[..., None] / 255
        return np.asarray(np.clip(face * weight + picture * (1 - weight) + 0.5, 0, 255), np.uint8)

    def _bent(self, points: _Points, shape: tuple[int, int]) -> tuple[ImageArray, NDArray[np.bool_]]:
        """Return the portrait's face bent to the points, and where it is; the near triangles over the far."""
        there, here = points[self._triangles, :2], self._source[self._triangles]
        facing = np.flatnonzero(_area(there) * _area(here) > 1e-6)
        labels = Image.new("I", (shape[1], shape[0]), -1)
        draw = ImageDraw.Draw(labels)
        for index in facing[np.argsort(-points[self._triangles[facing], 2].mean(axis=1))]:
            draw.polygon([(float(x), float(y)) for x, y in there[index]], fill=int(index))
        label = np.asarray(labels)
        rows, columns = np.nonzero(label >= 0)
        at = label[rows, columns]
        sides = np.stack([there[:, 1] - there[:, 0], there[:, 2] - there[:, 0]], axis=2)
        inverse = np.zeros((len(there), 2, 2))
        inverse[facing] = np.linalg.inv(sides[facing])
        beside = np.stack([columns, rows], axis=1) - there[at, 0]
        parts = np.einsum("nij,nj->ni", inverse[at], beside)
        towards = np.stack([here[:, 1] - here[:, 0], here[:, 2] - here[:, 0]], axis=1)
        source = here[at, 0] + np.einsum("ni,nij->nj", parts, towards[at])
        drawn = np.zeros((*shape, 3), np.uint8)
        drawn[rows, columns] = _bilinear(self._portrait, source[:, 0], source[:, 1])
        return drawn, np.asarray(label >= 0)


def delaunay(points: _Points) -> NDArray[np.int64]:
    """Return (N, 3) triangles over (M, 2) points in general position.

    Source: Bowyer, Computing Dirichlet tessellations, The Computer Journal 24(2), 1981.
    """
    middle, size = points.mean(axis=0), 40 * float(np.ptp(points))
    around = middle + size * np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 1.5]])
    known = np.concatenate([points, around])
    count = len(points)
    triangles = np.array([[count, count + 1, count + 2]])
    for index in range(count):
        within = _in_circle(known[triangles], known[index])
        edges: dict[tuple[int, int], int] = {}
        for a, b, c in triangles[within].tolist():
            for edge in ((a, b), (b, c), (c, a)):
                key = (min(edge), max(edge))
                edges[key] = edges.get(key, 0) + 1
        new = np.array([[*edge, index] for edge, times in edges.items() if times == 1])
        triangles = np.concatenate([triangles[~within], new])
    return np.asarray(triangles[(triangles < count).all(axis=1)])


def _in_circle(corners: _Points, point: _Points) -> NDArray[np.bool_]:
    """Tell of (N, 3, 2) triangles whether a point lies within the circle through their corners."""
    away = corners - point
    squared = (away**2).sum(axis=2)
    turned = np.stack([away[..., 0], away[..., 1], squared], axis=2)
    return np.asarray(np.linalg.det(turned) * np.sign(_area(corners)) > 0)


def _area(corners: _Points) -> _Points:
    """Return twice the signed areas of triangles (..., 3, 2)."""
    one, other = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def _bilinear(picture: ImageArray, x: _Points, y: _Points) -> ImageArray:
    height, width = picture.shape[:2]
    left = np.clip(x, 0, width - 1.001).astype(int)
    top = np.clip(y, 0, height - 1.001).astype(int)
    across, down = np.clip(x - left, 0, 1)[..., None], np.clip(y - top, 0, 1)[..., None]
    upper = picture[top, left] * (1 - across) + picture[top, left + 1] * across
    lower = picture[top + 1, left] * (1 - across) + picture[top + 1, left + 1] * across
    return np.asarray(upper * (1 - down) + lower * down + 0.5, np.uint8)


def _through_network(face: ImageArray, points: FloatArray) -> ImageArray:
    """Squeeze the face's box through the few pixels that a program's network gives back."""
    height, width = face.shape[:2]
    left, top = np.maximum(points[:, :2].min(axis=0), 0).astype(int)
    right, bottom = np.minimum(points[:, :2].max(axis=0) + 1, (width, height)).astype(int)
    if right - left < 2 or bottom - top < 2:
        return face
    box = Image.fromarray(face[top:bottom, left:right])
    small = box.resize((_NETWORK_PX, _NETWORK_PX), Image.Resampling.BOX)
    out = face.copy()
    out[top:bottom, left:right] = np.asarray(small.resize(box.size, Image.Resampling.BILINEAR))
    return out


def _coloured_like(face: ImageArray, picture: ImageArray, inside: NDArray[np.bool_]) -> FloatArray:
    """Give the face the caller's mean colour and contrast (Reinhard et al., Color transfer, 2001)."""
    here, there = face[inside].astype(np.float32), picture[inside].astype(np.float32)
    gain = (there.std(axis=0) + 1) / (here.std(axis=0) + 1)
    return np.asarray((face - here.mean(axis=0)) * gain + there.mean(axis=0), np.float32)
