"""The command line: results as JSON on stdout, progress and errors on stderr.

Exit 0 done, 1 an expectation or a file failed, 2 wrong usage or cannot run.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from guard import __version__
from guard.app.eval_commands import app as eval_app
from guard.app.evidence import app as evidence_app
from guard.app.model_commands import app as models_app
from guard.app.policy_files import app as policy_app
from guard.app.terminal import AsJson, Config, ModelsFolder, out, refused, say
from guard.clock import SystemClock
from guard.errors import GuardError
from guard.types import Role

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(models_app, name="models")
app.add_typer(eval_app, name="eval")
app.add_typer(policy_app, name="policy")
app.add_typer(evidence_app, name="evidence")

Calls = Annotated[int, typer.Option(min=1, max=100_000, help="Simulated calls of each kind.")]
CallSeconds = Annotated[float, typer.Option(min=4, max=86_400, help="Length of a simulated call.")]
Answered = Annotated[float, typer.Option(min=0.01, max=1, help="Share of a call with something to score.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the simulated calls.")]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine under uvloop."""
    return uvloop.run(work)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """guard: a WebRTC relay that warns of synthetic voices and faces."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port, 8443 by default.")] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the relay, its analysis process, the HTTP interface and the call page."""
    from guard.app.children import die_with_parent
    from guard.app.serve import serve as run

    if with_parent:  # started by guard demo, which must leave nothing behind however it ends
        die_with_parent(signal.SIGTERM)
    raise typer.Exit(_run(run(config, host=host, port=port)))


@app.command("check-config")
def check_config(config: Config = None) -> None:
    """Say whether guard serve can use the settings, the profile and the files they name."""
    from guard.app.preflight import check, warnings
    from guard.config import load_settings

    settings = load_settings(config)
    check(settings)
    found = warnings(settings)
    for why in found:
        typer.echo(f"guard: warning: {why}", err=True)
    out({"ok": True, "profile": settings.profile, **({"warnings": found} if found else {})})


@app.command()
def token(
    session: Annotated[str, typer.Option(help="Session id; * for an operator of all sessions.")],
    role: Annotated[Role, typer.Option(help="What the holder is in the call.")],
    participant: Annotated[str | None, typer.Option(help="Participant id; drawn if left out.")] = None,
    ttl: Annotated[float, typer.Option(help="Seconds until it expires.", min=1, max=31_536_000)] = 3600,
    config: Config = None,
) -> None:
    """Print a signed token for one participant of one session."""
    from guard.app.data import issue_token

    typer.echo(issue_token(config, session, role, participant, ttl))


@app.command()
def analyze(
    paths: Annotated[list[str], typer.Argument(help="Audio and video files, or folders of them.")],
    as_json: AsJson = False,
    profile: Annotated[
        str | None,
        typer.Option(help="Policy profile whose thresholds decide; without it the configured one."),
    ] = None,
    voice_reference: Annotated[
        Path | None,
        typer.Option(help="Recording of the person who should speak in every file; see voice_match."),
    ] = None,
    face_reference: Annotated[
        Path | None,
        typer.Option(help="Photo of the person who should be seen in every file; see face_identity."),
    ] = None,
    seconds: Annotated[
        bool, typer.Option("--seconds", help="With --json, show the single seconds of a voice, too.")
    ] = False,
    config: Config = None,
    models_folder: ModelsFolder = None,
) -> None:
    """Analyse files through the same pipeline as calls."""
    from guard.app.analyze import analyze_all
    from guard.app.parts import load_models, settings_config
    from guard.app.references import expect_face, expect_voice
    from guard.app.report import print_analysis
    from guard.config import load_settings

    settings = load_settings(config)
    models = load_models(models_folder or settings.analysis.models_dir)
    if voice_reference is not None:
        expect_voice(voice_reference, models)
    if face_reference is not None:
        expect_face(face_reference, models)
    good = True
    pipeline = settings_config(settings, profile)
    for found, ok in analyze_all(paths, models, pipeline, with_seconds=seconds):
        good = good and ok
        if as_json:
            out(found)
        else:
            print_analysis(found)
    raise typer.Exit(0 if good else 1)


