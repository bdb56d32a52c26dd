from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from guard.api import create_app
from tests.signalling.fakes import House, house


@pytest.fixture
def home() -> House:
    return house()


@pytest.fixture
async def client(home: House) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(home.services), client=("192.0.2.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="https://guard.test") as made:
        yield made
