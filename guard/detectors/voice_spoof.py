"""Voice spoof: is this voice made by a machine (text to speech, voice conversion, vocoder)?

The model and its known failures: docs/voice.md and models/voice_spoof/card.toml; its data:
docs/voice-training.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from guard.detectors.card import Card
from guard.detectors.contract import check_contract, fitted
from guard.detectors.gates import Gates
from guard.detectors.onnx import OnnxModel, Runner
from guard.detectors.speech import SpeechLimits
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.channel import bin_of
from guard.types import PART_S, Abstain, AudioWindow, Finding, FloatArray, Signal, Window


@dataclass(frozen=True, slots=True)
class VoiceSpoofConfig(SpeechLimits):
    """The quality below which a window is not scored; see docs/reasons.md.

    The limits say where the shipped model was trained and measured, not where audio turns bad.
    """

    min_speech_s: float = 1.9
    min_snr_db: float = 3.0
    max_clipping_ratio: float = 0.1
    max_concealed_ratio: float = 0.35


@dataclass(frozen=True, slots=True)
class VoiceReading:
    """How the outputs of a voice model are read; all of it stands in its card.

    Args:
        calibration: of the score, by the channel of the window.
        second: of the output ``timeline``, None where the model has none.
        gates: of the outputs ``content`` and ``quality``.
    """

    calibration: BinnedLogistic
    second: Logistic | None = None
    gates: Gates = field(default_factory=Gates)


class VoiceSpoof:
    """Scores 4 s windows of one voice; a ``types.Detector``."""

    def __init__(self, model: Runner, reading: VoiceReading, config: VoiceSpoofConfig | None = None) -> None:
        self._model = model
        self._reading = reading
        self._config = config or VoiceSpoofConfig()

    @classmethod
    def from_card(cls, card: Card) -> VoiceSpoof:
        """Load the card's model; raises ModelError as ``OnnxModel`` and ``check_contract`` do."""
        check_contract(card)
        return cls(fitted(OnnxModel(card)), VoiceReading(card.calibrations, card.second, card.gates))

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.VOICE_SPOOF

    @property
    def content_reasons(self) -> frozenset[str]:
        """The reasons to abstain for which no voice signal may score the window; empty without such gates."""
        return self._reading.gates.binding

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the samples as float32 (64000,), mono 16 kHz in [-1, 1], or why not."""
        return self._config.samples(window)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means spoof, or why there is none.

        What the model says of the content or the quality of a window may keep its score back.

        Args:
            batch: float32 (B, 64000), rows as ``prepare`` returned them.
            windows: the AudioWindows of the rows; their channel picks the calibration.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        outputs = self._model.run(batch)
        heard = [window for window in windows if isinstance(window, AudioWindow)]
        bins = [bin_of(window.samples, window.quality) for window in heard]
        llrs = self._reading.calibration.llr(outputs.raw, bins)
        rows = zip(llrs.tolist(), heard, strict=True)
        return [self._found(outputs.more, row, llr, window) for row, (llr, window) in enumerate(rows)]

    def _found(
        self, more: Mapping[str, FloatArray], row: int, llr: float, window: AudioWindow
    ) -> Finding | Abstain:
        reading, reason = self._reading, None
        if "content" in more:
            reason = reading.gates.content_reason(more["content"][row])
        if "quality" in more:
            reason = reason or reading.gates.quality_reason(float(more["quality"][row]))
        if reason is not None:
            return Abstain(reason)
        if "timeline" not in more or reading.second is None:
            return Finding(llr)
        # beyond the end of what was heard, the window is padded with repeats of it
        heard = max(1, math.floor((window.end_s - window.start_s) / PART_S + 1e-6))
        return Finding(llr, tuple(reading.second.llr(more["timeline"][row, :heard]).tolist()))
