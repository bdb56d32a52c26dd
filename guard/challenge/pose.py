"""How a head is held, from its FaceMesh points: turn, size, eyes and mouth.

Coordinates are those of ``Sight.points``: x to the right, y down, z away from the camera. In a picture that
is not mirrored the right of the picture is the person's own left, so that all three angles are positive
where the person moves toward their own left, or up:

- yaw: the nose goes toward image right;
- pitch: the nose goes up;
- roll: the top of the head leans toward image right (the left shoulder).

A turn is measured against the person's own neutral points by the rotation that lays one on the other, over
points that neither lips, jaw nor lids move. So a face's own shape and the camera's height cancel.

Source: Umeyama, Least-Squares Estimation of Transformation Parameters Between Two Point Patterns, PAMI 1991.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

# forehead, temples, ears, eye corners, bridge and base of the nose, cheekbones: what the skull moves
RIGID = (
    *(10, 151, 9, 8, 67, 297, 103, 332, 54, 284, 21, 251, 127, 356, 234, 454, 93, 323),
    *(33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 1, 98, 327, 116, 345, 117, 346, 50, 280),
)
_NOSE_TIP = 4
# upper and lower lid of the eyes at image left and at image right, and their corners
_LIDS = (((159, 145), (158, 153), (160, 144)), ((386, 374), (385, 380), (387, 373)))
_CORNERS = ((33, 133), (362, 263))
# inner lips, and bridge and base of the nose
_LIPS, _NOSE = ((13, 14), (82, 87), (312, 317)), (168, 2)
# a face smaller than this in root mean square is a point
_MIN_SIZE_PX = 2.0


@dataclass(frozen=True, slots=True)
class Poses:
    """Of T pictures, float64 (T,) each unless said otherwise; NaN where no face was found.

    Args:
        yaw_deg: turn toward image right against the neutral points.
        pitch_deg: upward.
        roll_deg: leaning toward image right.
        log_scale: natural logarithm of the head's size against the neutral one, turn taken out.
        nose: (T, 2) place of the nose's tip in the picture, in sizes of the neutral head from where it was.
        eyes: (T, 2) lid gap over eye width of the eyes at image left and image right.
        mouth: gap of the inner lips over the length of the nose.
        shape: root mean square of what rotation, scale and shift leave, over the head's size.
    """

    yaw_deg: Floats
    pitch_deg: Floats
    roll_deg: Floats
    log_scale: Floats
    nose: Floats
    eyes: Floats
    mouth: Floats
    shape: Floats


def poses(points: Array, neutral: Array) -> Poses:
    """Measure how a head is held in each picture.

    Args:
        points: (T, 468, 3), pixels; NaN throughout where no face was found.
        neutral: (468, 3), the same face at rest.

    Raises:
        ValueError: the neutral points are not finite or fall together.
    """
    size = head_size(neutral)
    if not size >= _MIN_SIZE_PX:
        raise ValueError("the neutral points are no face")
    all_points = points.astype(np.float64)
    seen = np.array([head_size(face) >= _MIN_SIZE_PX for face in all_points], np.bool_)
    out = np.full((len(points), 10), np.nan)
    found = all_points[seen]
    out[seen, :5] = _turns(found[:, RIGID], neutral[list(RIGID)].astype(np.float64), size)
    out[seen, 5:7] = (found[:, _NOSE_TIP, :2] - neutral[_NOSE_TIP, :2]) / size
    nose = _length(found, _NOSE)
    out[seen, 7] = sum(_length(found, pair) for pair in _LIPS) / len(_LIPS) / nose
    for column, lids, corners in zip((8, 9), _LIDS, _CORNERS, strict=True):
        out[seen, column] = sum(_length(found, pair) for pair in lids) / len(lids) / _length(found, corners)
    yaw, pitch, roll, log_scale, shape = out[:, :5].T
    return Poses(yaw, pitch, roll, log_scale, nose=out[:, 5:7], eyes=out[:, 8:], mouth=out[:, 7], shape=shape)


def head_size(points: Array) -> float:
    """Return the head's size in pixels, which no rotation changes; NaN where the points are not finite.

    The root mean square distance of the skull's points from their middle; near the distance between the
    middles of the eyes.

    Args:
        points: (468, 3).
    """
    rigid = points[list(RIGID)].astype(np.float64)
    return float(np.sqrt(((rigid - rigid.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _turns(points: Floats, base: Floats, size: float) -> Floats:
    """Return (T, 5): yaw, pitch, roll, log scale and what is left, of (T, K, 3) against ``base`` (K, 3)."""
    here = points - points.mean(axis=1, keepdims=True)
    there = base - base.mean(axis=0)
    u, s, vt = np.linalg.svd(np.swapaxes(here, 1, 2) @ there)
    # no reflection: a mirrored face is no turned one
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None, :]) @ vt
    spread = (here**2).sum(axis=(1, 2))
    scale = np.sqrt(spread / (there**2).sum())
    fitted = scale[:, None, None] * (there @ np.swapaxes(turn, 1, 2))
    left = np.sqrt(((here - fitted) ** 2).sum(axis=2).mean(axis=1)) / (scale * size)
    return np.column_stack([*_angles(turn), np.log(scale), left])


def _angles(turn: Floats) -> tuple[Floats, Floats, Floats]:
    """Return yaw, pitch and roll in degrees of rotations (T, 3, 3), the roll first, the yaw last."""
    ahead = -turn[:, :, 2]
    yaw = np.arctan2(ahead[:, 0], -ahead[:, 2])
    pitch = np.arctan2(-ahead[:, 1], np.hypot(ahead[:, 0], ahead[:, 2]))
    roll = np.arctan2(turn[:, 1, 0], turn[:, 1, 1])
    return np.degrees(yaw), np.degrees(pitch), np.degrees(roll)


def _length(points: Floats, pair: tuple[int, int]) -> Floats:
    return np.asarray(np.linalg.norm(points[:, pair[0]] - points[:, pair[1]], axis=1))
