from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODES = re.compile(r'(?:Error|Overload|problem)\(\s*(?:\d+,\s*)?"([a-z_]+)"')
DOCUMENTED = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("room", ["signalling", "api"])
def test_every_code_is_documented(room: str) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "guard" / room).glob("*.py"))
    codes = set(CODES.findall(text))
    assert len(codes) > 5
    assert codes <= DOCUMENTED
