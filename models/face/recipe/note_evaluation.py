"""Writes what ``guard eval face FOLDER... --json`` measured into the model's card.

guard eval face FOLDER... --json | python note_evaluation.py
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

CARD = Path(__file__).resolve().parents[2] / "face_frame" / "card.toml"
_HEAD = "\n[[measured.eval]]\n"


def main() -> None:
    """Replace the card's evaluation by the reports on stdin.

    Raises:
        SystemExit: a report was made with another model file.
    """
    text = CARD.read_text(encoding="utf-8").split(_HEAD)[0]
    sha256 = tomllib.loads(text)["sha256"]
    for line in sys.stdin:
        report = json.loads(line)
        if report["models"]["face_frame"] != sha256:
            sys.exit("the report was made with another model file than the card's: run guard eval face again")
        text += _HEAD + _block(report)
    CARD.write_text(text, encoding="utf-8")


def _block(report: dict) -> str:
    lines = [f'folder = "{Path(report["folder"]).name}"', 'command = "guard eval face FOLDER --json"']
    lines += [f"videos = {report['videos']}", f"coverage = {report['coverage']}"]
    for name in ("auc", "eer", "tpr_at_5fa"):
        figure = report[name]
        lines.append(f"{name} = [{figure['value']}, {figure['low']}, {figure['high']}]")
    if report["macro_auc"] is not None:
        lines.append(f"macro_auc = {report['macro_auc']}")
    if report["pairs"]:
        lines.append(f"pairs_swap_scores_higher = {report['pairs']['swap_scores_higher']}")
    lines.append(f"cpu_ms_per_face = {report['cpu_ms_per_face']}")
    methods = ", ".join(f'"{name}" = {row["auc"]}' for name, row in report["methods"].items())
    return "\n".join([*lines, f"auc_of_method = {{ {methods} }}"]) + "\n"


if __name__ == "__main__":
    main()
