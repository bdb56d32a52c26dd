"""What is no answer whatever was asked: pictures that tell nothing, and pictures that are not live."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from guard.challenge.commands import Observed, Sight
from guard.challenge.gestures_series import Series

MIN_RATE_HZ = 5.0
MAX_GAP_S = 0.7
MIN_SEEN_RATIO = 0.6
MIN_LUMA = 30.0
MAX_SEVERAL, MAX_SEVERAL_RATIO = 3, 0.1
# identical pictures for this long; a camera's noise changes every picture
FROZEN_S = 1.0
# what no head does between two pictures: degrees and head sizes per second, and the least step that counts
_MAX_TURN_DEG_S, _MIN_TURN_DEG = 450.0, 25.0
_MAX_WAY_S, _MIN_WAY = 12.0, 0.6
# a face this unlike the one before, in most of the newest pictures in which it looks ahead, is another one
_OTHER_FACE, _NEWEST, _LEAST, _AHEAD_DEG = 0.65, 8, 5, 8.0
_LUMA = np.array([0.299, 0.587, 0.114])


def several_faces(observed: Observed) -> bool:
    """Tell whether more than one face was in view: somebody else may be answering."""
    counts = [sight.faces for sight in observed.after]
    return sum(count > 1 for count in counts) > max(MAX_SEVERAL, MAX_SEVERAL_RATIO * len(counts))


def unseen_reason(observed: Observed, limit_s: float) -> str | None:
    """Return why the pictures of a whole command do not allow to tell, or None."""
    times = np.array([observed.shown_s[0], *(sight.time_s for sight in observed.after)])
    gaps_s = np.diff(np.append(times, max(observed.shown_s[0] + limit_s, times[-1])))
    if len(observed.after) < MIN_RATE_HZ * limit_s or gaps_s.max() > MAX_GAP_S:
        return "too_few_pictures"
    lumas = [float(sight.face_rgb @ _LUMA) for sight in observed.after if sight.face_rgb is not None]
    if lumas and float(np.median(lumas)) < MIN_LUMA:
        return "face_dark"
    return None


def not_live(found: Series, observed: Observed) -> str | None:
    """Return why the pictures are no live view, or None."""
    if frozen(observed.after):
        return "frozen_video"
    return "picture_jumped" if jumped(found) else None


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
    """Tell whether the face moved between two pictures as no head does: another feed, or a loop's seam.

    Pictures in which a hand hides the mouth are left out: there the points are invented.
    """
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


def other_face(found: Series) -> bool:
    """Tell whether somebody else answered: the newest pictures ahead show another face than before."""
    p = found.poses
    angles = np.max([np.abs(angle) for angle in (p.yaw_deg, p.pitch_deg, p.roll_deg)], axis=0)
    known = found.seen & (angles < _AHEAD_DEG) & np.isfinite(found.looks.face)
    known[: found.first] = False
    newest = found.looks.face[np.flatnonzero(known)[-_NEWEST:]]
    return len(newest) >= _LEAST and float(np.median(newest)) < _OTHER_FACE


def _same(one: Sight, other: Sight) -> bool:
    if one.points is None or other.points is None or one.patch is None or other.patch is None:
        return False
    return np.array_equal(one.points, other.points) and np.array_equal(one.patch, other.patch)
