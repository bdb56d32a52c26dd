"""``guard serve``: runs the relay process until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

from guard.app.application import Application
from guard.clock import SystemClock
from guard.config import load_settings
from guard.log import configure
from guard.signalling.tokens import ANY_SESSION
from guard.types import Role


async def serve(config: Path | None, *, host: str | None, port: int | None) -> int:
    """Run the relay process until SIGINT or SIGTERM.

    Returns:
        The exit code, 0.

    Raises:
        GuardError: the settings, models or certificate cannot be used, or the port is taken.
    """
    settings = load_settings(config)
    server = settings.server
    here = replace(server, host=host or server.host, port=server.port if port is None else port)
    settings = settings.model_copy(update={"server": here})
    configure(settings.log)
    application = Application(settings, config, SystemClock())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await application.start()
    try:
        _say_where(application)
        await stop.wait()
    finally:
        await application.stop()
    return 0


def _say_where(application: Application) -> None:
    """Tell the operator where to begin; the link carries a token, so it goes to a terminal only."""
    lines = [f"guard listens on {application.url}"]
    if sys.stderr.isatty():
        token = application.tokens.issue(ANY_SESSION, "operator", Role.OPERATOR, ttl_s=12 * 3600)
        lines.append(f"operator's page (valid 12 h): {application.url}?token={token}")
    sys.stderr.write("\n".join(lines) + "\n")
