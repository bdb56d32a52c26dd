"""Prints the report of ``guard eval voice`` as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

TITLES = {
    "eer": "EER",
    "min_dcf": "minDCF",
    "cllr_bits": "Cllr, bits",
    "cllr_min_bits": "Cllr_min, bits",
    "cllr_gap_bits": "Cllr - Cllr_min",
    "cllr_gap_if_exact": "the same by chance, were the llr exact",
    "tpr_at_5_fa": "TPR at 5 % FA",
    "tpr_at_1_fa": "TPR at 1 % FA",
    "coverage_interval": "coverage",
    "coverage_speech": "coverage, 2 s of speech or more",
}
PERCENT = frozenset(
    {
        "eer",
        "tpr_at_5_fa",
        "tpr_at_1_fa",
        "coverage_interval",
        "coverage_speech",
        "above_0",
        "above_threshold",
    }
)


def cell(name: str, figure: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval as text, ``[-]`` where it has none; percent where it is a share."""
    if figure is None:
        return "-"
    factor, places = (100, 1) if name in PERCENT else (1, 2)
    value = f"{factor * figure['value']:.{places}f}"
    if figure["low"] is None:
        return f"{value} [-]"
    places = 0 if name in PERCENT else 2
    return f"{value} [{factor * figure['low']:.{places}f}, {factor * figure['high']:.{places}f}]"


def verdict(bar: Mapping[str, Any]) -> str:
    """Return what became of one bar in words, such as ``at most 15.0 %: missed by 4.3``."""
    factor, unit, places = (100.0, " %", 1) if bar["figure"] in PERCENT else (1.0, " bit", 2)
    wanted = f"{'at most' if bar['at_most'] else 'at least'} {factor * bar['bar']:.{places}f}{unit}"
    if bar["value"] is None:
        return f"{wanted}: no clip to measure"
    if bar["low"] is None:
        return f"{wanted}: cannot be told, a class has fewer than two sources"
    if bar["met"]:
        return f"{wanted}: met"
    return f"{wanted}: missed by {factor * abs(bar['value'] - bar['bar']):.{places}f}"


def named(counts: Mapping[str, int]) -> str:
    """Return engines with the number of their clips, as text."""
    return ", ".join(f"{name} ({clips})" for name, clips in counts.items())


def show(report: Mapping[str, Any]) -> None:
    """Print everything; shares in percent, 95 % intervals in brackets."""
    console = Console(width=max(120, Console().width))
    model = report["model"]
    title = f"{model['name']} {model['version']}, {report['clips']} clips, 95 % intervals over sources"
    title += " ([-] where a class has fewer than two)"
    groups = {"codec": title, "snr": "pink noise"}
    for group, words in groups.items():
        own = {n: c for n, c in report["conditions"].items() if c["group"] == group}
        if own:
            console.print(_figures(words, own))
    console.print(rows_table("bars", ["condition", "figure", "found", "bar"], _bars(report)))
    unseen = report["unseen_engines"]
    if unseen is not None:
        title = f"without engines that the model's card names: {named(unseen['left_out'])}"
        console.print(_figures(title, unseen["conditions"]))
    durations = {f"{s} s": d for s, d in report["durations"].items() if d is not None}
    if durations:
        console.print(_figures("by seconds of speech, clean", durations))
    conditions = list(report["conditions"])
    titles = ["engine", "clips", "EER clean", "TPR at 5 % FA clean", *conditions]
    console.print(rows_table("by engine: mean llr, share above 0", titles, _systems(report, conditions)))
    titles = ["language", "bona fide", "spoof", "EER", "TPR at 5 % FA", "FA above 0", "FA above threshold"]
    console.print(rows_table("by language, clean", titles, _languages(report)))
    titles = ["condition", "FA above 0", f"FA above {report['threshold_llr']:.2f}", "mean llr"]
    titles += [TITLES["coverage_interval"], TITLES["coverage_speech"]]
    console.print(rows_table("false alarms on genuine clips", titles, _alarms(report)))


def _figures(title: str, conditions: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        [words, *(cell(name, c.get(name)) for c in conditions.values())] for name, words in TITLES.items()
    ]
    rows.append(
        ["clips", *(f"{c['clips']['bona_fide']} + {c['clips']['spoof']}" for c in conditions.values())]
    )
    for name in ("eer", "tpr_at_5_fa"):
        only = [cell(name, (c.get("covered_only") or {}).get(name)) for c in conditions.values()]
        rows.append([f"{TITLES[name]}, covered only", *only])
    return rows_table(title, ["figure", *conditions], rows)


def _bars(report: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            report["conditions"][bar["condition"]]["label"],
            TITLES[bar["figure"]],
            cell(bar["figure"], report["conditions"][bar["condition"]][bar["figure"]]),
            verdict(bar),
        ]
        for bar in report["bars"]
    ]


def _systems(report: Mapping[str, Any], conditions: Sequence[str]) -> list[list[str]]:
    rows = []
    for name, own in report["systems"].items():
        cells = [f"{own['mean_llr'][c]:+.2f}  {own['above_0'][c]:.2f}" for c in conditions]
        eer, tpr = (own.get(figure, {}).get("clean") for figure in ("eer", "tpr_at_5_fa"))
        rows.append([name, str(own["clips"]), cell("eer", eer), cell("tpr_at_5_fa", tpr), *cells])
    return rows


def _languages(report: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, own in report["languages"].items():
        clean = own["conditions"]["clean"]
        shown, alarms = clean["figures"] or {}, clean["false_alarms"] or {}
        rows.append(
            [
                name,
                str(own["bona_fide"]),
                str(own["spoof"]),
                *(cell(f, shown.get(f)) for f in ("eer", "tpr_at_5_fa")),
                *(cell(f, alarms.get(f)) for f in ("above_0", "above_threshold")),
            ]
        )
    return rows


def _alarms(report: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            own["label"],
            *(cell(figure, own[figure]) for figure in ("above_0", "above_threshold", "mean_llr")),
            cell("coverage_interval", own["coverage"]),
            cell("coverage_speech", own["coverage_speech"]),
        ]
        for own in report["false_alarms"].values()
    ]


def rows_table(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of plain text."""
    table = Table(title=title, title_justify="left")
    for name in titles:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
