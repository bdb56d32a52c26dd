"""A relay on loopback, clients that are always closed, and a log that must stay clean."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from guard.clock import SystemClock
from guard.relay.events import RelayEvent
from guard.relay.relay import Relay
from guard.relay.tap import Tap
from tests.relay.raw_client import LOOPBACK, RawClient, until


class House:
    """A relay with everything it said, and its clients."""

    def __init__(self) -> None:
        self.events: list[RelayEvent] = []
        self.tap = Tap(10_000)
        self.relay = Relay(LOOPBACK, clock=SystemClock(), tap=self.tap, on_event=self.events.append)
        self.clients: list[RawClient] = []

    def client(self, name: str, session: str = "s", connection: str | None = None) -> RawClient:
        client = RawClient(self.relay, name, session, connection)
        self.clients.append(client)
        return client

    def of(self, kind: type) -> list[RelayEvent]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.relay.shutdown()
    for client in made.clients:
        await client.close()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, 2.0)


@pytest.fixture(autouse=True)
def clean_log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[logging.LogRecord]]]:
    """No test of the relay may leave a warning or a traceback in the log."""

    def complaints() -> list[logging.LogRecord]:
        return [r for r in caplog.get_records("call") if r.levelno >= logging.WARNING or r.exc_info]

    yield complaints
    assert not complaints(), [r.getMessage() for r in complaints()]
