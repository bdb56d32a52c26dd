"""Runs the HTTP application inside the event loop that is already there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from guard.api.patience import PatientProtocol
from guard.api.tls import CertificateFiles
from guard.errors import ConfigError

KEEP_ALIVE_S = 20


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where to listen; port 0 takes a free one. Without TLS browsers give no camera, except on localhost."""

    host: str = "0.0.0.0"
    port: int = 8443
    tls: CertificateFiles | None = None
    max_message_bytes: int = 512 * 1024
    grace_s: int = 3


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handling, which belongs to the application."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class HttpServer:
    """One listening port, HTTP and WebSocket alike."""

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self._config = config
        tls = config.tls
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                log_config=None,
                # request lines carry tokens
                access_log=False,
                log_level="warning",
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                ws_max_size=config.max_message_bytes,
                ws_ping_interval=10.0,
                ws_ping_timeout=10.0,
                # a browser on a slow machine takes up an idle connection later than uvicorn's 5 s, and one
                # that is closed just then may cost it a module of the page
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=config.grace_s,
                ssl_certfile=str(tls.certificate) if tls else None,
                ssl_keyfile=str(tls.key) if tls else None,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.port = config.port

    async def start(self) -> None:
        """Listen; returns once connections are accepted.

        Raises:
            ConfigError: ``address_unavailable``.
        """
        listener = self._bind()
        self.port = listener.getsockname()[1]
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listener]))
        listening = asyncio.ensure_future(self._server.listening.wait())
        await asyncio.wait([listening, self._task], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            listening.cancel()
            await self._task
            raise ConfigError("server_failed", "the HTTP server ended while starting; its log says why")

    async def stop(self) -> None:
        """Stop accepting, give open requests ``grace_s``, then cancel them."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None

    def _bind(self) -> socket.socket:
        where = (self._config.host, self._config.port)
        family = socket.AF_INET6 if ":" in self._config.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
        except OSError as error:
            listener.close()
            message = f"cannot listen on {where[0]} port {where[1]}: {error.strerror}; choose another --port"
            raise ConfigError("address_unavailable", message) from error
        return listener
