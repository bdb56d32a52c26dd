"""Does the picture show mouth and eyes where a face's points say they are?

FaceMesh goes on drawing a face over what hides it: a mask, a hand, a scarf, the edge of a door. So the
picture itself is looked at: edges in four directions, light and colour of mouth and eyes, set against the
rest of the face, go into two linear models (one for the mouth, one for both eyes), fitted by logistic
regression on drawn occluders: ``models/face/recipe/hidden.py``. How often they err: docs/face.md.
"""

from __future__ import annotations

import numpy as np

from guard.media.blocks import halved
from guard.media.hidden_weights import EYE, MOUTH
from guard.media.quality import EYES, LUMA
from guard.types import FloatArray, ImageArray

_MOUTH, _EYE = np.array(MOUTH, np.float32), np.array(EYE, np.float32)
PARTS = ("mouth", "eye_left", "eye_right")
_MOUTH_CORNERS = (61, 291)
# everything below in pixels of the crop halved: 27 between the eyes
_FACE = (slice(34, 78), slice(31, 81))
_CHEEKS = ((slice(54, 62), slice(36, 46)), (slice(54, 62), slice(66, 76)))
# half height and half width of a part, and its cells
_MOUTH_PX, _EYE_PX = ((10, 16), (5, 8)), ((8, 10), (4, 5))
# where the luma of the cells stands in a row; eyes both this much darker than the cheeks wear sunglasses
_AGAINST_CHEEKS, _SUNGLASSES = slice(64, 80), -0.4
# darker than this is noise rather than light
_LEAST_LUMA, _LEAST_EDGE = 20.0, 0.5


def hidden_logits(crop: ImageArray, landmarks: FloatArray) -> FloatArray:
    """Return float32 (3,), in the order of ``PARTS``: how far a part looks hidden; above 0 it is.

    Eyes behind sunglasses, both of them dark, are not called hidden.

    Args:
        crop: uint8 (224, 224, 3), RGB, aligned by ``guard.media.align``.
        landmarks: float32 (468, 2), FaceMesh points in its pixels.
    """
    mouth, left, right = part_measures(crop, landmarks)
    models = ((mouth, _MOUTH), (left, _EYE), (right, _EYE))
    found = np.array([row @ model[:-1] + model[-1] for row, model in models], np.float32)
    if max(float(row[_AGAINST_CHEEKS].mean()) for row in (left, right)) < _SUNGLASSES:
        found[1:] = np.minimum(found[1:], 0)
    return found


def part_measures(crop: ImageArray, landmarks: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return float32 (86,) for mouth, eye at image left and eye at image right (mirrored).

    Sixteen cells of edges lighter to the right, to the left, below and above, and of luma against the cheeks;
    contrast and edges in all; colour's distance from the cheeks and its spread. Arguments as for
    ``hidden_logits``.
    """
    picture = halved(crop)
    luma = picture @ LUMA
    planes = np.stack([luma, picture[..., 2] - luma, picture[..., 0] - luma])
    across, down = np.zeros_like(luma), np.zeros_like(luma)
    across[:, 1:-1], down[1:-1] = luma[:, 2:] - luma[:, :-2], luma[2:] - luma[:-2]
    edges: FloatArray = np.stack([across, -across, down, -down]).clip(0).astype(np.float32)
    scale = (
        1 / (float(edges[:, *_FACE].mean()) + _LEAST_EDGE),
        1 / max(float(luma[_FACE].mean()), _LEAST_LUMA),
    )
    cheeks = np.concatenate([planes[:, *place].reshape(3, -1) for place in _CHEEKS], axis=1)
    skin = np.median(cheeks, axis=1)
    corners = (_MOUTH_CORNERS, *EYES)
    rows = []
    for part, px in enumerate((_MOUTH_PX, _EYE_PX, _EYE_PX)):
        place = _around(landmarks[list(corners[part])].mean(axis=0) / 2, *px[0])
        own_edges, own = edges[:, *place], planes[:, *place]
        if part == 2:  # as the other eye: what was lighter to the right is now lighter to the left
            own_edges, own = own_edges[[1, 0, 2, 3], :, ::-1], own[..., ::-1]
        rows.append(_row(own_edges * scale[0], own, skin, scale[1], px[1]))
    return rows[0], rows[1], rows[2]


def _around(centre: FloatArray, high: int, wide: int) -> tuple[slice, slice]:
    """Return rows and columns around a place (x, y), moved inside the picture."""
    x, y = (
        int(np.clip(round(float(v)), half, 112 - half)) for v, half in zip(centre, (wide, high), strict=True)
    )
    return slice(y - high, y + high), slice(x - wide, x + wide)


def _row(
    edges: FloatArray, planes: FloatArray, skin: FloatArray, light: float, cell: tuple[int, int]
) -> FloatArray:
    luma, *colours = planes
    against = (_cells(luma, *cell) - skin[0]) / max(float(skin[0]), _LEAST_LUMA)
    away = [abs(float(c.mean() - s)) for c, s in zip(colours, skin[1:], strict=True)]
    spread = [float(c.std()) for c in colours]
    whole = [float(luma.std()) * light, float(np.log(0.02 + edges.mean()))]
    parts = (
        np.sqrt(_cells(edges, *cell)).ravel(),
        against.ravel().clip(-2, 2),
        np.array(whole),
        (np.array(away + spread) * light).clip(0, 2),
    )
    return np.concatenate(parts).astype(np.float32)


def _cells(planes: FloatArray, high: int, wide: int) -> FloatArray:
    """Return the means over cells of planes (..., H, W)."""
    height, width = planes.shape[-2] // high, planes.shape[-1] // wide
    cells: FloatArray = planes.reshape(*planes.shape[:-2], height, high, width, wide).mean(axis=(-3, -1))
    return cells
