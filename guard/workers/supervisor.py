"""Starts a child process, notices when it dies or hangs, and starts it again with back-off.

The child proves that it works by sending ``{"type": "heartbeat"}`` records. Without
one for ``heartbeat_timeout_s`` it counts as down: a process that is alive but stuck is
as blind as a dead one. It is killed only after ``hang_timeout_s``: on a machine that is
short of processor time for a moment it comes back with all it knows of the calls, where
a restart would lose that and load the models anew. Time in which the supervisor itself
did not run is not held against the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guard.clock import Clock
from guard.errors import ConfigError
from guard.workers.link import Link, open_link
from guard.workers.wire import Message, Record, encode_message

LOOK_EVERY_S = 0.1
# a look that comes later than this was late because this process did not run
MAX_LOOK_S = 2 * LOOK_EVERY_S
# messages that wait for a child that is behind; one that leaves more unread is as good as stuck
MAX_UNSENT = 4096


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How a child is watched.

    Args:
        heartbeat_timeout_s: silence after which the child counts as down.
        hang_timeout_s: silence after which it is killed and started anew.
        start_timeout_s: the same for a child still loading its models.
        backoff_first_s: wait before the first restart; doubled for each further one.
        backoff_max_s: longest wait between restarts.
        healthy_after_s: time up after which the back-off starts anew.
    """

    heartbeat_timeout_s: float = 1.5
    hang_timeout_s: float = 6.0
    start_timeout_s: float = 30.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    healthy_after_s: float = 30.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) <= 0:
                raise ConfigError("config_value", f"analysis.worker.{name} must be greater than 0")
        if self.hang_timeout_s < self.heartbeat_timeout_s:
            raise ConfigError(
                "config_value", "analysis.worker.hang_timeout_s must be at least heartbeat_timeout_s"
            )


@dataclass(slots=True)
class Silence:
    """How long a child has said nothing, as one who looks ``LOOK_EVERY_S`` apart can tell.

    Args:
        looked_s: when it was looked last.
        silent_s: the silence up to then, without the time in which nobody could look.
    """

    looked_s: float
    silent_s: float = 0.0

    def look(self, now: float, *, heard: bool) -> float:
        """Return the seconds of silence up to ``now``; ``heard``: the child spoke since the last look."""
        self.silent_s = 0.0 if heard else self.silent_s + min(now - self.looked_s, MAX_LOOK_S)
        self.looked_s = now
        return self.silent_s


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
        on_up: called when the first heartbeat of a start arrived, and when a silent child is heard again.
        on_down: called with the reason when a child falls silent, and when one is lost.
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
        self._started = False
        self._heard = False
        self._up = False
        self._unsent: deque[bytes] = deque()

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
        """Whether a record written now would be taken; a silent child takes what it can hold."""
        return self._started and not self._unsent and self._link is not None and self._link.writable

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
        """Send whole records; False where the child is gone or behind."""
        return self.writable and self._link is not None and self._link.write(data)

    def send(self, message: Message) -> bool:
        """Send one message, now or as soon as the child takes it, in order; False where there is none."""
        if not self._started:
            return False
        data = encode_message(message)
        if not self.write(data):
            self._unsent.append(data)
            if len(self._unsent) > MAX_UNSENT:
                self._link_lost("fell_behind")
        return True

    def _flush(self) -> None:
        """The child takes records again: first the messages that waited, then whoever else waits."""
        while self._unsent and self._link is not None and self._link.write(self._unsent[0]):
            self._unsent.popleft()
        if not self._unsent:
            self._on_writable()

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
        self._started = self._heard = False
        try:
            await self._spawn()
            self._down(await self._watch())
        except OSError as error:
            self._down(f"start_failed: {error.strerror}")
        finally:
            self._up = self._started = False
            self._unsent.clear()
            await self._end_process()

    def _down(self, reason: str) -> None:
        self._up = self._started = False
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
                ours, on_record=self._record, on_lost=self._link_lost, on_writable=self._flush
            )
        finally:
            theirs.close()

    async def _watch(self) -> str:
        """Return why the child is lost; a silence that may end is told of at once."""
        silence = Silence(self._clock.now())
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), LOOK_EVERY_S)
                return self._lost_reason
            silent_s = silence.look(self._clock.now(), heard=self._heard)
            self._heard = False
            if self._up and silent_s >= self._config.heartbeat_timeout_s:
                self._up = False
                self._on_down("no_heartbeat")
            if silent_s >= (self._config.hang_timeout_s if self._started else self._config.start_timeout_s):
                return "hung"

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
            self._heard = self._started = True
            self.last_heartbeat = record
            if not self._up:
                self._up = True
                self._on_up()
            return
        self._on_record(record)

    def _link_lost(self, reason: str) -> None:
        self._lost_reason = reason
        self._lost.set()
