"""What ``guard eval voice`` measured on a model file, beside its sha256: the figures are for its card only.

python measured.py EVAL.json     writes measured.toml from the output of ``guard eval voice FOLDER --json``,
                                 puts it on models/voice_spoof/card.toml, and says whether the equal error
                                 rate on clean clips lies inside the interval of before ("reproduced")

Runs in guard's own environment and in the recipe's.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "voice_spoof"
CONDITIONS = ("clean", "opus_24k", "opus_24k_loss_5", "g711")
FIGURES = (
    "eer",
    "tpr_at_5_fa",
    "tpr_at_1_fa",
    "cllr_bits",
    "cllr_min_bits",
    "cllr_gap_bits",
    "min_dcf",
)
UNSEEN_FIGURES = ("eer", "tpr_at_5_fa", "cllr_gap_bits")


def of_model(path: Path, sha256: str) -> str:
    """Return the text of a measured.toml, if it was measured on the file of this sha256; else nothing.

    Some table of ``[measured]`` in it must say ``model_sha256``, and none another one.
    """
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    tables = tomllib.loads(text)["measured"].values()
    named = {table["model_sha256"] for table in tables if "model_sha256" in table}
    if named == {sha256}:
        return text
    print(
        f"{path} was measured on another file than {sha256[:12]}: the card goes without; make evaluate",
        file=sys.stderr,
    )
    return ""


def as_toml(report: Mapping[str, Any]) -> str:
    """Return ``[measured.val]`` out of a report of ``guard eval voice``.

    A figure without an interval (a class of one source) is a list of itself alone.
    """
    model = report["model"]
    lines = [
        "[measured.val]",
        f"# guard eval voice $GUARD_DATA/voice/val; {report['clips']} clips; "
        "[value, low, high], 95 % over engines and speakers",
        f'model_sha256 = "{model["sha256"]}"',
        f'card_version = "{model["version"]}"',
    ]
    for name in CONDITIONS:
        of = report["conditions"][name]
        lines += [_line(name, figure, of) for figure in FIGURES]
        lines.append(f"{name}_coverage = {of['coverage']:.3f}")
        lines.append(f"{name}_coverage_speech = {of['coverage_speech']['value']:.3f}")
    unseen = report["unseen_engines"]
    if unseen is not None:
        left_out = ", ".join(f"{name} {clips}" for name, clips in unseen["left_out"].items())
        lines.append(f"# without clips of engines that are in training by name: {left_out}")
        for name in CONDITIONS:
            of = unseen["conditions"][name]
            lines += [_line(f"unseen_{name}", figure, of) for figure in UNSEEN_FIGURES]
    return "\n".join(lines) + "\n"


def _line(name: str, figure: str, of: Mapping[str, Any]) -> str:
    told = [of[figure][key] for key in ("value", "low", "high") if of[figure][key] is not None]
    return f"{name}_{figure} = [{', '.join(f'{value:.3f}' for value in told)}]"


def compared(before: str, report: Mapping[str, Any]) -> str:
    """Return a line that says whether the figure of before was reproduced."""
    eer = report["conditions"]["clean"]["eer"]["value"]
    known = tomllib.loads(before).get("measured", {}).get("val", {}).get("clean_eer")
    if known is None:
        return f"EER on clean clips {eer:.3f}; nothing was measured before"
    value, *interval = known
    if not interval:
        return f"EER on clean clips {eer:.3f}, before {value:.3f} without an interval: nothing to hold it to"
    low, high = interval
    verdict = "reproduced" if low <= eer <= high else "NOT reproduced"
    return f"EER on clean clips {eer:.3f}, before {value:.3f} [{low:.3f}, {high:.3f}]: {verdict}"


def on_card(card: str, measured: str) -> str:
    """Return a card's text with this ``[measured.val]``, which is its last table."""
    head = re.split(r"(?m)^\[measured\.val\]$", card)[0]
    return f"{head.rstrip()}\n\n{measured}"


def main(report: Mapping[str, Any], model: Path, measured: Path) -> str:
    """Write measured.toml and the card of the model's folder; return what is to be said.

    Raises:
        SystemExit: the report is of a quick run or of another file.
    """
    if report["quick"]:
        raise SystemExit(
            "a quick run has too few conditions for a card; run guard eval voice without --quick"
        )
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    if report["model"]["sha256"] != sha256:
        raise SystemExit(f"the report is of another model file than {model}")
    before = measured.read_text(encoding="utf-8") if measured.is_file() else ""
    text = as_toml(report)
    measured.write_text(text, encoding="utf-8")
    card = model.parent / "card.toml"
    card.write_text(on_card(card.read_text(encoding="utf-8"), text), encoding="utf-8")
    return compared(before, report)


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(main(given, SHIPPED / "model.onnx", HERE / "measured.toml"))
