"""Lips against voice over some seconds: the numbers ``lip_sync`` scores.

Lag is how much later the sound comes than the picture: positive means late sound. It holds what is left of
the skew between the two tracks, and by how much lips run ahead of what they form: -0.04 to 0.2 s (Schwartz
and Savariaux, PLoS Comput. Biol. 2014, e1003743). The opening of the mouth follows the envelope of the sound,
both at 2 to 7 Hz (Chandrasekaran et al., PLoS Comput. Biol. 2009, e1000436).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.detectors.lip_sync_series import STEP_S, MouthSteps, VoiceSteps
from guard.types import FloatArray

Steps = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_LAG_STEPS = 10  # 0.4 s: beyond it guard takes the two for unrelated
_FAR_STEPS = 25
# how far around the call's lag the best correlation is taken: one look at 15 a second is 1.7 steps
_KNOWN_REACH = 2
NAMES = (
    "correlation",
    "z",
    "correlation_slow",
    "correlation_fast",
    "correlation_activity",
    "open_in_speech",
    "closed_in_dips",
    "movement_in_speech",
    "movement_in_pauses",
    "lag_searched",
)
_Z_SOFT = 0.03
_DIP_DB = 4.0
# the smoothings between which lips and sound are compared: all, slow and fast movements
_ALL_S = (0.04, 0.6)
_SPANS_S = ((0.1, 0.6), (0.03, 0.1))
_MIN_PAUSE_STEPS, _MIN_DIP_STEPS = 12, 4
# what FaceMesh's points of a still mouth move, in lengths of the nose (measured on the demo's clips)
NOISE = 0.008


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out of one stretch.

    Args:
        features: float32 (10,), in the order of NAMES.
        near: correlations at the lags -0.4 to 0.4 s, float64 (21,).
        lag_s: at which the features were taken.
        both_s: seconds of steps known of both.
        speech_s: seconds of speech among the steps known of both.
        movement: of the lips during speech, in lengths of the face.
    """

    features: FloatArray
    near: Steps
    lag_s: float
    both_s: float
    speech_s: float
    movement: float


def compare(mouth: MouthSteps, voice: VoiceSteps, call_lag_s: float | None) -> Comparison:
    """Compare lips and voice on the same steps of the grid; both must be known on some of them.

    Args:
        mouth: (N,) steps, N at least 75.
        voice: the same steps.
        call_lag_s: the lag found earlier in the call; None has it searched in this stretch.
    """
    level_db, speech = _speech(voice)
    envelope = 10.0 ** (level_db / 60.0)
    lips, sound = _band(mouth.opening, mouth.known, *_ALL_S), _band(envelope, voice.known, *_ALL_S)
    curve = correlations(lips, sound, mouth.known, voice.known)
    near = curve[np.arange(-MAX_LAG_STEPS, MAX_LAG_STEPS + 1)]
    reach = MAX_LAG_STEPS if call_lag_s is None else _KNOWN_REACH
    middle = 0 if call_lag_s is None else round(call_lag_s / STEP_S)
    around = np.arange(middle - reach, middle + reach + 1)
    shift = int(around[np.argmax(curve[around])])
    heard = _Shifted(shift, speech, voice.known)
    by_band = [_curve_of(mouth, voice, envelope, spans)[shift] for spans in _SPANS_S]
    activity = correlations(_pace(lips, mouth.known), _pace(sound, voice.known), mouth.known, voice.known)[
        shift
    ]
    moved, ratio = _movement(mouth, heard)
    features = [float(curve[shift]), _z(curve, float(curve[shift]), reach), *by_band, activity]
    features += [_open_in_speech(mouth, heard), _closed_in_dips(lips, level_db, mouth.known, heard)]
    features += [float(np.log(moved / NOISE + 0.1)), ratio, float(call_lag_s is None)]
    both_s, speech_s = (float((mask & mouth.known).sum() * STEP_S) for mask in (heard.known, heard.speech))
    return Comparison(
        np.array(features, np.float32),
        near,
        lag_s=shift * STEP_S,
        both_s=both_s,
        speech_s=speech_s,
        movement=moved,
    )


class _Shifted:
    """What was heard, moved onto the picture's time."""

    def __init__(self, shift: int, speech: Mask, known: Mask) -> None:
        self.shift = shift
        self.known = np.roll(known, -shift)
        self.speech = np.roll(speech, -shift) & self.known
        self.pause = self.known & ~self.speech


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


