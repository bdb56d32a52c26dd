"""Asks the bank's system to hold an operation, or to let it go on, and reads what it answers.

The question is signed like an alert and goes to the same address. The answer that counts is HTTP 200
with ``{"v":1,"confirmed":true,"operation":"..."}``; ``confirmed`` false, or a 4xx, is a refusal. Any
other 2xx says only that the question has arrived: the bank's system then confirms later by
``POST .../actions``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guard.api.webhook import RETRIED, WebhookConfig, encoded, signed_headers
from guard.clock import Clock

MAX_ANSWER_BYTES = 4096
RETRY_EVERY_S = 1.0

Said = Literal["confirmed", "refused"]
Answered = Callable[[Said, str | None], None]


class BankReply(BaseModel):
    """What the bank's system says; ``operation`` is its own name for what it holds."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    v: Literal[1]
    confirmed: bool
    operation: Annotated[str, Field(max_length=128)] | None = None


class BankAsker:
    """Asks each question at once, apart from the alerts' queue, and again until its time is over."""

    def __init__(
        self,
        config: WebhookConfig,
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Prepare.

        Args:
            transport: replaces the network, for tests.
            sleep: waits between attempts, in seconds.
        """
        self._config = config
        self._clock = clock
        self._sleep = sleep
        # trust_env off: a proxy from the environment must not see holds
        self._client = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, question: Mapping[str, Any], limit_s: float, answered: Answered) -> None:
        """Send a question; never blocks.

        Args:
            question: one JSON object.
            limit_s: no attempt begins later; who asks keeps the time itself.
            answered: told once, if the bank's system says yes or no within that time.
        """
        task = asyncio.get_running_loop().create_task(self._ask(encoded(question), limit_s, answered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until every question is answered or given up."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop asking."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self, body: bytes, limit_s: float, answered: Answered) -> None:
        end = self._clock.now() + limit_s
        while self._clock.now() < end:
            status, content = await self._post(body)
            if status == 200:
                reply = _read(content)
                if reply is not None:
                    answered("confirmed" if reply.confirmed else "refused", reply.operation)
                return
            if status is not None and status < 500 and status not in RETRIED:
                if status >= 300:
                    answered("refused", None)
                return  # 2xx: it has arrived, and is confirmed later or not at all
            await self._sleep(RETRY_EVERY_S)

    async def _post(self, body: bytes) -> tuple[int | None, bytes]:
        headers = signed_headers(self._config.secret, self._clock, body)
        try:
            async with asyncio.timeout(self._config.timeout_s):
                async with self._client.stream(
                    "POST", self._config.url, content=body, headers=headers
                ) as answer:
                    return answer.status_code, await _first_bytes(answer)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None, b""


async def _first_bytes(answer: httpx.Response) -> bytes:
    """Return the body up to one byte more than is read; a longer one is no answer."""
    content = b""
    async for part in answer.aiter_bytes(MAX_ANSWER_BYTES):
        content += part
        if len(content) > MAX_ANSWER_BYTES:
            break
    return content


def _read(content: bytes) -> BankReply | None:
    if len(content) > MAX_ANSWER_BYTES:
        return None
    try:
        return BankReply.model_validate_json(content)
    except ValidationError:
        return None
