"""The videos of a face report: what was measured of their files, brought to one score each.

The unit is the video: its files' llr are averaged first. A video that nothing scored is never left out: it
has llr 0 for AUC and EER and is no detection where a threshold decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from guard.evaluation.face_bootstrap import as_json, bootstrap_figures
from guard.evaluation.face_measure import Measured
from guard.evaluation.figures import ROUNDS, Scores
from guard.types import Signal

FUSED = "fused"

LlrOf = Callable[[Measured], float | None]


@dataclass(frozen=True, slots=True)
class Videos:
    """One line a video: its scores, the forgery method, and its files.

    ``scores.speech_s`` holds the seconds in which a face was seen in the *clean* file.
    """

    scores: Scores
    method: Sequence[str]
    files: Sequence[Sequence[Measured]]

    def rows(self, picked: Sequence[int]) -> Videos:
        """Return the same of some videos."""
        return Videos(
            self.scores.rows(np.array(picked, np.intp)),
            [self.method[n] for n in picked],
            [self.files[n] for n in picked],
        )


def llr_of(name: str) -> LlrOf:
    """Return what reads the llr of a file: of a signal's name, or of ``fused``."""
    if name == FUSED:
        return lambda measured: measured.fused.llr
    signal = Signal(name)
    return lambda measured: measured.llr(signal)


def videos_of(
    measured: Sequence[Measured], llr: LlrOf, visible_s: Mapping[str, float] | None = None
) -> Videos:
    """Return the videos of files, each with the mean of what ``llr`` reads of its files.

    Args:
        visible_s: seconds of visible face by video, where the files are not the clean ones.
    """
    groups: dict[str, list[Measured]] = {}
    for m in measured:
        groups.setdefault(m.item.unit, []).append(m)
    values: list[float | None] = []
    for own in groups.values():
        known = [value for m in own if (value := llr(m)) is not None]
        values.append(float(np.mean(known)) if known else None)
    seen_s = visible_s or visible(measured)
    firsts = [own[0].item for own in groups.values()]
    scores = Scores(
        np.array([value or 0.0 for value in values], np.float64),
        np.array([value is not None for value in values], np.bool_),
        np.array([item.is_spoof for item in firsts], np.bool_),
        [None] * len(values),
        list(groups),
        np.array([seen_s.get(name, 0.0) for name in groups], np.float64),
    )
    return Videos(scores, [item.method for item in firsts], list(groups.values()))


def visible(measured: Sequence[Measured]) -> dict[str, float]:
    """Return the seconds in which a face was seen, by video."""
    out: dict[str, float] = {}
    for m in measured:
        out[m.item.unit] = out.get(m.item.unit, 0.0) + m.visible_s
    return out


def intervals_of(scores: Scores, *, rounds: int | None = None) -> dict[str, dict[str, float]]:
    """Return AUC, EER and the two TPR with 95 % intervals over videos."""
    return as_json(bootstrap_figures(scores, rounds or ROUNDS))


def rounded(value: float | None) -> float:
    """Return a figure with four places, as reports hold them."""
    return round(float(value or 0.0), 4)
