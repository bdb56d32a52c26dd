"""What the front ends of the voice models share: level, windowed Fourier kernel, triangular bands.

All of it becomes part of an ONNX graph, so that no call computes a spectrum outside it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LEVEL_RMS = 0.05


def at_level(x: Tensor) -> Tensor:
    """Return samples (B, N) with each row at LEVEL_RMS; digital silence stays silent."""
    # clamp, not "+ 1e-10": torch's ONNX optimiser drops the addition of so small a constant
    return x * (LEVEL_RMS / torch.sqrt(torch.clamp((x * x).mean(1, keepdim=True), min=1e-10)))


def fourier_kernel(size: int) -> Tensor:
    """Return float32 (size + 2, 1, size): cosines, then negative sines, under a periodic Hann window."""
    n = np.arange(size)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / size)
    phase = 2 * np.pi * np.outer(np.arange(size // 2 + 1), n) / size
    kernel = np.concatenate([np.cos(phase), -np.sin(phase)]) * window
    return torch.tensor(kernel[:, None], dtype=torch.float32)


def triangles(edges: np.ndarray, size: int, rate: int) -> np.ndarray:
    """Return float64 (len(edges) - 2, size // 2 + 1): bands of height 1 between ``edges`` in Hz."""
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    up = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(up, down))
