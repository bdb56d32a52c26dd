"""Training calls through a real ``guard serve``: are the bundled synthetic voice and face noticed, and when?

    python -m benchmarks.drills [--profile kz-ardfm] [--attacks voice face both] [--seconds 35] [--out FILE]

For each attack one training call between two WebRTC clients, the bundled genuine customer and an agent. An
operator orders the attack; the detectors get the bundled synthetic clip in the place of the customer's voice,
face or both, and what they say is all there is: nothing is scripted but the agent, who acknowledges
``REACT_S`` after the first warning. Checked beside it: every picture and packet that reached the agent is
one of the customer's own clip, and nothing of the drill was counted with real calls. Exit 1 where that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from guard.clock import Clock, SystemClock
from guard.codec.encode import prepare_clip
from guard.demo.server import HOST, LocalServer
from guard.media.clip import Clip, Playlist
from guard.relay.client import ClientConfig, ReceivedMessage, ScriptedClient
from guard.relay.client_http import join
from guard.resources import clips_dir
from guard.types import Kind

REACT_S = 2.0
KNOWN_S = 12.0
AFTER_S = 10.0
KEPT_FRAMES = 20_000
# whatever else keeps the machine busy must not end an attack half way
PATIENCE = {
    "GUARD_ANALYSIS__WORKER__HEARTBEAT_TIMEOUT_S": "20",
    "GUARD_ANALYSIS__WORKER__HANG_TIMEOUT_S": "60",
}
# of real calls: none of them may move
REAL = (
    "guard_alerts_total",
    "guard_deliveries_total",
    "guard_acks_total",
    "guard_alert_acknowledged_seconds_count",
    "guard_alert_delivery_seconds_count",
    "guard_verdict_latency_seconds_count",
    "guard_playbook_steps_total",
    "guard_challenges_total",
)


@dataclass
class Call:
    """What was seen of one training call."""

    attack: str
    events: list[dict[str, Any]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    alerted_s: list[float] = field(default_factory=list)
    acknowledged: asyncio.Task[None] | None = None


class Training:
    """Holds the calls, one after another.

    Args:
        server: a running server.
        clips: of the customer and the agent.
        profile: of the calls.
        seconds: how long each attack lasts.
    """

    def __init__(
        self, server: LocalServer, clips: tuple[Clip, Clip], profile: str, seconds: float, clock: Clock
    ) -> None:
        self._server, self._clips, self._profile = server, clips, profile
        self._seconds, self._clock = seconds, clock

    async def hold(self, attack: str) -> dict[str, Any]:
        """Hold one call with one attack; return what came of it."""
        call = Call(attack)
        opened = await self._post("/api/v1/sessions", drill=True, profile=self._profile, participants=_PEOPLE)
        session = opened["id"]
        tokens = {person["id"]: person["token"] for person in opened["participants"]}
        follow = asyncio.create_task(self._follow(session, call))
        customer = self._client(call, self._clips[0])
        agent = self._client(call, self._clips[1])
        watcher = ScriptedClient(
            None, ClientConfig(receive=1, keep_frames=KEPT_FRAMES, addresses=(HOST,)), clock=self._clock
        )
        url, http = self._server.url, self._server.http
        try:
            for who, client in (("customer", customer), ("agent", agent)):
                await join(client, http, f"{url}/whip/{session}", tokens[who])
                await client.connected()
            await join(watcher, http, f"{url}/whep/{session}/customer", tokens["agent"])
            await watcher.connected()
            await asyncio.sleep(KNOWN_S)
            wanted = {"attack": attack, "after_s": AFTER_S, "seconds": self._seconds}
            await self._post(f"/api/v1/sessions/{session}/drills", participant="customer", **wanted)
            async with asyncio.timeout(AFTER_S + self._seconds + 20.0):
                await call.over.wait()
        finally:
            follow.cancel()
            await self._post(f"/api/v1/sessions/{session}/actions", action="end")
            for client in (customer, agent, watcher):
                await client.close()
        return {**_account(call), "forwarded": self._forwarded(watcher)}

    def _client(self, call: Call, clip: Clip) -> ScriptedClient:
        config = ClientConfig(data_channel=clip is self._clips[1], addresses=(HOST,))
        client = ScriptedClient(
            Playlist(clip), config, clock=self._clock, on_message=lambda m: self._message(call, client, m)
        )
        return client

    def _message(self, call: Call, agent: ScriptedClient, message: ReceivedMessage) -> None:
        warned = message.body.get("state") in ("suspect", "spoof")
        if message.body.get("type") == "alert" and warned and call.acknowledged is None:
            call.alerted_s.append(message.arrival_s)
            call.acknowledged = asyncio.create_task(self._acknowledge(agent, str(message.body["id"])))

    async def _acknowledge(self, agent: ScriptedClient, alert: str) -> None:
        await asyncio.sleep(REACT_S)
        agent.acknowledge(alert)

    async def _follow(self, session: str, call: Call) -> None:
        async for event in self._server.events(session):
            if event["type"] == "drill":
                call.events.append(event)
                if event.get("reaction") == "over":
                    call.over.set()

    def _forwarded(self, watcher: ScriptedClient) -> dict[str, int]:
        """Count what the agent received of the customer, and what of it is not in the customer's own clip."""
        own = {kind: {p.data for p in self._clips[0].packets(kind)} for kind in Kind}
        counts = {}
        for kind in Kind:
            kept = [frame.data for track in watcher.received(kind) for frame in track.kept]
            counts[kind.value] = len(kept)
            counts[f"{kind.value}_not_the_customers"] = sum(data not in own[kind] for data in kept)
        return counts

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._server.operator_token}"}
        answer = await self._server.http.post(path, json=body, headers=headers)
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}


