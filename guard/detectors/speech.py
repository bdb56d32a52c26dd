"""What a window of speech must be like before a voice detector looks at it; see docs/reasons.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guard.detectors.contract import WINDOW_SAMPLES
from guard.types import Abstain, AudioQuality, AudioWindow, FloatArray, Window


@dataclass(frozen=True, slots=True)
class SpeechLimits:
    """The quality below which a window is not scored; each detector states its own.

    Args:
        min_speech_s: in the window.
        min_snr_db: as the window estimates it.
        max_clipping_ratio: share of samples at full scale.
        max_concealed_ratio: share of the window that was invented.
        min_rms: below it is digital silence.
    """

    min_speech_s: float
    min_snr_db: float
    max_clipping_ratio: float
    max_concealed_ratio: float
    min_rms: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 < self.min_speech_s <= 4:
            raise ValueError("min_speech_s must lie in (0, 4]")
        if not (0 <= self.max_clipping_ratio <= 1 and 0 <= self.max_concealed_ratio <= 1):
            raise ValueError("max_clipping_ratio and max_concealed_ratio must lie in [0, 1]")

    def samples(self, window: Window) -> FloatArray | Abstain:
        """Return the samples as float32 (64000,), mono 16 kHz in [-1, 1], or why not."""
        if not isinstance(window, AudioWindow):
            return Abstain("wrong_window")
        reason = self._reason(window.quality)
        if reason is not None:
            return Abstain(reason)
        samples = np.ascontiguousarray(window.samples, dtype=np.float32)
        if samples.shape != (WINDOW_SAMPLES,) or not np.isfinite(samples).all():
            return Abstain("broken_audio")
        if float(np.sqrt(np.mean(samples**2))) < self.min_rms:
            return Abstain("too_quiet")
        return samples

    def _reason(self, quality: AudioQuality) -> str | None:
        if quality.concealed_ratio > self.max_concealed_ratio:
            return "concealed"
        if quality.speech_s < self.min_speech_s:
            return "too_little_speech"
        if quality.clipping_ratio > self.max_clipping_ratio:
            return "clipped"
        if quality.snr_db is not None and quality.snr_db < self.min_snr_db:
            return "too_noisy"
        return None
