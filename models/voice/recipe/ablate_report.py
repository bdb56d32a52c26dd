"""Write ../ablations.md and its picture from the figures of ablate.py; needs no torch, but matplotlib.

    ../../.venv/bin/python recipe/ablate_report.py      reads CACHE/ablations/rows.json

Rows that were not computed yet are left out. Intervals are percentiles over draws of whole engines and
sources, the same draws for every row, so that a difference has an interval of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from data import cache
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent.parent
PICTURE = HERE.parents[1] / "docs" / "images" / "voice-learning-curves.png"
BAR = 15.0
TITLES = {
    "engines": "Share of the families of engines (copies stay)",
    "bare": "The same without any copies",
    "sources": "Share of the sources of genuine speech (copies go with their originals)",
    "clips": "Clips of each engine",
    "known": "Who is new: engines, speakers or neither",
    "data": "What is trained on",
    "features": "What the head sees, and how large it is",
    "loss": "Losses, averaging and ensembles",
}
INTRODUCTION = """# Learning curves and ablations of the voice heads

Written by `recipe/ablate_report.py` (`make -C models/voice ablations`). Leave-engine-out as in `rotation.md`:
**n = {windows} windows of {engines} engines and {sources} sources of genuine speech** in every row, judged by
heads that heard none of them. Small heads on compressed states (`recipe/ablate_train.py`): compare rows with
the base, not with the shipped net. Means over seeds (heads a fold); intervals are over engines and sources.
By seed the base has {seeds} % EER: differences below {noise} points are noise whatever their interval. `val`
was not read.

## What the curves say

![Learning curves](../../docs/images/voice-learning-curves.png)
"""
NEW = {
    "base": "both",
    "known-sources": "speakers",
    "known-engines": "engines",
    "known-nothing": "neither",
}
BLUE, RED, GREY = "#0072b2", "#d55e00", "#666666"
Row = dict[str, Any]


def span(values: np.ndarray) -> tuple[float, float]:
    """Return the percentiles that hold 95 % of the draws."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def percent(value: float, drawn: list[float], digits: int = 1) -> str:
    """Return a share in percent with its interval."""
    low, high = span(100 * np.array(drawn))
    return f"{100 * value:.{digits}f} [{low:.0f}, {high:.0f}]"


def difference(row: Row, base: Row) -> str:
    """Return the difference of EER to the base, in points, with the interval of the difference."""
    if row is base:
        return ""
    low, high = span(100 * (np.array(row["drawn_eer"]) - np.array(base["drawn_eer"])))
    return f"{100 * (row['eer'] - base['eer']):+.1f} [{low:+.1f}, {high:+.1f}]"


def slope(rows: list[Row], at: list[float]) -> tuple[float, float, float]:
    """Return points of EER for each doubling along a curve, with the interval."""
    x = np.log2(at)
    drawn = np.array([row["drawn_eer"] for row in rows])
    low, high = span(100 * np.polyfit(x, drawn, 1)[0])
    return float(100 * np.polyfit(x, [row["eer"] for row in rows], 1)[0]), low, high


def curves(rows: dict[str, Row]) -> dict[str, tuple[list[Row], list[float]]]:
    """Return the rows of each curve and where they lie on it, the base as its end."""
    base, found = rows["base"], {}
    for part in ("engines", "bare", "sources", "clips"):
        own = sorted((r for r in rows.values() if r["part"] == part and r["place"]), key=lambda r: r["place"])
        if part in ("engines", "sources"):
            own.append(base)
        at = [r["families"] if part in ("engines", "bare") else r["place"] or 1.0 for r in own]
        if len(own) > 1:
            found[part] = own, at
    return found


def words_of_curves(rows: dict[str, Row]) -> list[str]:
    """Return what the curves say, computed."""
    names = {
        "engines": "families of engines, with copies",
        "bare": "families of engines, without copies",
        "sources": "sources of genuine speech",
        "clips": "clips of each engine",
    }
    lines = []
    for part, (own, at) in curves(rows).items():
        value, low, high = slope(own, at)
        line = f"- {names[part]}: {value:+.1f} [{low:+.1f}, {high:+.1f}] points of EER for each doubling"
        if high < 0:
            doublings = max(0.0, (100 * own[-1]["eer"] - BAR) / -value)
            most = max(0.0, (100 * own[-1]["eer"] - BAR) / -high)
            line += (
                f"; held on to, {BAR:.0f} % would take {doublings:.1f} doublings (at the slow end {most:.0f})"
            )
        else:
            line += ": it cannot be told from no effect"
        lines.append(line + ".")
    return lines


