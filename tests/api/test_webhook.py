from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.api.webhook import SIGNATURE_HEADER, WebhookConfig, WebhookSender, sign, verify
from guard.clock import ManualClock
from guard.errors import ConfigError

SECRET = b"sixteen bytes of secret"
CONFIG = WebhookConfig("https://bank.test/hook", SECRET, queue_events=3)

Reply = int | type[Exception]


class Receiver(httpx.AsyncBaseTransport):
    """A scripted receiver: answers with the given statuses or errors, then with 200."""

    def __init__(self, script: Sequence[Reply] = ()) -> None:
        self.script = list(script)
        self.requests: list[httpx.Request] = []
        self.idle = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        reply = self.script.pop(0) if self.script else 200
        if isinstance(reply, int):
            return httpx.Response(reply)
        raise reply("scripted")

    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(request.content) for request in self.requests]


async def deliver(
    receiver: Receiver, events: Sequence[dict[str, object]], config: WebhookConfig = CONFIG
) -> tuple[WebhookSender, list[float]]:
    """Send events until every one is accounted for; returns the sender and the pauses it made."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    sender = WebhookSender(config, ManualClock(), transport=receiver, sleep=pause)
    for event in events:
        sender.offer(event)
    await settled(sender, lambda: _accounted(sender))
    return sender, pauses


def _accounted(sender: WebhookSender) -> bool:
    counts = sender.counts
    return counts.delivered + counts.failed + counts.dropped == counts.offered


async def settled(sender: WebhookSender, done: Callable[[], bool]) -> None:
    task = asyncio.create_task(sender.run())
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - the counts raise no event
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_arrives_signed_and_the_receiver_can_verify_it() -> None:
    receiver = Receiver()
    await deliver(receiver, [{"v": 1, "type": "alert", "advice": {"kk": "тоқтатыңыз"}}])
    request = receiver.requests[0]
    assert request.headers["content-type"] == "application/json"
    header, now = request.headers[SIGNATURE_HEADER], ManualClock().utc().timestamp()
    assert verify(SECRET, header, request.content, now=now)
    assert not verify(b"another secret of theirs", header, request.content, now=now)
    assert not verify(SECRET, header, request.content + b" ", now=now)
    assert not verify(SECRET, header, request.content, now=now + 301)
    assert receiver.bodies() == [{"v": 1, "type": "alert", "advice": {"kk": "тоқтатыңыз"}}]


def test_the_signature_is_the_contracts() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    digest = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    assert sign(b"key", 1700000000, b"{}") == f"t=1700000000,v1={digest}"


@pytest.mark.parametrize("trouble", [500, 503, 429, 408, httpx.ConnectError, httpx.ReadTimeout])
async def test_trouble_is_tried_again_after_growing_pauses(trouble: Reply) -> None:
    receiver = Receiver([trouble, trouble])
    sender, pauses = await deliver(receiver, [{"n": 1}])
    assert (sender.counts.delivered, sender.counts.retries, pauses) == (1, 2, [1.0, 2.0])
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("answer", [301, 400, 401, 404, 410])
async def test_a_refusal_is_not_tried_again(answer: int) -> None:
    receiver = Receiver([answer])
    sender, pauses = await deliver(receiver, [{"n": 1}, {"n": 2}])
    assert (sender.counts.failed, sender.counts.delivered, pauses) == (1, 1, [])
    assert len(receiver.requests) == 2


async def test_it_gives_up_after_the_last_attempt_and_goes_on() -> None:
    receiver = Receiver([500] * 4)
    sender, _ = await deliver(receiver, [{"n": 1}, {"n": 2}])
    assert (sender.counts.failed, sender.counts.delivered) == (1, 1)
    assert [body["n"] for body in receiver.bodies()] == [1, 1, 1, 1, 2]


async def test_when_full_the_oldest_is_dropped_and_every_event_is_counted() -> None:
    receiver = Receiver()
    sender, _ = await deliver(receiver, [{"n": n} for n in range(10)])
    assert [body["n"] for body in receiver.bodies()] == [7, 8, 9]
    assert (sender.counts.offered, sender.counts.dropped, sender.counts.delivered) == (10, 7, 3)


async def test_what_is_given_up_is_told_with_its_reason() -> None:
    async def at_once(_: float) -> None:
        pass

    def note(number: int, reason: str) -> None:
        gone.append((number, reason))

    gone: list[tuple[int, str]] = []
    receiver = Receiver([400, *[500] * 4, 200])
    sender = WebhookSender(CONFIG, ManualClock(), transport=receiver, sleep=at_once)
    for number in range(4):
        sender.offer({"n": number}, partial(note, number))
    await settled(sender, lambda: _accounted(sender))
    assert gone == [(0, "queue_full"), (1, "refused"), (2, "unreachable")]


async def test_a_receiver_that_never_answers_times_out() -> None:
    class Silent(Receiver):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            await asyncio.Event().wait()
            raise AssertionError

    config = WebhookConfig("https://bank.test/hook", SECRET, timeout_s=0.01, attempts=1)
    sender, _ = await deliver(Silent(), [{"n": 1}], config)
    assert sender.counts.failed == 1


@given(st.text(max_size=100), st.binary(max_size=50))
def test_no_other_header_verifies(header: str, body: bytes) -> None:
    assert not verify(SECRET, header, body, now=0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://bank.test/hook"},
        {"url": "ftp://bank.test"},
        {"url": "bank"},
        {"secret": b"short"},
        {"attempts": 0},
        {"timeout_s": 0.0},
    ],
)
def test_an_unsafe_setting_is_refused(change: dict[str, object]) -> None:
    settings: dict[str, object] = {"url": "https://bank.test/hook", "secret": SECRET}
    with pytest.raises(ConfigError):
        WebhookConfig(**(settings | change))  # type: ignore[arg-type]
