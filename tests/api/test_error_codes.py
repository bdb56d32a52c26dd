"""Codes are a contract: every one that the source names is explained in docs/."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.reasons import STATE_REASONS

ROOT = Path(__file__).resolve().parents[2]
ERRORS = {"GuardError", "ConfigError", "ModelError", "MediaError", "PeerError", "AccessError"} | {
    "NotFoundError",
    "Overload",
    "RecordError",
    "DemoError",
    "problem",
}
REASONS = {"Abstain", "WindowSkip"}


def documented(name: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", (ROOT / "docs" / name).read_text(encoding="utf-8")))


def named(calls: set[str]) -> Iterator[str]:
    """Yield the codes given as plain text to any of the named constructors."""
    for path in sorted((ROOT / "guard").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                for given in node.args[:2]:
                    text = given.value if isinstance(given, ast.Constant) else None
                    if isinstance(text, str) and re.fullmatch(r"[a-z][a-z0-9_]+", text):
                        yield text


@pytest.mark.parametrize(("calls", "page"), [(ERRORS, "errors.md"), (REASONS, "reasons.md")])
def test_every_code_is_documented(calls: set[str], page: str) -> None:
    codes = set(named(calls))
    assert len(codes) > 2
    assert codes - documented(page) == set()


def test_every_reason_of_a_state_is_documented() -> None:
    assert set(STATE_REASONS) <= documented("reasons.md")