def table(own: list[Row], base: Row) -> list[str]:
    """Return one table."""
    heads = ("what", "heads a fold", "EER % [95 %]", "difference to the base", "TPR % at 5 % FA [95 %]")
    heads = (*heads, "EER % clean", "EER % call chain")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in own:
        families = f" ({row['families']:.1f})" if row["part"] in ("engines", "bare") else ""
        figures = (percent(row["eer"], row["drawn_eer"]), difference(row, base))
        rate = percent(row["tpr"], row["drawn_tpr"], 0)
        both = f"{100 * row['eer_clean']:.1f} | {100 * row['eer_chain']:.1f}"
        lines.append(
            f"| {row['label']}{families} | {row['heads']} | {figures[0]} | {figures[1]} | {rate} | {both} |"
        )
    return lines


def document(rows: dict[str, Row]) -> str:
    """Return ablations.md."""
    base = rows["base"]
    seeds = 100 * np.array(base["eer_of_seeds"])
    text = INTRODUCTION.format(
        **{key: base[key] for key in ("windows", "engines", "sources")},
        seeds=", ".join(f"{seed:.1f}" for seed in seeds),
        noise=f"{max(1.0, 2 * float(seeds.std(ddof=1))):.1f}",
    )
    lines = [text, *words_of_curves(rows)]
    for part, title in TITLES.items():
        own = [row for row in rows.values() if row["part"] == part]
        if own:
            note = ", families the folds were trained on in brackets" if part in ("engines", "bare") else ""
            first = [base] if base not in own else []
            lines += ["", f"## {title}{note}", "", *table([*own, *first], base)]
    return "\n".join(lines) + "\n"


def draw(axes: Axes, own: list[Row], at: list[float], colour: str, label: str) -> None:
    """Draw one curve with its intervals."""
    value = 100 * np.array([row["eer"] for row in own])
    ends = np.array([span(100 * np.array(row["drawn_eer"])) for row in own]).T
    axes.fill_between(at, *ends, color=colour, alpha=0.15, linewidth=0)
    axes.plot(at, value, "o-", color=colour, markersize=4, label=label)


def picture(rows: dict[str, Row]) -> Figure:
    """Return the four panels: engines, sources, clips of an engine, and who is new."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True).flatten().tolist()
    names = {"engines": "with copies", "bare": "without copies", "sources": "", "clips": ""}
    places = {"engines": 0, "bare": 0, "sources": 1, "clips": 2}
    for part, (own, at) in curves(rows).items():
        draw(panels[places[part]], own, at, RED if part == "bare" else BLUE, names[part])
    panels[0].legend(fontsize=8)
    titles = (
        "families of engines trained on",
        "share of the sources of genuine speech",
        "clips of each engine, at most",
    )
    for axes, title in zip(panels, titles, strict=False):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(title)
    known = [rows["base"], *(r for r in rows.values() if r["part"] == "known")]
    value = 100 * np.array([row["eer"] for row in known])
    ends = np.array([span(100 * np.array(row["drawn_eer"])) for row in known])
    errors = np.abs(ends.T - value)
    panels[3].bar(range(len(known)), value, yerr=errors, color=GREY, width=0.6, capsize=3)
    words = [NEW[row["name"]] for row in known]
    panels[3].set_xticks(range(len(known)), words)
    panels[3].set_xlabel("what the held-out windows have that training had not")
    for axes in panels:
        axes.axhline(BAR, color=GREY, linestyle=":", linewidth=1)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_ylim(0, 55)
    for axes in panels[::2]:
        axes.set_ylabel("EER on what was held out, % [95 %]")
    figure.suptitle(f"Dotted: {BAR:.0f} %, the bar for clean clips", fontsize=10)
    return figure


def main() -> None:
    rows = json.loads((cache() / "ablations" / "rows.json").read_text())
    (HERE / "ablations.md").write_text(document(rows))
    picture(rows).savefig(PICTURE, dpi=110, metadata={"Software": None})
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main()
