"""What was seen of one command as series over time, and the reasons why nothing can be told of it.

Neutral is the median of the face's points in the pictures before the command; every movement is measured
against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from guard.challenge.commands import Observed, Sight
from guard.challenge.gestures_patch import Looks, hidden, looks
from guard.challenge.pose import Floats, Poses, head_size, poses

# the quickest answer to something seen; simple reaction times of healthy adults begin at about this
MIN_REACTION_S = 0.15

MIN_RATE_HZ = 5.0
MAX_GAP_S = 0.7
MIN_BEFORE = 5
MIN_SEEN_RATIO = 0.6
MIN_HEAD_PX = 24.0
MIN_LUMA = 30.0
MAX_SEVERAL_RATIO = 0.1
# identical pictures for this long; a camera's noise changes every picture
FROZEN_S = 1.0
# what no head does between two pictures: degrees and head sizes per second, and the least step that counts
_MAX_TURN_DEG_S, _MIN_TURN_DEG = 700.0, 25.0
_MAX_WAY_S, _MIN_WAY = 12.0, 0.6
# gap of the lips in lengths of the nose, and pixels of the cut-out that became dark, of an open mouth
_WIDE, _APART, _DARK_PX = 0.4, 0.18, 40.0
_LUMA = np.array([0.299, 0.587, 0.114])


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
        head_px: size of the neutral head in pixels (``pose.head_size``).
    """

    time_s: Floats
    seen: NDArray[np.bool_]
    first: int
    poses: Poses
    looks: Looks
    opened: Floats
    head_px: float


def series(observed: Observed) -> Series | str:
    """Return the series, or the reason why there is none.

    ``no_face`` before the command means that there is nothing to compare with.
    """
    sights = [*observed.before, *observed.after]
    before = [sight.points for sight in observed.before if sight.points is not None]
    if len(observed.before) < MIN_BEFORE:
        return "too_few_pictures"
    if len(before) < MIN_BEFORE:
        return "no_face"
    neutral = np.median(np.stack(before).astype(np.float64), axis=0)
    head_px = head_size(neutral)
    if not head_px >= MIN_HEAD_PX:
        return "face_too_small"
    empty = np.full((468, 3), np.nan, np.float32)
    points = np.stack([empty if sight.points is None else sight.points for sight in sights])
    first = len(observed.before)
    measured, shown = poses(points, neutral), looks(sights, first)
    covered = hidden(shown, first, 2)
    return Series(
        time_s=np.array([sight.time_s for sight in sights]) - observed.shown_s[0],
        seen=np.isfinite(measured.log_scale) & ~covered,
        first=first,
        poses=measured,
        looks=shown,
        opened=_opened(measured.mouth, shown.dark_px, first),
        head_px=head_px,
    )


def _opened(mouth: Floats, dark_px: Floats, first: int) -> Floats:
    """Return the opening of the mouth: the lips far apart, or apart and dark between them.

    A smile parts the lips too, but shows teeth; without the dark it takes twice the gap.
    """
    gap = mouth - np.nanmedian(mouth[:first])
    return np.asarray(np.maximum(gap / _WIDE, np.minimum(gap / _APART, dark_px / _DARK_PX)))


def several_faces(observed: Observed) -> bool:
    """Tell whether more than one face was in view: somebody else may be answering."""
    counts = [sight.faces for sight in observed.after]
    return sum(count > 1 for count in counts) > max(1, MAX_SEVERAL_RATIO * len(counts))


def unseen_reason(observed: Observed, limit_s: float) -> str | None:
    """Return why the pictures of a whole command do not allow to tell, or None."""
    times = np.array([observed.shown_s[0], *(s.time_s for s in observed.after)])
    span_s = max(limit_s, 1e-6)
    if len(observed.after) < MIN_RATE_HZ * span_s * 0.9:
        return "too_few_pictures"
    gaps = np.diff(np.append(times, observed.shown_s[0] + limit_s))
    if gaps.max() > MAX_GAP_S:
        return "too_few_pictures"
    lumas = [float(s.face_rgb @ _LUMA) for s in observed.after if s.face_rgb is not None]
    if lumas and float(np.median(lumas)) < MIN_LUMA:
        return "face_dark"
    return None


def frozen(sights: Sequence[Sight]) -> bool:
    """Tell whether the face and its points did not change by a single bit for ``FROZEN_S`` seconds."""
    since_s: float | None = None
    for earlier, later in pairwise(sights):
        if not _same(earlier, later):
            since_s = None
            continue
        since_s = earlier.time_s if since_s is None else since_s
        if later.time_s - since_s >= FROZEN_S:
            return True
    return False


def jumped(found: Series) -> bool:
    """Tell whether the face moved between two pictures as no head does: another feed, or a loop's seam."""
    at = np.flatnonzero(found.seen)
    if len(at) < 2:
        return False
    step_s = np.maximum(np.diff(found.time_s[at]), 1e-3)
    p = found.poses
    turn = np.max([np.abs(np.diff(angle[at])) for angle in (p.yaw_deg, p.pitch_deg, p.roll_deg)], axis=0)
    way = np.hypot(*np.diff(p.nose[at], axis=0).T)
    turned = turn > np.maximum(_MIN_TURN_DEG, _MAX_TURN_DEG_S * step_s)
    moved = way > np.maximum(_MIN_WAY, _MAX_WAY_S * step_s)
    return bool((turned | moved).any())


def _same(one: Sight, other: Sight) -> bool:
    if one.points is None or other.points is None or one.patch is None or other.patch is None:
        return False
    return np.array_equal(one.points, other.points) and np.array_equal(one.patch, other.patch)
