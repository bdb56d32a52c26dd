"""The figures of ``benchmarks.whole_calls``: JSON, tables and the picture of some calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.whole_calls_media import APART
from benchmarks.whole_calls_run import CAMERA_TOO, ENROLLED, Ran
from guard.evaluation.metrics import percentile_interval
from guard.evaluation.replay import Outcome, interval, replay, summary
from guard.fusion.config import FusionConfig
from guard.types import Kind, Score, State

_ROUNDS = 2000
_COLOURS = {"undecided": "#8c8c8c", "bona_fide": "#009e73", "suspect": "#e69f00", "spoof": "#d55e00"}


def from_attack(outcome: Outcome, begin_s: float | None) -> Outcome:
    """Return an outcome with its times counted from the attack; what came before it is negative."""
    if begin_s is None:
        return outcome
    amber_s, red_s = (None if t is None else t - begin_s for t in (outcome.amber_s, outcome.red_s))
    return replace(outcome, amber_s=amber_s, red_s=red_s)


def figures(
    ran: Sequence[Ran], outcome_of: Callable[[Ran], Outcome] = lambda one: one.outcome
) -> dict[str, Any]:
    """Return alarms per genuine call-hour, and what was noticed of attacks and how soon.

    Args:
        outcome_of: what became of a call, if something else than what it was run with.
    """
    found = summary([from_attack(outcome_of(one), one.call.begin_s) for one in ran])
    attacked = [one for one in ran if one.call.begin_s is not None]
    if attacked:
        found["attacks"]["over_units"] = _over_units(attacked, outcome_of)
    return found


def _over_units(attacked: Sequence[Ran], outcome_of: Callable[[Ran], Outcome]) -> dict[str, Any]:
    """Return noticed share and median delay with intervals that draw swapped faces and engines whole.

    A delay that is never is null. Alarms before the attack count as not noticed.
    """
    delays: dict[str, list[float]] = defaultdict(list)
    for one in attacked:
        alarm_s = from_attack(outcome_of(one), one.call.begin_s).alarm_s
        delays[one.call.unit].append(float("inf") if alarm_s is None or alarm_s < 0 else alarm_s)
    units = list(delays.values())
    rng = np.random.default_rng(0)
    shares, medians = [], []
    for _ in range(_ROUNDS):
        drawn = [d for n in rng.integers(0, len(units), len(units)).tolist() for d in units[n]]
        shares.append(fmean(np.isfinite(drawn).tolist()))
        medians.append(median(drawn))
    everything = [d for unit in units for d in unit]
    ends = np.quantile(medians, [0.025, 0.975], method="nearest").tolist()
    return {
        "units": len(units),
        "amber_share": interval(percentile_interval(fmean(np.isfinite(everything).tolist()), shares)),
        "median_delay_s": [_finite(value) for value in (median(everything), *ends)],
    }


def _finite(value: float) -> float | None:
    return round(value, 2) if np.isfinite(value) else None


def account(ran: Sequence[Ran], profiles: Mapping[str, FusionConfig]) -> dict[str, Any]:
    """Return every figure of a run.

    Args:
        profiles: further profiles, under which the recorded scores are decided again.
    """
    cells = list(dict.fromkeys(one.call.cell.name for one in ran))
    carried = list(dict.fromkeys(one.call.cell.carries for one in ran))
    plain = [one for one in ran if one.call.cell.carries != ENROLLED]
    alone = [one for one in plain if one.call.cell.carries == CAMERA_TOO and one.call.cell.attack != "voice"]
    own = profiles[""]
    return {
        "without_photo": figures(plain),
        "by_carried": {c: figures([one for one in ran if one.call.cell.carries == c]) for c in carried},
        "by_kind": {name: figures([one for one in ran if one.call.cell.name == name]) for name in cells},
        "photos_refused": sum(one.call.cell.carries == ENROLLED and not one.compared for one in ran),
        "told_in_genuine_calls": sum(len(one.told) for one in ran if one.call.begin_s is None),
        "face_alone": figures(alone, lambda one: replay(one.stream(Kind.VIDEO), own)) if alone else None,
        "other_profiles": {
            name: figures(plain, _decided_by(config)) for name, config in profiles.items() if name
        },
        "signals": _signals(ran, own),
        "lines": _lines(ran),
        "per_call": [_call(one) for one in ran],
    }


def _decided_by(config: FusionConfig) -> Callable[[Ran], Outcome]:
    return lambda one: replay(one.stream(), config)


def _call(one: Ran) -> dict[str, Any]:
    return {**one.outcome.as_json(), "begin_s": one.call.begin_s, "unit": one.call.unit, "told": one.told}


def _signals(ran: Sequence[Ran], config: FusionConfig) -> dict[str, Any]:
    """Return each signal's mean llr over calls, of what was genuine and of what was forged."""
    means: dict[str, dict[bool, list[float]]] = defaultdict(lambda: {False: [], True: []})
    asked: dict[str, list[bool]] = defaultdict(list)
    for one in ran:
        parts: dict[tuple[str, bool], list[float]] = defaultdict(list)
        for score in one.scores:
            asked[score.signal.value].append(score.llr is not None)
            if score.llr is not None:
                parts[score.signal.value, _forged(one, score)].append(score.llr)
        for (name, forged), llrs in parts.items():
            means[name][forged].append(fmean(llrs))
    weights = {signal.value: weight for signal, weight in config.weights.items()}
    return {
        name: {
            "weight": weights.get(name, 0.0),
            "asked": len(asked[name]),
            "answered_share": round(fmean(asked[name]), 4),
            "genuine": _mean(means[name][False]),
            "forged": _mean(means[name][True]),
            "apart": name in APART,
        }
        for name in sorted(asked)
    }


