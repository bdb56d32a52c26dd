"""The demonstration: server, two WebRTC clients, the switch, the warnings, the account of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tomllib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.live import Live

from guard.app.model_files import describe
from guard.clock import Clock, SystemClock
from guard.codec.encode import prepare_clip
from guard.demo.record import AlertRecord, CallRecord, as_json
from guard.demo.server import HOST, LocalServer
from guard.demo.view import screen
from guard.media.clip import Clip, Playlist
from guard.relay.client import ClientConfig, ReceivedMessage, ScriptedClient
from guard.relay.client_http import Joined, join
from guard.resources import clips_dir

CUSTOMER, AGENT = "customer", "agent"
GENUINE_S = 24.0
SYNTHETIC_S = 28.0
BETWEEN_SWITCHES_S = 62.0
JITTER_S = 4.0
ACK_AFTER_S = 6.0
QUICK_ACK_S = 1.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asks for; ``switches`` 0 keeps the genuine clip."""

    genuine: Path | None
    synthetic: Path | None
    switches: int
    seed: int
    profile: str
    quiet: bool


@dataclass(frozen=True, slots=True)
class Clips:
    """The media of the call, encoded."""

    genuine: Clip
    synthetic: Clip
    agent: Clip


def load_clips(options: DemoOptions, cache: Path) -> Clips:
    """Load the bundled or the given clips; other codecs are converted once, before the call.

    Raises:
        MediaError: a file cannot be read or converted.
    """
    folder = clips_dir()
    return Clips(
        genuine=prepare_clip(options.genuine or folder / "customer_genuine.webm", cache),
        synthetic=prepare_clip(options.synthetic or folder / "customer_synthetic.webm", cache),
        agent=prepare_clip(folder / "agent_genuine.webm", cache),
    )


class DemoCall:
    """One call between a customer and a bank agent, as two real clients see it."""

    def __init__(self, server: LocalServer, clips: Clips, options: DemoOptions, clock: Clock) -> None:
        self.record = CallRecord(roles={CUSTOMER: "customer", AGENT: "agent"})
        self.phase = "joining"
        self.session = ""
        self.page = server.url
        self._server = server
        self._clips = clips
        self._options = options
        self._clock = clock
        self._tokens: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alerted = asyncio.Event()
        self._customer = self._publisher(clips.genuine, channel=False)
        self._agent = self._publisher(clips.agent, channel=True)
        self._clients = [self._customer, self._agent]

    async def run(self) -> None:
        """Hold the call from joining to hanging up."""
        await self._open()
        events = asyncio.create_task(self._follow_events())
        joined: list[Joined] = []
        try:
            joined = await self._join_all()
            cpu_before_s = self._server.cpu_s()
            self.record.start_s = self._clock.now()
            await self._play()
            self.record.end_s = self._clock.now()
            await self._account(cpu_before_s)
        finally:
            for task in (events, *self._tasks):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            for resource in joined:
                await resource.leave()
            for client in self._clients:
                await client.close()

    def _publisher(self, clip: Clip, *, channel: bool) -> ScriptedClient:
        config = ClientConfig(data_channel=channel, addresses=(HOST,))
        return ScriptedClient(Playlist(clip), config, clock=self._clock, on_message=self._message)

    async def _open(self) -> None:
        people = [
            {"id": CUSTOMER, "role": "customer", "suspectable": True},
            {"id": AGENT, "role": "agent", "suspectable": False},
        ]
        opened = await self._server.create_session(self._options.profile, people)
        self.session = opened["id"]
        for person in opened["participants"]:
            self._tokens[person["id"]] = person["token"]
            if person["id"] == AGENT:
                self.page = person["url"]

    async def _join_all(self) -> list[Joined]:
        url, http = self._server.url, self._server.http
        joined = []
        for who, client in ((CUSTOMER, self._customer), (AGENT, self._agent)):
            joined.append(await join(client, http, f"{url}/whip/{self.session}", self._tokens[who]))
            await client.connected()
        for who, other in ((CUSTOMER, AGENT), (AGENT, CUSTOMER)):
            watcher = ScriptedClient(None, ClientConfig(receive=1, addresses=(HOST,)), clock=self._clock)
            self._clients.append(watcher)
            target = f"{url}/whep/{self.session}/{other}"
            joined.append(await join(watcher, http, target, self._tokens[who]))
            await watcher.connected()
        return joined

    async def _play(self) -> None:
        """Genuine, then synthetic as often as asked, at moments drawn from the seed."""
        dice = random.Random(self._options.seed)
        self.phase = "the genuine caller speaks"
        await asyncio.sleep(GENUINE_S + dice.uniform(0, JITTER_S))
        if not self._options.switches:
            await asyncio.sleep(SYNTHETIC_S)
            return
        for number in range(self._options.switches):
            if number:
                await self._back_to_genuine(dice)
            self._alerted.clear()
            self.record.switches_s.append(self._customer.switch_source(self._clips.synthetic))
            self.phase = "voice and face are synthetic now"
            if self._options.switches == 1:
                await asyncio.sleep(SYNTHETIC_S)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._alerted.wait(), SYNTHETIC_S)

    async def _back_to_genuine(self, dice: random.Random) -> None:
        """A person acknowledges, the genuine caller is back until the next alert may be sent."""
        self.phase = "the genuine caller is back"
        self._customer.switch_source(self._clips.genuine)
        await asyncio.sleep(GENUINE_S)
        last = self.record.alerts[-1] if self.record.alerts else None
        if last is not None:
            await self._server.act(
                self.session, "acknowledge", last.id, "demonstration: checked by call back"
            )
        due_s = self.record.switches_s[-1] + BETWEEN_SWITCHES_S + dice.uniform(0, JITTER_S)
        await asyncio.sleep(max(due_s - self._clock.now(), 0.0))

    def _message(self, message: ReceivedMessage) -> None:
        """Take one data-channel message of the agent; a repeated alert counts once."""
        body = message.body
        if body.get("type") != "alert" or any(a.id == body["id"] for a in self.record.alerts):
            return
        alert = AlertRecord(
            id=str(body["id"]),
            participant=str(body["participant"]),
            recipient=AGENT,
            channel="data_channel",
            state=str(body["state"]),
            decided_s=self._monotonic(str(body["at"])),
            received_s=message.arrival_s,
        )
        self.record.alerts.append(alert)
        self._alerted.set()
        task = asyncio.create_task(self._acknowledge(alert))
        self._tasks.add(task)

    async def _acknowledge(self, alert: AlertRecord) -> None:
        await asyncio.sleep(ACK_AFTER_S if self._options.switches <= 1 else QUICK_ACK_S)
        self._agent.acknowledge(alert.id)
        alert.acked_s = self._clock.now()

    def _monotonic(self, at: str) -> float:
        """Return an RFC 3339 moment of this host as monotonic seconds."""
        age = datetime.now(UTC) - datetime.fromisoformat(at)
        return self._clock.now() - age.total_seconds()

    async def _follow_events(self) -> None:
        async for event in self._server.events(self.session):
            if event.get("type") == "state":
                self._state(event)

    def _state(self, event: Mapping[str, Any]) -> None:
        self.record.observe_state(self._clock.now(), event)

    async def _account(self, cpu_before_s: float) -> None:
        duration_s = self.record.end_s - self.record.start_s
        self.record.relay["cpu_s_per_call_s"] = round((self._server.cpu_s() - cpu_before_s) / duration_s, 4)
        metrics = await self._server.metrics()
        self.record.relay["packets_forwarded"] = metrics.get("guard_rtp_packets_forwarded_total", 0.0)
        self.record.relay["packets_lost"] = metrics.get("guard_rtp_packets_lost_total", 0.0)
        self.record.models = {card["name"]: card["sha256"] for card in describe()}


