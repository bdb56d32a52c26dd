"""What the clips without a stated licence are worth: both builds' heads on windows that neither has heard.

    python permissive.py held  after heads.py, once with GUARD_PERMISSIVE_ONLY=0 and once with 1
    python permissive.py       compares both, prints the error of each and the paired difference

Every clip was held out once in each build. The shipped file is the permissive one if its EER is at most
2 points higher. The heads decide: the nets of a second build would take two CPU-hours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from clips import training_items
from data import cache, permissive_build
from folds import FOLDS
from heads import Pooled, load_heads
from mixture import held_heads

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import draws, eer, percentile_interval

ROUNDS = 1000


def kept(permissive: bool) -> Path:
    """Return where the held-out scores of a build's heads are kept."""
    return cache() / f"heads-{'permissive' if permissive else 'full'}.npz"


def keep_held() -> None:
    """Keep what this build's heads say of the recorded clips and engines they held out, by clip and copy."""
    items = training_items()
    pooled = Pooled(items)
    found = [held_heads(load_heads(k), pooled, k) for k in range(FOLDS)]
    row, raw = (np.concatenate(column) for column in zip(*found, strict=True))
    about = {
        name: np.array([getattr(items[n], name) for n in pooled.item[row]])
        for name in ("key", "spoof", "group")
    }
    np.savez(kept(permissive_build()), raw=raw, copy=pooled.copy[row], **about)


def main() -> None:
    if sys.argv[1:] == ["held"]:
        keep_held()
        return
    full, less = (np.load(kept(permissive)) for permissive in (False, True))
    row_of = {pair: row for row, pair in enumerate(zip(less["key"], less["copy"], strict=True))}
    found = ((row, row_of.get(pair)) for row, pair in enumerate(zip(full["key"], full["copy"], strict=True)))
    own, other = np.array([(row, same) for row, same in found if same is not None]).T
    spoof, group = full["spoof"][own], full["group"][own].tolist()
    drawn = list(draws(group, spoof, rounds=ROUNDS))
    report: dict[str, object] = {"windows": len(own)}
    errors = {}
    for name, raw in (("full", full["raw"][own]), ("permissive", less["raw"][other])):
        errors[name] = 100 * np.array([eer(raw, spoof), *(eer(raw[i], spoof[i]) for i in drawn)])
    errors["permissive less full"] = errors["permissive"] - errors["full"]
    for name, values in errors.items():
        span = percentile_interval(values[0], values[1:].tolist())
        report[name] = [round(x, 1) for x in (span.value, span.low, span.high)]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
