"""What a model may say beside its score that makes guard abstain: content and quality of the window.

The limits are the card's (``[gates]``); a limit that is absent is no gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from guard.detectors.card_table import number_at, refuse_unknown
from guard.types import FloatArray

# order of the ``content`` output
CONTENT = ("one_voice", "several_voices", "music", "noise")
_CONTENT_LIMITS = ("min_one_voice", "max_music", "max_several", "max_noise")
_REASONS = {"several_voices": "several_speakers", "music": "music", "noise": "environment_noise"}
CONTENT_REASONS = frozenset(_REASONS.values())
_LOW_QUALITY = "low_quality"


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits beyond which a window is not scored.

    Args:
        min_one_voice: probability that it is one voice, in (0, 1).
        max_music: probability that it is music, in (0, 1).
        max_several: probability that several people speak at once, in (0, 1).
        max_noise: probability that it is noise and no voice, in (0, 1).
        min_quality: predicted mean opinion score (DNSMOS overall, ITU-T P.835), in [1, 5].
    """

    min_one_voice: float | None = None
    max_music: float | None = None
    max_several: float | None = None
    max_noise: float | None = None
    min_quality: float | None = None

    def __post_init__(self) -> None:
        for name in _CONTENT_LIMITS:
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < 1:
                raise ValueError(f"gates.{name} must lie between 0 and 1, not {limit}")
        if self.min_quality is not None and not 1 <= self.min_quality <= 5:
            raise ValueError(f"gates.min_quality must lie in [1, 5], not {self.min_quality}")

    @property
    def outputs(self) -> frozenset[str]:
        """The model outputs that the gates read."""
        content = any(getattr(self, name) is not None for name in _CONTENT_LIMITS)
        wanted = {"content": content, "quality": self.min_quality is not None}
        return frozenset(name for name, is_read in wanted.items() if is_read)

    @property
    def binding(self) -> frozenset[str]:
        """The reasons for which no voice signal may score a window; empty where the content is not told.

        What sounds too bad to be speech (a busy tone does) is nobody's voice to remember or compare either.
        """
        if "content" not in self.outputs:
            return frozenset()
        return CONTENT_REASONS | {_LOW_QUALITY} if self.min_quality is not None else CONTENT_REASONS

    def content_reason(self, logits: FloatArray) -> str | None:
        """Return why a window of this content is not scored; the likeliest of several reasons.

        A window that is not one voice for sure (``min_one_voice``) is what it is likeliest besides.

        Args:
            logits: (4,) in the order of ``CONTENT``, of classes that exclude each other (softmax).
        """
        odds = np.exp(logits.astype(np.float64) - float(logits.max()))
        probability = dict(zip(CONTENT, odds / odds.sum(), strict=True))
        limits = {"music": self.max_music, "several_voices": self.max_several, "noise": self.max_noise}
        beyond = [name for name, limit in limits.items() if limit is not None and probability[name] > limit]
        if self.min_one_voice is not None and probability["one_voice"] < self.min_one_voice:
            beyond = list(limits)
        return _REASONS[max(beyond, key=lambda name: probability[name])] if beyond else None

    def quality_reason(self, quality: float) -> str | None:
        """Return why a window of this predicted opinion score is not scored."""
        return _LOW_QUALITY if self.min_quality is not None and quality < self.min_quality else None


def read_gates(table: Mapping[str, Any]) -> Gates:
    """Return the gates of a card's ``[gates]``.

    Raises:
        ValueError: a key is unknown, or a limit is no number or makes no sense.
    """
    refuse_unknown(table, (field.name for field in fields(Gates)), "gates")
    return Gates(**{name: number_at(table, name) for name in table})
