"""``guard demo --profile kz-ardfm``: a customer who passes the check, an attacker who fails it, the records.

Two calls through a real ``guard serve``. The scripted person gets what the server puts on their screen and
answers only by pictures, drawn and encoded while the call runs; the check sees what is decoded of them. The
faces are rendered and say so. The commands are drawn by the server: nobody here knows them before they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.markup import escape

from guard.app.model_files import describe
from guard.clock import Clock, SystemClock
from guard.codec.encode import prepare_clip
from guard.demo.check_record import CheckRecord, outcome, signed_records
from guard.demo.puppet import Puppet
from guard.demo.puppet_actor import Actor, Performer
from guard.demo.puppet_attack import Frozen, Ignores, InTurn, Replay
from guard.demo.puppet_camera import PuppetCamera
from guard.demo.record import AlertRecord, CallRecord, as_json
from guard.demo.server import HOST, DemoError, LocalServer
from guard.media.clip import Clip, Playlist
from guard.media.live import LiveSource
from guard.relay.client import ClientConfig, ReceivedMessage, ScriptedClient
from guard.relay.client_http import Joined, join
from guard.resources import clips_dir, models_dir
from guard.windows.face_models import load_face_models

CUSTOMER, ATTACKER, AGENT = "customer", "attacker", "agent"
# the profile whose rules ask for three visual commands in every call
PROFILE = "kz-ardfm"
# the agent starts the check when the customer has been there this long, unless guard has begun one by itself
_READY_S = 4.0
_CALL_S = 200.0
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class CheckDemoOptions:
    """What the command line asks for."""

    profile: str
    seed: int
    quiet: bool
    language: str = "ru"


class CheckCall:
    """One call in which one scripted person is checked.

    Args:
        server: the running server.
        who: id of the person.
        performer: what the person does.
        puppet: draws them.
        sound: what is heard of them.
        agent: the other side's clip.
        options: see CheckDemoOptions.
        record: of both calls; states and alerts are added.
        clock: of the call.
        console: where commands and results are told.
    """

    def __init__(
        self,
        server: LocalServer,
        who: str,
        performer: Performer,
        *,
        puppet: Puppet,
        sound: Clip,
        agent: Clip,
        options: CheckDemoOptions,
        record: CallRecord,
        clock: Clock,
        console: Console,
    ) -> None:
        self.check = CheckRecord(who)
        self._server, self._who, self._options = server, who, options
        self._record, self._clock, self._console = record, clock, console
        self._over = asyncio.Event()
        self._begun = asyncio.Event()
        self._tokens: dict[str, str] = {}
        source = LiveSource(sound)
        person = ClientConfig(data_channel=True, addresses=(HOST,))
        self._person = ScriptedClient(source, person, clock=clock, on_message=self._on_screen)
        self._agent = ScriptedClient(Playlist(agent), person, clock=clock, on_message=self._to_agent)
        watch = ClientConfig(receive=1, addresses=(HOST,))
        self._watcher = ScriptedClient(None, watch, clock=clock)
        media_time_s = self._person.media_time_s
        self._camera = PuppetCamera(puppet, performer, source, clock=clock, media_time_s=media_time_s)

    async def run(self) -> None:
        """Hold the call until the check is over.

        Raises:
            DemoError: ``demo_check``, no check ended in time.
        """
        await self._open()
        events = asyncio.create_task(self._follow_events())
        joined: list[Joined] = []
        try:
            await self._join_all(joined)
            await self._checked()
        finally:
            events.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await events
            for resource in joined:
                await resource.leave()
            for client in (self._person, self._agent, self._watcher):
                await client.close()
            await self._camera.stop()
            self.check.drawn = self._camera.drawn
            await self._server.act(self.check.session, "end", None, "demonstration over")

    async def _open(self) -> None:
        people = [
            {"id": self._who, "role": "customer", "suspectable": True},
            {"id": AGENT, "role": "agent", "suspectable": False},
        ]
        opened = await self._server.create_session(self._options.profile, people)
        self.check.session = opened["id"]
        self._tokens = {person["id"]: person["token"] for person in opened["participants"]}

    async def _join_all(self, joined: list[Joined]) -> None:
        """The agent comes first; then the person, whose camera starts with the call."""
        url, http, session = self._server.url, self._server.http, self.check.session
        whip = f"{url}/whip/{session}"
        joined.append(await join(self._agent, http, whip, self._tokens[AGENT]))
        await self._agent.connected()
        self._camera.start()
        joined.append(await join(self._person, http, whip, self._tokens[self._who]))
        await self._person.connected()
        whep = f"{url}/whep/{session}/{self._who}"
        joined.append(await join(self._watcher, http, whep, self._tokens[AGENT]))
        await self._watcher.connected()

    async def _checked(self) -> None:
        """Begin the check, unless guard has begun one by itself; wait for its end."""
        try:
            await asyncio.wait_for(self._begun.wait(), _READY_S)
        except TimeoutError:
            token, language = self._tokens[AGENT], self._options.language
            await self._server.challenge(self.check.session, self._who, "visual", language, token=token)
        try:
            await asyncio.wait_for(self._over.wait(), _CALL_S)
        except TimeoutError:
            raise DemoError("demo_check", f"no check of {self._who} ended within {_CALL_S:.0f} s") from None
        await asyncio.sleep(_SETTLE_S)  # the last event and record are on their way

    def _on_screen(self, message: ReceivedMessage) -> None:
        """Take what the server shows this person, hand it to them, and say that it is shown."""
        body = message.body
        if body.get("participant") != self._who:
            return
        match body.get("type"):
            case "check_begins":
                self._begun.set()
            case "command":
                self._begun.set()
                self._command(body)
            case "check_over":
                self.check.over = body
                if not body["again"]:
                    self._over.set()
            case _:
                return
        self._camera.show(body, message.arrival_s)

    def _command(self, body: Mapping[str, Any]) -> None:
        if body["gesture"] == "say_words":
            # nobody can read words here: the person asks for other commands, as a page offers
            self._person.say({"v": 1, "type": "needs", "id": body["id"], "needs": ["no_speech"]})
            return
        shown = {key: body[key] for key in ("id", "number", "step")}
        self._person.say({"v": 1, "type": "shown", **shown})
        if body["step"] == 0:
            self.check.shown.append({key: body[key] for key in ("attempt", "number", "gesture")})
            text = body["text"]["en"]
            place = f"{body['attempt']}.{body['number']}"
            self._console.print(f"  {place}  [bold]{body['gesture']}[/bold]  {escape(text)}")

    def _to_agent(self, message: ReceivedMessage) -> None:
        body = message.body
        if body.get("type") != "alert" or any(a.id == body["id"] for a in self._record.alerts):
            return
        age = datetime.now(UTC) - datetime.fromisoformat(str(body["at"]))
        alert = AlertRecord(
            id=str(body["id"]),
            participant=str(body["participant"]),
            recipient=AGENT,
            channel="data_channel",
            state=str(body["state"]),
            decided_s=self._clock.now() - age.total_seconds(),
            received_s=message.arrival_s,
        )
        self._record.alerts.append(alert)
        self._agent.acknowledge(alert.id)
        alert.acked_s = self._clock.now()

    async def _follow_events(self) -> None:
        async for event in self._server.events(self.check.session):
            if event.get("type") == "state":
                self._record.observe_state(self._clock.now(), event)
            elif event.get("type") == "challenge" and event["participant"] == self._who:
                self.check.attempts.append(event)
                style = {"pass": "green", "fail": "red"}.get(event["result"], "yellow")
                said = f"attempt {event['attempt']}: {event['result']} ({event['reason']})"
                self._console.print(f"  [{style}]{said}[/{style}]")


async def run_check_demo(options: CheckDemoOptions) -> dict[str, Any]:
    """Run both calls and return the JSON object of docs/cli.md.

    Raises:
        GuardError: it could not be run at all.
    """
    clock, console = SystemClock(), Console(stderr=True)
    record = CallRecord(roles={CUSTOMER: "customer", ATTACKER: "customer", AGENT: "agent"})
    record.face_source = "rendered"
    checks: list[CheckRecord] = []
    with TemporaryDirectory(prefix="guard-clips-") as cache:
        sound, agent = (prepare_clip(clips_dir() / name, Path(cache)) for name in _CLIPS)
        models = load_face_models(models_dir())
        console.print("starting guard serve on loopback", style="dim")
        async with LocalServer(options.profile) as server:
            record.start_s, cpu_s = clock.now(), server.cpu_s()
            for who, performer, line in _people(options.seed):
                console.print(line, style="bold cyan")
                puppet = Puppet.bundled(models, seed=options.seed)
                call = CheckCall(
                    server,
                    who,
                    performer,
                    puppet=puppet,
                    sound=sound,
                    agent=agent,
                    options=options,
                    record=record,
                    clock=clock,
                    console=console,
                )
                checks.append(call.check)
                await call.run()
            record.end_s = clock.now()
            await _account(server, record, cpu_s)
            records = signed_records(server.data_dir, [check.session for check in checks])
    result = as_json(record, ATTACKER, switching=False)
    result["ok"], result["reason"] = outcome(checks, records)
    result["checks"] = [check.as_json() for check in checks]
    result["records"] = records
    _print(console, result, quiet=options.quiet)
    return result


_CLIPS = ("customer_genuine.webm", "agent_genuine.webm")


def _people(seed: int) -> list[tuple[str, Performer, str]]:
    cheat = InTurn([Replay(seed), Frozen(seed), Ignores(seed)])
    return [
        (CUSTOMER, Actor(seed), "a customer (rendered face) does what the screen asks"),
        (
            ATTACKER,
            cheat,
            "an attacker (rendered face) plays a recording of an earlier check, then a frozen picture, "
            "then only talks",
        ),
    ]


async def _account(server: LocalServer, record: CallRecord, cpu_before_s: float) -> None:
    duration_s = record.end_s - record.start_s
    record.relay["cpu_s_per_call_s"] = round((server.cpu_s() - cpu_before_s) / duration_s, 4)
    metrics = await server.metrics()
    record.relay["packets_forwarded"] = metrics.get("guard_rtp_packets_forwarded_total", 0.0)
    record.relay["packets_lost"] = metrics.get("guard_rtp_packets_lost_total", 0.0)
    record.models = {card["name"]: card["sha256"] for card in describe()}


def _print(console: Console, result: Mapping[str, Any], *, quiet: bool) -> None:
    """Print the records, on stdout where no JSON goes there."""
    if not quiet:
        out = Console(soft_wrap=True)
        for entry in result["records"]:
            for line in entry["lines"]:
                out.print_json(json.dumps(line, ensure_ascii=False), indent=None)
    for entry in result["records"]:
        state = "verified" if entry["verified"]["ok"] else "NOT VERIFIED"
        console.print(f"{entry['verified']['path']}: {len(entry['lines'])} records, {state}")
    style = "bold green" if result["ok"] else "bold red"
    console.print(f"{'ok' if result['ok'] else 'FAILED'}: {result['reason']}", style=style)
