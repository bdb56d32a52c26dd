"""How much of a window's llr belongs to its call: python -m benchmarks.call_share [MODELS]

The share of the variance that all windows of one source have in common (intraclass correlation), from the
scores of held-out windows that ship beside a model (``held_out.json``). One-way random effects with groups
of unequal size, estimated by analysis of variance: Searle, Casella and McCulloch, Variance Components, 1992,
section 3.6. With mean squares between and within a groups of n_i windows, N in all,

    n0 = (N - sum(n_i^2) / N) / (a - 1),   var_call = max(0, (MSB - MSW) / n0),   var_window = MSW

A source stands for a call here: one voice over one line, or one face before one camera. The engine takes one
share for both classes, as its formula does, so the variances of genuine and spoofed windows are added:
share = (call_genuine + call_spoof) / (all four). Intervals are 95 % percentiles of a bootstrap over sources.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guard.app.simulate import load_held_out
from guard.evaluation.streams import HeldOut

ROUNDS = 2000
SEED = 1

Groups = Sequence[NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Variances:
    """Components of the variance of a window's llr, llr squared."""

    call: float
    window: float

    @property
    def share(self) -> float:
        """The intraclass correlation; 0 where nothing varies."""
        return self.call / (self.call + self.window) if self.call + self.window > 0 else 0.0

    def plus(self, other: Variances) -> Variances:
        """Return the components of both classes together."""
        return Variances(self.call + other.call, self.window + other.window)


def components(groups: Groups) -> Variances:
    """Return the variance between and within groups of windows, the former never below 0.

    Raises:
        ValueError: fewer than two groups, or no group of two windows.
    """
    sizes = np.array([len(group) for group in groups], np.float64)
    total, count = float(sizes.sum()), len(groups)
    if count < 2 or total <= count:
        raise ValueError("variance components need two groups, and a group of two windows")
    means = np.array([group.mean() for group in groups])
    within = float(sum(((group - mean) ** 2).sum() for group, mean in zip(groups, means, strict=True)))
    between = float((sizes * (means - (sizes * means).sum() / total) ** 2).sum())
    window = within / (total - count)
    each = (total - float((sizes**2).sum()) / total) / (count - 1)
    return Variances(max(0.0, (between / (count - 1) - window) / each), window)


def windows_of(held: HeldOut, is_spoof: bool) -> list[NDArray[np.float64]]:
    """Return the llr of each source's windows, of one class."""
    return [np.array([llr for clip in group.clips for llr in clip]) for group in held.of(is_spoof)]


def resampled(classes: Sequence[Groups], rounds: int, seed: int) -> NDArray[np.float64]:
    """Return the shares (rounds,) of sources drawn with replacement, each class for itself."""
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(rounds):
        found = Variances(0.0, 0.0)
        for groups in classes:
            found = found.plus(components([groups[n] for n in rng.integers(len(groups), size=len(groups))]))
        shares.append(found.share)
    return np.array(shares)


def track_call_share(models: Path | None) -> None:
    """Print the share of every model in use that has held-out scores."""
    for held in load_held_out(models)[0]:
        genuine, spoof = windows_of(held, False), windows_of(held, True)
        print(f"{held.signal.value}: {held.made_of}")
        for name, classes in (("genuine", [genuine]), ("spoof", [spoof]), ("both", [genuine, spoof])):
            found = Variances(0.0, 0.0)
            for groups in classes:
                found = found.plus(components(groups))
            low, high = np.quantile(resampled(classes, ROUNDS, SEED), (0.025, 0.975))
            sources = sum(len(groups) for groups in classes)
            windows = sum(len(group) for groups in classes for group in groups)
            print(
                f"  {name:8} {sources:4d} sources {windows:6d} windows: call {found.call:.3f}, "
                f"window {found.window:.3f}, share {found.share:.2f} [{low:.2f}, {high:.2f}]",
                flush=True,
            )


if __name__ == "__main__":
    track_call_share(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
