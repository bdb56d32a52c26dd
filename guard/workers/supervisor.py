"""Starts a child process, notices when it dies or hangs, and starts it again with back-off.

The child proves that it works by sending ``{"type": "heartbeat"}`` records. Without
one for ``heartbeat_timeout_s`` it counts as down and is killed; a process that is
alive but stuck is as blind as a dead one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guard.clock import Clock
from guard.errors import ConfigError
from guard.workers.link import Link, open_link
from guard.workers.wire import Message, Record, encode_message

LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How a child is watched.

    Args:
        heartbeat_timeout_s: silence after which the child counts as down.
        start_timeout_s: the same for a child still loading its models.
        backoff_first_s: wait before the first restart; doubled for each further one.
        backoff_max_s: longest wait between restarts.
        healthy_after_s: time up after which the back-off starts anew.
    """

    heartbeat_timeout_s: float = 1.5
    start_timeout_s: float = 30.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    healthy_after_s: float = 30.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) <= 0:
                raise ConfigError("config_value", f"analysis.worker.{name} must be greater than 0")


def backoff_s(config: WorkerConfig, failures: int) -> float:
    """Return the wait before the next start after ``failures`` starts in a row failed."""
    doubled = config.backoff_first_s * 2.0 ** min(max(failures - 1, 0), 16)
    return min(doubled, config.backoff_max_s)


class Worker:
    """One supervised child, ``python -m guard worker NAME``.

    Args:
        name: which worker, given to the child on its command line.
        arguments: further command-line words for the child.
        on_record: called for every record but heartbeats.
        on_up: called when the first heartbeat of a start arrived.
        on_down: called with the reason when a working or starting child is lost.
        on_writable: called when the child takes more records after being behind.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        config: WorkerConfig,
        on_record: Callable[[Record], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_writable: Callable[[], None] = lambda: None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.restarts = 0
        self.last_heartbeat: Message = {}
        self._arguments = tuple(arguments)
        self._clock = clock
        self._config = config
        self._on_record, self._on_up, self._on_down = on_record, on_up, on_down
        self._on_writable = on_writable
        self._link: Link | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._lost_reason = ""
        self._heard_s: float | None = None
        self._up = False

    @property
    def up(self) -> bool:
        """Whether the child is known to work now."""
        return self._up

    @property
    def pid(self) -> int | None:
        """Process id of the child, None where there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def writable(self) -> bool:
        """Whether a record written now would be taken."""
        return self._up and self._link is not None and self._link.writable

    def start(self) -> None:
        """Begin supervising; returns at once."""
        self._task = asyncio.create_task(self._supervise(), name=f"worker-{self.name}")

    async def stop(self) -> None:
        """Stop supervising and end the child."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def write(self, data: bytes) -> bool:
        """Send whole records; False where the child is down or behind."""
        return self._up and self._link is not None and self._link.write(data)

    def send(self, message: Message) -> bool:
        """Send one message; False where the child is down or behind."""
        return self.write(encode_message(message))

    async def _supervise(self) -> None:
        failures = 0
        while True:
            started_s = self._clock.now()
            await self._run_once()
            if self._clock.now() - started_s >= self._config.healthy_after_s:
                failures = 0
            failures += 1
            await asyncio.sleep(backoff_s(self._config, failures))

    async def _run_once(self) -> None:
        """Run one child to its end; tell of the loss before waiting for the process to be gone."""
        self._lost.clear()
        self._heard_s = None
        try:
            await self._spawn()
            self._down(await self._watch())
        except OSError as error:
            self._down(f"start_failed: {error.strerror}")
        finally:
            self._up = False
            await self._end_process()

    def _down(self, reason: str) -> None:
        self._up = False
        self.restarts += 1
        self._on_down(reason)

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "guard", "worker", self.name, "--fd", str(theirs.fileno()), *self._arguments),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
            )
            self._link = await open_link(
                ours, on_record=self._record, on_lost=self._link_lost, on_writable=self._on_writable
            )
        finally:
            theirs.close()

    async def _watch(self) -> str:
        started_s = self._clock.now()
        while True:
            since_s = self._heard_s if self._heard_s is not None else started_s
            limit_s = (
                self._config.heartbeat_timeout_s
                if self._heard_s is not None
                else self._config.start_timeout_s
            )
            left_s = since_s + limit_s - self._clock.now()
            if left_s <= 0:
                return "no_heartbeat"
            with contextlib.suppress(TimeoutError):
                # looks again often: the first heartbeat shortens the limit while this waits
                await asyncio.wait_for(self._lost.wait(), min(left_s, LOOK_EVERY_S))
                return self._lost_reason

    async def _end_process(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    def _record(self, record: Record) -> None:
        if isinstance(record, dict) and record.get("type") == "heartbeat":
            self._heard_s = self._clock.now()
            self.last_heartbeat = record
            if not self._up:
                self._up = True
                self._on_up()
            return
        self._on_record(record)

    def _link_lost(self, reason: str) -> None:
        self._lost_reason = reason
        self._lost.set()
