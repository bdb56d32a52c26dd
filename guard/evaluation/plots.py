"""Draws the pictures of a report; the only import of matplotlib, which ``guard-relay[eval]`` brings."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from guard.errors import ConfigError
from guard.evaluation.figures import Scores
from guard.evaluation.metrics import FloatVector, auc, error_rates

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise ConfigError(
        "plots_missing",
        f"the pictures of --out need matplotlib ({error}): pip install 'guard-relay[eval]', or leave --out",
    ) from error

_TICKS = (0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98)
_LEAST, _MOST = 0.004, 0.985
# Okabe and Ito's colours, told apart also by those who see fewer of them
_COLOURS = ("#000000", "#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#8c8c8c")
_STYLES = {"codec": "-", "snr": "--"}
_GENUINE, _SPOOF, _LINE = "#0072b2", "#d55e00", "#444444"


def det(results: Mapping[str, Scores], conditions: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a PNG of the detection error trade-off, a curve a condition, its EER marked.

    Both axes are stretched by the normal quantile, so that normally distributed scores give
    straight lines. Source: Martin et al., The DET curve in assessment of detection task
    performance, Eurospeech 1997.
    """
    figure = Figure(figsize=(8.2, 7.6), layout="constrained")
    axes = figure.subplots()
    for n, (name, scores) in enumerate(results.items()):
        p_miss, p_fa = error_rates(scores.llr, scores.is_spoof)
        own = conditions[name]
        colour = _COLOURS[n % len(_COLOURS)]
        label = f"{own['label']}: EER {100 * own['eer']['value']:.1f} %"
        style = _STYLES.get(own["group"], "-")
        axes.plot(_probit(p_fa), _probit(p_miss), style, color=colour, linewidth=1.6, label=label)
        point = _probit(np.array([own["eer"]["value"]]))
        axes.plot(point, point, "o", color=colour, markersize=6, markeredgecolor="white")
    ends = _probit(np.array([_LEAST, _MOST]))
    axes.plot(ends, ends, ":", color=_LINE, linewidth=0.8)
    ticks = _probit(np.array(_TICKS) / 100)
    labels = [f"{tick:g}" for tick in _TICKS]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_xlabel("false alarms: genuine clips taken for spoof, %")
    axes.set_ylabel("misses: spoof clips not noticed, %")
    axes.set_title("Detection error trade-off, abstained clips at llr 0")
    axes.legend(loc="upper right", fontsize=9, framealpha=0.95)
    return _png(figure)


def roc(curves: Mapping[str, Scores]) -> bytes:
    """Return a PNG of the ROC, a curve a name, its AUC in the legend; false alarms on a root scale.

    The root scale gives room to few false alarms, where a service has to work.
    """
    figure = Figure(figsize=(8.2, 7.2), layout="constrained")
    axes = figure.subplots()
    for n, (name, scores) in enumerate(curves.items()):
        p_miss, p_fa = error_rates(scores.llr, scores.is_spoof)
        label = f"{name}: AUC {auc(scores.llr, scores.is_spoof):.2f}"
        style = "-" if n < len(_COLOURS) else "--"
        colour = _COLOURS[n % len(_COLOURS)]
        across, up = (_between(values) for values in (p_fa, 1 - p_miss))
        axes.plot(np.sqrt(across), up, style, color=colour, linewidth=1.6, label=label)
    chance = np.linspace(0, 1, 101) ** 2
    axes.plot(np.sqrt(chance), chance, ":", color=_LINE, linewidth=0.8)
    ticks = np.array([0, 1, 5, 10, 20, 40, 60, 80, 100])
    axes.set_xticks(np.sqrt(ticks / 100), [str(tick) for tick in ticks])
    axes.set_yticks(np.linspace(0, 1, 11), [str(tick) for tick in range(0, 101, 10)])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_xlabel("false alarms: genuine videos taken for spoof, %")
    axes.set_ylabel("spoof videos noticed, %")
    axes.set_title("ROC, abstained videos at llr 0")
    axes.legend(loc="lower right", fontsize=9, framealpha=0.95)
    return _png(figure)


def histograms(results: Mapping[str, Scores], conditions: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a PNG of the llr of covered clips in each condition, genuine against spoof."""
    columns = 2
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(9.0, 2.1 * rows + 0.5), layout="constrained")
    panels: Sequence[Axes] = np.atleast_1d(figure.subplots(rows, columns, sharex=True)).reshape(-1).tolist()
    limit = max(float(np.abs(scores.llr).max()) for scores in results.values()) + 0.5
    edges = np.linspace(-limit, limit, 41)
    for axes, (name, scores) in zip(panels, results.items(), strict=False):
        for member, colour, label in (
            (~scores.is_spoof, _GENUINE, "genuine"),
            (scores.is_spoof, _SPOOF, "spoof"),
        ):
            own = scores.llr[member & scores.covered]
            axes.hist(own, edges.tolist(), color=colour, alpha=0.6, label=f"{label}, {len(own)}")
        axes.axvline(0.0, color=_LINE, linewidth=0.8)
        axes.set_title(conditions[name]["label"], fontsize=10)
        axes.legend(fontsize=8)
    for axes in panels[len(results) :]:
        axes.set_visible(False)
    figure.supxlabel("llr, above 0 for spoof", fontsize=10)
    figure.supylabel("clips", fontsize=10)
    return _png(figure)


def alarms(rows: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a PNG of the false alarms on genuine clips under each condition, with their intervals."""
    figure = Figure(figsize=(9.0, 0.24 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for figure_name, shift, colour, label in (
        ("above_0", -0.16, _GENUINE, "llr above 0"),
        ("above_threshold", 0.16, _SPOOF, "llr above the threshold of 5 % on clean clips"),
    ):
        found = [[row[figure_name][k] for k in ("value", "low", "high")] for row in rows.values()]
        percent = 100 * np.array(found, np.float64)  # nan where there is no interval
        low, high = percent[:, 0] - percent[:, 1], percent[:, 2] - percent[:, 0]
        errors = np.nan_to_num(np.maximum(np.stack([low, high]), 0.0))
        axes.errorbar(
            percent[:, 0], places + shift, xerr=errors, fmt="o", color=colour, markersize=4, label=label
        )
    axes.axvline(5.0, color=_LINE, linewidth=0.8, linestyle=":")
    axes.set_yticks(places, [str(row["label"]) for row in rows.values()], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=-1.0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_xlabel("genuine clips, %, with 95 % intervals over speakers and sources")
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return _png(figure)


def _between(values: FloatVector) -> FloatVector:
    """Return the points of a broken line with more of them on each piece, which a bent scale bends."""
    parts = np.linspace(0, 1, 16)
    return np.append(values[:-1, None] + parts[:-1] * np.diff(values)[:, None], values[-1])


def _probit(shares: FloatVector) -> FloatVector:
    """Return the normal quantiles of shares, those outside the axes moved to just beyond their ends."""
    normal = NormalDist()
    return np.array([normal.inv_cdf(min(max(p, _LEAST / 2), 1 - (1 - _MOST) / 2)) for p in shares.tolist()])


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
