"""``guard evidence``: looks at records without a running server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from guard.errors import RecordError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from guard.evidence.verify import Verified


class Language(StrEnum):
    """The languages of reports."""

    KK = "kk"
    RU = "ru"
    EN = "en"


app = typer.Typer(no_args_is_help=True, help="Signed records of what was asked, seen and decided.")

Config = Annotated[Path | None, typer.Option("--config", help="guard.toml; without it the defaults.")]
Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", help="Public key in PEM form; without it those of the data folder."),
]


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Files of records, or folders of them.")],
    key: Keys = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="Fail where a session has no end: its last lines may be missing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
    config: Config = None,
) -> None:
    """Check that no record was changed, removed, moved or put in; exit 1 where one was."""
    keys = public_keys(key, config)
    good = True
    for found in verify_all(files, keys, want_closed=closed):
        good = good and found["ok"]
        if as_json:
            typer.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
        else:
            _show(found)
    raise typer.Exit(0 if good else 1)


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="The records of one session.")],
    language: Annotated[Language, typer.Option(help="Language of the page.")] = Language.RU,
    out: Annotated[Path | None, typer.Option(help="Write the page there, not on stdout.")] = None,
    key: Keys = None,
    config: Config = None,
) -> None:
    """Make an HTML page of a session's attempts, to read or print; exit 1 where a record does not verify."""
    from guard.app.evidence_report import make_report
    from guard.errors import ConfigError
    from guard.policy.texts import load_texts

    made = make_report(file, public_keys(key, config), load_texts(), language.value)
    if out is None:
        typer.echo(made.html, nl=False)
    else:
        try:
            out.write_text(made.html, encoding="utf-8")
        except OSError as error:
            raise ConfigError("out_folder", f"cannot write {out}: {error.strerror}") from error
    raise typer.Exit(0 if made.ok else 1)


@app.command()
def pseudonym(config: Config = None) -> None:
    """Read an IIN from standard input and print what may stand for it in a record."""
    from guard.app.data import data_folder
    from guard.config import load_settings
    from guard.evidence.personal import load_pseudonym_key
    from guard.evidence.personal import pseudonym as keyed_hash

    key = load_pseudonym_key(data_folder(load_settings(config)))
    typer.echo(keyed_hash(key, sys.stdin.readline(64).strip()))


def public_keys(paths: list[Path] | None, config: Path | None) -> Mapping[str, Ed25519PublicKey]:
    """Return the named public keys, or those of the data folder, by their id.

    Raises:
        ConfigError: ``key_unreadable`` or ``key_invalid``; also where there is none.
    """
    from guard.config import load_settings
    from guard.errors import ConfigError
    from guard.evidence import keys

    if not paths:
        folder = load_settings(config).server.data_dir
        paths = keys.public_keys(folder)
        if not paths:
            raise ConfigError("key_unreadable", f"{folder} has no {keys.PUBLIC_NAME}; name a key with --key")
    loaded = [keys.load_public_key(path) for path in paths]
    return {keys.key_id(public): public for public in loaded}


def verify_all(
    paths: list[Path], keys: Mapping[str, Ed25519PublicKey], *, want_closed: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield what came of each file, in argument order, those of a folder sorted."""
    from guard.evidence.verify import verify as verify_file

    for path in _files(paths):
        try:
            yield _described(path, verify_file(path, keys), want_closed)
        except RecordError as error:
            yield {
                "v": 1,
                "path": str(path),
                "ok": False,
                "error": {"code": error.code, "message": error.message},
            }


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.jsonl"))
        else:
            yield path


def _described(path: Path, found: Verified, want_closed: bool) -> dict[str, Any]:
    from guard.evidence.verify import WORDS

    problems = [
        {"line": problem.line, "code": problem.fault.value, "message": WORDS[problem.fault]}
        for problem in found.problems
    ]
    if want_closed and not found.closed:
        message = "the session has no end here: lines may be missing after the last one"
        problems.append({"line": found.records, "code": "not_closed", "message": message})
    return {
        "v": 1,
        "path": str(path),
        "ok": not problems,
        "session": found.session,
        "records": found.records,
        "closed": found.closed,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "keys": list(found.keys),
        "interrupted": [{"line": line, "why": why} for line, why in found.interrupted],
        "last_digest": found.digest,
        "problems": problems,
    }


def _show(found: Mapping[str, Any]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if "error" in found:
        error = found["error"]
        console.print(f"{error['message']} [{error['code']}]", style="red", markup=False)
        return
    word, style = ("verifies", "green") if found["ok"] else ("DOES NOT VERIFY", "bold red")
    end = "closed" if found["closed"] else "open: whether lines are missing at its end cannot be told"
    console.print(f"{found['path']}: {word}", style=style, markup=False)
    times = f"{found['first_at']} to {found['last_at']}"
    console.print(f"  session {found['session']}, {found['records']} records, {times}", markup=False)
    console.print(f"  {end}; keys {', '.join(found['keys']) or 'none'}", markup=False)
    for place in found["interrupted"]:
        console.print(f"  line {place['line']}: writing was interrupted ({place['why']})", markup=False)
    for problem in found["problems"]:
        text = f"  line {problem['line']}: {problem['message']} [{problem['code']}]"
        console.print(text, style="red", markup=False)
