"""Renders the banner's letters once, so that guard draws them without any font file or system font.

    python models/assets/recipe/make_banner_glyphs.py

fetches the ``font-roboto`` source package (Roboto Medium, Apache-2.0) from the package index, checks
its sha256 and writes ``guard/media/glyphs/glyphs.png`` (8-bit coverage, one row) and ``glyphs.json``
(where each letter stands and how far it moves the pen). Equal input, equal output.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PACKAGE = "font-roboto==0.0.1"
SHA256 = "8bc9136bf46609fbb13af4783016799b14e23dda294a61791171de7ea2ec457f"
MEMBER = "font-roboto-0.0.1/font_roboto/files/Roboto-Medium.ttf"
SIZE_PX = 56
LATIN = "".join(chr(c) for c in range(0x20, 0x7F))
RUSSIAN = "".join(chr(c) for c in range(0x410, 0x450)) + "Ёё"
KAZAKH = "ӘәҒғҚқҢңӨөҰұҮүҺһІі"
MARKS = "«»„“”‘’–—…№·•₸°×"
TARGET = Path(__file__).resolve().parents[3] / "guard" / "media" / "glyphs"


def fetch_font() -> bytes:
    """Return the font file out of exactly the package named above."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "-d", folder, PACKAGE]
        subprocess.run(command, check=True)
        (archive,) = Path(folder).glob("font*roboto-*.tar.gz")
        data = archive.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit(f"{PACKAGE} has another sha256 than {SHA256}; its licence must be looked at again")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile(MEMBER)
        assert member is not None
        return member.read()


def main() -> None:
    """Render and write the sheet."""
    font = ImageFont.truetype(io.BytesIO(fetch_font()), SIZE_PX)
    ascent, descent = font.getmetrics()
    letters = sorted(set(LATIN + RUSSIAN + KAZAKH + MARKS))
    missing = bytes(font.getmask("\uffff"))
    absent = [c for c in letters if c != " " and bytes(font.getmask(c)) == missing]
    if absent:
        raise SystemExit(f"the font has no {absent}")
    boxes = {}
    sheet = Image.new("L", (64 * len(letters), ascent + descent))
    pen = 0
    for letter in letters:
        left, _, right, _ = font.getbbox(letter)
        left, right = int(min(left, 0)), int(right)
        ImageDraw.Draw(sheet).text((pen - left, 0), letter, font=font, fill=255)
        boxes[letter] = [pen, right - left, left, round(font.getlength(letter), 2)]
        pen += right - left + 2
    TARGET.mkdir(parents=True, exist_ok=True)
    sheet.crop((0, 0, pen, sheet.height)).save(TARGET / "glyphs.png", optimize=True)
    document = {
        "source": f"{PACKAGE} {Path(MEMBER).name}, Apache-2.0",
        "size_px": SIZE_PX,
        "ascent_px": ascent,
        "glyphs": boxes,
    }
    (TARGET / "glyphs.json").write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
