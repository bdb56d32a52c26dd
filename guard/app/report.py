"""What ``guard analyze`` and ``guard models import`` show a person in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_ANSWERS = {"held": "held", "not_shown": "not shown to be held", "over": "exceeded"}
LOOKS = {
    "undecided": ("?", "cannot tell", "dim"),
    "bona_fide": ("OK", "no suspicion", "green"),
    "suspect": ("!", "suspect", "yellow"),
    "spoof": ("!!", "spoof", "bold red"),
}


def print_analysis(found: Mapping[str, Any]) -> None:
    """Print the object of one file as a small table."""
    console = Console()
    if "error" in found:
        error = found["error"]
        console.print(f"{found['path']}: {error['message']} [{error['code']}]", style="red", markup=False)
        return
    icon, words, style = LOOKS[found["verdict"]]
    head = Text.assemble((f"{icon} {words}", style), f"  {found['path']}  {found['duration_s']:.1f} s")
    table = Table("signal", "llr", "coverage", "why not")
    for name, signal in found["signals"].items():
        if signal["reason"] == "no_model":
            continue
        llr = "-" if signal["llr"] is None else f"{signal['llr']:+.2f}"
        table.add_row(name, llr, f"{signal['coverage']:.0%}", signal["reason"] or "")
    console.print(head)
    console.print(table)


def print_import(found: Mapping[str, Any]) -> None:
    """Print what the trial of a model gave, and where the model is now."""
    console, golden = Console(), found["golden"]
    console.print(
        f"{found['name']} {found['version']}, {found['signal']}, {found['licence']}, "
        f"{found['cpu_ms_per_window']:.1f} CPU-ms a window",
        markup=False,
    )
    table = Table("golden pair", "clip", "is", "windows", "raw score", "llr")
    for pair in (name for name in golden if name != "decided_by"):
        for label in ("bona_fide", "spoof"):
            clip = golden[pair][label]
            decides = " (decides)" if pair == golden["decided_by"] else ""
            scores = (str(clip["windows"]), f"{clip['raw']:+.4f}", f"{clip['llr']:+.2f}")
            table.add_row(f"{pair}{decides}", Text(clip["clip"]), label, *scores)
    console.print(table)
    now = found["replaces"]
    console.print(f"in place of {now['name']} {now['version']} ({now['origin']})", markup=False)
    if found["installed"]:
        console.print(f"installed in {found['folder']}; restart guard serve to use it", markup=False)
    else:
        console.print("dry run: nothing was installed", markup=False)


def print_simulation(found: Mapping[str, Any]) -> None:
    """Print what the decision engine made of recorded or simulated calls."""
    console = Console()
    console.print(f"{found['calls']} calls, {found['source']}", markup=False)
    for name, about in found.get("signals", {}).items():
        console.print(
            f"{name}: {about['windows']} windows of {about['genuine_sources']} genuine sources and "
            f"{about['attack_groups']} groups of attacks; {about['made_of']}",
            markup=False,
        )
    table = Table("figure", "value, 95 % interval")
    genuine, attacks = found["genuine"], found["attacks"]
    if genuine is not None:
        table.add_row("genuine calls", f"{genuine['calls']} of {genuine['hours']:.1f} h")
        for colour, name in (("amber", "amber or red"), ("red", "red")):
            if f"{colour}_per_hour" in genuine:
                table.add_row(f"{name}, calls per call-hour", _spanned(genuine[f"{colour}_per_hour"], 3))
                budget = genuine["budget"][colour]
                table.add_row(
                    f"{name}, budget {budget['per_hour']:g}, measured upper limit",
                    f"{budget['upper_95_per_hour']:.3f}: {_ANSWERS[budget['answer']]}",
                )
            table.add_row(f"{name}, share of calls", _spanned(genuine[f"{colour}_share"], 3))
    if attacks is not None:
        table.add_row("attacked calls", str(attacks["calls"]))
        for kind, own in attacks.get("by_attack", {}).items():
            table.add_row(f"attacks on {kind}, amber or red, noticed", _spanned(own["amber"]["share"], 3))
        for colour, name in (("amber", "amber or red"), ("red", "red")):
            part = attacks[colour]
            if part["share"] is not None:
                delays = part["delay_s"]
                table.add_row(f"{name}, noticed", _spanned(part["share"], 3))
                table.add_row(
                    f"{name}, seconds to it, median / p95, never counted as never",
                    f"{_seconds(delays['median'])} / {_seconds(delays['p95'])}",
                )
    console.print(table)


def print_price(found: Mapping[str, Any]) -> None:
    """Print what a profile's thresholds cost."""
    console, traffic = Console(), found["traffic"]
    calls = found["simulated_calls"]
    console.print(
        f"profile {found['profile']}: {traffic['calls_per_day']:g} calls a day, {traffic['fraud_rate']:g} "
        f"of them attacks; {found['source']}; {calls['genuine']} genuine, {calls['attacked']} attacked calls",
        markup=False,
    )
    table = Table("", "amber or red", "red")
    amber, red = found["alarms"]["amber_or_red"], found["alarms"]["red"]
    for key, words, digits in (
        ("false_alarm_share_of_calls", "false alarms, share of genuine calls", 4),
        ("false_alarms_per_day", "false alarms a day", 1),
        ("false_alarms_per_agent_week", "false alarms an agent-week", 2),
        ("attacks_noticed", "attacks noticed, share", 3),
        ("true_alarms_per_day", "true alarms a day", 2),
        ("share_of_alarms_that_are_true", "share of alarms that are true", 4),
    ):
        table.add_row(words, _spanned(amber[key], digits), _spanned(red[key], digits))
    console.print(table)
    other = Table("amber at llr", "false alarms a day", "attacks noticed", "share of alarms that are true")
    for row in found["amber_at_other_thresholds"]:
        other.add_row(
            f"{row['amber_llr']:.2f}",
            _spanned(row["false_alarms_per_day"], 1),
            _spanned(row["attacks_noticed"], 3),
            _spanned(row["share_of_alarms_that_are_true"], 4),
        )
    console.print(other)


def _spanned(figure: Mapping[str, float] | None, digits: int) -> str:
    if figure is None:
        return "-"
    return f"{figure['value']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
