"""The frame of a screen around a face: straight edges on both sides that the person does not cover.

A door, a window, a picture or a shelf behind a person has straight edges, too, but the person's shoulders
are in front of them. The edge of a display lies in front of everything it shows: it runs on, unbroken, past
the height of the shoulders. So an edge counts only where one straight line stands out beside the face *and*
beside the shoulders, about as near to the face as shoulders reach, on both sides; a third edge, above or
below, adds. And a device that is held moves with the face it shows, while the room around it stays; a door
stays while the person moves. Edges are summed along lines of some slopes, as in a Hough transform (Duda and
Hart, Communications of the ACM 15 (1), 1972), but on the face's own scale and with the sign of the edge, so
that texture cancels.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from guard.fusion.calibration import Logistic
from guard.media.quality import eyes_of
from guard.media.surroundings import ABOVE, LEFT, OUTSIDE, PER_EYES, SHAPE
from guard.types import FaceWindow, FloatArray, ImageArray

# rows and columns of guard.media.surroundings, in distances of the eyes from the middle between them
_FACE, _SHOULDERS = (-1.0, 2.0), (2.3, 4.5)
_BESIDE = (1.6, 4.0)
_ABOVE, _BELOW = (-5.5, -1.9), (2.4, 6.5)
_HALVES = ((-2.0, 0.0), (0.0, 2.0))
_SLOPES = np.linspace(-0.3, 0.3, 13)
_ALIKE = 0.16
# steps of 255 at which an edge counts half
_SOFT = 8.0
_MIN_ROWS = 10
# looks that are kept, and how far apart they are at least
_KEPT_S, _STEP_S, _MIN_LOOKS = 8.0, 0.35, 5
# by how much the face must have moved, in distances of its eyes, before it shows what moves with it
_MOVED, _WITH = 0.25, 0.35
# steps of 255 by which the room may change between two looks and still be said to stay
_STILL, _MIN_ROOM = 6.0, 40
# what a frame counts that moved with the face, or of which that is not known, or that stayed
_WITH_FACE, _UNKNOWN, _STAYED = 1.6, 0.8, 0.3
# calibration for cards that state none: models/face/recipe/presentation_bezel.py on UTKFace; the limit that
# counts is that of the sum with the net's llr
FRAME = Logistic(4.3013, -2.3835, limit_llr=10.0)
# bars that a sender lays around a picture of another shape are dark and flat (so is a room without light)
_BAR_LEVEL, _BAR_SPREAD = 24, 8


@dataclass(frozen=True, slots=True)
class Edge:
    """A straight edge: how unbroken it is, 0 to 1, its slope, and where it passes the height of the eyes."""

    strength: float
    slope: float
    at: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What may be the frame of a screen around a face.

    Args:
        left: the edge at image left of the face; right likewise.
        third: the stronger of those above and below that fit the two, 0 to 1.
    """

    left: Edge
    right: Edge
    third: float

    @property
    def strength(self) -> float:
        """How much of a frame it is, 0 to 1: sides that do not run alike are none."""
        sides = min(self.left.strength, self.right.strength)
        alike = abs(self.left.slope - self.right.slope) <= _ALIKE
        return sides * (0.6 + 0.4 * self.third) if alike else 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last seconds say of a frame around a face.

    Args:
        strength: how much of a frame there is, 0 to 1: the median of the looks.
        with_face: whether it moved as the face did while the room stayed; None where that did not show.
    """

    strength: float
    with_face: bool | None

    @property
    def raw(self) -> float:
        """The number that is calibrated; larger means spoof."""
        if self.with_face is None:
            return self.strength * _UNKNOWN
        return self.strength * (_WITH_FACE if self.with_face else _STAYED)

    def llr(self, calibration: Logistic = FRAME) -> float:
        """Natural log-likelihood ratio, positive means spoof; of simulated scenes."""
        return float(calibration.llr(np.array([self.raw], np.float32))[0])


@dataclass(frozen=True, slots=True)
class _Look:
    """One look: when, eyes in the picture (x, y, distance), its frame, and the picture in little."""

    time_s: float
    eyes: tuple[float, float, float]
    frame: Frame
    thumbnail: ImageArray
    width: int


class FrameMemory:
    """The frames found around one face during the last ``_KEPT_S`` seconds; bounded."""

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=round(_KEPT_S / _STEP_S) + 1)

    def see(self, window: FaceWindow) -> None:
        """Take a look at the surroundings, unless one was taken just now."""
        time_s = window.end_s
        if self._looks and 0 <= time_s - self._looks[-1].time_s < _STEP_S:
            return
        while self._looks and not 0 < time_s - self._looks[0].time_s <= _KEPT_S:
            self._looks.popleft()
        own = window.glimpses[-1] if window.glimpses else None
        if window.around is None or own is None or own.points is None:
            return
        frame = find_frame(window.around)
        if frame is not None:
            self._looks.append(_Look(time_s, eyes_of(own.points), frame, own.thumbnail, own.size[0]))

    def standing(self) -> Standing | None:
        """Return what the looks say; None where they are too few."""
        if len(self._looks) < _MIN_LOOKS:
            return None
        strength = float(np.median([look.frame.strength for look in self._looks]))
        return Standing(strength, self._with_face())

    def _with_face(self) -> bool | None:
        eyes = np.array([look.eyes for look in self._looks])
        moved = float(eyes[:, 0].std() / eyes[:, 2].mean())
        if moved < _MOVED or not self._room_stays():
            return None
        sides = np.array([(look.frame.left.at, look.frame.right.at) for look in self._looks])
        return bool(sides.std(axis=0).max() <= _WITH * moved)

    def _room_stays(self) -> bool:
        """Tell whether the picture beyond the frame is the same in every look: the camera stands still."""
        first = self._looks[0]
        columns = first.thumbnail.shape[1]
        outside = np.ones(columns, np.bool_)
        for look in self._looks:
            x, _, eyes = look.eyes
            reach = (x + (look.frame.left.at - 0.5) * eyes, x + (look.frame.right.at + 0.5) * eyes)
            low, high = (at / look.width * columns for at in reach)
            outside[max(int(low), 0) : max(int(high) + 1, 0)] = False
        if outside.sum() * first.thumbnail.shape[0] < _MIN_ROOM:
            return False
        room = np.stack([look.thumbnail[:, outside] for look in self._looks]).astype(np.float32)
        return float(np.abs(room - np.median(room, axis=0)).mean(axis=(1, 2)).max()) <= _STILL


def find_frame(around: ImageArray) -> Frame | None:
    """Return the best candidate; None where too little of the surroundings is in the picture to tell.

    Args:
        around: uint8 (130, 120), of ``guard.media.surroundings``.
    """
    inside = _inside(around)
    rows = np.asarray(inside.any(axis=1))
    beside = inside[:, [_column(-_BESIDE[1]), _column(_BESIDE[1])]].any(axis=0)
    if rows[_span(*_SHOULDERS, ABOVE)].sum() < _MIN_ROWS or not beside.all():
        return None
    luma = around.astype(np.float32)
    upright = _edges(luma, inside)
    left, right = (_side(upright, inside, sign) for sign in (-1, 1))
    lying = _edges(luma.T, inside.T)
    return Frame(left, right, _third(lying, inside.T, (left.slope + right.slope) / 2))


def _column(at: float) -> int:
    return min(max(round((LEFT + at) * PER_EYES), 0), SHAPE[1] - 1)


def _span(first: float, last: float, before: int) -> slice:
    return slice(round((before + first) * PER_EYES), round((before + last) * PER_EYES))


def _inside(around: ImageArray) -> NDArray[np.bool_]:
    """Return which points belong to the picture itself, without bars around it."""
    inside = np.asarray(around != OUTSIDE, np.bool_)
    for turned, own in ((around, inside), (around.T, inside.T)):
        for step in (1, -1):
            _take_bars_off(turned[:, ::step], own[:, ::step])
    return inside


def _take_bars_off(around: ImageArray, inside: NDArray[np.bool_]) -> None:
    """Mark columns that are a dark flat bar as outside, from the edge inward."""
    for column in range(around.shape[1]):
        values = around[inside[:, column], column]
        if len(values) and (values.max() > _BAR_LEVEL or np.ptp(values) > _BAR_SPREAD):
            return
        inside[:, column] = False


def _edges(luma: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
    """Return float32 of luma's shape: edges along columns with their sign, -1 to 1; 0 beyond the picture."""
    found = np.zeros_like(luma)
    found[:, 2:-2] = (luma[:, 4:] + luma[:, 3:-1] - luma[:, 1:-3] - luma[:, :-4]) / 2
    known = inside.copy()
    known[:, 2:-2] &= inside[:, 4:] & inside[:, :-4]
    return np.where(known, found / (np.abs(found) + np.float32(_SOFT)), np.float32(0))