def _forged(one: Ran, score: Score) -> bool:
    attack, begin_s = one.call.cell.attack, one.call.begin_s
    kinds = {"voice": (Kind.AUDIO,), "face": (Kind.VIDEO,), "both": tuple(Kind), None: ()}[attack]
    middle_s = (score.start_s + score.end_s) / 2
    return score.signal.kind in kinds and begin_s is not None and middle_s >= begin_s


def _mean(values: Sequence[float]) -> dict[str, float | int] | None:
    return {"calls": len(values), "mean_llr": round(fmean(values), 3)} if values else None


def _lines(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """Return the course of the first call of each kind, and of the first one that alarmed."""
    kept: list[dict[str, Any]] = []
    for name in dict.fromkeys(one.call.cell.name for one in ran):
        own = [one for one in ran if one.call.cell.name == name]
        alarmed = next((n for n, one in enumerate(own) if one.outcome.alarm_s is not None), 0)
        for one in (own[n] for n in sorted({0, alarmed})):
            line = [
                (round(t, 2), None if llr is None else round(llr, 3), state) for t, llr, state in one.line
            ]
            kept.append({"call": one.outcome.call, "kind": name, "begin_s": one.call.begin_s, "line": line})
    return kept


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| genuine calls | calls | hours | amber or red per hour | red per hour | one-sided 95 % limit |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in {**found["by_carried"], "all without photo": found["without_photo"]}.items():
        genuine = own["genuine"]
        if genuine is None:
            continue
        amber, red = (_shown(genuine[f"{colour}_per_hour"], 2) for colour in ("amber", "red"))
        limits = ", ".join(
            f"{genuine['budget'][colour]['upper_95_per_hour']:.2f}" for colour in ("amber", "red")
        )
        lines.append(f"| {name} | {genuine['calls']} | {genuine['hours']:.2f} | {amber} | {red} | {limits} |")
    lines += [
        "",
        "| attacked calls | noticed amber or red | red | never noticed | median, p95 of the delay, s |",
        "|---|---|---|---|---|",
    ]
    for name, own in found["by_kind"].items():
        if own["attacks"]:
            lines.append(_attack_row(name, own["attacks"]))
    for attack, own in found["without_photo"]["attacks"].get("by_attack", {}).items():
        lines.append(_attack_row(f"**all on {attack}, without photo**", own))
    return "\n".join(lines)


def _attack_row(name: str, own: Mapping[str, Any]) -> str:
    amber, red = (
        f"{own[c]['detected']} of {own[c]['of']}: {_shown(own[c]['share'], 2)}" for c in ("amber", "red")
    )
    delay = ", ".join(_seconds(own["amber"]["delay_s"][key]) for key in ("median", "p95"))
    return f"| {name} | {amber} | {red} | {own['amber']['never_share']:.2f} | {delay} |"


def _shown(found: Mapping[str, float], digits: int) -> str:
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f}"


def picture(lines: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float], path: Path) -> None:
    """Write a PNG of the fused llr and the state of each line over time."""
    from matplotlib.figure import Figure

    rows = -(-len(lines) // 2)
    drawing = Figure(figsize=(11, 1.75 * rows + 0.8), layout="constrained")
    panels = np.atleast_1d(drawing.subplots(rows, 2, sharey=True)).reshape(-1).tolist()
    for axes, line in zip(panels, lines, strict=False):
        times = [t for t, _, _ in line["line"]]
        llrs = [np.nan if llr is None else llr for _, llr, _ in line["line"]]
        for n, (start_s, _, state) in enumerate(line["line"]):
            end_s = times[n + 1] if n + 1 < len(times) else start_s + 1.0
            axes.axvspan(start_s, end_s, color=_COLOURS[state], alpha=0.25, linewidth=0)
        axes.plot(times, llrs, color="#000000", linewidth=1.3)
        for name in ("amber_llr", "red_llr"):
            axes.axhline(thresholds[name], linestyle=":", linewidth=0.9, color=_COLOURS[_LEVELS[name].value])
        if line["begin_s"] is not None:
            axes.axvline(line["begin_s"], color="#0072b2", linewidth=2.0)
        axes.set_title(line["call"], fontsize=7)
        axes.set_ylim(-6.5, 7.5)
    for axes in panels[len(lines) :]:
        axes.set_visible(False)
    drawing.supxlabel("seconds of the call; blue: the attack begins", fontsize=9)
    drawing.supylabel("fused llr", fontsize=9)
    drawing.savefig(path, dpi=95, metadata={"Software": None})


_LEVELS = {"amber_llr": State.SUSPECT, "red_llr": State.SPOOF}
