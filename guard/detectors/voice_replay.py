"""Voice replay: did this voice come out of a loudspeaker before it reached the microphone?

Learned and measured on simulated replays only, never on a real one. Its llr is therefore kept small by its
card, and fusion lets it support another voice signal at most: docs/voice-companions.md and
models/voice_replay/card.toml. A low llr says nothing against a voice that a program feeds into the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guard.detectors.card import Card
from guard.detectors.onnx import OnnxModel, Scorer
from guard.detectors.speech import SpeechLimits
from guard.fusion.calibration import Logistic
from guard.media.channel import is_narrow
from guard.types import Abstain, Finding, FloatArray, Signal, Window


@dataclass(frozen=True, slots=True)
class VoiceReplayConfig(SpeechLimits):
    """The quality below which a window is not scored; see docs/reasons.md.

    The limits are the edges of the simulation: noise hides the room and the loudspeaker, concealment and
    clipping put a response of their own over theirs. The training had 8 dB of signal to noise and more.
    """

    min_speech_s: float = 1.9
    min_snr_db: float = 6.0
    max_clipping_ratio: float = 0.05
    max_concealed_ratio: float = 0.2


class VoiceReplay:
    """Scores 4 s windows of one voice; a ``types.Detector``."""

    def __init__(self, model: Scorer, calibration: Logistic, config: VoiceReplayConfig | None = None) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or VoiceReplayConfig()

    @classmethod
    def from_card(cls, card: Card) -> VoiceReplay:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibration)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.VOICE_REPLAY

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the samples as float32 (64000,), mono 16 kHz in [-1, 1], or why not."""
        samples = self._config.samples(window)
        # behind G.711 33 to 43 % of simulated genuine speech came out as replayed, else 23 to 29 %
        if not isinstance(samples, Abstain) and is_narrow(samples):
            return Abstain("narrow_band")
        return samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means replayed.

        Args:
            batch: float32 (B, 64000), rows as ``prepare`` returned them.
            windows: not looked at.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        del windows
        return [Finding(llr) for llr in self._calibration.llr(self._model.raw(batch)).tolist()]