@cache
def _sheared(shape: tuple[int, int], origin: int) -> tuple[NDArray[np.int64], ...]:
    """Return flat indices, (H, W) for each slope: column x of row y is x + slope * (y - origin)."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    return tuple(
        y * width + np.clip(np.rint(x + slope * (y - origin)).astype(np.int64), 0, width - 1)
        for slope in _SLOPES
    )


def _unbroken(
    edges: FloatArray, inside: NDArray[np.bool_], spans: tuple[slice, slice], origin: int
) -> FloatArray:
    """Return float32 (slopes, W): how unbroken an edge is along each line, the weaker of two spans of rows.

    Signs of the two spans must agree; a row beyond the picture counts for nothing.
    """
    out = np.zeros((len(_SLOPES), edges.shape[1]), np.float32)
    rows = np.asarray(inside.any(axis=1))
    for number, index in enumerate(_sheared((edges.shape[0], edges.shape[1]), origin)):
        means = []
        for span in spans:
            own = edges.take(index[span])[rows[span]]
            means.append(own.mean(axis=0) if len(own) else np.zeros(edges.shape[1], np.float32))
        one, other = means
        out[number] = np.where(one * other > 0, np.minimum(np.abs(one), np.abs(other)), 0)
    return out


def _side(edges: FloatArray, inside: NDArray[np.bool_], sign: int) -> Edge:
    spans = (_span(*_FACE, ABOVE), _span(*_SHOULDERS, ABOVE))
    found = _unbroken(edges, inside, spans, ABOVE * PER_EYES)
    near, far = sorted((sign * _BESIDE[0], sign * _BESIDE[1]))
    part = found[:, _column(near) : _column(far) + 1]
    slope, column = np.unravel_index(int(part.argmax()), part.shape)
    at = (column + _column(near)) / PER_EYES - LEFT
    return Edge(float(part[slope, column]), float(_SLOPES[slope]), float(at))


def _third(edges: FloatArray, inside: NDArray[np.bool_], upright: float) -> float:
    """Return the strength of the best edge above or below the face that is square to the upright ones."""
    one, other = (_span(*half, LEFT) for half in _HALVES)
    found = _unbroken(edges, inside, (one, other), LEFT * PER_EYES)
    square = np.abs(_SLOPES + upright) <= _ALIKE
    ranges = [_span(*limits, ABOVE) for limits in (_ABOVE, _BELOW)]
    return max(float(found[square, part].max(initial=0.0)) for part in ranges)
