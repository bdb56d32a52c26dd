"""What devices, rooms and surroundings do to a voice before it is coded; seeded by the caller.

These are conditions to measure under, made apart from those of any training. All take and
return float32 (N,), mono in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import soxr
from numpy.typing import NDArray

from guard.types import FloatArray

Floats = NDArray[np.float64]
Random = np.random.Generator
Augment = Callable[[FloatArray, int, Random], FloatArray]
"""Samples, their rate and a source of chance to the changed samples."""
Noise = Callable[[int, int, Random], Floats]
"""Number of samples, rate and a source of chance to noise of any level."""

POOL_HZ = 16_000
_FRAME_S = 0.02
# frames this far below the loudest count as pauses, not as speech
_PAUSE_DB = 25.0
# of a plucked chord: how fast it falls, and when it has fallen to 1e-9 of where it began
_DECAY_PER_S = 3.0
_PLUCKED_S = math.log(1e9) / _DECAY_PER_S


def speech_rms(samples: FloatArray | Floats, rate_hz: int) -> float:
    """Return the RMS of the 20 ms frames within 25 dB of the loudest: the level of the speech itself."""
    step = max(1, round(_FRAME_S * rate_hz))
    count = max(1, len(samples) // step)
    frames = np.resize(samples, count * step).astype(np.float64).reshape(count, step)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(power[power >= power.max() * 10 ** (-_PAUSE_DB / 10)].mean()))


def add_noise(samples: FloatArray, rate_hz: int, rng: Random, *, noise: Noise, snr_db: float) -> FloatArray:
    """Return the samples with noise ``snr_db`` below the speech, turned down where it would clip."""
    extra = noise(len(samples), rate_hz, rng)
    gain = speech_rms(samples, rate_hz) * 10 ** (-snr_db / 20) / (np.sqrt(np.mean(extra**2)) + 1e-12)
    return _within_scale(samples + gain * extra)


def white(count: int, rate_hz: int, rng: Random) -> Floats:
    """Return white noise."""
    del rate_hz
    return rng.standard_normal(count)


def coloured(count: int, rate_hz: int, rng: Random, *, slope: float) -> Floats:
    """Return noise whose power falls with frequency to the power of ``slope``: 1 pink, 2 brown."""
    bins = np.fft.rfft(rng.standard_normal(count))
    hz = np.maximum(np.fft.rfftfreq(count, 1 / rate_hz), 20.0)
    return np.fft.irfft(bins * hz ** (-slope / 2), count)


def hum(count: int, rate_hz: int, rng: Random) -> Floats:
    """Return mains hum: 50 Hz and its odd and even harmonics up to 650 Hz."""
    t = np.arange(count) / rate_hz
    tones = [np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 2 * np.pi)) / k for k in range(1, 14)]
    return np.asarray(np.sum(tones, axis=0), np.float64)


def street(count: int, rate_hz: int, rng: Random) -> Floats:
    """Return rumble that swells and fades as cars pass, over a floor of pink noise."""
    t = np.arange(count) / rate_hz
    swell = 1.0 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * t + rng.uniform(0, 2 * np.pi))
    rumble = coloured(count, rate_hz, rng, slope=2.0)
    floor = coloured(count, rate_hz, rng, slope=1.0)
    return np.asarray(swell * rumble / rumble.std() + 0.3 * floor / floor.std(), np.float64)


def clicks(count: int, rate_hz: int, rng: Random) -> Floats:
    """Return six short decaying knocks a second, as of a keyboard."""
    out = np.zeros(count)
    decay = np.exp(-np.arange(int(0.02 * rate_hz)) / (0.004 * rate_hz))
    for start in rng.integers(0, max(1, count - len(decay)), max(1, round(6 * count / rate_hz))).tolist():
        part = out[start : start + len(decay)]
        part += (rng.uniform(0.3, 1.0) * rng.standard_normal(len(decay)) * decay)[: len(part)]
    return out


def music(count: int, rate_hz: int, rng: Random) -> Floats:
    """Return plucked chords of three notes with eight harmonics, two a second.

    Each is added from its start until no float32 tells it from silence, so that the cost grows with
    ``count`` and not with its square.
    """
    t = np.arange(count) / rate_hz
    out = np.zeros(count)
    for start_s in np.arange(0.0, count / rate_hz, 0.5).tolist():
        root = 110.0 * 2 ** (int(rng.integers(0, 24)) / 12)
        first = math.ceil(start_s * rate_hz)
        age = t[first : first + math.ceil(_PLUCKED_S * rate_hz)] - start_s
        notes = [_harmonics(2 * np.pi * root * ratio * age) for ratio in (1.0, 2 ** (4 / 12), 2 ** (7 / 12))]
        out[first : first + len(age)] += np.exp(-_DECAY_PER_S * age) * np.sum(notes, axis=0)
    return out


def _harmonics(phase: Floats) -> Floats:
    """Return the sum of sin(k phase) / k for k = 1 to 8, each sine from the two before it (Chebyshev)."""
    twice_cosine = 2.0 * np.cos(phase)
    before, now = np.zeros_like(phase), np.sin(phase)
    total = now.copy()
    for k in range(2, 9):
        before, now = now, twice_cosine * now - before
        total += now / k
    return total


def babble(count: int, rate_hz: int, rng: Random, *, pool: Sequence[FloatArray]) -> Floats:
    """Return six voices at once, drawn from ``pool`` (genuine clips at 16 kHz), each begun anywhere."""
    out = np.zeros(count)
    for n in rng.integers(0, len(pool), 6).tolist():
        own = pool[n] if rate_hz == POOL_HZ else soxr.resample(pool[n], POOL_HZ, rate_hz)
        voice = np.roll(np.resize(own, count), int(rng.integers(0, count)))
        out += voice / (voice.std() + 1e-9)
    return out


def room(
    samples: FloatArray, rate_hz: int, rng: Random, *, rt60_s: float, direct_to_tail_db: float
) -> FloatArray:
    """Return the voice in a room: direct sound and a tail of noise that falls by 60 dB in ``rt60_s``."""
    count = int(rt60_s * rate_hz)
    t = np.arange(count) / rate_hz
    tail = rng.standard_normal(count) * 10 ** (-3.0 * t / rt60_s)
    tail[: int(0.003 * rate_hz)] = 0.0
    impulse = tail * 10 ** (-direct_to_tail_db / 20) / np.sqrt(np.sum(tail**2))
    impulse[0] = 1.0
    size = len(samples) + count
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(impulse, size), size)[: len(samples)]
    return _within_scale(heard * speech_rms(samples, rate_hz) / (speech_rms(heard, rate_hz) + 1e-12))


def band(
    samples: FloatArray, rate_hz: int, rng: Random, *, low_hz: float = 0.0, high_hz: float = 1e9
) -> FloatArray:
    """Return what lies between two frequencies, edges as of Butterworth filters of order 6."""
    del rng
    hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    power = 1.0 / (1.0 + (hz / high_hz) ** 12)
    if low_hz > 0:
        power = power / (1.0 + (low_hz / np.maximum(hz, 1e-3)) ** 12)
    return _within_scale(np.fft.irfft(np.fft.rfft(samples) * np.sqrt(power), len(samples)))


def clip(samples: FloatArray, rate_hz: int, rng: Random, *, share: float) -> FloatArray:
    """Return an overdriven microphone: ``share`` of the samples cut off and at full scale."""
    del rate_hz, rng
    limit = max(float(np.quantile(np.abs(samples), 1.0 - share)), 1e-6)
    return np.asarray(np.clip(samples / limit, -1.0, 1.0), np.float32)


def level(samples: FloatArray, rate_hz: int, rng: Random, *, rms_db: float) -> FloatArray:
    """Return the speech at ``rms_db`` dBFS, rounded to 16 bits as a sound card does."""
    del rng
    scaled = samples * 10 ** (rms_db / 20) / (speech_rms(samples, rate_hz) + 1e-12)
    return np.asarray(np.round(np.clip(scaled, -1.0, 1.0) * 32767.0) / 32767.0, np.float32)


def gain_control(samples: FloatArray, rate_hz: int, rng: Random) -> FloatArray:
    """Return the speech under automatic gain: toward -20 dBFS within 0.2 s, at most +30 dB."""
    del rng
    step = max(1, round(_FRAME_S * rate_hz))
    count = -(-len(samples) // step)
    frames = np.pad(samples, (0, count * step - len(samples))).astype(np.float64).reshape(count, step)
    smooth, gains = 0.0, np.empty(count)
    for n, power in enumerate(np.mean(frames**2, axis=1).tolist()):
        smooth = power if n == 0 else 0.9 * smooth + 0.1 * power
        gains[n] = min(0.1 / np.sqrt(smooth + 1e-12), 10**1.5)
    track = np.interp(np.arange(count * step), (np.arange(count) + 0.5) * step, gains)
    return np.clip(frames.reshape(-1) * track, -1.0, 1.0)[: len(samples)].astype(np.float32)


def suppress(samples: FloatArray, rate_hz: int, rng: Random, *, floor_db: float) -> FloatArray:
    """Return the speech after spectral subtraction with gains no lower than ``floor_db``.

    The mean noise power of each band is told from its tenth percentile over time (of an exponential
    distribution), and taken off half as much again. Source: Boll, Suppression of acoustic noise in
    speech using spectral subtraction, IEEE Trans. ASSP 27, 1979.
    """
    del rng
    hop = max(8, round(0.016 * rate_hz))
    window = np.sqrt(np.hanning(2 * hop + 1)[:-1])
    count = -(-len(samples) // hop) + 1
    padded = np.pad(samples.astype(np.float64), (hop, count * hop - len(samples)))
    frames = np.stack([padded[n * hop : (n + 2) * hop] for n in range(count)]) * window
    bins = np.fft.rfft(frames, axis=1)
    power = np.abs(bins) ** 2
    noise = 1.5 * np.quantile(power, 0.1, axis=0) / -np.log(0.9)
    gain = np.sqrt(np.maximum(1.0 - noise / (power + 1e-12), 10 ** (floor_db / 10)))
    parts = np.fft.irfft(bins * gain, 2 * hop, axis=1) * window
    out = np.zeros((count + 1) * hop)
    for n in range(count):
        out[n * hop : (n + 2) * hop] += parts[n]
    return _within_scale(out[hop : hop + len(samples)])


def chained(samples: FloatArray, rate_hz: int, rng: Random, *, steps: Sequence[Augment]) -> FloatArray:
    """Return the samples after one augmentation after the other."""
    for step in steps:
        samples = step(samples, rate_hz, rng)
    return samples


pink = partial(coloured, slope=1.0)


def _within_scale(samples: Floats | FloatArray) -> FloatArray:
    """Return the samples, turned down where their peak would lie above 0.99."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return np.asarray(samples * min(1.0, 0.99 / max(peak, 1e-12)), np.float32)
