"""How the colour of a face, against what surrounds it, followed a sequence of colours.

A face lit by the room and by a screen reflects ``skin * (room + near * screen)``. The logarithm of red to
green and of blue to green turns the skin, the exposure and the white balance into additive terms; the
difference of face and surroundings takes out what is common to both (exposure control, white balance, a tint
laid over the whole picture), and slow cosines take out what drifts. What is left follows the screen by a
small gain, later by a lag: the matched filter for a common gain in white noise is the correlation, each
channel divided by its own noise.

How much correlation means something is asked of the same pictures: the same is done with sequences that were
not shown. They share the drift, the codec's steps and the response itself, so a face that follows another
sequence of the family is no nearer to this one than chance.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from guard.challenge.commands import Sight, Step
from guard.challenge.light_code import LUMINANCE, any_code, at_times, chroma, to_linear

Array = NDArray[np.float64]

LAG_STEP_S = 0.05
# slower than one swing in this many seconds is drift
_SLOWEST_S = 5.0
_OTHERS = 192
_OTHERS_SEED = 20220619
_LEAST_NOISE = 1e-3
_NOISE_RATIO = 3.0
# a picture may stand out from the others by this many robust spreads
_OUTLIER = 5.0
_MAD = 1.4826


@dataclass(frozen=True, slots=True)
class Series:
    """The colour of the face against its surroundings over time.

    Args:
        times_s: (N,), rising.
        colour: (N, 2), natural logarithm of red to green and of blue to green, face minus surroundings.
        luminance: (N,), natural logarithm, face minus surroundings.
        noise: (2,), of one picture, from the differences of neighbours.
    """

    times_s: Array
    colour: Array
    luminance: Array
    noise: Array


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a sequence explains a Series.

    Args:
        correlation: of the matched filter at its best lag, in [-1, 1].
        lag_s: where it is greatest.
        z: how far that lies above sequences that were not shown, in their standard deviations (Fisher's z).
        gain: the face's response in parts of the screen's own change of colour.
        gain_error: its standard error, from the same sequences on what the fit leaves over.
    """

    correlation: float
    lag_s: float
    z: float
    gain: float
    gain_error: float


def series(sights: Sequence[Sight]) -> Series:
    """Return the colours of the pictures in which both face and surroundings were measured."""
    seen = [sight for sight in sights if sight.face_rgb is not None and sight.around_rgb is not None]
    times_s = np.array([sight.time_s for sight in seen], np.float64)
    order = np.argsort(times_s, kind="stable")
    face, around = (
        _light(np.array(values, np.float64).reshape(-1, 3)[order])
        for values in ([sight.face_rgb for sight in seen], [sight.around_rgb for sight in seen])
    )
    against = np.log(face / around)
    colour = np.stack([against[:, 0] - against[:, 1], against[:, 2] - against[:, 1]], axis=1)
    return Series(times_s[order], colour, np.log((face @ LUMINANCE) / (around @ LUMINANCE)), _noise(colour))


def fit(observed: Series, steps: Sequence[Step], starts_s: Sequence[float], lags_s: Array) -> Fit:
    """Return how well the shown steps explain what was observed.

    Args:
        observed: at least a dozen pictures over some seconds.
        steps: with colours, as many as were shown.
        starts_s: when each was sent.
        lags_s: (L,), the lags to try.
    """
    scale = _weights(observed.noise)
    slow = _slow(observed.times_s)
    seen = _flat(_still(_without(slow, observed.colour)), scale)
    shown = _models(observed.times_s, np.array(starts_s), chroma(steps), lags_s, slow) * scale
    ratios = _cosines(shown.reshape(len(lags_s), -1), seen)
    best = int(ratios.argmax())
    model = shown[best].ravel()
    power = max(float(model @ model), 1e-12)
    gain = float(model @ seen) / power
    others = _other_models(observed.times_s, float(starts_s[0]), lags_s, slow) * scale
    flat = others.reshape(-1, len(seen))
    chance = np.arctanh(np.clip(_cosines(flat, seen).reshape(_OTHERS, -1).max(axis=1), -0.999, 0.999))
    left = (flat @ (seen - gain * model)) / np.maximum((flat * flat).sum(axis=1), 1e-12)
    height = math.atanh(min(max(float(ratios[best]), -0.999), 0.999))
    return Fit(
        correlation=float(ratios[best]),
        lag_s=float(lags_s[best]),
        z=float((height - chance.mean()) / max(float(chance.std()), 1e-6)),
        gain=gain,
        gain_error=float(np.sqrt((left * left).mean())),
    )


