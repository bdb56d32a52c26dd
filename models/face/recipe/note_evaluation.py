"""Writes what ``guard eval face FOLDER... --json`` measured into the model's card.

guard eval face FOLDER... --models-dir WORK --json | python note_evaluation.py --card WORK/face_frame
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

_HEAD = "\n[[measured.eval]]\n"


def main() -> None:
    """Replace the card's evaluation by the reports on stdin.

    Raises:
        SystemExit: there is no report, or one was made with another model file.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", type=Path, required=True, help="folder of the model that was measured")
    card = parser.parse_args().card / "card.toml"
    text = card.read_text(encoding="utf-8").split(_HEAD)[0]
    sha256 = tomllib.loads(text)["sha256"]
    reports = [json.loads(line) for line in sys.stdin]
    if not reports:
        sys.exit("guard eval face gave no report: see what it said above; the card stays as it was")
    for report in reports:
        if report["models"]["face_frame"] != sha256:
            sys.exit("the report was made with another model file than the card's: run guard eval face again")
        text += _HEAD + _block(report)
    card.write_text(text, encoding="utf-8")


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