def _z(curve: Steps, found: float, reach: int) -> float:
    """Return by how many of its spreads the correlation found stands above that at far lags.

    A search is compared with searches of the same width, so it gains nothing by its freedom.
    """
    far = curve[np.arange(_FAR_STEPS, len(curve) - _FAR_STEPS)]
    best = np.lib.stride_tricks.sliding_window_view(far, 2 * reach + 1).max(axis=1)
    return float((found - best.mean()) / (best.std() + _Z_SOFT))


def _curve_of(mouth: MouthSteps, voice: VoiceSteps, envelope: Steps, spans: tuple[float, float]) -> Steps:
    """Return the correlations of what moves between two spans."""
    lips, sound = _band(mouth.opening, mouth.known, *spans), _band(envelope, voice.known, *spans)
    return correlations(lips, sound, mouth.known, voice.known)


def _pace(steps: Steps, known: Mask) -> Steps:
    """Return how fast something changes, over spans of some tenths of a second."""
    return _smooth(np.abs(np.gradient(steps)), known, 0.12)


def _open_in_speech(mouth: MouthSteps, heard: _Shifted) -> float:
    """Return how much further the mouth is open in speech than in pauses, in standard deviations."""
    speech, pause = mouth.known & heard.speech, mouth.known & heard.pause
    if min(speech.sum(), pause.sum()) < _MIN_PAUSE_STEPS:
        return 0.0
    gain = mouth.opening[speech].mean() - mouth.opening[pause].mean()
    return float(gain / (mouth.opening[mouth.known].std() + NOISE))


def _closed_in_dips(lips: Steps, level_db: Steps, seen: Mask, heard: _Shifted) -> float:
    """Return how much nearer the lips are in short dips of the level (as of p, b, m) than in other speech."""
    around = _smooth(level_db, heard.known, 0.2)
    dip = np.roll(around - level_db > _DIP_DB, -heard.shift) & heard.speech & seen
    rest = heard.speech & seen & ~dip
    if min(dip.sum(), rest.sum()) < _MIN_DIP_STEPS:
        return 0.0
    return float((lips[rest].mean() - lips[dip].mean()) / (lips[seen].std() + NOISE))


def _movement(mouth: MouthSteps, heard: _Shifted) -> tuple[float, float]:
    """Return how much the lips move in speech, and the log of pauses' movement to it (0 without pauses)."""
    opening, width = (_band(steps, mouth.known, *_ALL_S) for steps in (mouth.opening, mouth.width))
    moved = opening**2 + width**2
    speech, pause = mouth.known & heard.speech, mouth.known & heard.pause
    in_speech = float(np.sqrt(np.mean(moved[speech]))) if speech.any() else 0.0
    if pause.sum() < _MIN_PAUSE_STEPS:
        return in_speech, 0.0
    in_pauses = float(np.sqrt(np.mean(moved[pause])))
    return in_speech, float(np.log((in_pauses + NOISE) / (in_speech + NOISE)))


def _speech(voice: VoiceSteps) -> tuple[Steps, Mask]:
    """Return the level in dB below the stretch's loud parts, at least -40, and which steps are speech."""
    level_db = 10.0 * np.log10(np.maximum(voice.power[:, 0], 1e-12))
    if not voice.known.any():
        return np.full_like(level_db, -40.0), voice.known
    low, high = np.percentile(level_db[voice.known], (5, 98))
    level_db = np.where(voice.known, np.clip(level_db - high, -40.0, 3.0), -40.0)
    return level_db, voice.known & (level_db > max(-20.0, (low - high) / 2))


def _band(steps: Steps, known: Mask, short_s: float, long_s: float) -> Steps:
    """Return what is left between two smoothings, 0 where nothing is known."""
    return np.where(known, _smooth(steps, known, short_s) - _smooth(steps, known, long_s), 0.0)


def _smooth(steps: Steps, known: Mask, spread_s: float) -> Steps:
    """Return Gaussian means over the known steps around each."""
    spread = spread_s / STEP_S
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    weight = _convolved(known.astype(np.float64), kernel)
    return _convolved(np.where(known, steps, 0.0), kernel) / np.maximum(weight, 1e-9)


def _convolved(steps: Steps, kernel: Steps) -> Steps:
    reach = len(kernel) // 2
    return np.convolve(steps, kernel)[reach : reach + len(steps)]
