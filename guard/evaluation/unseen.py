"""Figures without the engines that a model's card names among those it was trained on.

Validation clips may come of an engine whose name is in training, in another implementation or with other
speakers: such clips flatter whoever asks what happens with an engine nobody has heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guard.evaluation.clips import Clip
from guard.evaluation.figures import Scores, both_classes, summary


def unseen_engines(
    clips: Sequence[Clip], results: Mapping[str, Scores], card_data: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the figures of genuine clips and of spoofs whose engine the card does not name.

    Args:
        card_data: ``[data]`` of the card, in which ``spoof_engines`` is a list of names.

    Returns:
        ``left_out`` (clips by engine) and ``conditions`` as in the report; None where the card names no
        engine of these clips, or every one.
    """
    known = {str(name).casefold() for name in card_data.get("spoof_engines", ())}
    named = np.array([clip.item.is_spoof and clip.item.system.casefold() in known for clip in clips])
    kept = np.flatnonzero(~named)
    if not named.any() or not both_classes(next(iter(results.values())).rows(kept)):
        return None
    systems = [clip.item.system for clip, left_out in zip(clips, named, strict=True) if left_out]
    return {
        "left_out": {name: systems.count(name) for name in sorted(set(systems))},
        "conditions": {name: summary(scores.rows(kept)) for name, scores in results.items()},
    }
