"""HiFi-GAN-like and multi-band MelGAN-like vocoders: transposed convolutions raise mel frames to samples.

Sources: Kong et al. 2020 (HiFi-GAN); Wang et al. 2019 (source-filter excitation); Kumar et al. 2019
(MelGAN); Yang et al. 2021 (multi-band MelGAN);
Nguyen 1994 (cosine-modulated filter bank).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import signal
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from vocoders.mels import log_mel
from vocoders.source import pitch, pulses


def raised(inner: int, outer: int, factor: int) -> nn.Module:
    """Transposed convolution that gives ``factor`` steps for one."""
    return weight_norm(
        nn.ConvTranspose1d(
            inner, outer, 2 * factor, factor, padding=factor // 2 + factor % 2, output_padding=factor % 2
        )
    )


class Fused(nn.Module):
    """Residual branches of several kernels whose mean is taken."""

    def __init__(self, width: int, kernels: tuple[int, ...], dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.ModuleList(
                weight_norm(nn.Conv1d(width, width, k, padding=d * (k // 2), dilation=d)) for d in dilations
            )
            for k in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for branch in self.branches:
            h = x
            for layer in branch:
                h = h + layer(F.leaky_relu(h, 0.1))
            total = total + h
        return total / len(self.branches)


class Raiser(nn.Module):
    """Stem, then per stage: transposed convolution and residual blocks; tanh at the end.

    ``widths`` has one width more than ``factors``, whose product is the hop;
    (batch, inputs, frames) to (batch, outputs, frames * hop).
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, ...],
        factors: tuple[int, ...],
        blocks: list[nn.Module],
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.stem = weight_norm(nn.Conv1d(inputs, widths[0], 7, padding=3))
        self.raisers = nn.ModuleList(
            raised(a, b, f) for a, b, f in zip(widths, widths[1:], factors, strict=False)
        )
        self.blocks = nn.ModuleList(blocks)
        self.last = weight_norm(nn.Conv1d(widths[-1], outputs, 7, padding=3))

    def forward(self, x: Tensor, extra: list[Tensor] | None = None) -> Tensor:
        """Add ``extra``, one per stage, after each raising."""
        x = self.stem(x)
        for n, (raiser, block) in enumerate(zip(self.raisers, self.blocks, strict=True)):
            x = raiser(F.leaky_relu(x, 0.1))
            x = block(x + extra[n] if extra else x)
        return torch.tanh(self.last(F.leaky_relu(x, 0.1)))


class HifiGan(nn.Module):
    """Log-mel and F0 (batch, 81, frames) to waveform (batch, frames * 200); pulses enter at every stage.

    The pulses are those of neural source-filter models: without them a net this small, trained for minutes,
    finds no pitch above 1 kHz.
    """

    mels, hop = 80, 200

    def __init__(self) -> None:
        super().__init__()
        widths = (160, 96, 48, 24)
        self.net = Raiser(self.mels, widths, (8, 5, 5), [Fused(w, (3, 7), (1, 3)) for w in widths[1:]])
        self.lowered = nn.ModuleList(
            nn.Conv1d(1, w, 2 * f + 1, f, padding=f) for w, f in zip(widths[1:], (25, 5, 1), strict=True)
        )
        for layer in self.lowered:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def condition(self, x: Tensor) -> Tensor:
        return torch.cat((log_mel(x, self.hop, self.mels), pitch(x, self.hop)[:, None]), 1)

    def forward(self, given: Tensor) -> Tensor:
        train = pulses(given[:, -1], self.hop)[:, None]
        extra = [layer(train)[..., : train.shape[-1] // layer.stride[0]] for layer in self.lowered]
        return self.net(given[:, : self.mels] * 0.3 + 1, extra)[:, 0]


class Bands(nn.Module):
    """Near-perfect filter bank of four bands, synthesis only."""

    bands: Tensor

    def __init__(self, count: int = 4, taps: int = 63, cutoff: float = 0.142, beta: float = 9.0) -> None:
        super().__init__()
        prototype = signal.firwin(taps, cutoff, window=("kaiser", beta))
        n = np.arange(taps) - (taps - 1) / 2
        k = np.arange(count)[:, None]
        bank = 2 * prototype * np.cos((2 * k + 1) * np.pi / (2 * count) * n - (-1.0) ** k * np.pi / 4)
        self.count = count
        self.register_buffer("bands", torch.from_numpy(bank * count).float()[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, samples) of (batch, count, samples / count)."""
        side = self.bands.shape[-1] // 2
        wide = F.conv_transpose1d(
            x, self.bands, stride=self.count, padding=side, output_padding=self.count - 1
        )
        return wide[:, 0]


class MelGan(nn.Module):
    """Log-mel (batch, 80, frames) to four bands to waveform (batch, frames * 256)."""

    mels, hop = 80, 256

    def __init__(self) -> None:
        super().__init__()
        widths = (256, 128, 64, 40)
        blocks: list[nn.Module] = [Fused(w, (3,), (1, 3, 9)) for w in widths[1:]]
        self.net = Raiser(self.mels, widths, (8, 4, 2), blocks, outputs=4)
        self.join = Bands()

    def condition(self, x: Tensor) -> Tensor:
        return log_mel(x, self.hop, self.mels)

    def forward(self, mel: Tensor) -> Tensor:
        return self.join(self.net(mel * 0.3 + 1))
