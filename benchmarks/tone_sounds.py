"""Sounds that are no voice, as telephones and rooms make them, and manners of speaking near to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from guard.evaluation import augment
from guard.types import FloatArray

RATE_HZ = 48_000
SECONDS = 16.0
Floats = NDArray[np.float64]
_TIME_S = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
# sound card, room: what is never quite silent
_HISS = 2e-4


def _lines(*lines_hz: float) -> Floats:
    return np.asarray(np.mean([np.sin(2 * np.pi * hz * _TIME_S) for hz in lines_hz], axis=0))


def _cadence(*steps_s: float) -> Floats:
    """On, off, on, off ... in seconds, over and over."""
    edges = np.cumsum(steps_s)
    return np.asarray(np.searchsorted(edges, _TIME_S % edges[-1], side="right") % 2 == 0, np.float64)


def _digits(on_s: float, off_s: float) -> Floats:
    """Random digits of ITU-T Q.23, each at a level of its own."""
    rng = np.random.default_rng(5)
    number = (_TIME_S / (on_s + off_s)).astype(int)
    count = int(number.max()) + 1
    low = rng.choice([697.0, 770.0, 852.0, 941.0], count)[number]
    high = rng.choice([1209.0, 1336.0, 1477.0, 1633.0], count)[number]
    level = rng.uniform(0.2, 1.0, count)[number]
    both = np.sin(2 * np.pi * low * _TIME_S) + np.sin(2 * np.pi * high * _TIME_S)
    return np.asarray(0.5 * level * both * _cadence(on_s, off_s))


def _bits(seconds: float) -> NDArray[np.int64]:
    drawn = np.random.default_rng(7).integers(0, 2, round(SECONDS / seconds) + 1)
    return np.asarray(drawn[(_TIME_S / seconds).astype(int)])


def _glide(hz: Floats) -> Floats:
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)


def _trill(low_hz: float, high_hz: float, rate_hz: float) -> Floats:
    return np.where(_TIME_S * rate_hz % 2 < 1, _lines(low_hz), _lines(high_hz)) * _cadence(2.0, 1.0)


def _triad() -> Floats:
    """Special information tone (ITU-T E.180): three tones up, a second of silence."""
    place_s = _TIME_S % 2.0
    return np.asarray(
        np.select(
            [place_s < 0.33, place_s < 0.66, place_s < 1.0], [_lines(950), _lines(1400), _lines(1800)], 0.0
        )
    )


SOUNDS: Mapping[str, Callable[[], Floats]] = {
    "dial 425": lambda: _lines(425),
    "dial US": lambda: _lines(350, 440),
    "dial, stuttered": lambda: _lines(350, 440) * _cadence(0.1, 0.1),
    "ringing EU": lambda: _lines(425) * _cadence(1.0, 4.0),
    "ringing UK": lambda: _lines(400, 450) * _cadence(0.4, 0.2, 0.4, 2.0),
    "ringing US": lambda: _lines(440, 480) * _cadence(2.0, 4.0),
    "engaged EU": lambda: _lines(425) * _cadence(0.5, 0.5),
    "engaged RU, KZ": lambda: _lines(425) * _cadence(0.4, 0.4),
    "engaged UK": lambda: _lines(400) * _cadence(0.375, 0.375),
    "engaged JP": lambda: _lines(400) * _cadence(0.5, 0.5),
    "engaged IN": lambda: _lines(400) * _cadence(0.75, 0.75),
    "engaged US": lambda: _lines(480, 620) * _cadence(0.5, 0.5),
    "congestion EU": lambda: _lines(425) * _cadence(0.25, 0.25),
    "congestion US": lambda: _lines(480, 620) * _cadence(0.25, 0.25),
    "off the hook US": lambda: _lines(1400, 2060, 2450, 2600) * _cadence(0.1, 0.1),
    "information triad": _triad,
    "digits 70/70 ms": lambda: _digits(0.07, 0.07),
    "digits 100/50 ms": lambda: _digits(0.10, 0.05),
    "digits 160/100 ms": lambda: _digits(0.16, 0.10),
    "digits 250/150 ms": lambda: _digits(0.25, 0.15),
    "fax calling 1100": lambda: _lines(1100) * _cadence(0.5, 3.0),
    "fax answer 2100": lambda: _lines(2100),
    "modem 300 bit/s": lambda: _glide(np.where(_bits(1 / 300) == 1, 1650.0, 1850.0)),
    "Morse 700": lambda: _lines(700) * _bits(0.06),
    "reversing lorry": lambda: _lines(1200) * _cadence(0.5, 0.5),
    "smoke alarm": lambda: _lines(3100) * _cadence(0.5, 0.5),
    "alarm clock": lambda: np.sign(_lines(2000)) * _cadence(*[0.0625] * 7, 0.5625),
    "trill 440/560": lambda: _trill(440, 560, 20),
    "trill 700/900": lambda: _trill(700, 900, 20),
    "trill 2000/2500": lambda: _trill(2000, 2500, 25),
    "siren, rising": lambda: _glide(600 + 900 * (_TIME_S * 4 % 1)),
    "siren, wailing": lambda: _glide(1000 + 500 * np.sin(2 * np.pi * _TIME_S / 5)) * (0.6 + 0.4 * _lines(3)),
    "mains hum": lambda: augment.hum(len(_TIME_S), RATE_HZ, np.random.default_rng(0)),
    "hiss": lambda: np.random.default_rng(0).standard_normal(len(_TIME_S)),
}
"""Float64 (N,) at 48 kHz, of any level."""


def sound(kind: str) -> FloatArray:
    """Return a sound of ``SOUNDS``, float32 (N,) at 48 kHz, peaks at -20 dBFS, over a little hiss."""
    samples = SOUNDS[kind]()
    hiss = np.random.default_rng(1).normal(0.0, _HISS, len(samples))
    return np.asarray(0.1 * samples / np.abs(samples).max() + hiss, np.float32)


def shouted(samples: FloatArray, rate_hz: int, rng: np.random.Generator) -> FloatArray:
    """Return speech levelled by a gain control and driven far over full scale."""
    levelled = augment.gain_control(samples, rate_hz, rng)
    return np.asarray(np.clip(levelled / (float(np.std(levelled)) + 1e-9), -1.0, 1.0), np.float32)


def whispered(samples: FloatArray, rate_hz: int, rng: np.random.Generator) -> FloatArray:
    """Return the same spectral envelopes, 300 Hz wide, spoken by noise instead of a voice."""
    size = round(0.032 * rate_hz) // 2 * 2
    hop, window = size // 2, np.hanning(size + 1)[:-1]
    smooth = np.ones(max(3, round(300 * size / rate_hz)))
    noise = rng.standard_normal(len(samples))
    out = np.zeros(len(samples))
    for start in range(0, len(samples) - size + 1, hop):
        part = slice(start, start + size)
        power = np.convolve(np.abs(np.fft.rfft(samples[part] * window)) ** 2, smooth / smooth.size, "same")
        out[part] += np.fft.irfft(np.fft.rfft(noise[part] * window) * np.sqrt(power), size)
    return np.asarray(out * float(np.std(samples)) / (out.std() + 1e-9), np.float32)


def answers(samples: FloatArray, rate_hz: int, rng: np.random.Generator) -> FloatArray:
    """Return 0.4 s of the loudest of it, again and again with pauses of 0.1 to 0.2 s: one syllable a time."""
    size = round(0.4 * rate_hz)
    if len(samples) <= size:
        return samples
    sums = np.cumsum(samples.astype(np.float64) ** 2)
    word = samples[int((sums[size:] - sums[:-size]).argmax()) :][:size] * np.hanning(size) ** 0.25
    parts = [np.append(word, np.zeros(round(rng.uniform(0.1, 0.2) * rate_hz))) for _ in range(12)]
    return np.asarray(np.concatenate(parts), np.float32)
