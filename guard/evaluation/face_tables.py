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
    console = Console(width=max(170, Console().width))
    for own in report["conditions"].values():
        console.print(rows_table(f"{report['folder']}, {own['label']}", SIGNAL_HEADS, signal_rows(own)))
        console.print(rows_table("fusion ablation", ABLATION_HEADS, ablation_rows(own)))
    console.print(rows_table("bars", BAR_HEADS, bar_rows(report)))
    console.print(rows_table("clean, by method", *method_table(report)))
    console.print(rows_table("clean, by distance between the eyes", SIZE_HEADS, size_rows(report)))
    if report["alarms"]:
        console.print(rows_table("at the shipped thresholds", ALARM_HEADS, alarm_rows(report)))
    console.print(rows_table("without the face", SCENE_HEADS, scene_rows(report)))
    console.print(rows_table("cost", COST_HEADS, cost_rows(report)))


SIGNAL_HEADS = ["signal", *TITLES.values(), "AUC covered", "AUC looks", "coverage", "3 s visible", "pairs"]
BAR_HEADS = ["condition", "figure", "found", "bar"]
SCENE_HEADS = ["what", "coverage", "AUC"]
COST_HEADS = ["part", "CPU-ms per face", "cores per participant"]
ABLATION_HEADS = ["signals", *TITLES.values(), "coverage", "pairs"]
SIZE_HEADS = ["signal", "eyes", "videos", "coverage", "AUC", "EER"]
ALARM_HEADS = ["condition", "genuine amber", "genuine red", "of", "spoof amber", "spoof red", "of"]


def signal_rows(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a signal under one condition."""
    return [
        [
            name if not own.get("early_files") else f"{name} ({own['early_files']} files early)",
            *(figure(own[key]) if own["coverage"] else "-" for key in TITLES),
            figure((own["covered_only"] or {}).get("auc")),
            figure((own["looks"] or {}).get("auc")),
            f"{own['coverage']:.2f}",
            figure(own["coverage_visible"]),
            _pairs(own["pairs"]),
        ]
        for name, own in condition["signals"].items()
    ]


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


def method_table(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the AUC of every forgery method by signal, and their macro AUC."""
    signals = report["conditions"]["clean"]["signals"]
    methods = next(iter(signals.values()))["methods"]
    rows = [
        [method, str(own["videos"]), *(f"{s['methods'][method]['auc']:.3f}" for s in signals.values())]
        for method, own in methods.items()
    ]
    macro = ["-" if s["macro_auc"] is None else f"{s['macro_auc']:.3f}" for s in signals.values()]
    return ["AUC of", "videos", *signals], [*rows, ["macro, methods of 5 or more videos", "", *macro]]


def size_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return a row a signal and bin of eye distances."""
    return [
        [
            name,
            size,
            str(own["videos"]),
            f"{own['coverage']:.2f}",
            *(figure(own.get(k)) if own["coverage"] else "-" for k in ("auc", "eer")),
        ]
        for name, sizes in report["sizes"].items()
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
