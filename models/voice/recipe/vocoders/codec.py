"""Neural codec: ConvNeXt frames of the MDCT, residual vector quantisation, and back.

Sources: Jiang et al. 2024 (MDCTCodec); Zeghidour et al. 2021 (SoundStream: residual quantisation, random
count of quantisers); Kumar et al. 2023 (narrow codes of unit length).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vocoders.flow import Mdct
from vocoders.vocos import Block


class Level(nn.Module):
    """One codebook: the frame, made narrow and of unit length, becomes its nearest code."""

    def __init__(self, width: int, codes: int = 512, narrow: int = 8) -> None:
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


class Half(nn.Module):
    """ConvNeXt blocks between two linear layers; (batch, inputs, frames) to (batch, outputs, frames)."""

    def __init__(self, inputs: int, outputs: int, width: int = 192, depth: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv1d(inputs, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, 3 * width) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h.transpose(1, 2))).transpose(1, 2)


class Codec(nn.Module):
    """Waveform (batch, samples) to itself by way of up to ``most`` codes of nine bits per 10 ms."""

    mels, hop, most = 0, 160, 10

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.transform = Mdct(self.hop)
        self.encoder, self.decoder = Half(2 * self.hop, width), Half(width, self.hop)
        self.levels = nn.ModuleList(Level(width) for _ in range(self.most))
        self.used = self.most

    def condition(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.coded(x)[0]

    def coded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the waveform and the codebooks' loss."""
        z = self.transform(x)
        # cube root: quiet coefficients count as well; with the log of their size they fill both ranges
        small = torch.cat((z.sign() * z.abs().pow(1 / 3), (z.abs() + 1e-4).log() * 0.2 + 1), 1)
        h = self.encoder(small).transpose(1, 2)
        total, loss = torch.zeros_like(h), h.new_zeros(())
        for level in self.levels[: self.used]:
            told, part = level(h - total)
            total, loss = total + told, loss + part
        root = self.decoder(total.transpose(1, 2))
        return self.transform.back(root * root.square()), loss
