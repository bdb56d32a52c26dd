"""Lips against voice over some seconds: the numbers ``lip_sync`` scores.

Lag is how much later the sound comes than the picture: positive means late sound. It holds what is left of
the skew between the two tracks, and by how much lips run ahead of what they form: -0.04 to 0.2 s (Schwartz
and Savariaux, PLoS Comput. Biol. 2014, e1003743). The opening of the mouth follows the envelope of the sound,
both at 2 to 7 Hz (Chandrasekaran et al., PLoS Comput. Biol. 2009, e1000436).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guard.media.lips import (
    ALL_S,
    MAX_LAG_STEPS,
    NOISE,
    STEP_S,
    Mask,
    MouthSteps,
    Steps,
    VoiceSteps,
    band,
    correlations,
    smooth,
    speech_steps,
)
from guard.types import FloatArray

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
# the smoothings between which slow and fast movements are compared
_SPANS_S = ((0.1, 0.6), (0.03, 0.1))
_MIN_PAUSE_STEPS, _MIN_DIP_STEPS = 12, 4


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
    level_db, speech = speech_steps(voice)
    envelope = 10.0 ** (level_db / 60.0)
    lips, sound = band(mouth.opening, mouth.known, *ALL_S), band(envelope, voice.known, *ALL_S)
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


def _z(curve: Steps, found: float, reach: int) -> float:
    """Return by how many of its spreads the correlation found stands above that at far lags.

    A search is compared with searches of the same width, so it gains nothing by its freedom.
    """
    far = curve[np.arange(_FAR_STEPS, len(curve) - _FAR_STEPS)]
    best = np.lib.stride_tricks.sliding_window_view(far, 2 * reach + 1).max(axis=1)
    return float((found - best.mean()) / (best.std() + _Z_SOFT))


def _curve_of(mouth: MouthSteps, voice: VoiceSteps, envelope: Steps, spans: tuple[float, float]) -> Steps:
    """Return the correlations of what moves between two spans."""
    lips, sound = band(mouth.opening, mouth.known, *spans), band(envelope, voice.known, *spans)
    return correlations(lips, sound, mouth.known, voice.known)


def _pace(steps: Steps, known: Mask) -> Steps:
    """Return how fast something changes, over spans of some tenths of a second."""
    return smooth(np.abs(np.gradient(steps)), known, 0.12)


def _open_in_speech(mouth: MouthSteps, heard: _Shifted) -> float:
    """Return how much further the mouth is open in speech than in pauses, in standard deviations."""
    speech, pause = mouth.known & heard.speech, mouth.known & heard.pause
    if min(speech.sum(), pause.sum()) < _MIN_PAUSE_STEPS:
        return 0.0
    gain = mouth.opening[speech].mean() - mouth.opening[pause].mean()
    return float(gain / (mouth.opening[mouth.known].std() + NOISE))


def _closed_in_dips(lips: Steps, level_db: Steps, seen: Mask, heard: _Shifted) -> float:
    """Return how much nearer the lips are in short dips of the level (as of p, b, m) than in other speech."""
    around = smooth(level_db, heard.known, 0.2)
    dip = np.roll(around - level_db > _DIP_DB, -heard.shift) & heard.speech & seen
    rest = heard.speech & seen & ~dip
    if min(dip.sum(), rest.sum()) < _MIN_DIP_STEPS:
        return 0.0
    return float((lips[rest].mean() - lips[dip].mean()) / (lips[seen].std() + NOISE))


def _movement(mouth: MouthSteps, heard: _Shifted) -> tuple[float, float]:
    """Return how much the lips move in speech, and the log of pauses' movement to it (0 without pauses)."""
    opening, width = (band(steps, mouth.known, *ALL_S) for steps in (mouth.opening, mouth.width))
    moved = opening**2 + width**2
    speech, pause = mouth.known & heard.speech, mouth.known & heard.pause
    in_speech = float(np.sqrt(np.mean(moved[speech]))) if speech.any() else 0.0
    if pause.sum() < _MIN_PAUSE_STEPS:
        return in_speech, 0.0
    in_pauses = float(np.sqrt(np.mean(moved[pause])))
    return in_speech, float(np.log((in_pauses + NOISE) / (in_speech + NOISE)))
