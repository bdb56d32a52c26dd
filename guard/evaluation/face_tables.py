"""Prints the report of ``guard eval face`` as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from guard.evaluation.tables import rows_table

TITLES = {"auc": "AUC", "eer": "EER", "tpr_at_5fa": "TPR at 5 % FA", "tpr_at_1fa": "TPR at 1 % FA"}


def figure(found: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval as text."""
    if found is None:
        return "-"
    if found.get("low") is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.2f}, {found['high']:.2f}]"


def verdict(bar: Mapping[str, Any]) -> str:
    """Return what became of one bar in words, such as ``at least 0.85: missed by 0.10``."""
    wanted = f"{'at most' if bar['at_most'] else 'at least'} {bar['bar']:.2f}"
    return f"{wanted}: met" if bar["met"] else f"{wanted}: missed by {abs(bar['value'] - bar['bar']):.3f}"


def show(report: Mapping[str, Any]) -> None:
    """Print everything about one folder; 95 % intervals over videos in brackets."""
    console = Console(width=max(190, Console().width))
    for own in report["conditions"].values():
        label = own["label"]
        console.print(rows_table(f"{report['folder']}, {label}", SIGNAL_HEADS, signal_rows(own)))
        console.print(rows_table(f"{label}: looks without a score", REASON_HEADS, reason_rows(own)))
        console.print(rows_table(f"{label}: fusion ablation", ABLATION_HEADS, ablation_rows(own)))
        console.print(rows_table(f"{label}: by distance between the eyes", SIZE_HEADS, size_rows(own)))
    console.print(rows_table("bars", BAR_HEADS, bar_rows(report)))
    console.print(rows_table("clean, by method", METHOD_HEADS, method_rows(report["conditions"]["clean"])))
    if report["alarms"]:
        console.print(rows_table("at the shipped thresholds", ALARM_HEADS, alarm_rows(report)))
    console.print(rows_table("without the face", SCENE_HEADS, scene_rows(report)))
    console.print(rows_table("cost", COST_HEADS, cost_rows(report)))


SIGNAL_HEADS = ["signal", *TITLES.values(), "AUC looks", "coverage", "3 s visible", "3 s, said", "pairs"]
REASON_HEADS = ["signal", "looks scored", "not scored", "because"]
METHOD_HEADS = ["signal", "method", "videos", "coverage", *TITLES.values()]
BAR_HEADS = ["condition", "figure", "found", "bar"]
SCENE_HEADS = ["what", "coverage", "AUC"]
COST_HEADS = ["part", "CPU-ms per face", "cores per participant"]
ABLATION_HEADS = ["signals", *TITLES.values(), "coverage", "pairs"]
SIZE_HEADS = ["signal", "eyes", "genuine", "spoof", "coverage", *TITLES.values()]
ALARM_HEADS = ["condition", "genuine amber", "genuine red", "of", "spoof amber", "spoof red", "of"]


NEEDS = {
    "call_page": "needs the call page",
    "sound": "needs sound",
    "photo": "needs a photo",
    "video": "needs moving pictures",
}
"""What ``needs`` of a report means, in words."""


