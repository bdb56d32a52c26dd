"""The call chain that every training clip goes through, genuine and synthetic alike.

Random but seeded: silence trimmed, cut, room, noise, microphone, clipping, noise suppression and gain, level,
then a codec with or without lost packets. A fifth of the clips stay nearly clean, a good third go through an
ordinary call. No step looks at the class. Noise of streets, music and babble comes from material.py's banks.
"""

from __future__ import annotations

import numpy as np
import soxr
from call_codecs import Received, code, opus_call, telephone, transmit
from device import browser, coloured, microphone, rms, room, trimmed
from material import draw

__all__ = ["RATE", "WINDOW", "Received", "augment", "code", "fit", "through_call"]

RATE, WINDOW = 16_000, 64_000


def fit(x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return exactly 4 s: a cut of a longer clip; a shorter one is repeated, as guard.windows does."""
    if len(x) < WINDOW:
        return np.resize(x, WINDOW).astype(np.float32)
    start = 0 if rng is None else int(rng.integers(0, len(x) - WINDOW + 1))
    return x[start : start + WINDOW].astype(np.float32)


def augment(x: np.ndarray, rng: np.random.Generator, split: str = "train", least_db: float = 0.0) -> Received:
    """Return 64000 samples: one random call of the clip; both classes use this very function.

    Args:
        x: float samples at 16 kHz.
        rng: every choice comes from it.
        split: whose noise: ``train``, or ``held`` for figures about noise the training never heard.
        least_db: level of the voice over surroundings, music and babble in the worst case.
    """
    x = trimmed(x)
    if len(x) > RATE * 3 and rng.random() < 0.3:
        x = x[: int(rng.uniform(2.2, 4.0) * RATE)]
    x = fit(x, rng).astype(np.float64)
    if rng.random() < 0.15:
        x = fit(soxr.resample(x, 1000, 1000 * rng.uniform(0.95, 1.05))).astype(np.float64)
    if rng.random() < 0.2:
        return _nearly_clean(x, rng)
    # most calls are ordinary ones; trained on hard ones alone, the heads heard less in the others
    hard = rng.random() < 0.55
    if rng.random() < 0.3:
        x = room(x, rng)
    if rng.random() < 0.6:
        x = noisy(x, rng, split, least_db) if hard else hissing(x, rng)
    return through_call(x, rng, hard)


def hissing(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` with coloured noise at 8 to 45 dB."""
    return x + coloured(len(x), rng) * rms(x) * 10 ** (-rng.uniform(8, 45) / 20)


def noisy(x: np.ndarray, rng: np.random.Generator, split: str = "train", least_db: float = 0.0) -> np.ndarray:
    """Return ``x`` with coloured noise at 8 to 45 dB, or other sounds at ``least_db`` to 30 dB."""
    kind = str(rng.choice(["coloured", "noise", "music", "babble"], p=[0.4, 0.3, 0.12, 0.18]))
    if kind == "coloured":
        return hissing(x, rng)
    # few are as loud as the voice: the middle is 17 dB
    snr_db = least_db + (30 - least_db) * rng.beta(2.0, 1.5)
    return x + draw(kind, len(x), rng, split) * rms(x) * 10 ** (-snr_db / 20)


def through_call(x: np.ndarray, rng: np.random.Generator, hard: bool = True) -> Received:
    """Return 64000 samples: what a microphone picked up, after device, browser, level and codec.

    A call that is not ``hard`` has no noise suppression and, on a telephone leg, no codec but G.711.
    """
    x = microphone(x, rng)
    x = _set_level(x, rng)
    if rng.random() < 0.06:
        limit = np.quantile(np.abs(x), rng.uniform(0.97, 0.999))
        x = np.clip(x, -limit, limit)
    if hard and rng.random() < 0.35:
        x = browser(x, rng)
    elif rng.random() < 0.06:
        # a hard gate: silence between words is exactly empty
        x = np.sign(x) * np.maximum(np.abs(x) - rms(x) * rng.uniform(0.01, 0.06), 0)
    x = _set_level(x, rng)
    kind = rng.choice(["none", "opus", "loss", "phone", "g722"], p=[0.17, 0.36, 0.22, 0.2, 0.05])
    if kind == "g722":
        return transmit(x, "g722")
    if kind == "phone":
        leg = telephone(x, rng) if hard else transmit(x, str(rng.choice(["pcm_mulaw", "pcm_alaw"])))
        # a gateway codes it again
        return opus_call(leg.samples, rng, loss=0.0).after(leg) if rng.random() < 0.4 else leg
    if kind == "none":
        return Received.whole(x)
    return opus_call(x, rng, loss=float(rng.uniform(0.01, 0.15)) if kind == "loss" else 0.0)


def _set_level(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``x`` at -35 to -14 dBFS, mostly over a microphone's own hiss, clipped at full scale."""
    x = x * 10 ** (rng.uniform(-35, -14) / 20) / rms(x)
    if rng.random() < 0.7:
        x = x + rng.standard_normal(len(x)) * 10 ** (rng.uniform(-90, -60) / 20)
    return np.clip(x, -1, 1)


def _nearly_clean(x: np.ndarray, rng: np.random.Generator) -> Received:
    """Return ``x`` at another level, half of the time after a good Opus call."""
    x = _set_level(x, rng)
    if rng.random() < 0.5:
        return transmit(x, "libopus", bit_rate=int(rng.choice([24, 32, 40])) * 1000)
    return Received.whole(x)
