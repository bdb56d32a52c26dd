"""Alerts to other systems: signed POSTs from a bounded queue that nothing ever waits for."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from guard.clock import Clock
from guard.errors import ConfigError

SIGNATURE_HEADER = "Guard-Signature"
TOLERANCE_S = 300
_SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
RETRIED = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """One receiver.

    Args:
        url: where to POST; http only to this machine.
        secret: shared with the receiver, at least 16 bytes.
        timeout_s: for one attempt as a whole.
        attempts: how often one event is tried.
        first_wait_s: pause before the second attempt; doubles each time.
        queue_events: events waiting before the oldest is dropped.
    """

    url: str
    secret: bytes = field(repr=False)
    timeout_s: float = 5.0
    attempts: int = 4
    first_wait_s: float = 1.0
    queue_events: int = 100

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ConfigError("config_invalid", "webhook.url must be https (http only to localhost)")
        if len(self.secret) < 16:
            raise ConfigError("config_invalid", "webhook.secret must have at least 16 bytes")
        if self.attempts < 1 or self.queue_events < 1 or self.timeout_s <= 0:
            raise ConfigError(
                "config_invalid", "webhook.attempts, queue_events and timeout_s must be positive"
            )


@dataclass(slots=True)
class WebhookCounts:
    """What became of the events so far; every one offered ends in one of the others."""

    offered: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    retries: int = 0


def sign(secret: bytes, timestamp: int, body: bytes) -> str:
    """Return the ``Guard-Signature`` value: HMAC-SHA256 over ``<timestamp>.<body>``."""
    signed = str(timestamp).encode() + b"." + body
    return f"t={timestamp},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


def verify(secret: bytes, header: str, body: bytes, *, now: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """Tell whether a received body is guard's and fresh; for receivers.

    Args:
        header: the ``Guard-Signature`` header.
        now: Unix seconds; an older or newer stamp than ``tolerance_s`` is a replay.
    """
    match = _SIGNATURE.fullmatch(header)
    if match is None or abs(now - int(match[1])) > tolerance_s:
        return False
    return hmac.compare_digest(sign(secret, int(match[1]), body), header)


def encoded(event: Mapping[str, Any]) -> bytes:
    """Return the body of an event as it is signed and sent."""
    return json.dumps(event, ensure_ascii=False, allow_nan=False).encode()


def signed_headers(secret: bytes, clock: Clock, body: bytes) -> dict[str, str]:
    """Return the headers of a signed body, stamped now."""
    signature = sign(secret, int(clock.utc().timestamp()), body)
    return {"Content-Type": "application/json", SIGNATURE_HEADER: signature}


@dataclass(frozen=True, slots=True)
class _Waiting:
    body: bytes
    gave_up: Callable[[str], None]


class WebhookSender:
    """Delivers events to one receiver in order, each tried a few times, then given up and counted."""

    def __init__(
        self,
        config: WebhookConfig,
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Prepare; nothing is sent before ``run``.

        Args:
            transport: replaces the network, for tests.
            sleep: waits between attempts, in seconds.
        """
        self.counts = WebhookCounts()
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._transport = transport
        self._queue: deque[_Waiting] = deque()
        self._ready = asyncio.Event()

    def offer(self, event: Mapping[str, Any], gave_up: Callable[[str], None] = lambda _: None) -> None:
        """Queue one event; never blocks, drops the oldest when full.

        Args:
            event: one JSON object.
            gave_up: told why it was given up: ``refused``, ``unreachable`` or ``queue_full``.
        """
        self.counts.offered += 1
        oldest = self._queue.popleft() if len(self._queue) >= self._config.queue_events else None
        self._queue.append(_Waiting(encoded(event), gave_up))
        self._ready.set()
        if oldest is not None:
            self.counts.dropped += 1
            oldest.gave_up("queue_full")

    async def run(self) -> None:
        """Deliver until cancelled."""
        # trust_env off: a proxy from the environment must not see alerts
        async with httpx.AsyncClient(
            transport=self._transport, follow_redirects=False, trust_env=False
        ) as client:
            while True:
                await self._ready.wait()
                while self._queue:
                    await self._deliver(client, self._queue.popleft())
                self._ready.clear()

    async def _deliver(self, client: httpx.AsyncClient, waiting: _Waiting) -> None:
        wait_s = self._config.first_wait_s
        for attempt in range(self._config.attempts):
            if attempt:
                self.counts.retries += 1
                await self._sleep(wait_s)
                wait_s *= 2
            status = await self._post(client, waiting.body)
            if status is not None and 200 <= status < 300:
                self.counts.delivered += 1
                return
            if status is not None and status < 500 and status not in RETRIED:
                self.counts.failed += 1
                waiting.gave_up("refused")  # asking again changes nothing
                return
        self.counts.failed += 1
        waiting.gave_up("unreachable")

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> int | None:
        headers = signed_headers(self._config.secret, self._clock, body)
        try:
            async with asyncio.timeout(self._config.timeout_s):
                async with client.stream("POST", self._config.url, content=body, headers=headers) as answer:
                    return answer.status_code  # what it says in the body is not read
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None
