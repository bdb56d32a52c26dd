"""Writes a run's learning curve as learning_curve.csv and learning_curve.png into a folder.

python curve.py --folder CHECKPOINTS --out WORK
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from forge import HELD_OUT, TRAINED
from PIL import Image, ImageDraw

_LINES = {  # what the picture shows: family, methods, colour
    "loss": (None, (), (120, 120, 120)),
    "trained forgeries, training's cameras": ("seen", TRAINED, (30, 110, 200)),
    "trained forgeries, other cameras": ("unseen", TRAINED, (110, 180, 240)),
    "forgeries never trained on, training's cameras": ("seen", HELD_OUT, (200, 80, 20)),
    "forgeries never trained on, other cameras": ("unseen", HELD_OUT, (245, 160, 80)),
}
_SIZE = 760, 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 50, 20, 740, 380
_LOW, _HIGH = 0.45, 1.0


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where train.py left curve.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    folder = args.folder
    rows = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    rows = list({row["step"]: row for row in rows}.values())
    names = ["step", "loss", *(f"{f}.{m}" for f in ("seen", "unseen") for m in (*TRAINED, *HELD_OUT))]
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    head = "# mean loss since the row before; AUC of single frames on held-out faces, by cameras and forgery"
    (args.out / "learning_curve.csv").write_text("\n".join([head, *lines]) + "\n")
    _draw(rows).quantize(32).save(args.out / "learning_curve.png", optimize=True)


def _draw(rows: list[dict[str, float]]) -> Image.Image:
    page = Image.new("RGB", _SIZE, "white")
    pen = ImageDraw.Draw(page)
    for level in np.arange(0.5, _HIGH + 0.01, 0.1):
        height = _height(level)
        pen.line([(_LEFT, height), (_RIGHT, height)], fill=(225, 225, 225))
        pen.text((12, height - 6), f"{level:.1f}", fill="black")
    last = rows[-1]["step"]
    for row in rows[:: max(1, len(rows) // 8)]:
        pen.text((_place(row["step"], last) - 10, _BOTTOM + 6), str(int(row["step"])), fill="black")
    pen.text((_RIGHT - 60, _BOTTOM + 22), "step", fill="black")
    for number, (name, (family, methods, colour)) in enumerate(_LINES.items()):
        values = [_value(row, family, methods) for row in rows]
        points = [(_place(row["step"], last), _height(v)) for row, v in zip(rows, values, strict=True)]
        pen.line(points, fill=colour, width=2)
        label = name if family is None else f"AUC, {name}"
        pen.text((_LEFT + 8, _BOTTOM - 16 * (len(_LINES) - number)), label, fill=colour)
    return page


def _value(row: dict[str, float], family: str | None, methods: tuple[str, ...]) -> float:
    return row["loss"] if family is None else float(np.mean([row[f"{family}.{m}"] for m in methods]))


def _place(step: float, last: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * step / last


def _height(value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * (min(max(value, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW)


if __name__ == "__main__":
    main()
