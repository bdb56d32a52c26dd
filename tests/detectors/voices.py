"""A window of a voice in good quality, and the llr of rows: for the detectors that hear voices."""

from __future__ import annotations

import numpy as np

from guard.types import AudioQuality, AudioWindow, Detector, Finding, FloatArray, Kind, TrackKey

KEY = TrackKey("s", "p", Kind.AUDIO)
GOOD = AudioQuality(speech_ratio=0.8, speech_s=3.2, snr_db=25.0, clipping_ratio=0.0, concealed_ratio=0.0)


def window(samples: FloatArray | None = None, quality: AudioQuality = GOOD) -> AudioWindow:
    if samples is None:
        samples = (np.random.default_rng(0).standard_normal(64_000) * 0.05).astype(np.float32)
    return AudioWindow(KEY, 0.0, 4.0, samples, quality)


def llrs(detector: Detector, batch: FloatArray) -> FloatArray:
    """The llr of each row, as of windows of good quality."""
    found = detector.score(batch, [window(row) for row in batch])
    return np.array([finding.llr for finding in found if isinstance(finding, Finding)], np.float32)
