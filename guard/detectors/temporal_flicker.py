"""How a face's pixels change from look to look, apart from motion and light: inside, at its edge, around it.

Between two aligned crops each of three zones gets a motion and a brightness of its own, fitted by least
squares (Lucas and Kanade 1981, with the gain and bias of Hager and Belhumeur, PAMI 1998); what that leaves
over is flicker. A camera's noise and a codec leave about as much inside the face as around it. A network
that paints the inside anew, a mask whose edge moves, colours that are matched picture by picture do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.media.blocks import halved
from guard.media.quality import EYES
from guard.types import FloatArray, ImageArray

SIDE = 112
# the FaceMesh points round the face, in order
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# what moves by itself inside a face: centre from these points, half width and height in eye distances
_HOLES = (((33, 133), 0.42, 0.28), ((362, 263), 0.42, 0.28), ((61, 291, 0, 17), 0.58, 0.42))
# distance from the oval's centre, the oval itself being 1
_INSIDE, _EDGE, _AROUND = (0.0, 0.84), (0.88, 1.12), (1.16, 1.55)
_MIN_PIXELS = 250
_FLOOR = 0.02
_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Look:
    """One crop, ready to be compared with the next.

    Args:
        time_s: media time.
        luma: float32 (112, 112), means of 2 x 2 pixels in [0, 255], lightly smoothed.
        zones: bool (112, 112) each: inside the face without eyes and mouth, its edge, around it.
        colours: of each zone the logarithms of red over green and of blue over green.
    """

    time_s: float
    luma: FloatArray
    zones: tuple[Mask, Mask, Mask]
    colours: tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, slots=True)
class Change:
    """What one zone did between two looks.

    Args:
        rest: mean squared change that motion and light do not explain, of 255 squared.
        texture: mean squared slope of the zone: what a motion of one pixel would change.
        bias: brightness change of the zone as a part of its brightness.
        colour: how far the zone's mean colour moved, in logarithms of red and blue over green.
    """

    rest: float
    texture: float
    bias: float
    colour: float

    @property
    def log_flicker(self) -> float:
        """Logarithm of the rest over the texture: roughly the square of a motion nobody fitted."""
        return float(np.log((self.rest + _FLOOR) / (self.texture + 1.0)))


def look(time_s: float, crop: ImageArray, landmarks: FloatArray) -> Look:
    """Prepare one aligned crop.

    Args:
        time_s: media time.
        crop: uint8 (224, 224, 3), RGB.
        landmarks: float32 (468, 2), pixels of the crop.
    """
    small = halved(crop)
    luma = small @ np.array([0.299, 0.587, 0.114], np.float32)
    points = landmarks / np.float32(2)
    radius = _radius(points[list(OVAL)])
    seen = small.max(axis=2) > 0  # outside the picture the crop is black
    inside = seen & (radius < _INSIDE[1]) & ~_holes(points)
    edge, around = (seen & (radius > low) & (radius < high) for low, high in (_EDGE, _AROUND))
    colours = _colour(small, inside), _colour(small, edge), _colour(small, around)
    return Look(time_s, _smooth(luma), (inside, edge, around), colours)


def change(before: Look, after: Look, zone: int) -> Change | None:
    """Return what a zone did between two looks; None where too little of it is in both pictures.

    Args:
        before: the earlier look.
        after: the later look.
        zone: 0 inside, 1 edge, 2 around.
    """
    mask = before.zones[zone] & after.zones[zone]
    mask[[0, -1], :] = mask[:, [0, -1]] = False
    if int(mask.sum()) < _MIN_PIXELS:
        return None
    mean = (before.luma + after.luma) * np.float32(0.5)
    x, y = (_X[mask] - SIDE / 2) / SIDE, (_Y[mask] - SIDE / 2) / SIDE
    slope_x = ((np.roll(mean, -1, 1) - np.roll(mean, 1, 1)) * np.float32(0.5))[mask]
    slope_y = ((np.roll(mean, -1, 0) - np.roll(mean, 1, 0)) * np.float32(0.5))[mask]
    level = mean[mask]
    wanted = (after.luma - before.luma)[mask]
    motion = [slope * place for slope in (slope_x, slope_y) for place in (1, x, y)]
    design = np.stack([*motion, level - level.mean(), np.ones_like(level)], axis=1).astype(np.float64)
    normal = design.T @ design
    # a weak pull to no motion keeps flat zones solvable
    normal[np.diag_indices(8)] += 1e-3 * len(level)
    weights = np.linalg.solve(normal, design.T @ wanted)
    rest = float(np.mean((wanted - design @ weights) ** 2))
    texture = float(np.mean(slope_x**2 + slope_y**2))
    colour = float(np.hypot(*(after.colours[zone] - before.colours[zone])))
    return Change(rest, texture, float(weights[7] / (level.mean() + 4.0)), colour)


def _colour(picture: FloatArray, zone: Mask) -> FloatArray:
    mean = picture[zone].mean(axis=0) + np.float32(1) if zone.any() else np.ones(3, np.float32)
    return np.asarray(np.log(mean[[0, 2]] / mean[1]), np.float32)


def _radius(oval: FloatArray) -> FloatArray:
    """Return float32 (112, 112): distance from the oval's centre, 1 on the oval."""
    centre = oval.mean(axis=0)
    rim = oval - centre
    angle = np.arctan2(rim[:, 1], rim[:, 0])
    order = np.argsort(angle)
    dx, dy = _X + 0.5 - centre[0], _Y + 0.5 - centre[1]
    reach = np.interp(np.arctan2(dy, dx), angle[order], np.hypot(*rim.T)[order], period=2 * np.pi)
    return np.asarray(np.hypot(dx, dy) / np.maximum(reach, 1.0), np.float32)


def _holes(points: FloatArray) -> Mask:
    """Return bool (112, 112): round the eyes and the mouth."""
    left, right = (points[list(eye)].mean(axis=0) for eye in EYES)
    unit = max(float(np.hypot(*(right - left))), 1.0)
    found = np.zeros((SIDE, SIDE), bool)
    for indices, wide, tall in _HOLES:
        x, y = points[list(indices)].mean(axis=0)
        found |= ((_X + 0.5 - x) / (wide * unit)) ** 2 + ((_Y + 0.5 - y) / (tall * unit)) ** 2 < 1
    return found


def _smooth(luma: FloatArray) -> FloatArray:
    """Return the picture under the 3 x 3 binomial, so that slopes are slopes and not noise."""
    wide = np.pad(luma, 1, mode="edge")
    rows = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) * np.float32(0.25)
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) * np.float32(0.25), np.float32)
