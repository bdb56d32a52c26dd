"""Make the shipped net: the mean of the folds' weights, or the net of fold -1 where that was trained.

    python soup.py             writes CACHE/tuned/final.pt

Nets fine-tuned from one start can be averaged, and the mean generalises better than each of them:
Wortsman et al. 2022, "Model soups", arXiv:2203.05482. Every fold's net starts from the same weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from data import cache
from folds import FOLDS
from net import Detector
from rotate import load_net
from tune import tuned


def final_file() -> Path:
    """Return where the shipped net lies in the cache; its name is that of the gates' trunk, too."""
    return cache() / "tuned" / "final.pt"


def load_final() -> Detector:
    """Return the shipped net."""
    net = Detector()
    net.load_state_dict(torch.load(final_file(), weights_only=True))
    return net.eval()


def main() -> None:
    if tuned(-1).exists():
        state = load_net(-1).state_dict()
    else:
        states = [load_net(k).state_dict() for k in range(FOLDS)]
        state = {name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]}
    torch.save(state, final_file())
    print(f"{final_file()}: {'fold -1' if tuned(-1).exists() else f'mean of {FOLDS} folds'}")


if __name__ == "__main__":
    main()