@app.command()
def demo(
    as_json: AsJson = False,
    genuine: Annotated[Path | None, typer.Option(help="Your own genuine clip.")] = None,
    synthetic: Annotated[Path | None, typer.Option(help="Your own synthetic clip.")] = None,
    no_switch: Annotated[bool, typer.Option("--no-switch", help="Keep the genuine clip.")] = False,
    switches: Annotated[int, typer.Option(min=1, max=200, help="Switches to synthetic media.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the moments of the switches.")] = 1,
    profile: Annotated[str, typer.Option(help="Policy profile of the call.")] = "meeting",
) -> None:
    """Run a whole call on loopback: a genuine caller who turns synthetic, and the warnings.

    With the profile kz-ardfm, and without clips or switches of your own: a customer who passes the check of
    three commands, an attacker who fails it three times, and the signed records.
    """
    from guard.demo.check_demo import PROFILE, CheckDemoOptions, run_check_demo
    from guard.demo.run import DemoOptions, run_demo

    plain = genuine is None and synthetic is None and not no_switch and switches == 1
    if plain and profile == PROFILE:
        shown = _run(run_check_demo(CheckDemoOptions(profile=profile, seed=seed, quiet=as_json)))
        if as_json:
            out(shown)
        raise typer.Exit(0 if shown["ok"] else 1)
    options = DemoOptions(
        genuine=genuine,
        synthetic=synthetic,
        switches=0 if no_switch else switches,
        seed=seed,
        profile=profile,
        quiet=as_json,
    )
    result = _run(run_demo(options))
    if as_json:
        out(result)
    raise typer.Exit(0 if result["ok"] else 1)


@app.command()
def simulate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Recorded calls, JSON Lines, also analyze --json; none: simulated ones."),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Policy profile whose thresholds decide.")] = None,
    calls: Calls = 100,
    length_s: CallSeconds = 600.0,
    switch_s: Annotated[
        float | None, typer.Option(min=0, help="When simulated attacks begin; left out: from the start.")
    ] = None,
    answered: Answered = 0.6,
    seed: Seed = 1,
    as_json: AsJson = False,
    models_folder: ModelsFolder = None,
) -> None:
    """Replay recorded scores, or calls drawn from held-out ones, through the decision engine."""
    from guard.app.report import print_simulation
    from guard.app.simulate import drawing, simulate_drawn, simulate_files

    if files:
        found = simulate_files(files, profile)
    else:
        drawn = drawing(calls, seed, length_s=length_s, switch_s=switch_s, answered=answered)
        found = simulate_drawn(models_folder, profile, drawn)
    if as_json:
        out(found)
    else:
        print_simulation(found)


@policy_app.command("price")
def policy_price(
    profile: Annotated[str, typer.Option(help="A shipped profile's name, or a path that ends in .toml.")],
    calls_per_day: Annotated[float, typer.Option(help="Calls a day, all of them.")],
    fraud_rate: Annotated[float, typer.Option(help="Share of calls that are attacks, e.g. 0.001.")],
    calls_per_agent: Annotated[float, typer.Option(help="Calls one agent takes a day.")] = 40.0,
    calls: Calls = 300,
    length_s: CallSeconds = 600.0,
    answered: Answered = 0.6,
    seed: Seed = 1,
    as_json: AsJson = False,
    models_folder: ModelsFolder = None,
) -> None:
    """Say what a profile's thresholds cost: false alarms, and how many alarms are true."""
    from guard.app.price import Traffic, price
    from guard.app.report import print_price
    from guard.app.simulate import drawing

    drawn = drawing(calls, seed, length_s=length_s, switch_s=None, answered=answered)
    found = price(models_folder, profile, Traffic(calls_per_day, fraud_rate, calls_per_agent), drawn)
    if as_json:
        out(found)
    else:
        print_price(found)


@app.command(hidden=True)
def worker(
    name: Annotated[str, typer.Argument(help="analysis or banner.")],
    fd: Annotated[int, typer.Option(help="The child's end of the socket pair.")],
    config: Config = None,
) -> None:
    """Run a child process of guard serve; started by it, not by people."""
    from guard.app.children import run_child

    _run(run_child(name, socket.socket(fileno=fd), config, SystemClock()))


def main() -> None:
    """Entry point: turns guard's own errors into one line and exit 2."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # a full disk shows here at the latest
    except GuardError as error:
        refused(error)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # what is still buffered cannot be written: the interpreter must not try again at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        words = "guard: no space left where it writes; free some [disk_full]"
        say(words)
        raise SystemExit(2) from None
