"""Makes the report of ``guard eval face`` one HTML file: no script, no other file, every text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from guard.evaluation import face_tables as t
from guard.evaluation.face_heat import Example
from guard.evaluation.page import document, errors_table, image, section, table

_DEFINITIONS = {
    "fused": "The llr of the face at the end of a file as guard analyze gives it; where the product still "
    "waits for more looks, what it would say if it did not wait.",
    "llr of a signal": "Mean over the scored looks of a file, natural logarithm, above 0 for spoof; of a "
    "video the mean over its files.",
    "abstained": "A video on which a signal abstained counts with llr 0 for AUC and EER and is neither a "
    "detection nor a false alarm where a threshold decides. The line below, covered only, leaves such videos "
    "out; there is none where every video is covered, because it would be the same.",
    "needs": "What a signal asks for and no file of the folder can give: what the call page says of its "
    "camera, sound, moving pictures, or a photo of the person (column reference of the manifest; without "
    "one the face is compared with itself from 5 s on).",
    "AUC looks": "Over single scored looks; the bootstrap still draws whole videos.",
    "TPR at 5 % FA": "Share of all spoof videos above the lowest threshold that at most 5 % of all genuine "
    "ones exceed.",
    "3 s visible": "Coverage of the videos that show a face for at least 3 s in the clean file.",
    "3 s, said": "The same, counting only videos of which the product itself says something: it waits for "
    "its least number of looks. The bar of coverage is about this figure.",
    "pairs": "How often the clip after the swap scores above the same clip before it; ties count half.",
    "without the face": "A simple classifier, cross-validated on this folder, sees the crops with the face "
    "masked out; below it what the detectors say of such crops. Near 0.5 is as it should be: more means that "
    "the folder gives its classes away by something else than faces.",
    "intervals": "95 %, percentiles of bootstrap draws of whole videos; of shares of all, Wilson's.",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """The report of one folder with its pictures.

    Args:
        report: as report.json has it.
        plots: PNGs with words for them.
        examples: faces with heat maps.
    """

    report: Mapping[str, Any]
    plots: Sequence[tuple[bytes, str]]
    examples: Sequence[Example] = field(default_factory=tuple)


def page(folders: Sequence[Folder]) -> str:
    """Return the HTML of all folders, one after the other."""
    title = "Face signals: measured error"
    parts = [f"<h1>{title}</h1>"]
    for folder in folders:
        parts += _folder(folder)
    rows = "".join(f"<dt><b>{escape(k)}</b></dt><dd>{escape(v)}</dd>" for k, v in _DEFINITIONS.items())
    return document(title, [*parts, section("What the figures mean", f"<dl>{rows}</dl>")])


def _folder(folder: Folder) -> list[str]:
    report = folder.report
    kind = "quick run: conditions with bars only" if report["quick"] else "full run"
    sums = ", ".join(f"{name} <code>{escape(sha)}</code>" for name, sha in report["models"].items())
    parts = [
        f"<h1>{escape(report['folder'])}</h1>",
        f"<p>{report['files']} files, {report['videos']} videos, {len(report['errors'])} errors; {kind}. "
        f"95 % intervals over videos in brackets.</p><p>{sums}</p>",
        section("Bars", _bars(report)),
        section("Curves and scores", "".join(image(png, words) for png, words in folder.plots)),
    ]
    for own in report["conditions"].values():
        sent = (
            "" if own["kbit_s"] is None else f"<p>{own['kbit_s']:.0f} kbit/s sent, median of the files.</p>"
        )
        parts.append(section(own["label"], sent + _table(t.SIGNAL_HEADS, t.signal_rows(own))))
        parts.append("<p>Looks without a score:</p>" + _table(t.REASON_HEADS, t.reason_rows(own)))
        parts.append("<p>Fusion ablation:</p>" + _table(t.ABLATION_HEADS, t.ablation_rows(own)))
        sizes = _table(t.SIZE_HEADS, t.size_rows(own))
        parts.append(f"<p>By distance between the eyes, as it arrives:</p>{sizes}")
        methods = _table(t.METHOD_HEADS, t.method_rows(own))
        parts.append(f"<details><summary>By method</summary>{methods}</details>")
    parts += [
        section("At the shipped thresholds", _alarms(report)),
        section("Without the face", _table(t.SCENE_HEADS, t.scene_rows(report))),
        section("Cost", _table(t.COST_HEADS, t.cost_rows(report))),
        section("What the frame detector looks at", _examples(folder.examples)),
        section("Files that could not be read", errors_table(report["errors"])),
    ]
    return parts


def _bars(report: Mapping[str, Any]) -> str:
    rows = []
    for bar, cells in zip(report["bars"], t.bar_rows(report), strict=True):
        colour = "met" if bar["met"] else "missed"
        *about, verdict = (escape(cell) for cell in cells)
        rows.append([*about, f'<span class="{colour}">{verdict}</span>'])
    return table([escape(head) for head in t.BAR_HEADS], rows) if rows else ""


def _alarms(report: Mapping[str, Any]) -> str:
    if not report["alarms"]:
        return ""
    clean = report["alarms"]["clean"]
    words = (
        f"<p>Clips that guard analyze would show amber (llr {clean['amber_llr']:.1f} and more) or red "
        f"({clean['red_llr']:.1f} and more) at some time, by their face alone.</p>"
    )
    return words + _table(t.ALARM_HEADS, t.alarm_rows(report))


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    words = "<p>Red: hiding the patch lowers the llr, it spoke for spoof; blue: it spoke against.</p>"
    return words + "".join(
        f"<figure>{image(own.png, own.words)}<figcaption>{escape(own.words)}</figcaption></figure>"
        for own in examples
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table([escape(head) for head in heads], [[escape(cell) for cell in row] for row in rows])
