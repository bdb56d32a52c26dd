"""The card of the speaker model: two signals compare the vectors it makes of voices."""

from __future__ import annotations

from pathlib import Path

from guard.detectors.vector_card import VectorCard, load_vector_card
from guard.types import Signal

SIGNALS = (Signal.SPEAKER_CHANGE, Signal.VOICE_MATCH)


def load_speaker_card(folder: Path) -> VectorCard:
    """Read and check ``folder/card.toml``, with a calibration for each of ``SIGNALS``.

    Raises:
        ModelError: ``card_missing`` or ``card_invalid``.
    """
    return load_vector_card(folder, SIGNALS)
