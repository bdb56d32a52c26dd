"""What the product's own fusion makes of the scores of one file, and of some of its signals alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from guard.fusion.config import FusionConfig
from guard.fusion.engine import Fusion
from guard.fusion.signal import SignalEvidence
from guard.types import Kind, Score, Signal


@dataclass(frozen=True, slots=True)
class Fused:
    """The llr at the end of a file.

    Args:
        llr: None where there was no evidence.
        is_early: the product still says nothing after so little; this is what it would say if it did
            not wait for its least number of windows. Error figures count it, the bar of coverage does not.
    """

    llr: float | None
    is_early: bool = False


def fuse(scores: Sequence[Score], config: FusionConfig) -> Fused:
    """Return what ``guard analyze`` gives as the llr of the face, or else the best there is.

    The rules, weights and bounds are the product's. Only where it says nothing because no signal has as
    many windows as ``FusionConfig`` asks for, the same is computed without that wait: a short clip or a
    single picture has some evidence, and to call it none would make the figures a matter of clip lengths.
    """
    llr = _standing(scores, config)
    if llr is not None:
        return Fused(llr)
    hasty = _standing(scores, _hasty(config))
    return Fused(hasty, is_early=hasty is not None)


def alone(scores: Sequence[Score], signal: Signal, config: FusionConfig) -> Fused:
    """Return the evidence of one signal at weight 1, whatever weight it has in the product."""
    own = [score for score in scores if score.signal is signal]
    for is_early, rules in ((False, config), (True, _hasty(config))):
        evidence = SignalEvidence(signal, rules)
        for score in own:
            evidence.push(score)
        llr = evidence.reading().llr
        if llr is not None:
            return Fused(llr, is_early)
    return Fused(None)


def without(scores: Sequence[Score], signal: Signal, config: FusionConfig) -> Fused:
    """Return what the product would say without one of its signals."""
    return fuse([score for score in scores if score.signal is not signal], config)


def _hasty(config: FusionConfig) -> FusionConfig:
    return replace(config, face=replace(config.face, min_windows=1))


def _standing(scores: Sequence[Score], config: FusionConfig) -> float | None:
    if not scores:
        return None
    key, at_s = scores[-1].key, max(score.end_s for score in scores)
    fusion = Fusion(key.session, key.participant, config)
    for score in scores:
        fusion.push(score)
    fusion.verdict(at_s)
    standing = fusion.standing(Kind.VIDEO, at_s)
    return None if standing is None else standing.llr
