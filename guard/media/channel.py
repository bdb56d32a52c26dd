"""Which kind of line and room a window of a voice was heard through: picks its calibration.

Needs numpy only, so that a recipe bins its windows by this very rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guard.types import AudioQuality, FloatArray

RATE_HZ = 16_000
# in the order of precedence: a narrow band takes away most, a loss more than noise
BINS = ("narrow", "lossy", "noisy", "default")
MAX_CONCEALED_RATIO = 0.01
MIN_SNR_DB = 12.0
# the 95th percentile of the power above 4.2 kHz, against the mean power of the telephone band: speech
# of a wide band has at least -33 dB (fricatives), behind an 8 kHz codec at most -44 dB is left
NARROW_DB = -39.0
# power of the rounding noise of 16-bit samples: silence is not quieter than that
NOISE_FLOOR = 1.0 / (12.0 * 32768.0**2)
_FRAME, _HOP = 512, 256
_MIN_TICKS = 25
_VOICE_HZ, _UPPER_HZ = (200.0, 3400.0), (4200.0, 7800.0)


def bin_of(samples: FloatArray, quality: AudioQuality) -> str:
    """Return the bin of a window; the first of these that holds:

    1. ``narrow``: almost no energy above 4 kHz, while there is energy below (G.711, AMR narrow band);
    2. ``lossy``: more than ``MAX_CONCEALED_RATIO`` of it was invented to bridge losses;
    3. ``noisy``: steady noise lies less than ``MIN_SNR_DB`` below the speech (``snr_db``);
    4. ``default``.

    Args:
        samples: float32 (N,), mono 16 kHz in [-1, 1], at least 512 of them.
        quality: of the same window; only ``concealed_ratio`` and ``snr_db`` are read.
    """
    if is_narrow(samples):
        return "narrow"
    if quality.concealed_ratio > MAX_CONCEALED_RATIO:
        return "lossy"
    if quality.snr_db is not None and quality.snr_db < MIN_SNR_DB:
        return "noisy"
    return "default"


def snr_db(powers: NDArray[np.float64]) -> float | None:
    """Estimate how far the speech of a window stands above its noise.

    The quietest twentieth of the ticks is taken for noise (minimum statistics, Martin 2001): even without a
    pause, speech lets the noise be heard between its sounds. On 60 training clips with white to brown
    noise 5 to 20 dB below the speech nine windows of ten are right to 4 dB, the median to 2 dB; clean
    ones have 14 dB and more. Sound as uneven as speech (music, another voice) is not heard as noise.

    Args:
        powers: float64 (N,), mean square of each 20 ms; None below 25 of them.
    """
    if len(powers) < _MIN_TICKS:
        return None
    noise = max(float(np.percentile(powers, 5)), NOISE_FLOOR)
    speech = max(float(powers.mean()) - noise, noise * 1e-2)
    return float(10.0 * np.log10(speech / noise))


def is_narrow(samples: FloatArray) -> bool:
    """Tell whether the samples came through an 8 kHz line; silence did not.

    The loudest 5 % of frames above 4.2 kHz decide, not the sum: a click or the edge of a repeat is wide, and
    a vowel is narrow.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    hz = np.fft.rfftfreq(_FRAME, 1.0 / RATE_HZ)
    voice, upper = (power[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in (_VOICE_HZ, _UPPER_HZ))
    return bool(np.percentile(upper, 95) < voice.mean() * 10 ** (NARROW_DB / 10))
