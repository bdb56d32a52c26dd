"""The trained part: attentive pooling over half seconds of the trunk's states, and small classifiers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STATES, SEGMENTS, WIDTH = 4, 8, 512
FLOOR = 1e-6
FEATURES = STATES * 2 * WIDTH


def segment_features(states: Tensor) -> Tensor:
    """(B, STATES, 200, 512) to (B, SEGMENTS, FEATURES): mean and spread of each state per half second."""
    parts = states.unflatten(2, (SEGMENTS, -1))
    mean = parts.mean(3)
    # the floor keeps the root's slope finite where a state stands still (digital silence)
    spread = torch.sqrt(((parts - mean.unsqueeze(3)) ** 2).sum(3) / (parts.shape[3] - 1) + FLOOR)
    return torch.stack([mean, spread], 3).transpose(1, 2).flatten(2)


class Head(nn.Module):
    """(B, SEGMENTS, FEATURES) to raw scores of the window (B,) and of its half seconds (B, SEGMENTS)."""

    def __init__(self, hidden: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(FEATURES), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(FEATURES), requires_grad=False)
        self.dropout = dropout
        self.inner = nn.Sequential(nn.Linear(FEATURES, hidden), nn.GELU(), nn.Dropout(dropout))
        self.attention = nn.Linear(hidden, 1)
        self.out = nn.Linear(2 * hidden, 1)
        self.second = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = (x - self.centre) * self.scale
        if self.training:
            # one mask for all half seconds of a window: a feature is there or it is not
            kept = torch.rand(len(z), 1, z.shape[2], device=z.device) > self.dropout
            z = z * kept / (1 - self.dropout)
        h = self.inner(z)
        w = torch.softmax(self.attention(h), dim=1)
        mean = (w * h).sum(1)
        spread = torch.sqrt(torch.clamp((w * (h - mean.unsqueeze(1)) ** 2).sum(1), min=FLOOR))
        return self.out(torch.cat([mean, spread], 1)).squeeze(1), self.second(h).squeeze(2)


class Ensemble(nn.Module):
    """The mean of several heads' scores."""

    def __init__(self, heads: list[Head]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = [head(x) for head in self.heads]
        return torch.stack([f[0] for f in found]).mean(0), torch.stack([f[1] for f in found]).mean(0)
