"""Source-filter vocoder: a net shapes a pulse train and noise, frame by frame, in the STFT.

The pitch is given, so that the net has only magnitudes and a phase to find: it learns in minutes what a
vocoder that finds its own pitch learns in hours, and the pitch can be moved.
Sources: Liu et al. 2020 (neural homomorphic vocoder); Wang et al. 2019 (neural source-filter models).
"""

from __future__ import annotations

import math

import numpy as np
import pyworld
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vocoders.mels import log_mel, window
from vocoders.vocos import Block, inverse_stft

RATE = 16_000


def pitch(x: Tensor, hop: int) -> Tensor:
    """Return F0 (batch, samples / hop) in Hz, 0 where unvoiced."""
    rows = []
    for sound in x.double().numpy():
        f0, t = pyworld.dio(sound, RATE, frame_period=1000 * hop / RATE)
        f0 = pyworld.stonemask(sound, f0, t, RATE)[: len(sound) // hop]
        rows.append(np.pad(f0, (0, len(sound) // hop - len(f0)), "edge"))
    return torch.from_numpy(np.stack(rows)).float()


def pulses(f0: Tensor, hop: int) -> Tensor:
    """Return (batch, frames * hop): every harmonic below 8 kHz in phase where voiced, 0 elsewhere."""
    voiced = f0.repeat_interleave(hop, 1) > 0
    held = torch.where(f0 > 0, f0, f0.amax(1, keepdim=True).clamp(min=100))
    fine = F.interpolate(held[:, None], scale_factor=hop, mode="linear")[:, 0]
    half = math.pi * torch.cumsum((fine / RATE).double(), 1).remainder(1.0).float()
    count = torch.floor(RATE / 2 / fine)
    low = half.sin()
    safe = torch.where(low.abs() < 1e-4, torch.ones_like(low), low)
    ratio = torch.where(low.abs() < 1e-4, 2 * count + 1, ((2 * count + 1) * half).sin() / safe)
    return torch.where(voiced, (ratio - 1) / (2 * count).sqrt(), torch.zeros_like(ratio))


def stft(x: Tensor, n_fft: int, hop: int) -> Tensor:
    side = (n_fft - hop) // 2
    x = F.pad(x[:, None], (side, side), "reflect")[:, 0]
    return torch.stft(x, n_fft, hop, window=window(n_fft), center=False, return_complex=True)


class Source(nn.Module):
    """Log-mel and, as its last row, F0: (batch, 81, frames) to waveform (batch, frames * 160)."""

    mels, hop, n_fft = 80, 160, 640

    def __init__(self, width: int = 192, depth: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv1d(self.mels + 2, width, 7, padding=3)
        self.first = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, 3 * width) for _ in range(depth))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, 4 * (self.n_fft // 2 + 1))

    def condition(self, x: Tensor) -> Tensor:
        return torch.cat((log_mel(x, self.hop, self.mels), pitch(x, self.hop)[:, None]), 1)

    def forward(self, given: Tensor) -> Tensor:
        mel, f0 = given[:, : self.mels], given[:, -1]
        voiced = (f0 > 0).float()
        height = torch.where(f0 > 0, (f0.clamp(min=40) / 150).log(), torch.zeros_like(f0))
        h = self.stem(torch.cat((mel * 0.3 + 1, voiced[:, None], height[:, None]), 1))
        h = self.first(h.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        parts = self.head(self.last(h.transpose(1, 2))).transpose(1, 2).chunk(4, 1)
        tone, phase, noise, turn = parts
        train = stft(pulses(f0, self.hop), self.n_fft, self.hop)
        hiss = stft(torch.randn_like(f0.repeat_interleave(self.hop, 1)), self.n_fft, self.hop)
        z = train * torch.polar((tone - 3).clamp(max=4).exp(), phase)
        z = z + hiss * torch.polar((noise - 4).clamp(max=4).exp(), turn)
        return inverse_stft(z, self.n_fft, self.hop)
