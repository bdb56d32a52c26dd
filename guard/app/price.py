"""``guard policy price``: what a profile's thresholds cost, before they are saved.

Every figure rests on simulated calls (``guard.evaluation.calls``) and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.app.simulate import Drawn, config_of, described, load_held_out, outcomes_of
from guard.errors import ConfigError
from guard.evaluation.exact import share
from guard.evaluation.metrics import Interval
from guard.evaluation.replay import Outcome, interval

DAYS_A_WEEK = 5
# more than everybody on Earth takes; what is larger, or endless, makes no sense of any figure
MOST_CALLS = 1e12


@dataclass(frozen=True, slots=True)
class Traffic:
    """The calls an organisation takes.

    Args:
        calls_per_day: all of them.
        fraud_rate: share that are attacks, in (0, 1).
        calls_per_agent: that one agent takes on a day.
    """

    calls_per_day: float
    fraud_rate: float
    calls_per_agent: float = 40.0

    def __post_init__(self) -> None:
        if not (0 < self.calls_per_day <= MOST_CALLS and 0 < self.calls_per_agent <= MOST_CALLS):
            text = f"--calls-per-day and --calls-per-agent must be above 0 and at most {MOST_CALLS:.0e}"
            raise ConfigError("price_traffic", text)
        if not 0 < self.fraud_rate < 1:
            raise ConfigError(
                "price_traffic", "--fraud-rate must lie between 0 and 1, e.g. 0.001 for one in 1,000"
            )


def price(models: Path | None, profile: str, traffic: Traffic, drawn: Drawn) -> dict[str, Any]:
    """Return the expected alarms of a profile per day and agent-week, and how many of them are true.

    Raises:
        ConfigError: the profile is wrong, or no model in use has held-out scores.
    """
    held_out, without = load_held_out(models)
    config = config_of(profile)
    outcomes = outcomes_of(held_out, drawn, config)
    genuine = [o for o in outcomes if o.is_spoof is False]
    attacks = [o for o in outcomes if o.is_spoof]
    amber = config.thresholds.amber_llr
    around = sorted({round(amber + step, 2) for step in (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5) if amber + step > 0})
    return {
        "v": 1,
        "profile": profile,
        "thresholds": {"amber_llr": amber, "red_llr": config.thresholds.red_llr},
        "traffic": {
            "calls_per_day": traffic.calls_per_day,
            "fraud_rate": traffic.fraud_rate,
            "calls_per_agent_day": traffic.calls_per_agent,
            "days_a_week": DAYS_A_WEEK,
        },
        "simulated_calls": {"genuine": len(genuine), "attacked": len(attacks)},
        **described(held_out, without, drawn),
        "alarms": {
            "amber_or_red": _priced(genuine, attacks, traffic, [o.alarm_s is not None for o in outcomes]),
            "red": _priced(genuine, attacks, traffic, [o.red_s is not None for o in outcomes]),
        },
        "amber_at_other_thresholds": [
            {"amber_llr": at, **_priced(genuine, attacks, traffic, [_reaches(o, at) for o in outcomes])}
            for at in around
        ],
    }


def _reaches(outcome: Outcome, llr: float) -> bool:
    return outcome.highest_llr is not None and outcome.highest_llr >= llr


def _priced(
    genuine: Sequence[Outcome], attacks: Sequence[Outcome], traffic: Traffic, alarmed: Sequence[bool]
) -> dict[str, Any]:
    """Return the price of one kind of alarm; ``alarmed`` is in the order genuine calls, then attacks."""
    false = share(sum(alarmed[: len(genuine)]), len(genuine))
    true = share(sum(alarmed[len(genuine) :]), len(attacks))
    honest, frauds = (
        traffic.calls_per_day * (1 - traffic.fraud_rate),
        traffic.calls_per_day * traffic.fraud_rate,
    )
    per_agent = traffic.calls_per_agent * DAYS_A_WEEK * (1 - traffic.fraud_rate)
    low, value, high = (
        _true_share(t * frauds, f * honest)
        for t, f in ((true.low, false.high), (true.value, false.value), (true.high, false.low))
    )
    return {
        "false_alarm_share_of_calls": interval(false),
        "attacks_noticed": interval(true),
        "false_alarms_per_day": interval(_times(false, honest)),
        "false_alarms_per_agent_week": interval(_times(false, per_agent)),
        "true_alarms_per_day": interval(_times(true, frauds)),
        "share_of_alarms_that_are_true": None
        if value is None
        else {"value": round(value, 5), "low": round(low or 0.0, 5), "high": round(high or 0.0, 5)},
    }


def _times(found: Interval, factor: float) -> Interval:
    return Interval(found.value * factor, found.low * factor, found.high * factor)


def _true_share(true: float, false: float) -> float | None:
    """Return the share of true alarms; None where no alarm at all was seen."""
    return true / (true + false) if true + false > 0 else None
