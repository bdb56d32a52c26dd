"""The replay net: log spectrum in 64 bands, statistics of each over time, a small perceptron.

All of it, the transform included, is one ONNX graph from samples to a raw score.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.append(str(Path(__file__).resolve().parents[2] / "voice" / "recipe"))
from spectrum import at_level, fourier_kernel, triangles

RATE, N_FFT, HOP, BANDS, FRAMES = 16_000, 400, 320, 64, 200


def band_filters() -> np.ndarray:
    """Return float32 (64, 201): triangles every 80 Hz up to 1.6 kHz, then ever wider up to 8 kHz."""
    low = np.arange(0, 21) * 80.0
    high = 1600 * (8000 / 1600) ** (np.arange(1, BANDS + 2 - 20) / (BANDS + 1 - 20))
    filters = triangles(np.concatenate([low, high]), N_FFT, RATE)
    return (filters / filters.sum(1, keepdims=True)).astype(np.float32)


class LogBands(nn.Module):
    """(B, 64000) samples to (B, 64, 200): decades of power; the window's level is set first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fourier_kernel(N_FFT), persistent=False)
        self.register_buffer("filters", torch.tensor(band_filters())[:, :, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(at_level(x), (0, N_FFT - HOP))
        spectrum = F.conv1d(x[:, None], self.kernel, stride=HOP)
        half = N_FFT // 2 + 1
        power = F.conv1d(spectrum[:, :half] ** 2 + spectrum[:, half:] ** 2, self.filters)
        log = torch.log10(torch.clamp(power, min=1e-10))
        return torch.maximum(log, log.amax((1, 2), keepdim=True) - 7.0)


def statistics(bands: Tensor) -> Tensor:
    """Return (B, STATISTICS) of log bands (B, 64, 200), the window's mean taken off first.

    Of every band: mean (the response of loudspeaker, room and microphones), deviation, how steeply it falls
    and rises over 20 and 80 ms (the reverberation's tail fills the falls), and how far it goes with the next
    band (distortion and reverberation smear a band over its neighbours).
    """
    x = bands - bands.mean((1, 2), keepdim=True)
    own = x - x.mean(2, keepdim=True)
    spread = torch.sqrt(torch.clamp((own * own).mean(2), min=1e-4))
    parts = [x.mean(2), spread]
    for lag in (1, 4):
        step = x[:, :, lag:] - x[:, :, :-lag]
        parts += [F.relu(-step).mean(2), F.relu(step).mean(2), torch.relu(-step - 0.5).mean(2)]
    together = (own[:, 1:] * own[:, :-1]).mean(2) / (spread[:, 1:] * spread[:, :-1])
    return torch.cat([*parts, together], 1)


STATISTICS = BANDS * 9 - 1


class Net(nn.Module):
    """Statistics (B, STATISTICS) to a raw score (B,); centre and scale are those of the training windows."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(STATISTICS))
        self.register_buffer("scale", torch.ones(STATISTICS))
        self.layers = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(STATISTICS, 96),
            nn.ReLU(),
            nn.Dropout(0.4),
            nn.Linear(96, 32),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(32, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(torch.clamp((x - self.centre) * self.scale, -5.0, 5.0))[:, 0]


class Detector(nn.Module):
    """Samples (B, 64000) to raw scores (B,): the mean of the nets of all folds."""

    def __init__(self, nets: list[Net]) -> None:
        super().__init__()
        self.bands, self.nets = LogBands(), nn.ModuleList(nets)

    def forward(self, audio: Tensor) -> Tensor:
        x = statistics(self.bands(audio))
        return torch.stack([net(x) for net in self.nets]).mean(0)