def over_lags(observed: Series, steps: Sequence[Step], starts_s: Sequence[float], lags_s: Array) -> Array:
    """Return (L,), the correlation at each lag; arguments as of ``fit``."""
    scale, slow = _weights(observed.noise), _slow(observed.times_s)
    seen = _flat(_still(_without(slow, observed.colour)), scale)
    shown = _models(observed.times_s, np.array(starts_s), chroma(steps), lags_s, slow) * scale
    return _cosines(shown.reshape(len(lags_s), -1), seen)


def _light(srgb: Array) -> Array:
    return np.maximum(to_linear(srgb / 255.0), 1e-5)


def _noise(colour: Array) -> Array:
    """Return the spread of a single picture: neighbours differ by the square root of two of it."""
    if len(colour) < 3:
        return np.full(2, _LEAST_NOISE)
    apart = np.median(np.abs(np.diff(colour, axis=0)), axis=0) * _MAD / math.sqrt(2.0)
    return np.maximum(apart, _LEAST_NOISE)


def _weights(noise: Array) -> Array:
    """Return (2,): one over the noise, the worse channel never below a third of the better."""
    return np.asarray(1.0 / np.maximum(noise, noise.max() / _NOISE_RATIO), np.float64)


def _slow(times_s: Array) -> Array:
    """Return (N, K) orthonormal columns that span a constant and the slow cosines."""
    passed = times_s - times_s[0]
    length_s = max(float(passed[-1]), 1e-6)
    count = 1 + int(2.0 * length_s / _SLOWEST_S)
    waves = np.cos(np.pi * np.arange(count) * passed[:, None] / length_s)
    basis, _ = np.linalg.qr(waves)
    return np.asarray(basis, np.float64)


def _without(slow: Array, values: Array) -> Array:
    """Return values (..., N, 2) without what the slow columns (N, K) explain."""
    return values - slow @ (slow.T @ values)


def _still(values: Array) -> Array:
    """Return (N, 2) with what stands out, a hand or a blink of the tracker, brought back to the edge."""
    edge = _OUTLIER * _MAD * np.median(np.abs(values), axis=0)
    return np.clip(values, -edge, edge)


def _flat(values: Array, scale: Array) -> Array:
    return np.asarray((values * scale).ravel(), np.float64)


def _models(times_s: Array, starts_s: Array, levels: Array, lags_s: Array, slow: Array) -> Array:
    """Return (L, N, 2): what would be seen at each lag, without what is slow."""
    shown = at_times((times_s[None, :] - lags_s[:, None]).ravel(), starts_s, levels)
    return _without(slow, shown.reshape(len(lags_s), len(times_s), 2))


@cache
def _others() -> tuple[tuple[Array, Array], ...]:
    """Return the starts and levels of sequences that were never shown to anybody."""
    dice = random.Random(_OTHERS_SEED)
    codes = [any_code(dice) for _ in range(_OTHERS)]
    return tuple((np.array([step.at_s for step in code]), chroma(code)) for code in codes)


def _other_models(times_s: Array, start_s: float, lags_s: Array, slow: Array) -> Array:
    """Return (others, L, N, 2)."""
    return np.stack(
        [_models(times_s, start_s + starts_s, levels, lags_s, slow) for starts_s, levels in _others()]
    )


def _cosines(rows: Array, seen: Array) -> Array:
    """Return the cosine between each row (M, N) and ``seen`` (N,)."""
    lengths = np.sqrt((rows * rows).sum(axis=1)) * math.sqrt(float(seen @ seen))
    return np.asarray((rows @ seen) / np.maximum(lengths, 1e-12), np.float64)
