"""``guard models``: what is in use, whether it is what its card says, and another one in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guard.app.terminal import AsJson, Config, ModelsFolder, out, refused
from guard.errors import ModelError

app = typer.Typer(no_args_is_help=True, help="The shipped models and their cards.")


@app.command("list")
def models_list(config: Config = None) -> None:
    """Print the card of every model in use, one JSON object a line."""
    from guard.app.model_files import describe
    from guard.config import load_settings

    for card in describe(load_settings(config).analysis.models_dir):
        out(card)


@app.command("import")
def models_import(
    model: Annotated[Path, typer.Argument(help="The ONNX file, all weights inside.")],
    card: Annotated[Path, typer.Option(help="Its card; docs/models.md says what must be in it.")],
    config: Config = None,
    models_folder: ModelsFolder = None,
    golden_bona_fide: Annotated[Path | None, typer.Option(help="A genuine clip of your own.")] = None,
    golden_spoof: Annotated[Path | None, typer.Option(help="A synthetic clip of your own.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an imported model of that name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try it; install nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try another voice detector, judge it by a golden pair, and install it."""
    from guard.app.model_import import ImportRequest, golden_pair, import_model
    from guard.app.report import print_import
    from guard.config import load_settings

    folder = models_folder or load_settings(config).analysis.models_dir
    golden = golden_pair(golden_bona_fide, golden_spoof)
    request = ImportRequest(model, card, folder, golden, force=force, dry_run=dry_run)
    try:
        found = import_model(request)
    except ModelError as error:  # the model is refused: an expectation failed, nothing is wrong with guard
        if as_json:
            out({"v": 1, "ok": False, "error": {"code": error.code, "message": error.message}})
        else:
            refused(error)
        raise typer.Exit(1) from None
    if as_json:
        out(found)
    else:
        print_import(found)


@app.command("verify")
def models_verify(config: Config = None) -> None:
    """Compare every model file with its card's sha256 and dry-run it."""
    from guard.app.model_files import verify
    from guard.config import load_settings

    results = verify(load_settings(config).analysis.models_dir)
    for result in results:
        out(result)
    raise typer.Exit(0 if all(result["ok"] for result in results) else 1)
