"""A device and its noise suppression, done to fine spectra in training: band limits, noise, suppressor.

The windows of windows.py went through one call each; a net that hears them two hundred times learns those
calls. So half of what a step hears goes through another device, drawn anew every time, genuine and synthetic
alike: a low cut and a top (a telephone's at times), coloured noise at 0 to 30 dB, a Wiener gain per band as
suppressors have it, whose musical noise stays, and a receiver's hiss.

Spectra are no audio: powers are added as if speech and noise were never in phase, a gain leaves phases alone.
Whether nets so trained hold up behind real suppressors is for cnn_rough.py to say, which uses device.py's.
Source of the gain: Ephraim, Malah, "Speech enhancement using a minimum mean-square error short-time spectral
amplitude estimator", 1984 (its Wiener form, floor fixed).
"""

from __future__ import annotations

import numpy as np
import torch
from chain import RATE, WINDOW
from cnn_net import BINS, FRAMES, RANGE_DB, FineSpectrum
from torch import Tensor
from torch.nn import functional as F

BANK = 16
SHARE = 0.5
LOW_CUT, TOP, TELEPHONE = 0.3, 0.3, 0.15
NOISY, SUPPRESSED, SUPPRESSED_QUIET = 0.5, 0.7, 0.3
BANDS_HZ = np.arange(1, BINS + 1) * RATE / 2 / BINS


class Devices:
    """Draws a device for each window; holds spectra of white noise to draw noise from."""

    def __init__(self, seed: int) -> None:
        white = np.random.default_rng(seed).standard_normal((BANK, WINDOW)).astype(np.float32)
        with torch.no_grad():
            bank = FineSpectrum()(torch.from_numpy(white))
        # levels count from the mean power of the noise
        bank[:, 0] = 10 * bank[:, 0] - mean_db(10 * bank[:, 0])
        self.bank = bank

    def through(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return spectra (B, 3, frames, 256) after a device each, about half unchanged."""
        chosen = np.flatnonzero(rng.random(len(x)) < SHARE)
        if not len(chosen):
            return x
        own = x[torch.from_numpy(chosen)]
        level, phases = 10 * own[:, 0] + RANGE_DB / 2, own[:, 1:]
        size = len(chosen)
        noisy = rng.random(size) < NOISY
        snr_db = np.where(noisy, 30 * rng.beta(1.7, 1.5, size), 60.0)
        tilt_db = -10 * rng.uniform(0, 1.3, size)[:, None] * np.log10(BANDS_HZ / BANDS_HZ.mean())
        level, phases = self._with_noise(level, phases, tilt_db, snr_db, rng)
        level = level + _tensor(np.stack([response_db(rng) for _ in range(size)]))[:, None]
        suppressed = rng.random(size) < np.where(noisy, SUPPRESSED, SUPPRESSED_QUIET)
        level = level + _tensor(suppressed)[:, None, None] * suppression_db(level, rng)
        level, phases = self._with_noise(level, phases, 0 * tilt_db, rng.uniform(45, 80, size), rng)
        level = torch.clamp(level - level.amax((1, 2), keepdim=True) + RANGE_DB, min=0.0)
        out = x.clone()
        out[torch.from_numpy(chosen)] = torch.cat([(level[:, None] - RANGE_DB / 2) / 10, phases], 1)
        return out

    def _with_noise(
        self, level: Tensor, phases: Tensor, tilt_db: np.ndarray, snr_db: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Add coloured noise ``snr_db`` (B,) under the mean power; levels (B, frames, 256) in dB."""
        first = rng.integers(0, FRAMES - level.shape[1] + 1)
        noise = self.bank[torch.from_numpy(rng.integers(BANK, size=len(level)))][
            :, :, first : first + level.shape[1]
        ]
        louder = noise[:, 0] + _tensor(tilt_db)[:, None]
        louder = louder - mean_db(louder) + mean_db(level) - _tensor(snr_db)[:, None, None]
        own, other = power_of(level), power_of(louder)
        mixed = own[:, None] * phases + other[:, None] * noise[:, 1:]
        size = torch.sqrt(torch.clamp((mixed * mixed).sum(1, keepdim=True), min=1e-12))
        return 10 * torch.log10(own + other), mixed / size


def mean_db(level: Tensor) -> Tensor:
    """Return the mean power (B, 1, 1) of levels (B, frames, 256), in dB."""
    return 10 * torch.log10(power_of(level).mean((1, 2), keepdim=True))


def power_of(level: Tensor) -> Tensor:
    """Return the power of levels in dB; ``exp`` takes a quarter of the time of ``10 ** x`` here."""
    return torch.exp(level * (np.log(10) / 10))


def response_db(rng: np.random.Generator) -> np.ndarray:
    """Return what a device takes off each band (256,), at most 0: Butterworth edges, steep or gentle."""
    whole = np.zeros(BINS)
    telephone = rng.random() < TELEPHONE
    if telephone or rng.random() < LOW_CUT:
        edge = rng.uniform(200, 400) if telephone else rng.uniform(50, 300)
        whole -= 10 * np.log10(1 + (edge / BANDS_HZ) ** (2 * rng.integers(1, 7)))
    if telephone or rng.random() < TOP:
        edge = rng.uniform(3000, 4000) if telephone else rng.uniform(3000, 7800)
        whole -= 10 * np.log10(1 + (BANDS_HZ / edge) ** (2 * rng.integers(4, 14)))
    return np.maximum(whole, -90)


def suppression_db(level: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a suppressor's gain (B, frames, 256) in dB, at most 0, over a guessed noise floor."""
    size = len(level)
    rank = max(1, int(0.15 * level.shape[1]))
    floor = level.kthvalue(rank, dim=1, keepdim=True).values
    guess = floor + _tensor(10 * np.log10(rng.uniform(1.5, 5, size)))[:, None, None]
    least = _tensor(10 ** (-rng.uniform(6, 26, size) / 20))[:, None, None]
    gain = torch.maximum(1 - power_of(guess - level), least)
    slow = _tensor(rng.uniform(0, 0.8, size))[:, None, None]
    gain = (1 - slow) * gain + slow * F.avg_pool2d(gain, (5, 3), 1, (2, 1), count_include_pad=False)
    return 20 * torch.log10(gain)


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(x, np.float32))
