"""Streaming resampling of one mono track by soxr."""

from __future__ import annotations

import numpy as np
import soxr

from guard.types import FloatArray

ANALYSIS_RATE_HZ = 16_000


class Resampler:
    """A stateful resampler: the same samples in any chunks give the same samples out.

    soxr withholds its own delay (33 ms at 16 kHz), so output sample n lies at n / rate_out_hz
    seconds of the input; ``flush`` gives the withheld rest.

    Args:
        rate_in_hz: rate of what is pushed.
        rate_out_hz: rate of what comes out.
        quality: soxr recipe; ``HQ`` keeps the band up to 0.91 of Nyquist, where spoof traces live.
    """

    def __init__(self, rate_in_hz: int, rate_out_hz: int = ANALYSIS_RATE_HZ, *, quality: str = "HQ") -> None:
        if rate_in_hz <= 0 or rate_out_hz <= 0:
            raise ValueError(f"sample rates must be above 0, not {rate_in_hz} and {rate_out_hz}")
        self._stream: soxr.ResampleStream | None = None
        if rate_in_hz != rate_out_hz:
            self._stream = soxr.ResampleStream(rate_in_hz, rate_out_hz, 1, dtype="float32", quality=quality)

    def push(self, samples: FloatArray) -> FloatArray:
        """Take float32 (N,); return the float32 (M,) that is ready, M may be 0."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples), np.float32)

    def flush(self) -> FloatArray:
        """Return the withheld rest; nothing may be pushed afterwards."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return np.asarray(self._stream.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)
