"""The HTTP server itself, on loopback: TLS, event streams, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from guard.api import ApiConfig, create_app
from guard.api.patience import PatientProtocol
from guard.api.server import HttpServer, ServerConfig
from guard.api.tls import CertificateFiles, check_files, own_certificate
from guard.clock import ManualClock, SystemClock
from guard.errors import ConfigError
from guard.signalling.session import NewParticipant
from guard.signalling.sessions import SessionsConfig
from guard.types import Role, State
from tests.api.support import auth
from tests.signalling.fakes import House, house


@asynccontextmanager
async def served(home: House, tls: CertificateFiles | None = None) -> AsyncIterator[HttpServer]:
    server = HttpServer(create_app(home.services), ServerConfig(host="127.0.0.1", port=0, tls=tls, grace_s=1))
    await server.start()
    try:
        yield server
    finally:
        home.sessions.close()
        await server.stop()


def fields(chunk: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in chunk.splitlines())


async def events(response: httpx.Response) -> AsyncIterator[dict[str, str]]:
    text = ""
    async for part in response.aiter_text():
        text += part
        while "\n\n" in text:
            chunk, text = text.split("\n\n", 1)
            yield {"": chunk[2:]} if chunk.startswith(":") else fields(chunk)


async def test_events_stream_as_the_token_may_see_them() -> None:
    home = house()
    made = home.sessions.create(None, [NewParticipant("c", Role.CUSTOMER), NewParticipant("a", Role.AGENT)])
    token = home.token(made.id, "a", Role.AGENT)
    async with served(home) as server, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{made.id}/events?token={token}"
        async with asyncio.timeout(5), client.stream("GET", url) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = events(response)
            assert (await anext(stream))[""] == "open"
            home.sessions.update_state(made.id, "a", state=State.SPOOF, llr=9.0, signals={})
            home.sessions.update_state(
                made.id, "c", state=State.SUSPECT, llr=3.5, signals={}, reasons=("face_lapsed",)
            )
            first = await anext(stream)
            assert first["event"] == "state"
            assert json.loads(first["data"]) == {
                "v": 1,
                "type": "state",
                "session": made.id,
                "participant": "c",
                "state": "suspect",
                "llr": 3.5,
                "signals": {},
                "reasons": ["face_lapsed"],
                "alert": None,
                "at": "2026-01-01T00:00:00.000Z",
            }
            home.sessions.end(made.id)
            last = [event async for event in stream]
            assert json.loads(last[-1]["data"])["state"] == "ended"
    assert home.sessions.dropped_events == 0


async def test_a_slow_reader_loses_the_oldest_and_is_told_so() -> None:
    home = house(sessions_config=SessionsConfig(queue_events=5))
    made = home.sessions.create(None, [NewParticipant("c", Role.CUSTOMER)])
    token = home.token(made.id, "a", Role.AGENT)
    async with served(home) as server, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{made.id}/events"
        async with asyncio.timeout(5), client.stream("GET", url, headers=auth(token)) as response:
            stream = events(response)
            await anext(stream)
            for n in range(20):
                home.sessions.publish(made.id, {"v": 1, "type": "x", "participant": "c", "n": n})
            assert (await anext(stream))[""].startswith("15 events dropped")
            kept = [json.loads((await anext(stream))["data"])["n"] for _ in range(5)]
    assert kept == [15, 16, 17, 18, 19]
    assert home.sessions.dropped_events == 15


async def test_an_idle_stream_says_that_it_is_alive() -> None:
    home = house(ApiConfig(heartbeat_s=0.01))
    made = home.sessions.create(None, [NewParticipant("c", Role.CUSTOMER)])
    async with served(home) as server, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{made.id}/events"
        token = auth(home.token(made.id, "a", Role.AGENT))
        async with asyncio.timeout(5), client.stream("GET", url, headers=token) as response:
            stream = events(response)
            assert [(await anext(stream))[""] for _ in range(3)] == ["open", "alive", "alive"]


async def test_a_reader_that_hangs_up_is_forgotten() -> None:
    home = house()
    made = home.sessions.create(None, [NewParticipant("c", Role.CUSTOMER)])
    async with served(home) as server, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{made.id}/events"
        token = auth(home.token(made.id, "a", Role.AGENT))
        async with client.stream("GET", url, headers=token) as response:
            await anext(events(response))
            assert len(made.hub) == 1
        async with asyncio.timeout(5):
            while len(made.hub):  # noqa: ASYNC110 - the server raises no event for it
                await asyncio.sleep(0.01)


async def test_https_with_the_servers_own_certificate(tmp_path: Path) -> None:
    files = own_certificate(tmp_path, SystemClock())
    trusted = ssl.create_default_context(cafile=files.certificate)
    async with served(house(), files) as server:
        for host in ("localhost", "127.0.0.1"):
            async with httpx.AsyncClient(verify=trusted) as client:
                assert (await client.get(f"https://{host}:{server.port}/healthz")).json() == {"status": "ok"}


async def test_tokens_and_user_errors_leave_no_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    home = house()
    made = home.sessions.create(None, [NewParticipant("c", Role.CUSTOMER)])
    token = home.token(made.id, "c", Role.CUSTOMER)
    caplog.set_level(logging.DEBUG)
    # what a client library logs is not the server's doing
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    async with (
        served(home) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client,
    ):
        await client.get(f"/api/v1/sessions/{made.id}/events?token={token}")
        await client.post(f"/whip/{made.id}", content=b"\xff" * 99, headers=auth(token))
        await client.post("/api/v1/sessions", content=b"[[[[", headers=auth(token))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01 no http at all\r\n\r\n")
        await reader.read()
        writer.close()
    assert token not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_taken_port_is_a_settings_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = HttpServer(create_app(house().services), ServerConfig(host="127.0.0.1", port=port))
        with pytest.raises(ConfigError, match=f"port {port}"):
            await server.start()


async def test_stopping_ends_open_streams_and_frees_the_port() -> None:
    home = house()
    made = home.sessions.create(None, [NewParticipant("c", Role.CUSTOMER)])
    server = HttpServer(create_app(home.services), ServerConfig(host="127.0.0.1", port=0, grace_s=1))
    await server.start()
    async with httpx.AsyncClient() as client, asyncio.timeout(10):
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{made.id}/events"
        token = auth(home.token(made.id, "a", Role.AGENT))
        async with client.stream("GET", url, headers=token) as response:
            stream = events(response)
            await anext(stream)
            home.sessions.close()
            await server.stop()
            assert [e async for e in stream]
    again = HttpServer(create_app(home.services), ServerConfig(host="127.0.0.1", port=server.port))
    await again.start()
    await again.stop()


def test_the_certificate_is_made_once_private_and_for_this_machine(tmp_path: Path) -> None:
    clock = ManualClock()
    files = own_certificate(tmp_path, clock, ["guard.bank.kz", "10.0.0.7"])
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    made = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "guard.bank.kz"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "10.0.0.7"} <= {str(a) for a in names.get_values_for_type(x509.IPAddress)}
    before = files.certificate.read_bytes()
    assert own_certificate(tmp_path, clock).certificate.read_bytes() == before
    clock.advance(timedelta(days=397).total_seconds())
    assert own_certificate(tmp_path, clock).certificate.read_bytes() != before
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert check_files(files) == files


def test_wrong_certificate_files_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    first, second = (own_certificate(folder, SystemClock()) for folder in (one, two))
    with pytest.raises(ConfigError):
        check_files(CertificateFiles(first.certificate, second.key))
    with pytest.raises(ConfigError):
        check_files(CertificateFiles(tmp_path / "none.pem", first.key))
    first.certificate.write_text("no certificate")
    with pytest.raises(ConfigError, match="damaged"):
        own_certificate(one, SystemClock())


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_that_never_comes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(PatientProtocol, "head_timeout_s", 0.2)
    async with served(house()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):  # closed hard: nothing is owed to such a client
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_half_a_second_request_is_not_waited_for_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "head_timeout_s", 0.2)
    async with served(house()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"}")
        writer.write(b"GET /healthz")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_slow_answer_and_an_open_stream_outlive_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "head_timeout_s", 0.2)
    home = house(ApiConfig(heartbeat_s=0.1))
    made = home.sessions.create(None, [NewParticipant("a", Role.AGENT)])
    token = home.token(made.id, "a", Role.AGENT)
    async with served(home) as server, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.port}/api/v1/sessions/{made.id}/events"
        async with client.stream("GET", url, headers=auth(token)) as response:
            alive = 0
            async for event in events(response):
                alive += "alive" in event.get("", "")
                if alive == 6:
                    break
