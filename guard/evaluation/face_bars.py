"""What the figures of a face report must reach; ``met`` is about the figure, not about its interval.

Coverage is of what the product itself would say: a clip with fewer looks than it waits for is not covered,
though the other figures count what it has. The scene's figure beside the macro bar is a macro one, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAIRED_AUC = {"clean": 0.85, "vp8_500k": 0.78}
COVERAGE = {"clean": 0.95}
COVERAGE_DEGRADED = 0.85
MACRO_AUC = 0.80
AMBER_GENUINE, ALARMED_SPOOF = 2 / 22, 8 / 22
CORE_SHARE = 0.20


def bars(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the bars that this folder can be held to, with the figures beside them.

    Args:
        report: the report of one folder, all but its bars.
    """
    conditions, paired = report["conditions"], report["pairs"] is not None
    out: list[dict[str, Any]] = []
    for name, own in conditions.items():
        fused = own["signals"]["fused"]
        if paired and name in PAIRED_AUC:
            out.append(_bar(name, "paired clips, fused AUC", PAIRED_AUC[name], fused["auc"]))
        if fused["coverage_said"] is not None:
            any_look = fused["coverage_visible"]["value"]
            words = f"coverage, 3 s of visible face, as the product says it (any look: {any_look:.2f})"
            out.append(_bar(name, words, COVERAGE.get(name, COVERAGE_DEGRADED), fused["coverage_said"]))
    if not paired and report["macro_auc"] is not None:
        scene = report["scene"]["macro_auc"]["value"]
        words = f"face_frame macro AUC, methods of 5 or more videos (scene alone, macro: {scene:.2f})"
        out.append(_bar("clean", words, MACRO_AUC, report["macro_auc_interval"]))
    if report["alarms"] is not None:
        out += _alarms(report["alarms"]["clean"])
    share = report["cost"]["core_share"]
    if share is not None:
        words = "cores per participant at 5 looks a second"
        out.append(_bar("clean", words, CORE_SHARE, {"value": share}, at_most=True))
    return out


def _alarms(alarms: Mapping[str, Any]) -> list[dict[str, Any]]:
    genuine, spoof = alarms["genuine"], alarms["spoof"]
    red, amber = (_share(genuine, state) for state in ("red", "amber"))
    caught = _share(spoof, "red", "amber")
    return [
        _bar("clean", "genuine clips red (0 of 22)", 0.0, red, at_most=True),
        _bar("clean", "genuine clips amber (2 of 22)", AMBER_GENUINE, amber, at_most=True),
        _bar("clean", "spoof clips amber or red (8 of 22)", ALARMED_SPOOF, caught),
    ]


def _share(counts: Mapping[str, int], *states: str) -> dict[str, float]:
    return {"value": round(sum(counts[state] for state in states) / counts["clips"], 4)}


def _bar(
    condition: str, figure: str, bar: float, found: Mapping[str, float], *, at_most: bool = False
) -> dict[str, Any]:
    value = found["value"]
    # counts of clips are compared as counts: 2 of 22 is 2/22 whatever the last digit says
    met = value <= bar + 5e-5 if at_most else value >= bar - 5e-5
    return {
        "condition": condition,
        "figure": figure,
        "bar": round(bar, 4),
        "at_most": at_most,
        "value": value,
        "low": found.get("low"),
        "high": found.get("high"),
        "met": met,
    }
