"""The figures of parts of a folder: each forgery method, and faces of each size.

Intervals are of 300 draws of whole videos. A method of one video is always drawn whole: its interval tells of
other genuine videos alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.evaluation.face_bootstrap import as_json, mean_auc
from guard.evaluation.face_measure import Measured
from guard.evaluation.face_videos import Videos, intervals_of, llr_of, rounded, videos_of
from guard.evaluation.figures import PART_ROUNDS, both_classes
from guard.evaluation.metrics import auc

MIN_VIDEOS = 5
SIZES_PX = (0, 32, 48, 64, 96)
"""Where the bins of the distance between the eyes begin in the clean files, as they always did."""
FINE_SIZES_PX = (0, 32, 40, 48, 64, 96)
"""Where they begin in each condition: some detectors ask for 32 px, others for 40."""
NO_FACE = "no face"


def per_method(videos: Videos) -> dict[str, dict[str, Any]]:
    """Return the figures of every forgery method against all real videos of the folder.

    ``figures`` has AUC, EER and both TPR with intervals; None where no video at all was scored.
    """
    scores = videos.scores
    found: dict[str, dict[str, Any]] = {}
    for method, own in _methods(videos).items():
        part = scores.rows(np.flatnonzero(own | ~scores.is_spoof))
        found[method] = {
            "videos": int(own.sum()),
            "auc": rounded(auc(part.llr, part.is_spoof)),
            "coverage": rounded(scores.covered[own].mean()),
            "figures": intervals_of(part, rounds=PART_ROUNDS) if scores.covered.any() else None,
        }
    return found


def macro_auc(videos: Videos) -> dict[str, float] | None:
    """Return the plain mean of the AUC of methods with enough videos, with its interval; None without one."""
    scores = videos.scores
    large = [scores.llr[own] for own in _methods(videos).values() if own.sum() >= MIN_VIDEOS]
    if not large:
        return None
    found = mean_auc(large, scores.llr[~scores.is_spoof], PART_ROUNDS)
    return as_json({"macro_auc": found})["macro_auc"]


def sizes(
    measured: Sequence[Measured], name: str, edges_px: Sequence[int], *, with_unseen: bool = False
) -> dict[str, Any]:
    """Return the figures by distance between the eyes as the files arrive.

    Bins of one class alone have no error rates.

    Args:
        edges_px: where the bins begin.
        with_unseen: whether videos in which no face could be judged have a bin of their own, last.
    """
    videos = videos_of(measured, llr_of(name))
    eyes = [_eye_px(own) for own in videos.files]
    bins: dict[str, list[int]] = {}
    for low, high in zip(edges_px, (*edges_px[1:], None), strict=True):
        label = f"{low} px and more" if high is None else f"{low} to {high} px"
        bins[label] = [n for n, eye_px in enumerate(eyes) if _within(eye_px, low, high)]
    if with_unseen:
        bins[NO_FACE] = [n for n, eye_px in enumerate(eyes) if eye_px is None]
    return {label: _size(videos.rows(rows)) for label, rows in bins.items() if rows}


def _size(part: Videos) -> dict[str, Any]:
    scores = part.scores
    figures = intervals_of(scores, rounds=PART_ROUNDS) if both_classes(scores) else {}
    return {
        "videos": len(part.method),
        "spoof": int(scores.is_spoof.sum()),
        "coverage": rounded(scores.covered.mean()),
        **figures,
    }


def _methods(videos: Videos) -> dict[str, NDArray[np.bool_]]:
    """Return bool (N,) of the spoof videos of each method, by name."""
    is_spoof = videos.scores.is_spoof
    names = sorted({m for m, s in zip(videos.method, is_spoof, strict=True) if s})
    return {name: np.array([m == name for m in videos.method]) & is_spoof for name in names}


def _within(eye_px: float | None, low: float, high: float | None) -> bool:
    return eye_px is not None and eye_px >= low and (high is None or eye_px < high)


def _eye_px(files: Sequence[Measured]) -> float | None:
    known = [m.eye_px for m in files if m.eye_px is not None]
    return float(np.median(known)) if known else None
