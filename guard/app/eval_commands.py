"""``guard eval``: measures the detectors on labelled folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guard.app.terminal import AsJson, Config, ModelsFolder

app = typer.Typer(no_args_is_help=True, help="Measure a detector on labelled folders.")


@app.command("voice")
def eval_voice(
    folders: Annotated[list[Path], typer.Argument(help="Folders with a manifest.csv.")],
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json, det.png, scores.csv.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only the conditions that have bars.")] = False,
    config: Config = None,
    models_folder: ModelsFolder = None,
) -> None:
    """Measure the voice detector on folders with a manifest.csv."""
    from guard.config import load_settings
    from guard.evaluation.voice import run

    chosen = models_folder or load_settings(config).analysis.models_dir
    raise typer.Exit(run(folders, as_json, out=out, quick=quick, models_dir=chosen))


@app.command("face")
def eval_face(
    folders: Annotated[list[Path], typer.Argument(help="Folders with a manifest.csv.")],
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json, plots and scores.csv.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only the conditions that have bars.")] = False,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Show no faces of the data in report.html.")
    ] = False,
    config: Config = None,
    models_folder: ModelsFolder = None,
) -> None:
    """Measure the face signals on folders with a manifest.csv."""
    from guard.app.parts import settings_config
    from guard.config import load_settings
    from guard.evaluation.face import run

    settings = load_settings(config)
    code = run(
        folders,
        as_json,
        out=out,
        quick=quick,
        models_dir=models_folder or settings.analysis.models_dir,
        pictures=not no_pictures,
        config=settings_config(settings),
    )
    raise typer.Exit(code)
