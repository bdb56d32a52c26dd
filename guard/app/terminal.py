"""What the commands of ``guard`` share: results as JSON on stdout, errors on stderr, and options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from guard.errors import GuardError

Config = Annotated[Path | None, typer.Option("--config", help="guard.toml; without it the defaults.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
ModelsFolder = Annotated[
    Path | None, typer.Option("--models-dir", help="Your own models; without it analysis.models_dir.")
]
_errors = Console(stderr=True, soft_wrap=True)


def out(value: object) -> None:
    """Write one JSON object as a line on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


def say(words: str) -> None:
    """Write an error on stderr, as it is."""
    _errors.print(words, style="red", markup=False, highlight=False)


def refused(error: GuardError) -> None:
    """Write why something was refused, with its code."""
    say(f"guard: {error.message} [{error.code}]")
