"""Voice replay: did this voice come out of a loudspeaker before it reached the microphone?

Learned and measured on simulated replays only, never on a real one. Its llr is therefore kept small by its
card, and fusion lets it support another voice signal at most: docs/voice-companions.md and
models/voice_replay/card.toml. A low llr says nothing against a voice that a program feeds into the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.detectors.card import Card
from guard.detectors.contract import WINDOW_SAMPLES
from guard.detectors.onnx import OnnxModel, Scorer
from guard.fusion.calibration import Logistic
from guard.media.channel import is_narrow
from guard.types import Abstain, AudioQuality, AudioWindow, Finding, FloatArray, Signal, Window


@dataclass(frozen=True, slots=True)
class VoiceReplayConfig:
    """The quality below which a window is not scored; see docs/reasons.md.

    The limits are the edges of the simulation: noise hides the room and the loudspeaker, concealment and
    clipping put a response of their own over theirs.

    Args:
        min_speech_s: in the window.
        min_snr_db: as the window estimates it; the training had 8 dB and more.
        max_clipping_ratio: share of samples at full scale.
        max_concealed_ratio: share of the window that was invented.
        min_rms: below it is digital silence.
    """

    min_speech_s: float = 1.9
    min_snr_db: float = 6.0
    max_clipping_ratio: float = 0.05
    max_concealed_ratio: float = 0.2
    min_rms: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 < self.min_speech_s <= 4:
            raise ValueError("min_speech_s must lie in (0, 4]")
        if not (0 <= self.max_clipping_ratio <= 1 and 0 <= self.max_concealed_ratio <= 1):
            raise ValueError("max_clipping_ratio and max_concealed_ratio must lie in [0, 1]")


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
        if not isinstance(window, AudioWindow):
            return Abstain("wrong_window")
        reason = self._reason(window.quality)
        if reason is not None:
            return Abstain(reason)
        samples = np.ascontiguousarray(window.samples, dtype=np.float32)
        if samples.shape != (WINDOW_SAMPLES,) or not np.isfinite(samples).all():
            return Abstain("broken_audio")
        if float(np.sqrt(np.mean(samples**2))) < self._config.min_rms:
            return Abstain("too_quiet")
        # behind G.711 33 to 43 % of simulated genuine speech came out as replayed, else 23 to 29 %
        return Abstain("narrow_band") if is_narrow(samples) else samples

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

    def _reason(self, quality: AudioQuality) -> str | None:
        c = self._config
        if quality.concealed_ratio > c.max_concealed_ratio:
            return "concealed"
        if quality.speech_s < c.min_speech_s:
            return "too_little_speech"
        if quality.clipping_ratio > c.max_clipping_ratio:
            return "clipped"
        if quality.snr_db is not None and quality.snr_db < c.min_snr_db:
            return "too_noisy"
        return None
