"""The whole detector: trunk, pooling, head; and how it is fed while it is fine-tuned."""

from __future__ import annotations

import numpy as np
from data import cache
from head import Head, segment_features
from torch import Tensor, nn
from torch.nn import functional as F
from trunk import load_trunk

MASKS, MASK_BANDS, MASK_FRAMES = 2, 12, 40


class Detector(nn.Module):
    """Samples (B, 64000) to raw scores of the window (B,) and of its half seconds (B, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = load_trunk(cache() / "whisper-base.bin")
        self.head = Head()

    def features(self, mel: Tensor) -> Tensor:
        """Return the pooled states (B, 8, 4096) of log-mel pictures (B, 80, 400)."""
        return segment_features(self.trunk.encode(mel).float())

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(self.features(self.trunk.mel(audio)))


def masked(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """Blank random bands and stretches of each picture (Park et al. 2019, SpecAugment, without warping)."""
    for picture in mel:
        blank = picture.mean()
        for _ in range(MASKS):
            low, left = int(rng.integers(0, mel.shape[1])), int(rng.integers(0, mel.shape[2]))
            picture[low : low + int(rng.integers(0, MASK_BANDS))] = blank
            picture[:, left : left + int(rng.integers(0, MASK_FRAMES))] = blank
    return mel


def loss_of(scores: tuple[Tensor, Tensor], window: Tensor, second: Tensor, smoothing: float) -> Tensor:
    """Return the cross entropy of the window's score and, at a fifth of the weight, of its half seconds."""
    soft = [t * (1 - 2 * smoothing) + smoothing for t in (window, second)]
    whole, parts = (F.binary_cross_entropy_with_logits(s, t) for s, t in zip(scores, soft, strict=True))
    return whole + 0.2 * parts
