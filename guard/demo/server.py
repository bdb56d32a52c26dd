"""Starts a real ``guard serve`` on loopback for the demonstration and speaks HTTP with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from guard.errors import GuardError

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0


class DemoError(GuardError):
    """The demonstration could not be run at all."""


def free_port() -> int:
    """Return a TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class LocalServer:
    """One ``guard serve`` process with its own data folder, as an async context manager."""

    def __init__(self, profile: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="guard-demo-")
        self.data_dir = Path(self._folder.name)
        self._profile = profile
        self.port = free_port()
        self.url = f"https://{HOST}:{self.port}"
        self._process: asyncio.subprocess.Process | None = None
        self._http: httpx.AsyncClient | None = None
        self.operator_token = ""

    @property
    def pid(self) -> int:
        """Process id of the relay process."""
        assert self._process is not None
        return self._process.pid

    @property
    def http(self) -> httpx.AsyncClient:
        """A client that trusts the server's own certificate."""
        assert self._http is not None
        return self._http

    async def __aenter__(self) -> LocalServer:
        await self._start()
        try:
            await self._ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 10)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        self._folder.cleanup()

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts exactly the server's self-signed certificate."""
        context = ssl.create_default_context(cafile=str(self.data_dir / "tls-cert.pem"))
        context.check_hostname = False  # the certificate is pinned by file; its names are the host's
        return context

    async def create_session(self, profile: str, people: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Open a session; the answer holds a token and a page link for each participant."""
        body = {"profile": profile, "participants": list(people)}
        answer = await self.http.post("/api/v1/sessions", json=body, headers=self._operator())
        if answer.status_code != 201:
            raise DemoError("demo_session", f"the server refused the session: {answer.text}")
        return dict(answer.json())

    async def view(self, session: str) -> dict[str, Any]:
        """Return what the server says of a session now."""
        return dict((await self.http.get(f"/api/v1/sessions/{session}", headers=self._operator())).json())

    async def act(self, session: str, action: str, alert: str | None, reason: str) -> None:
        """Do what the agent's person would do about an alert."""
        body = {"action": action, "alert": alert, "reason": reason}
        answer = await self.http.post(
            f"/api/v1/sessions/{session}/actions", json=body, headers=self._operator()
        )
        if answer.is_error:
            raise DemoError("demo_action", f"the server refused the action {action}: {answer.text}")

    async def challenge(self, session: str, participant: str, kind: str, language: str, *, token: str) -> str:
        """Start an active check of a participant as whoever the token belongs to; returns its id."""
        body = {"participant": participant, "kind": kind, "language": language}
        url = f"/api/v1/sessions/{session}/challenges"
        headers = {"Authorization": f"Bearer {token}"}
        answer = await self.http.post(url, json=body, headers=headers)
        if answer.status_code != 201:
            raise DemoError("demo_challenge", f"the server refused the check: {answer.text}")
        return str(answer.json()["id"])

    async def events(self, session: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the session's events as they come (SSE)."""
        url = f"/api/v1/sessions/{session}/events"
        async with self.http.stream("GET", url, headers=self._operator(), timeout=None) as stream:
            if stream.is_error:
                await stream.aread()
                raise DemoError("demo_events", f"the server refused the event stream: {stream.text}")
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    async def metrics(self) -> dict[str, float]:
        """Return the server's metrics, summed over labels."""
        text = (await self.http.get("/metrics", headers=self._operator())).text
        totals: dict[str, float] = {}
        for line in text.splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)", line)
            if match and not line.startswith("#"):
                totals[match[1]] = totals.get(match[1], 0.0) + float(match[2])
        return totals

    def cpu_s(self) -> float:
        """Return the CPU seconds the relay process has used, its children not counted."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.operator_token}"}

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "GUARD_SERVER__DATA_DIR": str(self.data_dir),
            "GUARD_SERVER__HOST": HOST,
            "GUARD_SERVER__PORT": str(self.port),
            "GUARD_PROFILE": self._profile,
            "GUARD_RELAY__ADDRESSES": json.dumps([HOST]),
            "GUARD_LOG__LEVEL": "error",
        }

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "guard", "serve", "--with-parent"),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the demonstration, which hangs up before it stops this
        )

    async def _ready(self) -> None:
        """Wait until the server and its analysis process work."""
        deadline_s = asyncio.get_running_loop().time() + START_TIMEOUT_S
        why = "it did not listen"
        while asyncio.get_running_loop().time() < deadline_s:
            assert self._process is not None
            if self._process.returncode is not None:
                raise DemoError("demo_server", f"guard serve ended with exit {self._process.returncode}")
            if (self.data_dir / "tls-cert.pem").exists():
                why = await self._probe()
                if not why:
                    self.operator_token = await self._token()
                    return
            await asyncio.sleep(0.2)
        raise DemoError("demo_server", f"guard serve was not ready within {START_TIMEOUT_S:.0f} s: {why}")

    async def _probe(self) -> str:
        if self._http is None:
            self._http = httpx.AsyncClient(base_url=self.url, verify=self.tls(), timeout=10)
        try:
            answer = await self._http.get("/readyz")
        except httpx.TransportError as error:
            return type(error).__name__
        return "" if answer.status_code == 200 else answer.text

    async def _token(self) -> str:
        words = ("token", "--session", "*", "--role", "operator", "--ttl", "3600")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "guard", *words),
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        if process.returncode != 0:
            raise DemoError("demo_token", "guard token could not make an operator token")
        return out.decode().strip()
