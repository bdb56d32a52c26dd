"""SIMULATED calls: streams drawn from what detectors scored on held-out windows.

A call is one voice on one line, and one face before one camera: all its windows of a kind come from one
group (a source of genuine speech or a face, an engine or a forged clip) and share that group's bias. So
calls differ from each other as groups do, and many windows of one call do not average that away. Detectors
of one kind that were scored on the same groups are drawn together: the same window for all of them.
Nothing here was recorded in a call.
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
# what an attack forges, by the name it has in reports
ATTACKS = {
    "voice": frozenset({Kind.AUDIO}),
    "face": frozenset({Kind.VIDEO}),
    "both": frozenset({Kind.AUDIO, Kind.VIDEO}),
}


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What is drawn.

    Args:
        length_s: of a call.
        switch_s: when it turns from genuine to attack; None: it is one or the other throughout.
        taken_over_s: when somebody else takes over a genuine voice and face; None: nobody does.
        answered: share of the time in which there is something to score.
    """

    length_s: float = 600.0
    switch_s: float | None = None
    answered: float = 0.6
    taken_over_s: float | None = None

    def __post_init__(self) -> None:
        if not self.length_s >= 4:
            raise ValueError("length_s must be at least 4")
        for name in ("switch_s", "taken_over_s"):
            if (at_s := getattr(self, name)) is not None and not 0 <= at_s <= self.length_s:
                raise ValueError(f"{name} must lie within the call")
        if not 0 < self.answered <= 1:
            raise ValueError("answered must lie in (0, 1]")


def attacks_on(held_out: Sequence[HeldOut]) -> tuple[str, ...]:
    """Return which attacks can be drawn: both kinds of track, or the one that has scores."""
    kinds = {held.signal.kind for held in held_out}
    return tuple(name for name, forged in ATTACKS.items() if forged <= kinds)


def draw_call(
    held_out: Sequence[HeldOut], attack: str | None, plan: CallPlan, rng: np.random.Generator, name: str
) -> Stream:
    """Return one simulated call with every detector's scores; a switched call begins genuine.

    Args:
        attack: what is forged, a key of ``ATTACKS``; None for a genuine call.
    """
    scores: list[Score] = []
    forged = ATTACKS[attack] if attack is not None else frozenset()
    for kind in Kind:
        own = [held for held in held_out if held.signal.kind is kind]
        if own:
            scores += _scores(own, kind in forged, plan, rng)
    scores.sort(key=lambda s: (s.end_s, s.signal))
    return Stream(name, attack is not None, plan.length_s, tuple(scores), attack)


def _scores(
    held_out: Sequence[HeldOut], is_spoof: bool, plan: CallPlan, rng: np.random.Generator
) -> list[Score]:
    """Return the scores of all detectors of one kind of track."""
    kind = held_out[0].signal.kind
    key = TrackKey("simulated", "participant", kind)
    before, after = _one_of(held_out, False, rng), _one_of(held_out, is_spoof, rng)
    turn_s = (plan.switch_s or 0.0) if is_spoof else plan.taken_over_s
    out: list[Score] = []
    ends_s = np.arange(NOMINAL_S[kind], plan.length_s + 1e-9, _HOP_S[kind])
    llrs, heard, until_s = [0.0] * len(held_out), True, float("-inf")
    for end_s in ends_s.tolist():
        if end_s >= until_s:
            until_s = end_s + _SAME_S[kind] - 1e-9
            # a window that the switch cuts is neither: half of what it holds decides
            turned = turn_s is not None and end_s - NOMINAL_S[kind] / 2 >= turn_s
            groups = after if turned else before
            llrs, heard = _draw(groups, rng), bool(rng.random() < plan.answered)
        if heard:
            face = None if kind is Kind.AUDIO else 0
            out += [
                Score(key, held.signal, end_s - NOMINAL_S[kind], end_s, llr, face=face)
                for held, llr in zip(held_out, llrs, strict=True)
            ]
    return out


def _one_of(held_out: Sequence[HeldOut], is_spoof: bool, rng: np.random.Generator) -> list[Group]:
    """Return a group for each detector, the same one where they have it in common.

    Every source, engine and clip as often as the next, however many windows it has.
    """
    first = held_out[0].of(is_spoof)
    chosen = first[int(rng.integers(len(first)))]
    out = [chosen]
    for held in held_out[1:]:
        same = [group for group in held.of(is_spoof) if group.name == chosen.name]
        own = same or held.of(is_spoof)
        out.append(own[int(rng.integers(len(own)))] if len(own) > 1 else own[0])
    return out


def _draw(groups: Sequence[Group], rng: np.random.Generator) -> list[float]:
    """Return one window's llr for each detector; where they scored the same clips, of the same window."""
    where, when = rng.random(), rng.random()
    clips = [group.clips[int(where * len(group.clips))] for group in groups]
    return [clip[int(when * len(clip))] for clip in clips]
