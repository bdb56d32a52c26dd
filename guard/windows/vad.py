"""Where there is speech: WebRTC's voice activity detector, the only import of it."""

from __future__ import annotations

import numpy as np
import webrtcvad

from guard.types import FloatArray

RATE_HZ = 16_000
FRAME_S = 0.02
FRAME_SAMPLES = 320


class SpeechDetector:
    """Speech or not, one 20 ms frame of one voice after the other.

    The detector adapts to what it heard before; one instance serves one unbroken stretch
    of one track, so that equal input gives equal flags.

    Args:
        mode: 0 keeps most, 3 is strictest about what counts as speech.
    """

    def __init__(self, mode: int = 2) -> None:
        self._vad = webrtcvad.Vad(mode)

    def is_speech(self, frame: FloatArray) -> bool:
        """Return whether the frame holds speech.

        Args:
            frame: float32 (320,), mono 16 kHz in [-1, 1]; louder is clipped.
        """
        pcm = (np.clip(frame, -1.0, 1.0) * 32767.0).astype("<i2")
        return bool(self._vad.is_speech(pcm.tobytes(), RATE_HZ))
