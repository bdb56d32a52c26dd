"""The bank's system, a real HTTP server on loopback: signed questions, and which answers count."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pytest

from guard.api.bank import MAX_ANSWER_BYTES, BankAsker
from guard.api.webhook import SIGNATURE_HEADER, WebhookConfig, verify
from guard.clock import SystemClock

SECRET = b"sixteen bytes of secret"
QUESTION = {"v": 1, "type": "hold", "id": "h1", "state": "requested"}

Reply = tuple[int, bytes]
CONFIRMED: Reply = (200, b'{"v":1,"confirmed":true,"operation":"payment 7"}')


class Bank:
    """Answers each POST with the next reply of its script, then with the last one again."""

    def __init__(self, script: Sequence[Reply]) -> None:
        self.script = list(script)
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.handlers: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self.handlers.add(handler)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                headers = {name.lower(): value for name, value in lines}
                self.bodies.append(await reader.readexactly(int(headers["content-length"])))
                self.signatures.append(headers[SIGNATURE_HEADER.lower()])
                status, body = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def bank(*script: Reply) -> AsyncIterator[tuple[Bank, str]]:
    scripted = Bank(script)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield scripted, f"http://127.0.0.1:{port}/hold"
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*scripted.handlers)


async def ask(url: str, limit_s: float = 5.0) -> list[tuple[str, str | None]]:
    """Ask once; returns what was told, and ends when nothing more can come."""
    answers: list[tuple[str, str | None]] = []

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    asker = BankAsker(WebhookConfig(url, SECRET), SystemClock(), sleep=at_once)
    asker.ask(QUESTION, limit_s, lambda said, operation: answers.append((said, operation)))
    async with asyncio.timeout(10):
        await asker.settled()
    await asker.close()
    return answers


async def test_a_signed_question_is_confirmed() -> None:
    async with bank(CONFIRMED) as (scripted, url):
        assert await ask(url) == [("confirmed", "payment 7")]
    assert json.loads(scripted.bodies[0]) == QUESTION
    now = SystemClock().utc().timestamp()
    assert verify(SECRET, scripted.signatures[0], scripted.bodies[0], now=now)


async def test_what_fails_for_a_moment_is_asked_again() -> None:
    async with bank((503, b""), (429, b""), CONFIRMED) as (scripted, url):
        assert await ask(url) == [("confirmed", "payment 7")]
    assert len(scripted.bodies) == 3


@pytest.mark.parametrize("reply", [(400, b""), (404, b""), (302, b""), (200, b'{"v":1,"confirmed":false}')])
async def test_a_refusal_is_told_at_once(reply: Reply) -> None:
    async with bank(reply) as (scripted, url):
        assert await ask(url) == [("refused", None)]
    assert len(scripted.bodies) == 1


@pytest.mark.parametrize(
    "reply",
    [
        (200, b""),
        (200, b"ok"),
        (200, b'{"v":1}'),
        (200, b'{"v":1,"confirmed":"true"}'),
        (200, b'{"v":2,"confirmed":true}'),
        (200, b'[{"v":1,"confirmed":true}]'),
        (200, b'{"v":1,"confirmed":true,"operation":"' + b"x" * 200 + b'"}'),
        (200, b'{"v":1,"confirmed":true}' + b" " * MAX_ANSWER_BYTES),
        (202, b'{"v":1,"confirmed":true}'),
        (204, b""),
    ],
)
async def test_nothing_else_confirms_a_hold(reply: Reply) -> None:
    async with bank(reply) as (scripted, url):
        assert await ask(url) == []
    assert len(scripted.bodies) == 1


async def test_a_bank_that_is_not_there_is_asked_until_the_time_is_over() -> None:
    async with bank(CONFIRMED) as (_, url):
        pass
    assert await ask(url, limit_s=0.05) == []


async def test_closing_stops_asking() -> None:
    asker = BankAsker(WebhookConfig("http://127.0.0.1:9/hold", SECRET), SystemClock())
    asker.ask(QUESTION, 1000.0, lambda *_: None)
    await asker.close()
    async with asyncio.timeout(5):
        await asker.settled()


class SlowBank:
    """Answers 503 to a hold until it is let go, and confirms a release at once."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.answered: list[str] = []
        self.came = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        state = json.loads(request.content)["state"]
        self.began.append(state)
        self.came.set()
        if state == "requested":
            await self.let_go.wait()
        self.answered.append(state)
        status = 503 if state == "requested" else 200
        return httpx.Response(status, json={"v": 1, "confirmed": True})


@contextlib.asynccontextmanager
async def asking(
    handler: Callable[[httpx.Request], Awaitable[httpx.Response]],
) -> AsyncIterator[tuple[BankAsker, asyncio.Event]]:
    """A BankAsker whose pauses last until they are cut off, and the event that one has begun."""
    pausing = asyncio.Event()

    async def forever(_: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    async def answer(request: httpx.Request) -> httpx.Response:
        return await handler(request)

    config = WebhookConfig("https://bank.test/hold", SECRET)
    asker = BankAsker(config, SystemClock(), transport=httpx.MockTransport(answer), sleep=forever)
    try:
        async with asyncio.timeout(10):
            yield asker, pausing
    finally:
        await asker.close()


async def test_a_hold_is_not_asked_again_after_its_release() -> None:
    slow, told = SlowBank(), []
    slow.let_go.set()
    async with asking(slow) as (asker, pausing):
        asker.ask(QUESTION, 15.0, lambda *said: told.append(("hold", *said)))
        await pausing.wait()
        asker.ask({**QUESTION, "state": "released"}, 15.0, lambda *said: told.append(("release", *said)))
        await asker.settled()
    assert slow.answered == ["requested", "released"]
    assert told == [("release", "confirmed", None)]


async def test_a_release_waits_for_the_hold_that_is_on_its_way() -> None:
    slow, told = SlowBank(), []
    async with asking(slow) as (asker, _):
        asker.ask(QUESTION, 15.0, lambda *said: told.append(("hold", *said)))
        await slow.came.wait()
        for _ in range(2):  # the second while the first still waits
            asker.ask({**QUESTION, "state": "released"}, 15.0, lambda *said: told.append(("release", *said)))
            await asyncio.sleep(0)
        assert slow.began == ["requested"]
        slow.let_go.set()
        await asker.settled()
    assert slow.answered == ["requested", "released"]
    assert told == [("release", "confirmed", None)]


async def test_a_release_is_sent_once_though_the_hold_took_all_its_time() -> None:
    slow = SlowBank()
    async with asking(slow) as (asker, _):
        asker.ask(QUESTION, 15.0, lambda *_: None)
        await slow.came.wait()
        asker.ask({**QUESTION, "state": "released"}, 0.0, lambda *_: None)
        slow.let_go.set()
        await asker.settled()
    assert slow.answered == ["requested", "released"]


async def test_questions_about_other_operations_do_not_wait() -> None:
    slow = SlowBank()
    async with asking(slow) as (asker, _):
        asker.ask(QUESTION, 15.0, lambda *_: None)
        await slow.came.wait()
        slow.came.clear()
        asker.ask({**QUESTION, "id": "h2", "state": "released"}, 15.0, lambda *_: None)
        await slow.came.wait()
        assert slow.began == ["requested", "released"]
