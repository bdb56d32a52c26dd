"""A small convolutional net on the fine spectrum: what Whisper's 80 mel bands and 20 ms positions leave out.

Front end: linear bands of 31 Hz up to 8 kHz, every 10 ms; per band the log power and the advance of the
phase against the band's own frequency (as cosine and sine: a steady partial keeps them, noise does not).
The mean of each band over time is taken off, so that neither the microphone's colour nor the level is a
cue.

Trunk: blocks of point-wise and depth-wise convolutions in the manner of Res2Net with squeeze and excitation,
attentive mean and spread over time. About 0.2 million parameters.

Sources: Gao et al., "Res2Net: a new multi-scale backbone architecture", 2021; Hu et al.,
"Squeeze-and-excitation networks", 2018; Okabe et al., "Attentive statistics pooling for deep speaker
embedding", 2018; Li et al., "Replay and synthetic speech detection with Res2Net architecture", 2021 (the
two together, on spectra).
"""

from __future__ import annotations

import numpy as np
import torch
from spectrum import at_level, fourier_kernel
from torch import Tensor, nn
from torch.nn import functional as F

N_FFT, HOP, BINS, FRAMES, CHANNELS = 512, 160, 256, 400, 3
RANGE_DB = 80.0
FLOOR = 1e-6
STEM, WIDTHS, UNITS = 24, (48, 96, 128), 96
# strides in (time, bands): after the stem a position is 125 Hz and 20 ms, at the end 1 kHz and 80 ms
STRIDES = ((2, 2), (1, 2), (2, 2))


class FineSpectrum(nn.Module):
    """(B, 64000) samples to (B, 3, 400, 256): log power (tens of dB), cosine and sine of the phase's advance.

    Log power is counted from ``RANGE_DB`` below the window's loudest place; cosine and sine lie in [-1, 1].
    The lowest band (0 Hz) is left out. All of it is convolution and arithmetic, so that it travels in ONNX.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fourier_kernel(N_FFT), persistent=False)
        advance = 2 * np.pi * HOP / N_FFT * np.arange(1, BINS + 1)
        turn = np.stack([np.cos(advance), np.sin(advance)])
        self.register_buffer(
            "turn", torch.tensor(turn[:, None, :, None], dtype=torch.float32), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        x = at_level(x)
        left, right = x[:, 1 : N_FFT // 2 + 1].flip(1), x[:, -N_FFT // 2 - 1 : -1].flip(1)
        found = F.conv1d(torch.cat([left, x, right], 1)[:, None], self.kernel, stride=HOP)[:, :, : FRAMES + 1]
        half = N_FFT // 2 + 1
        real, imag = found[:, 1:half], found[:, half + 1 :]
        power = real * real + imag * imag
        decibel = 10 * torch.log10(torch.clamp(power[:, :, 1:], min=1e-10))
        top = decibel.amax((1, 2), keepdim=True)
        level = torch.clamp(decibel - top + RANGE_DB, min=0.0) / 10
        # this frame times the conjugate of the last, turned back by what the band's own frequency advances
        even = real[:, :, 1:] * real[:, :, :-1] + imag[:, :, 1:] * imag[:, :, :-1]
        odd = imag[:, :, 1:] * real[:, :, :-1] - real[:, :, 1:] * imag[:, :, :-1]
        size = torch.rsqrt(torch.clamp(power[:, :, 1:] * power[:, :, :-1], min=1e-14))
        cosine = (even * self.turn[0] + odd * self.turn[1]) * size
        sine = (odd * self.turn[0] - even * self.turn[1]) * size
        return torch.stack([level, cosine, sine], 1).transpose(2, 3)


def without_colour(x: Tensor) -> Tensor:
    """Take the mean over time off every band of spectra (B, 3, frames, 256)."""
    return x - x.mean(2, keepdim=True)


class Excitation(nn.Module):
    """Weighs channels by what the whole window holds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, width // 4), nn.Linear(width // 4, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class Block(nn.Module):
    """Point-wise, four depth-wise parts each fed by the one before, point-wise, excitation, and the input."""

    PARTS = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        own = width // self.PARTS
        self.into = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.deep = nn.ModuleList(
            nn.Conv2d(own, own, 3, padding=1, groups=own, bias=False) for _ in range(self.PARTS - 1)
        )
        self.joined = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.out = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))
        self.excite = Excitation(width)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.into(x).chunk(self.PARTS, 1)
        parts, last = [first], torch.zeros_like(first)
        for part, convolve in zip(rest, self.deep, strict=True):
            last = convolve(part + last)
            parts.append(last)
        return F.relu(x + self.excite(self.out(self.joined(torch.cat(parts, 1)))))


def narrower(old: int, new: int, stride: tuple[int, int]) -> nn.Sequential:
    """Return a depth-wise step down in time and bands, then a point-wise one to another width."""
    return nn.Sequential(
        nn.Conv2d(old, old, 3, stride, 1, groups=old, bias=False),
        nn.Conv2d(old, new, 1, bias=False),
        nn.BatchNorm2d(new),
        nn.ReLU(),
    )


class FineNet(nn.Module):
    """Spectra (B, 3, frames, 256) to raw scores (B,), larger for spoof."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(CHANNELS, STEM, (3, 8), (2, 4), (1, 2), bias=False), nn.BatchNorm2d(STEM), nn.ReLU()
        )
        steps: list[nn.Module] = []
        for old, new, stride in zip((STEM, *WIDTHS), WIDTHS, STRIDES, strict=False):
            steps += [narrower(old, new, stride), Block(new)]
        self.trunk = nn.Sequential(*steps)
        self.inner = nn.Sequential(nn.Linear(WIDTHS[-1] * BINS // 32, UNITS), nn.GELU(), nn.Dropout(dropout))
        self.attention, self.out = nn.Linear(UNITS, 1), nn.Linear(2 * UNITS, 1)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return raw scores; ``kept`` (B, 1, frames, 256) is 0 where training hides a place."""
        x = without_colour(x)
        h = self.trunk(self.stem(x if kept is None else x * kept))
        h = self.inner(h.transpose(1, 2).flatten(2))
        w = torch.softmax(self.attention(h), dim=1)
        mean = (w * h).sum(1)
        spread = torch.sqrt(torch.clamp((w * (h - mean.unsqueeze(1)) ** 2).sum(1), min=FLOOR))
        return self.out(torch.cat([mean, spread], 1)).squeeze(1)
