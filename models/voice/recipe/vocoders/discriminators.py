"""Small discriminators, one kind per family, that return (score, inner features) per scale.

Sources: Jang et al. 2021 (spectrograms at several resolutions); Kong et al. 2020 (periods);
Kumar et al. 2019 (scales).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from vocoders.mels import magnitude

Judged = list[tuple[Tensor, list[Tensor]]]


class Stack(nn.Module):
    """Convolutions with leaky rectifiers between; the last gives the score."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        inner = []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.1)
            inner.append(x)
        return self.layers[-1](x), inner


class Spectrograms(nn.Module):
    """Judges log magnitudes at several resolutions."""

    def __init__(self, sizes: tuple[int, ...] = (256, 512, 1024)) -> None:
        super().__init__()
        self.sizes = sizes
        self.stacks = nn.ModuleList(
            Stack(
                [
                    nn.Conv2d(1, 12, (7, 3), stride=(2, 1), padding=(3, 1)),
                    nn.Conv2d(12, 20, (5, 3), stride=(2, 1), padding=(2, 1)),
                    nn.Conv2d(20, 32, (5, 3), stride=(2, 2), padding=(2, 1)),
                    nn.Conv2d(32, 32, (3, 3), stride=(2, 1), padding=(1, 1)),
                    nn.Conv2d(32, 1, (3, 3), padding=(1, 1)),
                ]
            )
            for _ in sizes
        )

    def forward(self, x: Tensor) -> Judged:
        return [
            stack(magnitude(x, n, n // 4).clamp(min=1e-3).log()[:, None] * 0.3)
            for n, stack in zip(self.sizes, self.stacks, strict=True)
        ]


class Periods(nn.Module):
    """Judges the waveform folded at several periods, (batch, 1, samples / period, period)."""

    def __init__(self, periods: tuple[int, ...] = (2, 3, 5, 7, 11)) -> None:
        super().__init__()
        self.periods = periods
        width = (1, 8, 16, 32, 64)
        self.stacks = nn.ModuleList(
            Stack(
                [
                    *(nn.Conv2d(a, b, (5, 1), stride=(3, 1), padding=(2, 0)) for a, b in pairwise(width)),
                    nn.Conv2d(64, 1, (3, 1), padding=(1, 0)),
                ]
            )
            for _ in periods
        )

    def forward(self, x: Tensor) -> Judged:
        judged = []
        for period, stack in zip(self.periods, self.stacks, strict=True):
            cut = x[:, : x.shape[1] // period * period] * 5
            judged.append(stack(cut.reshape(len(x), 1, -1, period)))
        return judged


class Scales(nn.Module):
    """Judges the waveform and its averages over two and four samples."""

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(
            Stack(
                [
                    nn.Conv1d(1, 12, 15, padding=7),
                    nn.Conv1d(12, 32, 21, stride=4, padding=10, groups=4),
                    nn.Conv1d(32, 64, 21, stride=4, padding=10, groups=8),
                    nn.Conv1d(64, 128, 21, stride=4, padding=10, groups=8),
                    nn.Conv1d(128, 1, 5, padding=2),
                ]
            )
            for _ in range(count)
        )

    def forward(self, x: Tensor) -> Judged:
        judged, x = [], x[:, None] * 5
        for stack in self.stacks:
            judged.append(stack(x))
            x = F.avg_pool1d(x, 4, 2, 1)
        return judged


class Several(nn.Module):
    """Several discriminators as one."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Judged:
        return [judged for part in self.parts for judged in part(x)]


def judge_loss(real: Judged, fake: Judged) -> Tensor:
    """Least-squares loss of the discriminator."""
    return sum((1 - a[0]).square().mean() + b[0].square().mean() for a, b in zip(real, fake, strict=True))


def fool_loss(real: Judged, fake: Judged) -> Tensor:
    """Least-squares loss of the vocoder, with feature matching."""
    loss = sum((1 - b[0]).square().mean() for b in fake)
    for a, b in zip(real, fake, strict=True):
        for inner_a, inner_b in zip(a[1], b[1], strict=True):
            scale = inner_a.detach().abs().mean().clamp(min=1e-3)
            loss = loss + F.l1_loss(inner_b, inner_a.detach()) / scale
    return loss
