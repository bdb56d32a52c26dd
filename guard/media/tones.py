"""The warning tone: a pattern no phone, alarm clock or conferencing sound uses. Pure."""

from __future__ import annotations

import numpy as np

from guard.types import FloatArray

TONE_RATE_HZ = 48000
_HIGH_HZ, _LOW_HZ = 988.0, 740.0
_BEEP_S, _PAUSE_S = 0.16, 0.06
_RAMP_S = 0.01


def _beep(frequency_hz: float) -> FloatArray:
    """One beep with its third harmonic, so that small loudspeakers carry it, and soft edges."""
    time_s = np.arange(round(_BEEP_S * TONE_RATE_HZ)) / TONE_RATE_HZ
    wave = np.sin(2 * np.pi * frequency_hz * time_s) + 0.3 * np.sin(6 * np.pi * frequency_hz * time_s)
    edge = np.minimum(1.0, np.minimum(time_s, _BEEP_S - time_s) / _RAMP_S)
    return (0.35 * wave * edge).astype(np.float32)


def warning_tone() -> FloatArray:
    """Return the pattern high-low-high, twice, and a breath of silence: float32 (N,), mono 48 kHz."""
    pause = np.zeros(round(_PAUSE_S * TONE_RATE_HZ), np.float32)
    group = [part for hz in (_HIGH_HZ, _LOW_HZ, _HIGH_HZ) for part in (_beep(hz), pause)]
    breath = np.zeros(round(0.2 * TONE_RATE_HZ), np.float32)
    return np.concatenate([*group, breath, *group, breath])
