"""How a face's points move from picture to picture: what is left after head and camera motion.

A live swap finds the points of the driving face anew in every picture and lays the other face on them; their
errors differ from picture to picture. The inner points then tremble against the outline, and the whole
face against its own path. FaceMesh trembles too, so every number is compared with the outline's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray

# FaceMesh indices of the points that are followed, by part of the face
OUTLINE = (10, 297, 284, 389, 454, 361, 397, 379, 152, 150, 172, 132, 234, 162, 54, 67, 323, 93)
EYES = (33, 133, 362, 263)
LIDS = (159, 145, 386, 374)
BROWS = (70, 105, 107, 336, 334, 300)
NOSE = (168, 197, 4, 2, 98, 327)
MOUTH = (61, 291, 0, 17, 13, 14)
FOLLOWED: tuple[int, ...] = OUTLINE + EYES + LIDS + BROWS + NOSE + MOUTH

# steps between glimpses that may stand side by side: 8 to 33 a second
MIN_STEP_S, MAX_STEP_S = 0.03, 0.13
_FLOOR = 1e-4
# way of the points, root mean square in eye distances, that is no other picture
_STILL = 0.002


def _rows(*parts: tuple[int, ...]) -> list[int]:
    return [FOLLOWED.index(index) for part in parts for index in part]


_OUTLINE = _rows(OUTLINE)
_INNER = _rows(EYES, BROWS, NOSE)
_MOVING = _rows(LIDS, MOUTH)
_RIGID = _rows(OUTLINE, EYES, NOSE)
_EYE_LEFT, _EYE_RIGHT = _rows((33, 133)), _rows((362, 263))


@dataclass(frozen=True, slots=True)
class Jitter:
    """Trembling of one face over a few seconds, in eye distances; natural logarithms where named so.

    Args:
        log_inner: of eye corners, brows and nose over that of the outline.
        log_moving: of lids and mouth over that of the outline.
        log_outline: of the outline against the head's own shape.
        log_place: of the whole face against its own smooth path (background included).
        log_burst: the worst tenth of the inner points' trembling over its median.
        speed: of the head, eye distances per second, root mean square.
        still_ratio: part of the steps in which the points did not move: the same picture again.
        triples: of glimpses it was measured on.
    """

    log_inner: float
    log_moving: float
    log_outline: float
    log_place: float
    log_burst: float
    speed: float
    still_ratio: float
    triples: int


def eye_distance(points: FloatArray) -> float:
    """Return the distance of the eyes' middles of ``FOLLOWED`` points (K, 2), in their unit."""
    return float(np.hypot(*(points[_EYE_RIGHT].mean(axis=0) - points[_EYE_LEFT].mean(axis=0))))


def eye_distances(points: FloatArray) -> FloatArray:
    """Return ``eye_distance`` of each of (T, K, 2), float32 (T,)."""
    apart = points[:, _EYE_RIGHT].mean(axis=1) - points[:, _EYE_LEFT].mean(axis=1)
    return np.asarray(np.hypot(apart[:, 0], apart[:, 1]), np.float32)


def jitter(times_s: NDArray[np.floating[Any]], points: FloatArray) -> Jitter | None:
    """Measure the trembling of a face.

    Args:
        times_s: (T,) rising.
        points: float32 (T, K, 2), the ``FOLLOWED`` points in pixels of the picture.

    Returns:
        None where no three glimpses stand side by side, or the points fall together.
    """
    steps = np.diff(times_s)
    good = (steps >= MIN_STEP_S) & (steps <= MAX_STEP_S)
    triple = np.flatnonzero(good[:-1] & good[1:]) + 1
    if not len(triple):
        return None
    z = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    size = np.median(np.maximum(eye_distances(points), 1e-6))
    fitted = _without_similarity(z / size)
    if fitted is None:
        return None
    shape, place = fitted
    tremble = np.abs(_against_neighbours(shape, times_s, triple)) ** 2
    outline, inner, moving = (tremble[:, rows].mean(axis=1) for rows in (_OUTLINE, _INNER, _MOVING))
    level = [np.sqrt(np.median(part)) + _FLOOR for part in (outline, inner, moving)]
    burst = np.sqrt(np.quantile(inner, 0.9)) + _FLOOR
    step = np.abs(np.diff(z, axis=0) / size)
    speed = np.abs(np.diff(place)) / steps
    return Jitter(
        log_inner=float(np.log(level[1] / level[0])),
        log_moving=float(np.log(level[2] / level[0])),
        log_outline=float(np.log(level[0])),
        log_place=float(
            np.log(np.sqrt(np.median(np.abs(_against_neighbours(place, times_s, triple)) ** 2)) + _FLOOR)
        ),
        log_burst=float(np.log(burst / level[1])),
        speed=float(np.sqrt(np.mean(speed**2))),
        still_ratio=float((np.sqrt((step**2).mean(axis=1)) < _STILL).mean()),
        triples=len(triple),
    )


def _against_neighbours(
    track: NDArray[np.complex128], times_s: NDArray[np.floating[Any]], at: NDArray[np.intp]
) -> NDArray[np.complex128]:
    """Return how far each place lies from the line between its neighbours in time.

    Scaled so that white noise keeps its spread, however the steps are.
    """
    late = (times_s[at] - times_s[at - 1]) / (times_s[at + 1] - times_s[at - 1])
    late = late.reshape(-1, *[1] * (track.ndim - 1))
    between = (1 - late) * track[at - 1] + late * track[at + 1]
    out: NDArray[np.complex128] = (track[at] - between) / np.sqrt(1 + late**2 + (1 - late) ** 2)
    return out


def _without_similarity(
    z: NDArray[np.complex128],
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]] | None:
    """Return the shapes (T, K) laid on their mean by a similarity each, and the places (T,) of the face.

    The closed form of least squares with points as complex numbers (Umeyama, PAMI 1991, in the plane).
    """
    rigid = z[:, _RIGID]
    place = rigid.mean(axis=1)
    centred = rigid - place[:, None]
    mean = centred.mean(axis=0)
    spread = (np.abs(centred) ** 2).sum(axis=1)
    if spread.min() < 1e-9:
        return None
    turn = (centred.conj() @ mean) / spread
    return (z - place[:, None]) * turn[:, None], place
