"""Codec of the vocoder kind: mel frames in pairs, residual vector quantisation by k-means, a vocoder back.

Eight bits a quantiser every 20 ms, 0.8 to 3.2 kbit/s. The codebooks are fitted, not learnt by gradient: a
waveform codec trained end to end for minutes on one core gave noise. The Vocos-like family speaks.
Sources: Zeghidour et al. 2021 (SoundStream: residual quantisation); Juang and Gray 1982.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vocoders.vocos import Vocos

CODES, ROUNDS = 256, 8


class Codec(nn.Module):
    """Log-mel (batch, 80, frames) by way of ``used`` codes per pair of frames to waveform.

    ``rough`` is the vocoder that speaks; it belongs to another family and is set after loading.
    """

    mels, hop, most = 80, 160, 8
    books: Tensor
    centre: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("books", torch.zeros(self.most, CODES, 2 * self.mels))
        self.register_buffer("centre", torch.zeros(2 * self.mels))
        self.used = self.most
        self.rough: list[Vocos] = []

    def condition(self, x: Tensor) -> Tensor:
        return self.rough[0].condition(x)

    def forward(self, mel: Tensor) -> Tensor:
        return self.rough[0](self.coded(mel))

    def coded(self, mel: Tensor) -> Tensor:
        """Return the quantised mel; a last odd frame takes the pair before it as its own."""
        frames = mel.shape[-1]
        left = self.paired(mel) - self.centre
        total = torch.zeros_like(left)
        for book in self.books[: self.used]:
            told = book[torch.cdist(left, book[None].expand(len(left), -1, -1)).argmin(-1)]
            total, left = total + told, left - told
        told = (total + self.centre).reshape(len(mel), -1, self.mels).transpose(1, 2)
        return told[..., :frames]

    def paired(self, mel: Tensor) -> Tensor:
        """Return (batch, pairs, 160)."""
        even = torch.cat((mel, mel[..., -1:]), -1) if mel.shape[-1] % 2 else mel
        return even.transpose(1, 2).reshape(len(mel), -1, 2 * self.mels)

    @torch.no_grad()
    def fit(self, mel: Tensor) -> None:
        """Fit the codebooks, one on what the ones before leave over, to (batch, 80, frames)."""
        left = self.paired(mel).flatten(0, 1)
        self.centre.copy_(left.mean(0))
        left = left - self.centre
        for book in self.books:
            book.copy_(left[torch.randperm(len(left))[:CODES]])
            for _ in range(ROUNDS):
                nearest = torch.cdist(left, book).argmin(-1)
                count = torch.bincount(nearest, minlength=CODES)[:, None]
                mean = torch.zeros_like(book).index_add_(0, nearest, left) / count.clamp(min=1)
                book.copy_(torch.where(count > 0, mean, book))
            left = left - book[torch.cdist(left, book).argmin(-1)]
