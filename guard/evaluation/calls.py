"""SIMULATED calls: streams drawn from what detectors scored on held-out windows.

A call is one voice on one line: all its windows come from one group (a source of genuine speech or
faces, an engine or method of attacks) and share that group's bias. So calls differ from each other as
groups do, and many windows of one call do not average that away. Nothing here was recorded in a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.evaluation.streams import NOMINAL_S, Group, HeldOut, Stream
from guard.types import Kind, Score, TrackKey

_HOP_S = {Kind.AUDIO: 2.0, Kind.VIDEO: 0.2}
# looks at a face within a second show nearly the same picture: they share one draw
_SAME_S = {Kind.AUDIO: 2.0, Kind.VIDEO: 1.0}


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What is drawn.

    Args:
        length_s: of a call.
        switch_s: when it turns from genuine to attack; None: it is one or the other throughout.
        answered: share of the time in which there is something to score.
    """

    length_s: float = 600.0
    switch_s: float | None = None
    answered: float = 0.6

    def __post_init__(self) -> None:
        if not self.length_s >= 4:
            raise ValueError("length_s must be at least 4")
        if self.switch_s is not None and not 0 <= self.switch_s <= self.length_s:
            raise ValueError("switch_s must lie within the call")
        if not 0 < self.answered <= 1:
            raise ValueError("answered must lie in (0, 1]")


def draw_call(
    held_out: Sequence[HeldOut], is_spoof: bool, plan: CallPlan, rng: np.random.Generator, name: str
) -> Stream:
    """Return one simulated call with every detector's scores; a switched call begins genuine."""
    scores: list[Score] = []
    for held in held_out:
        scores += _scores(held, is_spoof, plan, rng)
    scores.sort(key=lambda s: (s.end_s, s.signal))
    return Stream(name, is_spoof, plan.length_s, tuple(scores))


def _scores(held: HeldOut, is_spoof: bool, plan: CallPlan, rng: np.random.Generator) -> list[Score]:
    kind = held.signal.kind
    key = TrackKey("simulated", "participant", kind)
    before, after = _one_of(held.of(False), rng), _one_of(held.of(is_spoof), rng)
    switch_s = 0.0 if plan.switch_s is None or not is_spoof else plan.switch_s
    out: list[Score] = []
    ends_s = np.arange(NOMINAL_S[kind], plan.length_s + 1e-9, _HOP_S[kind])
    llr, heard, until_s = 0.0, True, float("-inf")
    for end_s in ends_s.tolist():
        if end_s >= until_s:
            until_s = end_s + _SAME_S[kind] - 1e-9
            # a window that the switch cuts is neither: half of what it holds decides
            group = after if is_spoof and end_s - NOMINAL_S[kind] / 2 >= switch_s else before
            llr, heard = _draw(group, rng), bool(rng.random() < plan.answered)
        if heard:
            face = None if kind is Kind.AUDIO else 0
            out.append(Score(key, held.signal, end_s - NOMINAL_S[kind], end_s, llr, face=face))
    return out


def _one_of(groups: Sequence[Group], rng: np.random.Generator) -> Group:
    """Return a group: every source and every engine as often as the next, however many clips it has."""
    return groups[int(rng.integers(len(groups)))]


def _draw(group: Group, rng: np.random.Generator) -> float:
    clip = group.clips[int(rng.integers(len(group.clips)))]
    return clip[int(rng.integers(len(clip)))]
