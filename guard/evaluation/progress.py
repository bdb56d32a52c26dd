"""Tells on stderr how far an evaluation is, and on stdout what it found."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Progress = Callable[[str], None]
_TELL_EVERY_S = 10.0


def say(line: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(line + "\n")


def say_failure(error: Mapping[str, str]) -> None:
    """Say which file could not be read and why: its ``path`` once, its ``message`` and ``code``."""
    path, message = error["path"], error["message"]
    say(f"{message if message.startswith(path) else f'{path}: {message}'} [{error['code']}]")


def say_report(
    report: Mapping[str, Any], show: Callable[[Mapping[str, Any]], None], *, as_json: bool
) -> None:
    """Print a report on stdout: as one line of JSON, or as ``show`` does."""
    if as_json:
        sys.stdout.write(json.dumps(report, allow_nan=False) + "\n")
    else:
        show(report)


def steps(progress: Progress, number: int, of: int, label: str) -> Callable[[], None]:
    """Say that a part begins; return what is called after each of its clips."""
    started = time.monotonic()
    progress(f"[{number}/{of}] {label}")
    told = started
    count = 0

    def step() -> None:
        nonlocal told, count
        count += 1
        now = time.monotonic()
        if now - told >= _TELL_EVERY_S:
            told = now
            progress(f"[{number}/{of}] {label}: {count} files, {now - started:.0f} s")

    return step
