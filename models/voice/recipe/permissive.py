"""What the clips without a stated licence are worth: both builds on windows that neither has heard.

    GUARD_PERMISSIVE_ONLY=1 python tune.py 0 && GUARD_PERMISSIVE_ONLY=1 python rotate.py 0
    python permissive.py       after rotate.py; prints the error of both builds, writes CACHE/permissive.json

The permissive build deals its folds anew, so its fold 0 is judged against the nets of the full build that
held out the same clips. The shipped file is the permissive one if its EER is at most 2 points higher.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from clips import training_items
from data import cache, permissive_build
from rotate import held_scores

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import bootstrap, eer


def main() -> None:
    if permissive_build():
        sys.exit("run permissive.py without GUARD_PERMISSIVE_ONLY: it reads the scores of both builds")
    items = training_items()
    full, kept = held_scores(items), np.load(cache() / "tuned" / "permissive-0.held.npz")
    row_of = {pair: row for row, pair in enumerate(zip(kept["key"], kept["copy"], strict=True))}
    keys = [items[n].key for n in full.item]
    found = ((row, row_of.get(pair)) for row, pair in enumerate(zip(keys, full.copy, strict=True)))
    pairs = [(row, other) for row, other in found if other is not None]
    own, other = np.array(pairs).T
    spoof = np.array([items[n].spoof for n in full.item[own]])
    group = [items[n].group for n in full.item[own]]
    report = {"windows": len(own)}
    for name, raw in (("full", full.raw[own]), ("permissive", kept["raw"][other])):
        error = bootstrap(eer, raw.astype(np.float64), spoof, group, rounds=200)
        report[name] = [error.value, error.low, error.high]
    print(json.dumps(report))
    (cache() / "permissive.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
