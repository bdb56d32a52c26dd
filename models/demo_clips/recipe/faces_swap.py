"""The demo's live face swap: one portrait laid on a moving face, triangle by triangle, then cloned in.

An engine of its own: piecewise affine warp of the mesh, a pass through few pixels as a live tool's
network has, Reinhard's colour transfer, Poisson cloning (Pérez, Gangnet and Blake, SIGGRAPH 2003). The
detector's training forgeries use none of mesh triangles and cloning; models/denylist.toml names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from faces_frames import find_points, models
from scipy.spatial import Delaunay

_NETWORK_PX = 112
_ABOVE_BROWS_PX = 9
_BROWS = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
_OVAL = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
]  # fmt: skip


def swapped(frames: Iterable[np.ndarray], portrait: Path) -> Iterator[np.ndarray]:
    """Yield the frames with the portrait's face in place of the caller's.

    Args:
        frames: uint8 (H, W, 3) RGB with one face each.
        portrait: the picture of the face put on.
    """
    finder = models()
    donor = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)
    donor = cv2.resize(donor[20:230, 90:380], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    donor_points = find_points(finder, donor)
    triangles = Delaunay(donor_points).simplices
    smooth: np.ndarray | None = None
    for frame in frames:
        points = find_points(finder, frame)
        smooth = points if smooth is None else 0.6 * points + 0.4 * smooth
        yield _put_on(frame, smooth, _bent(donor, donor_points, smooth, triangles, frame.shape))


def _bent(
    donor: np.ndarray, source: np.ndarray, target: np.ndarray, triangles: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the donor's face on a black picture of ``shape``, bent to ``target`` (468, 2)."""
    maps = np.full((*shape[:2], 2), -1, np.float32)
    for corners in triangles:
        a, b = target[corners], source[corners]
        left, top = np.maximum(np.floor(a.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(a.max(axis=0)).astype(int) + 1, shape[1::-1])
        if right <= left or bottom <= top:
            continue
        matrix = cv2.getAffineTransform(a.astype(np.float32), b.astype(np.float32))
        x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        spot = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)
        inside = np.zeros(x.shape, np.uint8)
        cv2.fillConvexPoly(inside, np.round((a - (left, top)) * 16).astype(np.int32), 1, shift=4)
        patch = maps[top:bottom, left:right]
        patch[inside > 0] = (spot @ matrix.T)[inside > 0]
    return cv2.remap(donor, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _put_on(frame: np.ndarray, points: np.ndarray, face: np.ndarray) -> np.ndarray:
    brows = points[_BROWS]
    low = points[_OVAL]
    low = low[low[:, 1] > brows[:, 1].min()]  # the portrait's fringe hangs into its forehead: leave that out
    outline = cv2.convexHull(np.round(np.concatenate([brows - (0, _ABOVE_BROWS_PX), low])).astype(np.int32))
    whole = np.zeros(frame.shape[:2], np.uint8)
    cv2.fillConvexPoly(whole, outline, 255)
    inside = cv2.erode(whole, np.ones((7, 7), np.uint8))
    face = _through_network(face, outline)
    face = _coloured_like(face, frame, inside > 0)
    left, top, width, height = cv2.boundingRect(inside)
    centre = (left + width // 2, top + height // 2)
    cloned = cv2.seamlessClone(face, frame, inside.copy(), centre, cv2.NORMAL_CLONE)
    weight = cv2.GaussianBlur(inside.astype(np.float32) / 255, (0, 0), 4)[..., None]
    return np.clip(cloned * weight + frame * (1 - weight) + 0.5, 0, 255).astype(np.uint8)


def _through_network(face: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Squeeze the face's box through the few pixels that a live tool's network gives back."""
    left, top, width, height = cv2.boundingRect(outline)
    left, top = max(left, 0), max(top, 0)
    box = face[top : top + height, left : left + width]
    small = cv2.resize(box, (_NETWORK_PX, _NETWORK_PX), interpolation=cv2.INTER_AREA)
    out = face.copy()
    out[top : top + height, left : left + width] = cv2.resize(
        small, (box.shape[1], box.shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return out


def _coloured_like(face: np.ndarray, frame: np.ndarray, inside: np.ndarray) -> np.ndarray:
    a = cv2.cvtColor(face, cv2.COLOR_RGB2LAB).astype(np.float32)
    b = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)
    here, there = a[inside], b[inside]
    gain = (there.std(axis=0) + 1) / (here.std(axis=0) + 1)
    moved = (a - here.mean(axis=0)) * gain + there.mean(axis=0)
    return cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
