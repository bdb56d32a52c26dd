"""Makes the report of ``guard eval voice`` one HTML file: no script, no other file, every text escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from guard.evaluation.tables import PERCENT, TITLES, named, verdict

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; --met: #1a7f37; --missed: #c0392b; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
td { vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid var(--line); }
small { color: var(--soft); white-space: nowrap; display: block; }
.met { color: var(--met); } .missed { color: var(--missed); font-weight: 600; }
img { max-width: 100%; background: white; } p { max-width: 60rem; } code { overflow-wrap: anywhere; }
"""

_FRAME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}</head>
<body>
{body}
</body>
</html>
"""

_DEFINITIONS = {
    "llr": "Natural log-likelihood ratio of a clip: mean over its windows, above 0 for spoof.",
    "abstained": "A clip the detector abstained on counts with llr 0 for EER, minDCF and Cllr, and is "
    "neither a detection nor a false alarm where a threshold decides. Figures on covered clips stand beside.",
    "EER": "Error rate where as many genuine clips are taken for spoof as spoof clips are missed.",
    "minDCF": "Least cost over all thresholds, as in ASVspoof 5: 5 % of the clips are spoof, to let one pass "
    "costs 10, to refuse a genuine voice 1; a minDCF of 1 is worth nothing.",
    "Cllr": "Cost of the llr in bits: 0 perfect, 1 worth nothing. Cllr_min is what the best monotone "
    "recalibration would leave, their difference what calibration loses.",
    "TPR at 5 % FA": "Share of all spoof clips above the lowest threshold that at most 5 % of all genuine "
    "clips exceed.",
    "coverage": "Share of clips with at least one scored window; beside it the same for clips that hold at "
    "least 2 s of speech before the condition is laid over them.",
    "intervals": "95 %, percentiles of bootstrap draws of whole sources: engine for spoof, speaker or else "
    "site for genuine clips. By engine the engine's clips are drawn singly.",
}


def page(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the HTML.

    Args:
        report: as report.json has it.
        pictures: PNGs named ``det``, ``histograms``, ``alarms``.
    """
    model = report["model"]
    title = f"{model['name']} {model['version']}: measured error"
    kind = "quick run: conditions with bars only" if report["quick"] else "full run"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{report['clips']} clips, {report['failed']} could not be read; {kind}. Model file sha256 "
        f"<code>{escape(model['sha256'])}</code>. Percent where the head says so; 95 % intervals below each "
        "figure; none where a class has fewer than two sources (engines, speakers).</p>",
        section("Bars", _bars(report["bars"], report["conditions"])),
        section("Detection error trade-off", image(pictures["det"], "DET curves of all conditions")),
        section("By codec", _conditions(_group(report, "codec"))),
        section("By signal-to-noise ratio, pink noise", _conditions(_group(report, "snr"))),
        section("Without engines that the model's card names", _unseen(report)),
        section("By seconds of speech, clean", _durations(report["durations"])),
        section("By engine", _engines(report)),
        section("By language", _languages(report)),
        section("False alarms on genuine clips", _alarms(report, pictures["alarms"])),
        section("Scores", image(pictures["histograms"], "llr of genuine and spoof clips by condition")),
        section("What the figures mean", _definitions()),
        section("Clips that could not be read", errors_table(report["errors"])),
    ]
    return document(title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page of parts that are already HTML."""
    head = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    return _FRAME.format(head=head, body="\n".join(part for part in parts if part))


def section(title: str, content: str) -> str:
    """Return content that is already HTML under a heading; nothing where there is none."""
    return f"<h2>{escape(title)}</h2>\n{content}" if content else ""


def _group(report: Mapping[str, Any], group: str) -> dict[str, Any]:
    return {c["label"]: c for c in report["conditions"].values() if c["group"] == group}


def _bars(bars: Sequence[Mapping[str, Any]], conditions: Mapping[str, Mapping[str, Any]]) -> str:
    shown = list(dict.fromkeys(bar["figure"] for bar in bars))
    rows = []
    for name in dict.fromkeys(bar["condition"] for bar in bars):
        own = {bar["figure"]: bar for bar in bars if bar["condition"] == name}
        cells = [
            f"{_cell(figure, conditions[name][figure])}"
            f'<div class="{"met" if own[figure]["met"] else "missed"}">{escape(verdict(own[figure]))}</div>'
            for figure in shown
        ]
        rows.append([escape(conditions[name]["label"]), *cells])
    return table(["condition", *(_head(figure) for figure in shown)], rows)


def _unseen(report: Mapping[str, Any]) -> str:
    unseen = report["unseen_engines"]
    if unseen is None:
        return ""
    words = f"Left out, as other clips of these engines were in training: {named(unseen['left_out'])}."
    labels = {report["conditions"][name]["label"]: own for name, own in unseen["conditions"].items()}
    return f"<p>{escape(words)}</p>{_conditions(labels)}"


def _conditions(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    if not conditions:
        return ""
    shown = list(TITLES)
    rows = []
    for label, own in conditions.items():
        clips = own["clips"]
        count = f"{escape(label)}<small>{clips['bona_fide']} genuine, {clips['spoof']} spoof</small>"
        rows.append([count, *(_cell(name, own.get(name)) for name in shown)])
        covered = own.get("covered_only")
        if covered:
            rows.append(["<small>covered clips only</small>", *(_cell(n, covered.get(n)) for n in shown)])
    return table(["condition", *(_head(name) for name in shown)], rows)


def _durations(durations: Mapping[str, Mapping[str, Any] | None]) -> str:
    if not durations:
        return ""
    words = (
        "<p>Clips cut where they have held that much speech; where one is too short, those of the same "
        "voice and engine are joined.</p>"
    )
    return words + _conditions({f"{seconds} s": own for seconds, own in durations.items() if own is not None})


def _engines(report: Mapping[str, Any]) -> str:
    conditions = {name: own["label"] for name, own in report["conditions"].items()}
    heads = ["engine", "clips", *(escape(label) for label in conditions.values())]
    shown = [(n, own) for n, own in report["systems"].items() if own["is_spoof"]]
    genuine = [(n, own) for n, own in report["systems"].items() if not own["is_spoof"]]
    shown.sort(key=lambda row: -row[1]["eer"]["clean"]["value"])
    detail = ""
    for figure in ("eer", "tpr_at_5_fa"):
        rows = [
            [escape(name), str(own["clips"]), *(_cell(figure, own[figure][c]) for c in conditions)]
            for name, own in shown
        ]
        detail += f"<p>{_head(figure)}, of each engine against all genuine clips:</p>{table(heads, rows)}"
    means = "<p>Mean llr, share above 0 and coverage of all systems.</p>"
    plain = [
        [
            escape(name),
            str(own["clips"]),
            *(
                f"{own['mean_llr'][c]:+.2f}<small>{own['above_0'][c]:.0%}, {own['coverage'][c]:.0%}</small>"
                for c in conditions
            ),
        ]
        for name, own in [*genuine, *shown]
    ]
    return detail + means + table(heads, plain)


def _languages(report: Mapping[str, Any]) -> str:
    names = ("eer", "tpr_at_5_fa", "cllr_bits")
    heads = ["language, condition", *(_head(n) for n in names), "FA above 0, %", "FA above threshold, %"]
    rows = []
    for language, own in report["languages"].items():
        for condition, found in own["conditions"].items():
            figures, alarms = found["figures"] or {}, found["false_alarms"] or {}
            cells = [_cell(name, figures.get(name)) for name in names]
            cells += [_cell(name, alarms.get(name)) for name in ("above_0", "above_threshold")]
            label = escape(report["conditions"][condition]["label"])
            about = (
                f"{escape(language)}, {label}<small>{own['bona_fide']} genuine, {own['spoof']} spoof</small>"
            )
            rows.append([about, *cells])
    return table(heads, rows)


def _alarms(report: Mapping[str, Any], picture: bytes) -> str:
    threshold = report["threshold_llr"]
    words = (
        f"<p>Share of genuine clips with llr above 0, and above {threshold:.2f}: the threshold that gives at "
        "most 5 % false alarms on the clean clips. All genuine clips count; an abstained one is no alarm.</p>"
    )
    rows = [
        [
            f"{escape(own['label'])}<small>{escape(own['group'])}</small>",
            *(_cell(name, own[name]) for name in ("above_0", "above_threshold", "mean_llr")),
            _cell("coverage_interval", own["coverage"]),
            _cell("coverage_speech", own["coverage_speech"]),
        ]
        for own in report["false_alarms"].values()
    ]
    heads = ["condition", "above 0, %", "above threshold, %", "mean llr"]
    heads += [_head("coverage_interval"), _head("coverage_speech")]
    return words + image(picture, "false alarms by condition") + table(heads, rows)


def _definitions() -> str:
    rows = "".join(f"<dt><b>{escape(k)}</b></dt><dd>{escape(v)}</dd>" for k, v in _DEFINITIONS.items())
    return f"<dl>{rows}</dl>"


def errors_table(errors: Sequence[Mapping[str, str]]) -> str:
    """Return a table of the files that could not be read, nothing without any."""
    if not errors:
        return ""
    return table(
        ["file", "code", "message"],
        [[escape(e["path"]), escape(e["code"]), escape(e["message"])] for e in errors],
    )


def _head(name: str) -> str:
    return escape(TITLES[name] + (", %" if name in PERCENT else ""))


def _cell(name: str, figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    factor, places = (100, 1) if name in PERCENT else (1, 2)
    value = f"{factor * figure['value']:.{places}f}"
    if figure["low"] is None:
        return f"{value}<small>no interval</small>"
    low, high = (f"{factor * figure[key]:.{0 if factor > 1 else 2}f}" for key in ("low", "high"))
    return f"{value}<small>{low} to {high}</small>"


def image(png: bytes, words: str) -> str:
    """Return a picture within the page; ``words`` stand for it where it is not seen."""
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are already HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
