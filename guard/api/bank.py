"""Asks the bank's system to hold an operation, or to let it go on, and reads what it answers.

The question is signed like an alert and goes to the same address. The answer that counts is HTTP 200
with ``{"v":1,"confirmed":true,"operation":"..."}``; ``confirmed`` false, or a 4xx, is a refusal. Any
other 2xx says only that the question has arrived: the bank's system then confirms later by
``POST .../actions``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Question:
    """One question: ``binding`` while it must not be cut off, ``over`` once nothing more is sent for it."""

    body: bytes
    end_s: float
    answered: Answered
    older: asyncio.Task[None] | None
    binding: bool = True
    over: bool = False
    task: asyncio.Task[None] | None = None


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
        self._newest: dict[str, _Question] = {}

    def ask(self, question: Mapping[str, Any], limit_s: float, answered: Answered) -> None:
        """Send a question; never blocks.

        An older question with the same ``id`` is not sent again: what is on its way is waited for, then
        this one is sent. So a hold that is asked again can never overtake its release.

        Args:
            question: one JSON object; its ``id`` is the operation's.
            limit_s: no second attempt begins later; who asks keeps the time itself.
            answered: told once, if the bank's system says yes or no within that time and before a newer
                question with the same ``id``.
        """
        about = str(question["id"])
        older = self._newest.get(about)
        end_s = self._clock.now() + limit_s
        asked = _Question(encoded(question), end_s, answered, None if older is None else older.task)
        if older is not None and older.task is not None:
            older.over = True
            if not older.binding:
                older.task.cancel()
        asked.task = asyncio.get_running_loop().create_task(self._ask(asked))
        self._newest[about] = asked
        self._tasks.add(asked.task)
        asked.task.add_done_callback(lambda task: self._done(about, task))

    def _done(self, about: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        newest = self._newest.get(about)
        if newest is not None and newest.task is task:
            del self._newest[about]

    async def settled(self) -> None:
        """Wait until every question is answered or given up."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop asking."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self, asked: _Question) -> None:
        if asked.older is not None:
            await asyncio.wait({asked.older})  # one that is cut off may still reach the bank, and later
        first = True
        while not asked.over and (first or self._clock.now() < asked.end_s):
            asked.binding, first = True, False
            status, content = await self._post(asked.body)
            if asked.over:
                return
            if status is not None and status < 500 and status not in RETRIED:
                said = _said(status, content)
                if said is not None:
                    asked.answered(*said)
                return
            asked.binding = False
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


def _said(status: int, content: bytes) -> tuple[Said, str | None] | None:
    """Return what a final answer says; None where it says only that the question has arrived."""
    if status == 200:
        reply = _read(content)
        return None if reply is None else ("confirmed" if reply.confirmed else "refused", reply.operation)
    return ("refused", None) if status >= 300 else None


def _read(content: bytes) -> BankReply | None:
    if len(content) > MAX_ANSWER_BYTES:
        return None
    try:
        return BankReply.model_validate_json(content)
    except ValidationError:
        return None