def signal_rows(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a signal under one condition, and one of covered videos only where some are not."""
    rows = []
    for name, own in condition["signals"].items():
        words = name if not own.get("early_files") else f"{name} ({own['early_files']} files early)"
        videos = sum(own["videos"].values())
        covered = videos - own["abstained_videos"]
        figures = [figure(own[key]) for key in TITLES] if covered else [_why_nothing(own), *("-" * 3)]
        looks = figure((own["looks"] or {}).get("auc"))
        share = f"{own['coverage']:.2f} ({covered} of {videos})"
        seen, said = figure(own["coverage_visible"]), figure(own.get("coverage_said"))
        rows.append([words, *figures, looks, share, seen, said, _pairs(own["pairs"]) if covered else "-"])
        if own["covered_only"] and covered < videos:
            only = [figure(own["covered_only"][key]) for key in TITLES]
            rows.append([f"{name}, covered only", *only, "", f"1 ({covered})", "", "", ""])
    return rows


def reason_rows(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a signal: how many looks it scored, how many not, and why, the commonest reason first."""
    rows = []
    for name, own in condition["signals"].items():
        reasons = own.get("abstained")
        if reasons is None:  # the fused llr is of files
            continue
        ordered = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
        because = ", ".join(f"{reason} {count}" for reason, count in ordered)
        about = f"{NEEDS[own['needs']]}: {because}" if own["needs"] else because
        rows.append([name, str(own["looks_scored"]), str(sum(reasons.values())), about])
    return rows


def _why_nothing(own: Mapping[str, Any]) -> str:
    """Return why a signal scored nothing at all."""
    if own.get("needs"):
        return NEEDS[own["needs"]]
    reasons = own.get("abstained") or {}
    return f"abstained: {max(reasons, key=lambda name: (reasons[name], name))}" if reasons else "-"


def ablation_rows(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return a row each for all signals, every signal alone, and all but one."""
    return [
        [
            name,
            *(figure(own[key]) if own["coverage"] else "-" for key in TITLES),
            f"{own['coverage']:.2f}",
            _pairs(own["pairs"]),
        ]
        for name, own in condition["ablation"].items()
    ]


def bar_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a bar."""
    labels = {name: own["label"] for name, own in report["conditions"].items()}
    return [[labels[b["condition"]], b["figure"], figure(b), verdict(b)] for b in report["bars"]]


def method_rows(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a signal that scored anything and a forgery method, and its macro AUC."""
    rows = []
    for name, own in condition["signals"].items():
        if not own["coverage"]:
            continue
        rows += [
            [
                name,
                method,
                str(m["videos"]),
                f"{m['coverage']:.2f}",
                *(figure(m["figures"][k]) for k in TITLES),
            ]
            for method, m in own["methods"].items()
        ]
        macro = figure(own["macro_auc_interval"])
        rows.append([name, "macro, methods of 5 or more videos", "", "", macro, *("-" * 3)])
    return rows


def size_rows(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a bin of eye distances: of the fused llr, and of each signal that scored anything."""
    return [
        [
            name,
            size,
            str(own["videos"] - own["spoof"]),
            str(own["spoof"]),
            f"{own['coverage']:.2f}",
            *(figure(own.get(k)) if own["coverage"] else "-" for k in TITLES),
        ]
        for name, sizes in condition["sizes"].items()
        if name == "fused" or condition["signals"][name]["coverage"]
        for size, own in sizes.items()
    ]


def alarm_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a condition: clips that turned amber or red."""
    return [
        [
            report["conditions"][name]["label"],
            *(str(own[side][k]) for side in ("genuine", "spoof") for k in ("amber", "red", "clips")),
        ]
        for name, own in report["alarms"].items()
    ]


def scene_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return what is told apart without the face: by a classifier, and by the detectors."""
    scene = report["scene"]
    pairs = f", pairs {_pairs(scene['pairs'])}" if scene["pairs"] else ""
    about = f"classifier of scenes, accuracy {scene['accuracy']:.2f}{pairs}"
    blind = scene["detectors_without_face"] or {}
    return [
        [about, "", figure(scene["auc"])],
        ["the same, macro over methods of 5 or more videos", "", figure(scene["macro_auc"])],
        *(
            [f"{name}, face masked", f"{own['coverage']:.2f}", figure(own["auc"])]
            for name, own in blind.items()
        ),
    ]


def cost_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a part of the work."""
    cost = report["cost"]
    share = cost["core_share_of"] or {}
    per_face = {**cost["ms_per_face"], "faces": cost["ms_per_look_of_finding_and_landmarks"]}
    words = {"faces": "finding, following and cutting faces, fusion"}
    rows = [
        [words.get(k, k), _plain(per_face.get(k), 2), _plain(share.get(k), 4)] for k in {**share, **per_face}
    ]
    return [*rows, ["all", "", _plain(cost["core_share"], 4)]]


def _pairs(own: Mapping[str, Any] | None) -> str:
    if own is None:
        return "-"
    low, high = own["interval"]
    return f"{own['swap_scores_higher']:.2f} [{low:.2f}, {high:.2f}] of {own['pairs']}"


def _plain(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"
