"""Sound that the VAD takes for speech and that is no voice: what keeps its level, and pure tones.

The level of a voice moves all the time, also among its loudest moments; that of a ring, a beep or a hum
stands still while it sounds. So levels are compared among the ticks near the loudest only: a pause between
two beeps, which the VAD holds for speech a while longer, would look like a voice falling silent.

Digits (DTMF, ITU-T Q.23), Morse and sirens do change their level. But a tick of theirs is one or two lines
and nothing else; a vowel is a row of harmonics under an uneven envelope, and half of speech is no vowel.

The limits and what they cost: ``guard.windows.audio.AudioWindowConfig``, docs/voice.md "Telephone tones".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guard.media.channel import NOISE_FLOOR
from guard.types import FloatArray

RATE_HZ = 16_000
# the loudest level is one that a twentieth of the ticks exceed: a click is no measure
_LOUDEST_PERCENTILE = 95
WIDE_DB, NEAR_DB, LINE_RANGE_DB = 20.0, 8.0, 10.0
_FFT = 512
_HANN = np.hanning(320)
# below it stand offset and rumble
_FIRST_BIN = round(60 * _FFT / RATE_HZ)
# half of the main lobe of a Hann window of 20 ms: 100 Hz
_LOBE_BINS = 3
_LINES = 2
# lines of a synthetic tone stand up to 40 dB above the rest; more is not told apart from silence
_MOST_DB = 60.0


def line_db(samples: FloatArray) -> float:
    """Return how far a tick's two strongest spectral lines stand above the rest, in decibels.

    It is ten times the logarithm of the whole power over the power outside the two lines: 0 where nothing
    lies in them, 30 and more for one or two pure tones, 3 to 20 at the median of speech. Silence gives 0.

    Args:
        samples: float32 (320,) at 16 kHz.
    """
    power = np.abs(np.fft.rfft(samples * _HANN, _FFT)) ** 2
    power[:_FIRST_BIN] = 0.0
    whole = float(power.sum())
    if whole <= 0.0:
        return 0.0
    for _ in range(_LINES):
        peak = int(power.argmax())
        power[max(0, peak - _LOBE_BINS) : peak + _LOBE_BINS + 1] = 0.0
    rest = max(float(power.sum()), whole * 10 ** (-_MOST_DB / 10))
    return float(10.0 * np.log10(whole / rest))


def levels_db(powers: Sequence[float]) -> NDArray[np.float64]:
    """Return the levels (N,) of ticks in decibels of full scale, silence as rounding noise."""
    return np.asarray(10.0 * np.log10(np.asarray(powers, np.float64) + NOISE_FLOOR))


def near_loudest(levels: NDArray[np.float64], range_db: float) -> NDArray[np.bool_]:
    """Tell which of the levels (N,), N at least 1, lie less than ``range_db`` below the loudest."""
    return np.asarray(levels > np.percentile(levels, _LOUDEST_PERCENTILE) - range_db)


def spread_db(levels: NDArray[np.float64], range_db: float) -> float:
    """Return the standard deviation of the levels (N,) that lie near the loudest."""
    return float(np.std(levels[near_loudest(levels, range_db)]))


def tone_db(levels: NDArray[np.float64], lines_db: Sequence[float]) -> float:
    """Return the median of ``line_db`` over the ticks near the loudest; both (N,), N at least 1."""
    return float(np.median(np.asarray(lines_db)[near_loudest(levels, LINE_RANGE_DB)]))
