"""What lips do and what a voice does, as numbers on one grid of time: for ``lip_sync`` and spoken words.

The opening of the mouth follows the envelope of the sound, both at 2 to 7 Hz (Chandrasekaran et al., PLoS
Comput. Biol. 2009, e1000436).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray

Steps = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEP_S = 0.04
# two looks further apart than this leave the steps between them unknown
MAX_BETWEEN_S = 0.26
MAX_LAG_STEPS = 10  # 0.4 s: beyond it guard takes the two for unrelated

RATE_HZ = 16_000
HOP, FRAME = 160, 400
# the telephone band, where most of what opens the mouth is heard, and the voice's own pitch below it
BANDS_HZ = ((300.0, 3400.0), (80.0, 300.0))
_POWER_FLOOR = 1e-9

# the smoothings between which all movements are compared
ALL_S = (0.04, 0.6)
# what FaceMesh's points of a still mouth move, in lengths of the nose (measured on the demo's clips)
NOISE = 0.008
# lips that move less than this in speech are still, in lengths of the face
STILL = 0.012

_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))
_MOUTH_CORNERS, _EYE_CORNERS = (61, 291), (33, 263)
_NOSE = (168, 2)
_MIN_SIZE_PX = 4.0


@dataclass(frozen=True, slots=True)
class MouthSteps:
    """Float64 (N,) each: opening and width of the mouth on the grid, and which steps are known (bool)."""

    opening: NDArray[np.float64]
    width: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class VoiceSteps:
    """Of each step of the grid: power in the two BANDS_HZ, float64 (N, 2), and whether it was heard."""

    power: NDArray[np.float64]
    known: NDArray[np.bool_]


def mouth_of(points: FloatArray) -> tuple[float, float] | None:
    """Return opening and width of the mouth, each in lengths of the face that shrink with it.

    The gap between the inner lips is measured in lengths of the nose (bridge to base), the width in
    distances of the outer eye corners: so a nod shortens both lengths of the first ratio, a turn both of the
    second. None where the points fall together.

    Args:
        points: float32 (468, 2) or (468, 3), FaceMesh points in pixels; depth is not read.
    """
    nose, eyes = (_distance(points, pair) for pair in (_NOSE, _EYE_CORNERS))
    if not (np.isfinite(points).all() and nose >= _MIN_SIZE_PX and eyes >= _MIN_SIZE_PX):
        return None
    gap = sum(_distance(points, pair) for pair in _LIP_PAIRS) / len(_LIP_PAIRS)
    return gap / nose, _distance(points, _MOUTH_CORNERS) / eyes


def mouth_steps(looks: Sequence[tuple[float, float, float]], time_s: Steps) -> MouthSteps:
    """Return the mouth at some moments, between looks by straight lines.

    Args:
        looks: time in seconds, opening and width (``mouth_of``) of each look, oldest first.
        time_s: float64 (N,), rising.
    """
    if len(looks) < 2:
        nothing = np.zeros(len(time_s))
        return MouthSteps(nothing, nothing, np.zeros(len(time_s), np.bool_))
    seen = np.array(looks)
    after = np.searchsorted(seen[:, 0], time_s, side="right").clip(1, len(seen) - 1)
    between_s = seen[after, 0] - seen[after - 1, 0]
    inside = (time_s >= seen[0, 0]) & (time_s <= seen[-1, 0])
    opening, width = (np.interp(time_s, seen[:, 0], seen[:, column]) for column in (1, 2))
    return MouthSteps(opening, width, inside & (between_s <= MAX_BETWEEN_S))


def band_powers(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 (T, 2): power in BANDS_HZ every 10 ms, of samples (N,) at 16 kHz, N >= 400."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * np.hanning(FRAME)
    spectrum = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / FRAME**2
    hz = np.fft.rfftfreq(FRAME, 1.0 / RATE_HZ)
    columns = [spectrum[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in BANDS_HZ]
    return np.stack(columns, axis=1) + _POWER_FLOOR


def speech_steps(voice: VoiceSteps) -> tuple[Steps, Mask]:
    """Return the level in dB below the stretch's loud parts, at least -40, and which steps are speech."""
    level_db = 10.0 * np.log10(np.maximum(voice.power[:, 0], 1e-12))
    if not voice.known.any():
        return np.full_like(level_db, -40.0), voice.known
    low, high = np.percentile(level_db[voice.known], (5, 98))
    level_db = np.where(voice.known, np.clip(level_db - high, -40.0, 3.0), -40.0)
    return level_db, voice.known & (level_db > max(-20.0, (low - high) / 2))


def correlations(lips: Steps, sound: Steps, seen: Mask, heard: Mask) -> Steps:
    """Return Pearson's correlation of ``lips[t]`` and ``sound[t + s]`` at every circular shift ``s``, (N,).

    Only pairs of known steps count; negative shifts are at the end, as with numpy's indices.
    """
    a, b = seen.astype(np.float64), heard.astype(np.float64)
    x, y = lips * a, sound * b
    pairs = [(a, b), (x, b), (a, y), (x * lips, b), (a, y * sound), (x, y)]
    n, sx, sy, sxx, syy, sxy = (
        np.fft.irfft(np.fft.rfft(q) * np.fft.rfft(p).conj(), len(a)) for p, q in pairs
    )
    n = np.maximum(n, 1.0)
    spread = np.maximum(sxx - sx**2 / n, 0.0) * np.maximum(syy - sy**2 / n, 0.0)
    return np.asarray((sxy - sx * sy / n) / np.sqrt(spread + 1e-12), np.float64)


def band(steps: Steps, known: Mask, short_s: float, long_s: float) -> Steps:
    """Return what is left between two smoothings, 0 where nothing is known."""
    return np.where(known, smooth(steps, known, short_s) - smooth(steps, known, long_s), 0.0)


def smooth(steps: Steps, known: Mask, spread_s: float) -> Steps:
    """Return Gaussian means over the known steps around each."""
    spread = spread_s / STEP_S
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    weight = _convolved(known.astype(np.float64), kernel)
    return _convolved(np.where(known, steps, 0.0), kernel) / np.maximum(weight, 1e-9)


def _convolved(steps: Steps, kernel: Steps) -> Steps:
    reach = len(kernel) // 2
    return np.convolve(steps, kernel)[reach : reach + len(steps)]


def _distance(points: FloatArray, pair: tuple[int, int]) -> float:
    return float(np.hypot(*(points[pair[0], :2] - points[pair[1], :2])))
