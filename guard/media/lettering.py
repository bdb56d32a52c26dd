"""Writes text into pictures with letters rendered ahead (``glyphs/``): no font file, no system font.

Covers Latin, Russian and all Kazakh Cyrillic letters. Pure but for reading the shipped sheet once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from guard.types import ImageArray

LINE_RATIO = 1.18
"""Line height over letter size."""

_FOLDER = Path(__file__).resolve().parent / "glyphs"
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class _Glyph:
    left: int
    width: int
    bearing: int
    advance: float


@dataclass(frozen=True, slots=True)
class _Sheet:
    size_px: int
    coverage: ImageArray
    glyphs: dict[str, _Glyph]


@cache
def _sheet() -> _Sheet:
    document = json.loads((_FOLDER / "glyphs.json").read_text(encoding="utf-8"))
    glyphs = {letter: _Glyph(*numbers) for letter, numbers in document["glyphs"].items()}
    with Image.open(_FOLDER / "glyphs.png") as image:
        coverage = np.asarray(image.convert("L"))
    return _Sheet(document["size_px"], coverage, glyphs)


def missing_letters(text: str) -> set[str]:
    """Return the characters of a text that the sheet lacks (they would show as ``?``)."""
    return set(text) - set(_sheet().glyphs)


def text_width_px(text: str, size_px: int) -> float:
    """Return how far one line of text moves the pen."""
    sheet = _sheet()
    unknown = sheet.glyphs[_UNKNOWN]
    return sum(sheet.glyphs.get(letter, unknown).advance for letter in text) * size_px / sheet.size_px


def wrap(text: str, size_px: int, width_px: float) -> list[str]:
    """Break a text into lines between words; a word wider than a line is broken anywhere."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        for part in _parts(word, size_px, width_px):
            joined = f"{line} {part}" if line else part
            if text_width_px(joined, size_px) <= width_px:
                line = joined
            else:
                lines += [line] if line else []
                line = part
    return [*lines, line] if line else lines


def _parts(word: str, size_px: int, width_px: float) -> list[str]:
    parts = [""]
    for letter in word:
        if parts[-1] and text_width_px(parts[-1] + letter, size_px) > width_px:
            parts.append("")
        parts[-1] += letter
    return parts


def render_line(text: str, size_px: int) -> ImageArray:
    """Return one line's coverage: uint8 (round(size_px * LINE_RATIO), width), 255 where ink is full.

    Raises:
        ValueError: ``size_px`` is not positive.
    """
    if size_px <= 0:
        raise ValueError(f"letter size {size_px} must be positive")
    sheet = _sheet()
    unknown = sheet.glyphs[_UNKNOWN]
    glyphs = [sheet.glyphs.get(letter, unknown) for letter in text]
    width = int(sum(g.advance for g in glyphs)) + 8
    line = np.zeros((sheet.coverage.shape[0], width), np.uint8)
    pen = 4.0
    for glyph in glyphs:
        at = max(0, round(pen) + glyph.bearing)
        cell = sheet.coverage[:, glyph.left : glyph.left + glyph.width][:, : width - at]
        target = line[:, at : at + cell.shape[1]]
        np.maximum(target, cell, out=target)
        pen += glyph.advance
    height = round(size_px * LINE_RATIO)
    scaled = max(1, round(width * size_px / sheet.size_px))
    return np.asarray(Image.fromarray(line).resize((scaled, height), Image.Resampling.LANCZOS))