_PEOPLE = [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}]


def _account(call: Call) -> dict[str, Any]:
    """Return the course of an attack in the words of its own events."""
    last = call.events[-1]
    reactions = {e["reaction"]: e["delay_s"] for e in call.events if e.get("by") == "agent"}
    return {
        "attack": call.attack,
        "result": last["result"],
        "reached_s": last["reached_s"],
        "judged": last["judged"],
        "llr": None if last["llr"] is None else round(last["llr"], 2),
        "own_state": last["own_state"],
        "reactions_s": reactions,
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Hold a call for each attack and return all of it."""
    clock = SystemClock()
    with TemporaryDirectory(prefix="guard-clips-") as cache:
        names = ("customer_genuine.webm", "agent_genuine.webm")
        customer, agent = (prepare_clip(clips_dir() / name, Path(cache)) for name in names)
        async with LocalServer(options.profile) as server:
            training = Training(server, (customer, agent), options.profile, options.seconds, clock)
            before = await server.metrics()
            attacks = [await training.hold(attack) for attack in options.attacks]
            after = await server.metrics()
    moved = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in REAL}
    drills = {name: value for name, value in after.items() if name.startswith("guard_drill_") and value}
    return {
        "v": 1,
        "profile": options.profile,
        "seconds": options.seconds,
        "attacks": attacks,
        "real_counters_moved": {name: by for name, by in moved.items() if by},
        "drill_counters": {n: v for n, v in drills.items() if n.endswith(("_total", "_count", "_sum"))},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profile", default="kz-ardfm")
    parser.add_argument(
        "--attacks", nargs="+", choices=["voice", "face", "both"], default=["voice", "face", "both"]
    )
    parser.add_argument("--seconds", type=float, default=35.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    os.environ.update(PATIENCE)
    load = os.getloadavg()[0]
    result = asyncio.run(measure(options))
    result["load_average"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    text = json.dumps(result, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    foreign = sum(
        a["forwarded"][f"{kind.value}_not_the_customers"] for a in result["attacks"] for kind in Kind
    )
    raise SystemExit(1 if foreign or result["real_counters_moved"] else 0)


if __name__ == "__main__":
    main()
