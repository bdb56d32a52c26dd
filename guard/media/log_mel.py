"""The picture of a sound that Whisper reads: 80 bands of the mel scale, 100 times a second."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray

RATE_HZ = 16_000
BANDS = 80
_FRAME, _HOP = 400, 160
_MAX_HZ = 8_000.0
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0
_RANGE = 8.0  # decades below the loudest that are kept, times ten decibels


def log_mel(samples: FloatArray, length_s: int) -> FloatArray:
    """Return float32 (80, 100 * length_s), as Whisper was trained on.

    Args:
        samples: float32 (N,), mono 16 kHz in [-1, 1]; cut off or filled up with silence to ``length_s``.
        length_s: at most 30.

    Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, section 2.2;
    bands after Slaney, Auditory Toolbox, 1998.
    """
    wanted = length_s * RATE_HZ
    cut = samples[:wanted].astype(np.float64)
    padded = np.pad(np.pad(cut, (0, wanted - len(cut))), _FRAME // 2, mode="reflect")
    window = np.hanning(_FRAME + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][:-1] * window
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    level = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    level = np.maximum(level, level.max() - _RANGE)
    return np.asarray((level + 4.0) / 4.0, np.float32)


@cache
def _filters() -> NDArray[np.float64]:
    """Return float64 (80, 201): triangles of equal area between neighbouring bands."""
    edges = _hz(np.linspace(0.0, _mel(_MAX_HZ), BANDS + 2))
    hz = np.fft.rfftfreq(_FRAME, 1.0 / RATE_HZ)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (hz - low) / (middle - low), (high - hz) / (high - middle)
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    return np.asarray(triangles * 2.0 / (high - low), np.float64)


def _mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    straight = mel * _LINEAR_HZ_PER_MEL
    bent = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.asarray(np.where(mel < _BREAK_MEL, straight, bent), np.float64)
