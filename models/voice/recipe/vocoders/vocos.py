"""Vocos-like vocoder: ConvNeXt blocks on frames give magnitude and phase, the inverse STFT the waveform.

Source: Siuzdak 2024 (Vocos).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vocoders.mels import log_mel, window


class Block(nn.Module):
    """Depthwise convolution over time, then a two-layer net per frame; (batch, width, frames) in and out."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        h = self.norm(self.depthwise(x).transpose(1, 2))
        if shift is not None:
            h = h + shift[:, None]
        return x + (self.scale * self.down(F.gelu(self.up(h)))).transpose(1, 2)


def inverse_stft(z: Tensor, n_fft: int, hop: int) -> Tensor:
    """Overlap-add (batch, n_fft // 2 + 1, frames) to (batch, frames * hop)."""
    frames, w = z.shape[-1], window(n_fft)
    x = torch.fft.irfft(z, n_fft, dim=1) * w[:, None]
    size = (1, (frames - 1) * hop + n_fft)
    total = F.fold(x, size, (1, n_fft), stride=(1, hop))[:, 0, 0]
    weight = F.fold(w.square()[None, :, None].expand(1, -1, frames), size, (1, n_fft), stride=(1, hop))[
        0, 0, 0
    ]
    side = (n_fft - hop) // 2
    return (total / weight.clamp(min=1e-3))[:, side : side + frames * hop]


class Vocos(nn.Module):
    """Log-mel (batch, 80, frames) to waveform (batch, frames * hop)."""

    mels = 80

    def __init__(self, hop: int = 160, n_fft: int = 640, width: int = 224, depth: int = 6) -> None:
        super().__init__()
        self.hop, self.n_fft = hop, n_fft
        self.stem = nn.Conv1d(self.mels, width, 7, padding=3)
        self.first = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, 3 * width) for _ in range(depth))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_fft + 2)

    def condition(self, x: Tensor) -> Tensor:
        return log_mel(x, self.hop, self.mels)

    def forward(self, mel: Tensor) -> Tensor:
        h = self.first(self.stem(mel * 0.3 + 1).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        size, phase = self.head(self.last(h.transpose(1, 2))).transpose(1, 2).chunk(2, 1)
        size = (size - 1).clamp(max=5).exp()
        z = torch.complex(size * phase.cos(), size * phase.sin())
        return inverse_stft(z, self.n_fft, self.hop)
