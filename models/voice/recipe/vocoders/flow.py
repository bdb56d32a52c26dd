"""Diffusion-like vocoder: a rectified flow towards the waveform's MDCT, driven by the mel.

It is shallow: it starts from a source-filter vocoder's waveform under much noise, not from noise alone, so
that a small net can learn it. The noise is shaped by the mel, so that what is quiet stays quiet.
Sources: Liu et al. 2023 (rectified flow); Lee et al. 2022 (PriorGrad); Liu et al. 2022 (DiffSinger: shallow
diffusion).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vocoders.mels import filters, log_mel
from vocoders.source import Source
from vocoders.vocos import Block


class Mdct(nn.Module):
    """Orthonormal lapped transform with a sine window."""

    basis: Tensor

    def __init__(self, hop: int) -> None:
        super().__init__()
        self.hop = hop
        n, k = torch.arange(2 * hop) + 0.5, torch.arange(hop)[:, None] + 0.5
        basis = torch.cos(math.pi / hop * (n + hop / 2) * k) * torch.sin(math.pi / (2 * hop) * n)
        self.register_buffer("basis", basis * math.sqrt(2 / hop), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, hop, samples / hop + 1) of (batch, samples)."""
        frames = F.pad(x, (self.hop, self.hop)).unfold(1, 2 * self.hop, self.hop)
        return (frames @ self.basis.T).transpose(1, 2)

    def back(self, z: Tensor) -> Tensor:
        """Return (batch, samples) of (batch, hop, samples / hop + 1)."""
        frames = self.basis.T @ z
        size = (1, (z.shape[-1] + 1) * self.hop)
        whole = F.fold(frames, size, (1, 2 * self.hop), stride=(1, self.hop))[:, 0, 0]
        return whole[:, self.hop : -self.hop]


def spread(mels: int, bins: int) -> tuple[Tensor, Tensor]:
    """Return (bins, mels) that interpolates log mels, and (mels, 1) that makes a mel its mean magnitude."""
    bank = filters(1024, mels)
    weight = bank.sum(1)
    places = (bank @ torch.arange(bank.shape[1], dtype=torch.float32)) / weight.clamp(min=1e-6)
    there = torch.nonzero(weight > 0.3)[:, 0]
    wanted = (torch.arange(bins) + 0.5) * 512 / bins
    right = torch.searchsorted(places[there], wanted).clamp(1, len(there) - 1)
    a, b = places[there[right - 1]], places[there[right]]
    share = ((wanted - a) / (b - a)).clamp(0, 1)
    matrix, rows = torch.zeros(bins, mels), torch.arange(bins)
    matrix[rows, there[right - 1]] = 1 - share
    matrix[rows, there[right]] = share
    # a white signal of deviation s has mean magnitude 0.886 s sqrt(384) in a 1024-sample Hann window
    return matrix, (weight.clamp(min=0.3) * 0.886 * math.sqrt(384)).log()[:, None]


class Flow(nn.Module):
    """Log-mel and F0 (batch, 81, frames) to waveform (batch, frames * 160) in ``steps`` steps.

    ``rough`` is the vocoder that gives the start; it belongs to another family and is set after loading.
    """

    mels, hop, earliest = 80, 160, 0.3
    matrix: Tensor
    offset: Tensor

    def __init__(self, width: int = 224, depth: int = 6) -> None:
        super().__init__()
        self.steps, self.start = 10, 0.5
        self.rough: list[Source] = []
        self.transform = Mdct(self.hop)
        matrix, offset = spread(self.mels, self.hop)
        self.register_buffer("matrix", matrix, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.stem = nn.Conv1d(self.hop + self.mels, width, 7, padding=3)
        self.clock = nn.Sequential(nn.Linear(64, width), nn.GELU(), nn.Linear(width, depth * width))
        self.blocks = nn.ModuleList(Block(width, 3 * width) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, self.hop)

    def condition(self, x: Tensor) -> Tensor:
        return self.rough[0].condition(x)

    def deviation(self, mel: Tensor) -> Tensor:
        """Return what the mel leads one to expect of each coefficient, (batch, 160, frames + 1).

        A transform frame lies between two frames of the mel.
        """
        level = self.matrix @ (mel - self.offset)
        level = F.pad(level, (1, 1), "replicate")
        return ((level[..., 1:] + level[..., :-1]) / 2).exp().clamp(min=2e-6)

    def velocity(self, z: Tensor, mel: Tensor, t: Tensor) -> Tensor:
        """Return the flow's velocity at (batch, 160, frames + 1), time ``t`` (batch,) from 0, noise, to 1."""
        rates = torch.exp(torch.linspace(0, math.log(200), 32))
        angle = t[:, None] * rates * math.pi
        shifts = self.clock(torch.cat((angle.cos(), angle.sin()), 1)).chunk(len(self.blocks), 1)
        given = F.pad(mel, (0, 1), "replicate") * 0.3 + 1
        h = self.stem(torch.cat((z, given), 1))
        for block, shift in zip(self.blocks, shifts, strict=True):
            h = block(h, shift)
        return self.head(self.norm(h.transpose(1, 2))).transpose(1, 2)

    def forward(self, given: Tensor) -> Tensor:
        mel = given[:, : self.mels]
        deviation = self.deviation(mel)
        z = (self.transform(self.rough[0](given)) / deviation).clamp(-8, 8)
        z = self.start * z + (1 - self.start) * torch.randn_like(z)
        step = (1 - self.start) / self.steps
        for n in range(self.steps):
            z = z + step * self.velocity(z, mel, torch.full((len(mel),), self.start + n * step))
        return self.transform.back(z * deviation)

    def loss(self, x: Tensor) -> Tensor:
        """Mean squared error of the velocity at random times after ``earliest``."""
        mel = log_mel(x, self.hop, self.mels)
        deviation = self.deviation(mel)
        goal = (self.transform(x) / deviation).clamp(-8, 8)
        noise, t = torch.randn_like(goal), self.earliest + (1 - self.earliest) * torch.rand(len(x))
        z = noise + t[:, None, None] * (goal - noise)
        return F.mse_loss(self.velocity(z, mel, t), goal - noise)
