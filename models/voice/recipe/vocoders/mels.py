"""Mel spectrograms that the vocoders are driven by, and the spectral losses they are trained with.

Sources: Kong et al. 2020 (HiFi-GAN: framing and mel loss); Yamamoto et al. 2020 (multi-resolution STFT loss).
"""

from __future__ import annotations

from functools import cache

import torch
from copies import mel_matrix
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1e-5
RESOLUTIONS = ((256, 64), (512, 128), (1024, 256))


@cache
def window(size: int) -> Tensor:
    """Return a periodic Hann window, float32 (size,)."""
    return torch.hann_window(size)


@cache
def filters(n_fft: int, mels: int) -> Tensor:
    """Return float32 (mels, n_fft // 2 + 1)."""
    return torch.from_numpy(mel_matrix(n_fft, mels)).float()


def magnitude(x: Tensor, n_fft: int, hop: int) -> Tensor:
    """Return (batch, n_fft // 2 + 1, samples // hop) of (batch, samples); frame k is centred in hop k."""
    side = (n_fft - hop) // 2
    x = F.pad(x[:, None], (side, n_fft - hop - side), "reflect")[:, 0]
    z = torch.stft(x, n_fft, hop, window=window(n_fft), center=False, return_complex=True)
    return (z.real.square() + z.imag.square() + 1e-9).sqrt()


def log_mel(x: Tensor, hop: int, mels: int = 80, n_fft: int = 1024) -> Tensor:
    """Return natural-log mel magnitudes (batch, mels, samples // hop)."""
    return (filters(n_fft, mels) @ magnitude(x, n_fft, hop)).clamp(min=FLOOR).log()


def spectral_loss(y: Tensor, x: Tensor) -> Tensor:
    """Weigh log-mel distance with log and linear magnitude distances at three resolutions."""
    loss = y.new_zeros(())
    for n_fft, hop in RESOLUTIONS:
        a, b = magnitude(y, n_fft, hop), magnitude(x, n_fft, hop)
        log = F.l1_loss(a.clamp(min=3e-3).log(), b.clamp(min=3e-3).log())
        linear = (a - b).norm() / b.norm().clamp(min=1e-3)
        loss = loss + 2 * log + 2 * linear
        if n_fft > 256:
            mel = filters(n_fft, 40 if n_fft == 512 else 80)
            loss = loss + 6 * F.l1_loss(
                (mel @ a).clamp(min=FLOOR * 100).log(), (mel @ b).clamp(min=FLOOR * 100).log()
            )
    return loss
