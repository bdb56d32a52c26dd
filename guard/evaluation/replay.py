"""Recorded or simulated calls through the real decision engine, and what came of them.

A call that alarms stays alarmed: nobody acknowledges. So a call counts at most one amber and one red.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from guard.evaluation.exact import rate, share, upper_rate
from guard.evaluation.metrics import Interval
from guard.evaluation.streams import Stream
from guard.fusion.config import FusionConfig
from guard.fusion.engine import Fusion
from guard.types import State

# the engine is asked this often; in calls five times as often, so a delay is told up to a second too long
STEP_S = 1.0
# alarms per genuine call-hour that an operator can bear (docs/decisions.md)
BUDGET_PER_HOUR = {"amber": 0.2, "red": 0.02}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the engine made of one call; times are seconds from its start, None where it never came to it.

    ``highest_llr`` is the highest fused llr; None without evidence. ``attack`` is ``Stream.attack``.
    """

    call: str
    is_spoof: bool | None
    length_s: float
    amber_s: float | None
    red_s: float | None
    last: State
    highest_llr: float | None
    attack: str | None = None

    @property
    def alarm_s(self) -> float | None:
        """When the first alarm of either colour came."""
        times = [t for t in (self.amber_s, self.red_s) if t is not None]
        return min(times, default=None)

    def as_json(self) -> dict[str, Any]:
        """Return one line of ``guard simulate --json``."""
        return {
            "call": self.call,
            "label": None if self.is_spoof is None else "spoof" if self.is_spoof else "bonafide",
            "attack": self.attack,
            "length_s": round(self.length_s, 3),
            "amber_s": self.amber_s,
            "red_s": self.red_s,
            "last_state": self.last.value,
            "highest_llr": None if self.highest_llr is None else round(self.highest_llr, 4),
        }


def replay(stream: Stream, config: FusionConfig) -> Outcome:
    """Push one call's scores by their ends; a verdict is asked for once a second at most."""
    engine = Fusion("replay", stream.call, config)
    amber_s = red_s = highest = None
    state, due_s = State.UNDECIDED, 0.0
    for index, score in enumerate(stream.scores):
        engine.push(score)
        last = index + 1 == len(stream.scores)
        if not last and stream.scores[index + 1].end_s < due_s + 1e-9:
            continue
        due_s = STEP_S * (math.floor(score.end_s / STEP_S + 1e-9) + 1)
        verdict = engine.verdict(score.end_s)
        state = verdict.state
        if verdict.llr is not None:
            highest = verdict.llr if highest is None else max(highest, verdict.llr)
        if state is State.SUSPECT and amber_s is None:
            amber_s = score.end_s
        if state is State.SPOOF and red_s is None:
            red_s = score.end_s
    return Outcome(
        stream.call, stream.is_spoof, stream.length_s, amber_s, red_s, state, highest, stream.attack
    )


def summary(outcomes: Sequence[Outcome], switch_s: float | None = None) -> dict[str, Any]:
    """Return alarms per genuine call-hour, the share of attacks noticed, and how long that took.

    Args:
        switch_s: where in the attacked calls the attack begins; an alarm before it is a false one.
    """
    genuine = [o for o in outcomes if o.is_spoof is False]
    attacks = [o for o in outcomes if o.is_spoof]
    begin_s = switch_s or 0.0
    found: dict[str, Any] = {
        "calls": len(outcomes),
        "genuine": _false_alarms(genuine) if genuine else None,
        "attacks": _detection(attacks, begin_s) if attacks else None,
    }
    kinds = sorted({o.attack for o in attacks if o.attack is not None})
    if len(kinds) > 1:
        found["attacks"]["by_attack"] = {
            kind: _detection([o for o in attacks if o.attack == kind], begin_s) for kind in kinds
        }
    return found


def _false_alarms(calls: Sequence[Outcome]) -> dict[str, Any]:
    hours = sum(o.length_s for o in calls) / 3600
    counts = {
        "amber": sum(o.alarm_s is not None for o in calls),
        "red": sum(o.red_s is not None for o in calls),
    }
    return {
        "calls": len(calls),
        "hours": round(hours, 3),
        **{f"{name}_calls": count for name, count in counts.items()},
        **{f"{name}_per_hour": interval(rate(count, hours)) for name, count in counts.items() if hours > 0},
        **{f"{name}_share": interval(share(count, len(calls))) for name, count in counts.items()},
        "budget": {name: _budget(count, hours, BUDGET_PER_HOUR[name]) for name, count in counts.items()}
        if hours > 0
        else None,
    }


def _budget(events: int, hours: float, budget: float) -> dict[str, Any]:
    """Return the budget with the measured rate's exact one-sided 95 % limit, met or not.

    ``held``: even the limit lies within; ``not_shown``: the rate does, the limit does not; ``over``: neither.
    """
    limit = upper_rate(events, hours)
    answer = "held" if limit <= budget else "not_shown" if events / hours <= budget else "over"
    return {"per_hour": budget, "upper_95_per_hour": round(limit, 5), "answer": answer}


def _detection(calls: Sequence[Outcome], begin_s: float) -> dict[str, Any]:
    early = sum(o.alarm_s is not None and o.alarm_s < begin_s for o in calls)
    judged = [o for o in calls if o.alarm_s is None or o.alarm_s >= begin_s]
    out: dict[str, Any] = {"calls": len(calls), "alarmed_before_the_attack": early}
    for name, times in (
        ("amber", [o.alarm_s for o in judged]),
        ("red", [o.red_s for o in judged if o.red_s is None or o.red_s >= begin_s]),
    ):
        delays_s = [t - begin_s for t in times if t is not None]
        out[name] = {
            "detected": len(delays_s),
            "of": len(times),
            "share": interval(share(len(delays_s), len(times))) if times else None,
            "never_share": round(1 - len(delays_s) / len(times), 4) if times else None,
            "delay_s": _delays(delays_s, len(times)),
        }
    return out


def _delays(delays_s: Sequence[float], of: int) -> dict[str, float | None]:
    """Return median and 95th percentile over all attacks, a missed one counted as never (null)."""
    missed = [float("inf")] * (of - len(delays_s))
    everything = sorted([*delays_s, *missed])
    if not everything:
        return {"median": None, "p95": None}
    p95 = everything[min(len(everything) - 1, int(np.ceil(0.95 * len(everything))) - 1)]
    return {"median": _finite(median(everything)), "p95": _finite(p95)}


def _finite(value: float) -> float | None:
    return round(value, 2) if np.isfinite(value) else None


def interval(found: Interval) -> dict[str, float]:
    """Return a figure with its 95 % interval as JSON."""
    return {"value": round(found.value, 5), "low": round(found.low, 5), "high": round(found.high, 5)}
