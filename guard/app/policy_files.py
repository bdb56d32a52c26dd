"""``guard policy check`` and ``guard policy diff``: profiles as files."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from guard.app.terminal import AsJson, out, say
from guard.errors import GuardError

app = typer.Typer(no_args_is_help=True, help="Policy profiles: check, compare, and what they cost.")

Name = Annotated[str, typer.Argument(help="A shipped profile's name, or a path that ends in .toml.")]


@app.command("check")
def check(profiles: list[str], as_json: AsJson = False) -> None:
    """Refuse profiles that cannot be used, with file, key and reason; exit 1 if there is one."""
    from guard.config import thresholds
    from guard.policy.engine import Policy
    from guard.policy.profile import load_profile

    failed = False
    for name in profiles:
        try:
            profile = load_profile(name)
            Policy(profile, "check")  # has words for every state it tells
            thresholds(profile)  # and no state that nothing can reach
        except GuardError as error:
            failed = True
            problem = {"code": error.code, "message": error.message}
            if as_json:
                out({"profile": name, "error": problem})
            else:
                say(error.message)
        else:
            out({"profile": profile.name, "ok": True}) if as_json else typer.echo(f"{profile.name}: good")
    raise typer.Exit(1 if failed else 0)


@app.command("diff")
def diff(left: Name, right: Name, as_json: AsJson = False) -> None:
    """Say in which keys two profiles differ; exit 1 if they do."""
    from guard.policy.compare import differences
    from guard.policy.profile import load_profile

    found = differences(load_profile(left), load_profile(right))
    for difference in found:
        if as_json:
            out({"key": difference.key, "left": difference.left, "right": difference.right})
        else:
            typer.echo(f"{difference.key}: {_said(difference.left)} -> {_said(difference.right)}")
    raise typer.Exit(1 if found else 0)


def _said(value: Any) -> str:
    return "(absent)" if value is None else json.dumps(value, ensure_ascii=False)
