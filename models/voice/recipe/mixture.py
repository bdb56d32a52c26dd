"""The shipped score: the heads' and the convolutional nets' raw scores, each standardised, equal weights.

A fold's scores are standardised by what they are on a sample of the fold's own training windows; those of
the shipped net, which holds all folds' heads and nets, on windows drawn from all. Why both: ../cnn.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from clips import Item
from cnn import SHIPPED, load_net, scores_file
from cnn_net import FineNet
from cnn_spectra import Fine
from folds import FOLDS, folds_of, weights_of
from heads import Pooled, load_final, load_heads, scores
from torch import Tensor, nn

SAMPLE, FINAL_SAMPLE, FINAL_SEED = 1000, 2000, 5
# of the held-out windows of a fold, and of a sample of its training windows
Scores = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Standard:
    """What is taken off a raw score, and what it is divided by."""

    middle: float
    spread: float

    @classmethod
    def of(cls, raw: np.ndarray) -> Standard:
        """Return that of scores (N,) on training windows."""
        return cls(float(raw.mean()), float(raw.std()))

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Return standardised scores."""
        return (raw - self.middle) / self.spread


@dataclass(frozen=True)
class Mixture:
    """How heads and nets are put together."""

    heads: Standard
    nets: Standard

    def __call__(self, heads: np.ndarray, nets: np.ndarray) -> np.ndarray:
        """Return the mixed score of raw ones (N,)."""
        return (self.heads(heads) + self.nets(nets)) / 2


@dataclass(frozen=True)
class Final:
    """The shipped ensemble on windows that it and the folds have seen: how to mix it, and onto what scale.

    Args:
        mixture: of all folds' heads and nets.
        slope: with ``shift``, from its mixed score to the folds'.
        second: the same of the heads' half seconds.
    """

    mixture: Mixture
    slope: float
    shift: float
    second: tuple[float, float]


class Folds:
    """Every fold's heads and nets on the recorded windows it held out, and on windows it was trained on."""

    def __init__(self, items: list[Item], pooled: Pooled, fine: Fine) -> None:
        self._pooled, self._fine = pooled, fine
        self.fold, self.weight = folds_of(items)[fine.item], weights_of(items)[fine.item]
        natural = np.array([i.origin is None for i in items])[fine.item]
        self.held = [np.flatnonzero((self.fold == k) & natural) for k in range(FOLDS)]
        self.samples = [self._sample(k) for k in range(FOLDS)]
        self.mixtures = [
            Mixture(*(Standard.of(known) for _, known in (self.heads(k), self.nets(SHIPPED, k))))
            for k in range(FOLDS)
        ]

    def _sample(self, fold: int) -> np.ndarray:
        own = np.where(self.fold == fold, 0.0, self.weight)
        return np.random.default_rng(fold).choice(len(own), SAMPLE, p=own / own.sum())

    def heads(self, fold: int) -> Scores:
        """Return the heads' raw scores of one fold."""
        net = load_heads(fold)
        parts = (self.held[fold], self.samples[fold])
        held, known = (scores(net, self._pooled.x[rows])[0].astype(np.float64) for rows in parts)
        return held, known

    def nets(self, kind: str, fold: int) -> Scores:
        """Return the convolutional net's raw scores of one fold; kept between runs."""
        held, kept = len(self.held[fold]), scores_file(kind, fold)
        if not kept.exists():
            both = np.concatenate([self.held[fold], self.samples[fold]])
            np.save(kept, fine_scores(load_net(kind, fold), self._fine, both))
        both = np.load(kept).astype(np.float64)
        return both[:held], both[held:]

    def mixed(self, fold: int) -> np.ndarray:
        """Return the mixed scores of the windows that a fold held out."""
        return self.mixtures[fold](self.heads(fold)[0], self.nets(SHIPPED, fold)[0])

    def final(self) -> Final:
        """Return how the shipped ensemble is mixed, and its scale, over windows that both have seen."""
        rows = np.random.default_rng(FINAL_SEED).choice(
            len(self.weight), FINAL_SAMPLE, p=self.weight / self.weight.sum()
        )
        x = self._pooled.x[rows]
        heads = [scores(load_heads(k), x)[0].astype(np.float64) for k in range(FOLDS)]
        nets = [fine_scores(load_net(SHIPPED, k), self._fine, rows) for k in range(FOLDS)]
        both = scores(load_final(), x)[0].astype(np.float64), np.mean(nets, axis=0)
        mixture = Mixture(*(Standard.of(raw) for raw in both))
        seen = [self.fold[rows] != k for k in range(FOLDS)]
        of_folds = sum(s * self.mixtures[k](heads[k], nets[k]) for k, s in enumerate(seen)) / (FOLDS - 1)
        second = sum(s * heads[k] for k, s in enumerate(seen)) / (FOLDS - 1)
        return Final(mixture, *onto(mixture(*both), of_folds), onto(both[0], second))


def onto(new: np.ndarray, old: np.ndarray) -> tuple[float, float]:
    """Return slope and shift that give scores the middle and spread of others."""
    slope = float(old.std() / new.std())
    return slope, float(old.mean() - new.mean() * slope)


def fine_scores(net: FineNet, fine: Fine, rows: np.ndarray) -> np.ndarray:
    """Return a net's raw scores of some windows, float64 (N,)."""
    with torch.inference_mode():
        parts = [net(fine.windows(part)) for part in np.array_split(rows, len(rows) // 32 + 1)]
    return torch.cat(parts).numpy().astype(np.float64)


def held_heads(net: nn.Module, pooled: Pooled, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the recorded windows a fold holds out, and heads' standardised scores of them."""
    dealt, weight = folds_of(pooled.items)[pooled.item], weights_of(pooled.items)[pooled.item]
    natural = np.array([i.origin is None for i in pooled.items])[pooled.item]
    own, held = np.where(dealt == fold, 0.0, weight), np.flatnonzero((dealt == fold) & natural)
    known = np.random.default_rng(fold).choice(len(own), SAMPLE, p=own / own.sum())
    standard = Standard.of(scores(net, pooled.x[known])[0])
    return held, standard(scores(net, pooled.x[held])[0].astype(np.float64))


class MixedScore(nn.Module):
    """Raw scores of heads (B,) and the folds' nets on spectra (B, 3, 400, 256) to the mixed score (B,)."""

    def __init__(self, nets: list[FineNet], mixture: Mixture) -> None:
        super().__init__()
        self.nets, self.mixture = nn.ModuleList(nets), mixture

    def forward(self, heads: Tensor, spectra: Tensor) -> Tensor:
        net = torch.stack([net(spectra) for net in self.nets]).mean(0)
        one, other = self.mixture.heads, self.mixture.nets
        return ((heads - one.middle) / one.spread + (net - other.middle) / other.spread) / 2
