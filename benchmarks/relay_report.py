"""The relay benchmark's table and picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.relay_case import Result
from guard.media.lettering import render_line

COLOURS = {
    "guard": (0, 95, 135),
    "guard_tap": (70, 150, 190),
    "janus": (130, 130, 130),
    "aiortc": (190, 60, 40),
}
NAMES = {
    "guard": "guard",
    "guard_tap": "guard, tap on",
    "janus": "Janus VideoRoom",
    "aiortc": "aiortc MediaRelay",
}
COLUMNS = (
    "calls x parties",
    "relay",
    "CPU-s per call-s",
    "delay p50 / p95 / p99, ms",
    "MiB per call",
    "packets/s",
    "delivered",
    "relay waited for a core",
    "load's busiest process, cores",
    "load's worst own delay, ms",
)
_LEFT, _BAR, _GAP, _WIDTH = 190, 20, 18, 900


def table(results: list[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for r in results:
        size, name = f"{r.case['calls']} x {r.case['parties']}", NAMES[r.case["system"]]
        cells = [size, name, r.note] if r.cpu_s_per_call_s is None else [size, name, *_numbers(r)]
        lines.append("| " + " | ".join(cells + [""] * (len(COLUMNS) - len(cells))) + " |")
    return "\n".join(lines)


def _numbers(r: Result) -> list[str]:
    d = r.delay_ms
    delay = "-" if d is None else f"{d['p50']} / {d['p95']} / {d['p99']}"
    return [
        str(r.cpu_s_per_call_s),
        delay + (" (pictures)" if r.case["system"] == "aiortc" else ""),
        str(r.memory_mib_per_call),
        f"{r.packets_per_s:.0f}",
        f"{r.delivered_ratio:.1%}",
        f"{r.waited_ratio:.1%}",
        f"{r.load_cpu_cores}",
        f"{r.own_late_ms}",
    ]


def draw(results: list[Result], path: Path) -> None:
    """Draw CPU per call as bars on a logarithmic scale, grouped by size."""
    shown = [r for r in results if r.cpu_s_per_call_s]
    if not shown:
        return
    sizes = list(dict.fromkeys((r.case["calls"], r.case["parties"]) for r in shown))
    height = 70 + len(shown) * _BAR + len(sizes) * (_GAP + 22)
    image = Image.new("RGB", (_WIDTH, height), "white")
    pen = ImageDraw.Draw(image)
    low, high = 0.003, max(1.0, *(r.cpu_s_per_call_s or 0 for r in shown))
    _write(image, "CPU-seconds of the relay process per second of call (logarithmic)", 16, 10, 18)
    y = 46
    for size in sizes:
        _write(image, f"{size[0]} call(s) of {size[1]}", 16, y, 15)
        y += 22
        for r in (r for r in shown if (r.case["calls"], r.case["parties"]) == size):
            value = max(low, r.cpu_s_per_call_s or low)
            length = (np.log(value) - np.log(low)) / (np.log(high) - np.log(low)) * (_WIDTH - _LEFT - 90)
            pen.rectangle(
                (_LEFT, y + 2, _LEFT + max(2, int(length)), y + _BAR - 3), COLOURS[r.case["system"]]
            )
            _write(image, NAMES[r.case["system"]], 30, y + 1, 13)
            _write(image, f"{r.cpu_s_per_call_s}", _LEFT + int(length) + 8, y + 1, 13)
            y += _BAR
        y += _GAP
    image.save(path, optimize=True)


def _write(image: Image.Image, text: str, left: int, top: int, size: int) -> None:
    ink = Image.fromarray(render_line(text, size))
    image.paste((30, 30, 30), (left, top), ink)
