"""Attacks noticed at the alarm budget: calls drawn from held-out scores, two models beside each other.

    python cnn_budget.py OLD NEW      folders of models with their held_out.json (held_out.py writes it)

Of every source of genuine speech and every engine CALLS calls are drawn as guard simulate draws them: ten
minutes throughout of one group, voice alone, through guard's own engine; kept is each call's highest llr.
A threshold is laid where the budget's share of genuine calls lies above it, every group weighing the same;
told is the share of attacked calls above. Sources and engines are then drawn again ROUNDS times, the same
for both.

With 62 sources the budget (0.2 ambers an hour, so one call of ten minutes in thirty) is two sources: any
single figure hangs on the two strangest sources there are. So the mean over draws decides, and the interval
stands beside it.

**Rule, committed before any figure of the nets called ``rougher``**: the mean over draws of the difference in
attacks noticed, new less old, is not below 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.evaluation.calls import CallPlan, draw_call
from guard.evaluation.replay import BUDGET_PER_HOUR, replay
from guard.evaluation.streams import Group, HeldOut, read_held_out
from guard.fusion.config import FusionConfig

CALLS, ROUNDS, SEED, PLAN = 20, 1000, 22, CallPlan()
# alarms an hour that are looked at: the budget, half of it and twice it
RATES = tuple(BUDGET_PER_HOUR["amber"] * share for share in (0.5, 1.0, 2.0))


def highest(held: HeldOut, group: Group, other: Group) -> np.ndarray:
    """Return the highest fused llr of CALLS calls of one group."""
    # a draw takes one group of the call's class at random: here there is only this one (and one of the other)
    own = HeldOut(held.signal, held.model_sha256, held.made_by, (group, other), held.made_of)
    attack = "voice" if group.is_spoof else None
    found = []
    for n in range(CALLS):
        call = draw_call([own], attack, PLAN, np.random.default_rng([SEED, n]), f"{group.name}-{n}")
        llr = replay(call, FusionConfig()).highest_llr
        found.append(float("-inf") if llr is None else llr)
    return np.array(found)


def calls_of(held: HeldOut) -> dict[bool, dict[str, np.ndarray]]:
    """Return the highest llr of the calls of every group, by class and name."""
    genuine, spoof = held.of(False), held.of(True)
    found: dict[bool, dict[str, np.ndarray]] = {False: {}, True: {}}
    for own, other in ((genuine, spoof[0]), (spoof, genuine[0])):
        for group in own:
            found[group.is_spoof][group.name] = highest(held, group, other)
            print(f"{group.name}: {np.median(found[group.is_spoof][group.name]):+.1f}", file=sys.stderr)
    return found


def noticed(genuine: np.ndarray, spoof: np.ndarray, per_hour: float) -> tuple[float, float]:
    """Return the threshold that ``per_hour`` genuine calls pass, and the share of attacked calls above it."""
    limit = float(np.quantile(genuine.ravel(), 1 - per_hour * PLAN.length_s / 3600))
    return limit, float((spoof > limit).mean())


def main() -> None:
    models = []
    for path in sys.argv[1:3]:
        held = read_held_out(Path(path))
        if held is None:
            sys.exit(f"{path} holds no held_out.json")
        models.append(calls_of(held))
    names = [sorted(set(models[0][cls]) & set(models[1][cls])) for cls in (False, True)]
    tables = [
        [np.stack([m[cls][n] for n in own]) for cls, own in zip((False, True), names, strict=True)]
        for m in models
    ]
    print(f"{len(names[0])} sources, {len(names[1])} engines, {CALLS} calls each")
    rng = np.random.default_rng(SEED)
    picks = [[rng.integers(len(own), size=len(own)) for own in names] for _ in range(ROUNDS)]
    for per_hour in RATES:
        told = [noticed(genuine, spoof, per_hour) for genuine, spoof in tables]
        drawn = np.array(
            [[noticed(genuine[g], spoof[s], per_hour)[1] for genuine, spoof in tables] for g, s in picks]
        )
        gap = 100 * (drawn[:, 1] - drawn[:, 0])
        low, high = np.quantile(gap, [0.025, 0.975])
        words = ", ".join(
            f"{name} {100 * share:.0f} % at {limit:.1f}"
            for name, (limit, share) in zip(("old", "new"), told, strict=True)
        )
        print(
            f"{per_hour:.2f} ambers an hour: {words}; "
            f"mean over draws {gap.mean():+.1f} points [{low:+.1f}, {high:+.1f}]"
        )


if __name__ == "__main__":
    main()
