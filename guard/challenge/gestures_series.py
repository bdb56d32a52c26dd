"""What was seen of one command as series over time.

Neutral is the median of the face's points in the pictures before the command; every movement is measured
against it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar
from weakref import ReferenceType, ref

import numpy as np

from guard.challenge.commands import Observed, Sight
from guard.challenge.gestures_patch import MOUTH, Looks, Mask, hidden, looks, resting
from guard.challenge.pose import Floats, Poses, head_size, poses
from guard.types import FloatArray, ImageArray

# the quickest answer to something seen: below it lies no simple reaction of a person
MIN_REACTION_S = 0.15

MIN_BEFORE = 5
MIN_HEAD_PX = 24.0
# gap of the lips in lengths of the nose, and pixels of the cut-out that became dark, of an open mouth
_WIDE, _APART, _DARK_PX = 0.4, 0.18, 40.0
# what is left of the points after turning them back, of a turned or laughing face, at most
_SHAPE, _SHAPE_PER_DEG = 0.03, 0.0035
_Measured = TypeVar("_Measured", Poses, Looks)
_Array = TypeVar("_Array", FloatArray, ImageArray)
# commands that run at the same time in one process and are worth remembering
_KNOWN_COMMANDS = 8
_NO_FACE = np.full((468, 3), np.nan, np.float32)


@dataclass(frozen=True, slots=True)
class Series:
    """One command's pictures in order, those before it first.

    Args:
        time_s: (T,) seconds from the first step, negative before it.
        seen: (T,) bool, whether a face was found and shows enough of itself for its points to be right.
        first: index of the first picture after the step.
        poses: against the person's own neutral points.
        looks: of the upright cut-outs, against those at rest.
        opened: (T,) opening of the mouth against rest, 1 where it is wide open.
        covered: (T,) bool, whether something hides the face: the mouth is not to be found, or the points have
            not the shape that a face turned that far has.
    """

    time_s: Floats
    seen: Mask
    first: int
    poses: Poses
    looks: Looks
    opened: Floats
    covered: Mask

    @property
    def after_s(self) -> Floats:
        """Times of the pictures since the first step."""
        return self.time_s[self.first :]


@dataclass(frozen=True, slots=True)
class GestureFinding:
    """What a judge makes of a series.

    Args:
        matched: whether it was done.
        reason: code of docs/reasons.md.
        onset_s: seconds from the first step to the beginning of what was seen.
        details: measured values.
    """

    matched: bool
    reason: str
    onset_s: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rest:
    """The face before the command: points (468, 3) and luma of the patch (64, 64)."""

    points: Floats
    luma: Floats


@dataclass(frozen=True, slots=True)
class _Known:
    """What was measured of the pictures of one command, and of which; they themselves are not kept."""

    before: int
    rest: _Rest
    pictures: tuple[tuple[float, ReferenceType[FloatArray] | None, ReferenceType[ImageArray] | None], ...]
    measured: tuple[Poses, Looks]

    def continued_by(self, sights: Sequence[Sight], before: int) -> bool:
        """Tell whether these are the same pictures, and perhaps more."""
        if self.before != before or len(self.pictures) > len(sights):
            return False
        return all(
            time_s == sight.time_s
            and (points() if points else None) is sight.points
            and (patch() if patch else None) is sight.patch
            for (time_s, points, patch), sight in zip(self.pictures, sights, strict=False)
        )


class Watcher:
    """Makes the series of commands; what was measured of a picture is not measured again."""

    def __init__(self) -> None:
        self._known: OrderedDict[float, _Known] = OrderedDict()

    def series(self, observed: Observed) -> Series | str:
        """Return the series, or the reason why there is nothing to compare with."""
        sights, first = [*observed.before, *observed.after], len(observed.before)
        known = self._known.get(observed.shown_s[0])
        if known is None or not known.continued_by(sights, first):
            rest = _rest(observed.before)
            if isinstance(rest, str):
                return rest
            known = _measured(sights, rest, first)
        elif len(known.pictures) < len(sights):
            known = _more(known, _measured(sights[len(known.pictures) :], known.rest, first))
        self._remember(observed.shown_s[0], known)
        pose, look = known.measured
        covered = hidden(look, first, MOUTH) | _distorted(pose)
        return Series(
            time_s=np.array([sight.time_s for sight in sights]) - observed.shown_s[0],
            seen=np.isfinite(pose.log_scale) & ~covered,
            first=first,
            poses=pose,
            looks=look,
            opened=_opened(pose.mouth, look.dark_px, first),
            covered=covered,
        )

    def _remember(self, key: float, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > _KNOWN_COMMANDS:
            self._known.popitem(last=False)


def _rest(before: Sequence[Sight]) -> _Rest | str:
    if len(before) < MIN_BEFORE:
        return "too_few_pictures"
    points = [sight.points for sight in before if sight.points is not None]
    luma = resting(before)
    if len(points) < MIN_BEFORE or luma is None:
        return "no_face"
    middle = np.median(np.stack(points).astype(np.float64), axis=0)
    return _Rest(middle, luma) if head_size(middle) >= MIN_HEAD_PX else "face_too_small"


def _measured(sights: Sequence[Sight], rest: _Rest, before: int) -> _Known:
    points = np.stack([_NO_FACE if sight.points is None else sight.points for sight in sights])
    named = tuple((sight.time_s, _weakly(sight.points), _weakly(sight.patch)) for sight in sights)
    return _Known(before, rest, named, (poses(points, rest.points), looks(sights, rest.luma)))


def _more(known: _Known, new: _Known) -> _Known:
    (pose, look), (new_pose, new_look) = known.measured, new.measured
    both = _joined(pose, new_pose), _joined(look, new_look)
    return _Known(known.before, known.rest, (*known.pictures, *new.pictures), both)


def _weakly(array: _Array | None) -> ReferenceType[_Array] | None:
    return None if array is None else ref(array)


def _joined(old: _Measured, new: _Measured) -> _Measured:
    both = {f.name: np.concatenate([getattr(old, f.name), getattr(new, f.name)]) for f in fields(old)}
    return type(old)(**both)


def _distorted(pose: Poses) -> Mask:
    turn = np.maximum(np.abs(pose.yaw_deg), np.abs(pose.pitch_deg))
    return np.asarray(pose.shape > _SHAPE + _SHAPE_PER_DEG * turn)


def _opened(mouth: Floats, dark_px: Floats, first: int) -> Floats:
    """Return the opening of the mouth: the lips far apart, or apart and dark between them.

    A smile parts the lips too, but shows teeth; without the dark it takes twice the gap.
    """
    gap = mouth - np.nanmedian(mouth[:first])
    return np.asarray(np.maximum(gap / _WIDE, np.minimum(gap / _APART, dark_px / _DARK_PX)))


def median3(value: Floats) -> Floats:
    """Return the medians of three neighbours: one wrong picture is no movement."""
    if len(value) < 3:
        return value
    padded = np.concatenate([value[:1], value, value[-1:]])
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def runs(mask: Mask, first: int = 0) -> Sequence[tuple[int, int]]:
    """Return start and end (exclusive) of each run of true values that begins at ``first`` or later."""
    padded = np.concatenate([[False], mask, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if a >= first]
