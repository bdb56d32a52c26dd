"""What moves within a puppet's face: eyelids and jaw, as patches of its skin.

Both only shift skin up and down, so a patch is a column-wise lookup into the picture at rest. Patches are
kept for as many steps as a movement is divided into.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.demo.puppet_head import smooth_step
from guard.types import FloatArray, ImageArray

STEPS = 16
"""Into how many steps each movement is divided."""

# FaceMesh, image left to image right: edges of the lids and of the lips
_UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
_LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_CHIN = 152
# of the mouth's width: how far it opens at most, how wide the jaw is, where the neck has taken up its drop
_OPEN, _JAW, _NECK = 0.65, 0.9, 1.0
# how far up the lids meet, in openings of the eye, and half of what is left open
_RISE, _SLIT_PX = -0.25, 0.15
_CAVITY, _TEETH = (44, 16, 16), (196, 184, 170)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the enlarged picture in its pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    def grid(self, scale: int) -> tuple[FloatArray, FloatArray]:
        """Return x (columns,) and y (rows, 1) in pixels of the picture at rest."""
        x = np.asarray((np.arange(self.left, self.right) + 0.5) / scale, np.float32)
        y = np.asarray((np.arange(self.top, self.bottom) + 0.5) / scale, np.float32)
        return x, y[:, None]


class Eye:
    """One eye, whose upper lid can come down.

    Args:
        skin: uint8 (H * scale, W * scale, 4), the person at rest, enlarged; not changed.
        points: float32 (468, 3) in pixels of the picture at rest.
        side: 0 for the eye at image left, 1 for the one at image right.
        scale: how many times it is enlarged.
    """

    def __init__(self, skin: ImageArray, points: FloatArray, side: int, scale: int) -> None:
        upper, lower = points[list(_UPPER_LIDS[side]), :2], points[list(_LOWER_LIDS[side]), :2]
        width = float(upper[-1, 0] - upper[0, 0])
        self._lid_px = 0.5 * width
        edges = (upper[:, 1].min() - self._lid_px - 1, lower[:, 1].max() + 0.6 * self._lid_px + 1)
        reach = (upper[0, 0], edges[0], upper[-1, 0], edges[1])
        self.box = Box(*(round(float(edge) * scale) for edge in reach))
        self._scale = scale
        x, self._y = self.box.grid(scale)
        self._upper = np.interp(x, upper[:, 0], upper[:, 1]).astype(np.float32)
        self._lower = np.interp(x, lower[:, 0], lower[:, 1]).astype(np.float32)
        self._rest = skin[self.box.top : self.box.bottom, self.box.left : self.box.right].copy()
        self._kept: dict[int, ImageArray] = {}

    def patch(self, closed: float) -> ImageArray:
        """Return uint8 (rows, columns, 4) of the box, the lid ``closed`` in [0, 1] of its way down."""
        step = round(closed * STEPS)
        if step not in self._kept:
            self._kept[step] = self._drawn(step / STEPS)
        return self._kept[step]

    def _drawn(self, closed: float) -> ImageArray:
        """Press the eye to a line near the lower lid and stretch the skin above and below after it."""
        top, bottom = self._upper - self._lid_px, self._lower + 0.6 * self._lid_px
        line = self._lower - _RISE * (self._lower - self._upper)
        upper = self._upper + closed * (line - _SLIT_PX - self._upper)
        lower = self._lower + closed * (line + _SLIT_PX - self._lower)
        pressed = (self._lower - self._upper) / np.maximum(lower - upper, 1e-3)
        above = top + (self._y - top) * self._lid_px / (upper - top)
        below = self._lower + (self._y - lower) * (bottom - self._lower) / (bottom - lower)
        source = np.where(self._y < upper, above, self._upper + (self._y - upper) * pressed)
        source = np.where(self._y < lower, source, below)
        source = np.where((self._y > top) & (self._y < bottom), source, self._y)
        return _moved(self._rest, source, self.box, self._scale)


class Mouth:
    """The mouth and the jaw below it; arguments as of Eye."""

    def __init__(self, skin: ImageArray, points: FloatArray, scale: int) -> None:
        upper, lower = points[list(_UPPER_LIP), :2], points[list(_LOWER_LIP), :2]
        self._width = float(upper[-1, 0] - upper[0, 0])
        self._middle = float((upper[0, 0] + upper[-1, 0]) / 2)
        self._chin = float(points[_CHIN, 1])
        wide, height = 1.6 * self._width, skin.shape[0] / scale
        bottom = min(self._chin + (_OPEN + _NECK) * self._width, height)
        reach = (self._middle - wide, upper[:, 1].min() - 2, self._middle + wide, bottom)
        self.box = Box(*(round(float(edge) * scale) for edge in reach))
        self._scale = scale
        self._x, self._y = self.box.grid(scale)
        line = (upper[:, 1] + lower[:, 1]) / 2
        self._line = np.interp(self._x, upper[:, 0], line).astype(np.float32)
        self._rest = skin[self.box.top : self.box.bottom, self.box.left : self.box.right].copy()
        self._kept: dict[int, ImageArray] = {}

    def patch(self, opened: float) -> ImageArray:
        """Return uint8 (rows, columns, 4) of the box, the mouth ``opened`` in [0, 1]."""
        step = round(opened * STEPS)
        if step not in self._kept:
            self._kept[step] = self._drawn(step / STEPS)
        return self._kept[step]

    def _drawn(self, opened: float) -> ImageArray:
        """Part the lips along their line, let the jaw sink with the lower one and the neck take it up."""
        beside = (self._x - self._middle) / self._width
        sunk = _OPEN * self._width * opened
        jaw = sunk * np.exp(-((beside / _JAW) ** 4)) * np.clip(2.5 - 1.6 * np.abs(beside), 0, 1)
        gap = np.minimum(sunk * np.sqrt(np.clip(1 - (beside / 0.5) ** 2, 0, 1)), jaw)
        below = self._y - self._line - gap
        # where the lips do not part the skin stretches instead
        shift = gap + (jaw - gap) * smooth_step(below / (0.6 * self._width + jaw))
        shift *= 1 - smooth_step((self._y - self._chin - jaw) / (_NECK * self._width))
        source = np.where(below > 0, self._y - shift, self._y)
        patch = _moved(self._rest, source, self.box, self._scale)
        inside = (self._y > self._line) & (below < 0)
        if opened > 0:
            self._fill(patch, inside, gap)
        return patch

    def _fill(self, patch: ImageArray, inside: NDArray[np.bool_], gap: FloatArray) -> None:
        """Draw the dark of the mouth and the upper teeth."""
        patch[inside, :3] = _CAVITY
        beside = np.abs(self._x - self._middle) < 0.34 * self._width
        teeth = inside & beside & (self._y - self._line < np.minimum(0.3 * gap, 0.12 * self._width))
        patch[teeth, :3] = _TEETH


def _moved(rest: ImageArray, source_y: FloatArray, box: Box, scale: int) -> ImageArray:
    """Return the patch whose pixels come from other rows of the same column; ``source_y`` at rest."""
    rows = np.clip(np.floor(source_y * scale).astype(np.int32) - box.top, 0, rest.shape[0] - 1)
    return rest[rows, np.arange(rest.shape[1])[None, :]]
