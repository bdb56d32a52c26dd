"""The child processes' entry: ``guard worker analysis`` and ``guard worker banner``."""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
from pathlib import Path

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import load_models, settings_config
from guard.banner_worker import run_banner_worker
from guard.clock import Clock
from guard.config import Settings, load_settings, thresholds
from guard.errors import ConfigError, GuardError, ModelError
from guard.inference.recogniser import load_recogniser
from guard.log import configure, get_logger

_PR_SET_PDEATHSIG = 1


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel end this process when the one that started it dies without a word (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)


async def run_child(name: str, sock: socket.socket, config: Path | None, clock: Clock) -> None:
    """Run one worker until the relay process closes the link.

    Raises:
        ConfigError: the settings are wrong.
        SystemExit: 2; there is no such worker, or the face finder cannot be loaded.
    """
    die_with_parent()
    # Ctrl-C and a service manager's SIGTERM reach the whole group; the relay process ends its
    # children itself, after the calls, so that nobody is shown detector_down on the way out
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    settings = load_settings(config)
    configure(settings.log)
    try:
        if name == "analysis":
            await _analysis(sock, settings, clock)
        elif name == "banner":
            await run_banner_worker(sock, clock)
        else:
            raise ConfigError("worker_unknown", f"there is no worker {name!r}")
    except GuardError as error:
        # a line of the log like any other: what a server writes is read by machines
        get_logger(name).error("worker_failed", code=error.code, why=error.message)
        raise SystemExit(2) from None


async def _analysis(sock: socket.socket, settings: Settings, clock: Clock) -> None:
    log = get_logger("analysis")
    models = load_models(settings.analysis.models_dir)
    for signal_name, error in models.errors.items():
        log.error("model_unusable", signal=signal_name.value, code=error.code, why=error.message)
    recogniser = None
    if settings.checks.recogniser:
        try:
            recogniser = load_recogniser(settings.checks.recogniser_dir)
        except ModelError as error:
            # spoken words are not asked for then, and the other checks go on
            log.error("recogniser_unusable", code=error.code, why=error.message)
    worker = AnalysisWorker(
        clock,
        models,
        config=settings_config(settings),
        receive=settings.analysis.receive,
        thresholds_of=lambda name: thresholds(settings.profile_named(name)),
        checks=check_tools(settings.checks.course, recogniser),
        drill_clip=settings.drills.clip,
    )
    await worker.run(sock)
