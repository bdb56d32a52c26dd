"""What the clips without a stated licence are worth: both builds on windows that neither has heard.

    GUARD_PERMISSIVE_ONLY=1 python heads.py && GUARD_PERMISSIVE_ONLY=1 python rotate.py
    python permissive.py       after rotate.py; prints the error of both builds

Every clip was held out once in each build. The shipped file is the permissive one if its EER is at most
2 points higher.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from rotate import held_file

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.metrics import bootstrap, eer


def main() -> None:
    full, less = (np.load(held_file(permissive)) for permissive in (False, True))
    row_of = {pair: row for row, pair in enumerate(zip(less["key"], less["copy"], strict=True))}
    found = ((row, row_of.get(pair)) for row, pair in enumerate(zip(full["key"], full["copy"], strict=True)))
    own, other = np.array([(row, same) for row, same in found if same is not None]).T
    report: dict[str, object] = {"windows": len(own)}
    for name, raw in (("full", full["raw"][own]), ("permissive", less["raw"][other])):
        spoof, group = full["spoof"][own], full["group"][own].tolist()
        error = bootstrap(eer, raw.astype(np.float64), spoof, group, rounds=200)
        report[name] = [round(x, 4) for x in (error.value, error.low, error.high)]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
