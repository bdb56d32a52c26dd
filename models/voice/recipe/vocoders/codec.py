"""Neural codec: strided convolutions to 50 frames a second, residual vector quantisation, and back.

Sources: Zeghidour et al. 2021 (SoundStream); Kumar et al. 2023 (narrow normalised codes, quantiser dropout).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from vocoders.hifigan import Fused, Raiser


class Lowerer(nn.Module):
    """Strided convolutions and residual blocks, (batch, 1, samples) to (batch, widths[-1], frames)."""

    def __init__(self, widths: tuple[int, ...], factors: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = weight_norm(nn.Conv1d(1, widths[0], 7, padding=3))
        self.lowerers = nn.ModuleList(
            weight_norm(nn.Conv1d(a, b, 2 * f, f, padding=(f + 1) // 2))
            for a, b, f in zip(widths, widths[1:], factors, strict=False)
        )
        self.blocks = nn.ModuleList(Fused(w, (3,), (1, 3)) for w in widths[1:])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for lowerer, block in zip(self.lowerers, self.blocks, strict=True):
            x = block(lowerer(F.leaky_relu(x, 0.1)))
        return x


class Level(nn.Module):
    """One codebook: the frame, made narrow and of unit length, becomes its nearest code."""

    def __init__(self, width: int, codes: int, narrow: int) -> None:
        super().__init__()
        self.inwards, self.outwards = nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.codes = nn.Parameter(torch.randn(codes, narrow))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantised (batch, frames, width) and the codebook loss."""
        h = F.normalize(self.inwards(x), dim=-1)
        codes = F.normalize(self.codes, dim=-1)
        chosen = codes[(h.detach() @ codes.detach().T).argmax(-1)]
        loss = F.mse_loss(chosen, h.detach()) + 0.25 * F.mse_loss(h, chosen.detach())
        return self.outwards(h + (chosen - h).detach()), loss


class Codec(nn.Module):
    """Waveform (batch, samples) to itself by way of ``levels`` codes of nine bits per 20 ms."""

    mels, hop, most = 0, 320, 8

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Lowerer((16, 32, 64, 128, 192), (4, 4, 4, 5))
        self.levels = nn.ModuleList(Level(192, 512, 8) for _ in range(self.most))
        widths = (192, 128, 64, 40, 24)
        self.decoder = Raiser(192, widths, (5, 4, 4, 4), [Fused(w, (3,), (1, 3)) for w in widths[1:]])
        self.used = self.most

    def condition(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.coded(x)[0]

    def coded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the waveform and the codebooks' loss."""
        h = self.encoder(x[:, None] * 3).transpose(1, 2).float()
        total, loss = torch.zeros_like(h), h.new_zeros(())
        with torch.autocast("cpu", enabled=False):
            for level in self.levels[: self.used]:
                told, part = level(h - total)
                total, loss = total + told, loss + part
        return self.decoder(total.transpose(1, 2))[:, 0], loss