@contextlib.asynccontextmanager
async def _shown(call: DemoCall, clock: Clock, *, quiet: bool) -> AsyncIterator[None]:
    """Show the live view while the call runs; on stderr where stdout carries JSON."""
    console = Console(stderr=quiet)
    with Live(console=console, refresh_per_second=4, transient=False) as live:

        async def refresh() -> None:
            while True:
                live.update(screen(call.record, clock.now(), phase=call.phase, page=call.page))
                await asyncio.sleep(0.25)

        task = asyncio.create_task(refresh())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            live.update(screen(call.record, call.record.end_s, phase="over", page=call.page))


async def run_demo(options: DemoOptions) -> dict[str, Any]:
    """Run the whole demonstration and return its JSON object.

    Raises:
        GuardError: it could not be run at all.
    """
    clock = SystemClock()
    console = Console(stderr=True)
    _hang_up_on_sigterm()
    with TemporaryDirectory(prefix="guard-clips-") as cache:
        clips = load_clips(options, Path(cache))
        console.print("starting guard serve on loopback", style="dim")
        async with LocalServer(options.profile) as server:
            call = DemoCall(server, clips, options, clock)
            async with _shown(call, clock, quiet=options.quiet):
                await call.run()
    call.record.face_source = face_source(options)
    result = as_json(call.record, CUSTOMER, switching=options.switches > 0)
    style = "bold green" if result["ok"] else "bold red"
    console.print(f"{'ok' if result['ok'] else 'FAILED'}: {result['reason']}", style=style)
    return result


def _hang_up_on_sigterm() -> None:
    """Let SIGTERM end the call as Ctrl-C does, so that nothing is left running or lying about."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)


def face_source(options: DemoOptions) -> str | None:
    """Return how the bundled genuine face was made; None for a clip of one's own."""
    if options.genuine is not None:
        return None
    sources = tomllib.loads((clips_dir() / "SOURCES.toml").read_text(encoding="utf-8"))
    clips = {clip["file"]: clip for clip in sources["clip"]}
    return str(clips["customer_genuine.webm"]["face_source"])
