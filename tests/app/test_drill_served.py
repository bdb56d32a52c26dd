"""A synthetic attack through the real ``guard serve``: ordered, played, ended, and on record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner

from guard.cli import app
from guard.codec.packets import read_clip
from guard.demo.server import HOST, LocalServer
from guard.evidence.keys import PUBLIC_NAME
from guard.media.clip import Playlist
from guard.relay.client import ClientConfig, ScriptedClient
from guard.relay.client_http import join
from guard.resources import clips_dir
from tests.evidence.support import records

PEOPLE = [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}]


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    # a busy machine must not end the attack half way
    monkeypatch.setenv("GUARD_ANALYSIS__WORKER__HEARTBEAT_TIMEOUT_S", "20")
    monkeypatch.setenv("GUARD_ANALYSIS__WORKER__HANG_TIMEOUT_S", "60")
    async with LocalServer("kz-ardfm") as running:
        yield running


async def attacked(
    server: LocalServer, drills: str, lines: AsyncIterator[str], headers: dict[str, str]
) -> dict[str, Any]:
    """Order an attack, end it as soon as it has begun, and return the event that says what came of it."""
    order = {"participant": "customer", "attack": "both", "after_s": 1, "seconds": 60}
    (await server.http.post(drills, json=order, headers=headers)).raise_for_status()
    async for line in lines:
        event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if event.get("type") != "drill":
            continue
        assert event["drill"] is True
        if event["reaction"] == "injected":
            gone = await server.http.delete(f"{drills}/{event['id']}", headers=headers)
            assert gone.status_code == 204
        elif event["reaction"] == "over" and event["why"] != "no_media":
            return dict(event)
        elif event["reaction"] == "over":  # nothing of the customer has been judged yet: once more
            (await server.http.post(drills, json=order, headers=headers)).raise_for_status()
    raise AssertionError("the events ended")


async def test_an_attack_is_played_ended_and_signed(server: LocalServer) -> None:
    headers = {"Authorization": f"Bearer {server.operator_token}"}
    body: dict[str, Any] = {"profile": "kz-ardfm", "participants": PEOPLE, "drill": True}
    made = (await server.http.post("/api/v1/sessions", json=body, headers=headers)).json()
    token = next(person["token"] for person in made["participants"] if person["id"] == "customer")
    drills = f"/api/v1/sessions/{made['id']}/drills"
    clip = read_clip(clips_dir() / "customer_genuine.webm")
    customer = ScriptedClient(Playlist(clip), ClientConfig(addresses=(HOST,)))
    joined = await join(customer, server.http, f"{server.url}/whip/{made['id']}", token)
    following = server.http.stream(
        "GET", f"/api/v1/sessions/{made['id']}/events", headers=headers, timeout=None
    )
    try:
        async with following as stream:  # from here on no event is missed
            event = await attacked(server, drills, stream.aiter_lines(), headers)
    finally:
        await joined.leave()
        await customer.close()
    assert (event["result"], event["why"], event["own_state"]) == ("cut_short", "stopped", "undecided")
    body = {"action": "end"}
    ended = await server.http.post(f"/api/v1/sessions/{made['id']}/actions", json=body, headers=headers)
    assert ended.status_code == 204
    path = server.data_dir / "records" / f"{made['id']}.jsonl"
    while records(path)[-1].type != "closed":
        await server.view("none")  # the writer has a thread of its own
    words = ["evidence", "verify", str(path), "--key", str(server.data_dir / PUBLIC_NAME), "--closed"]
    assert CliRunner().invoke(app, words).exit_code == 0
    bodies = [record.body for record in records(path) if record.type == "drill"]
    told = [(body["reaction"], str(body["by"]).split("-")[0]) for body in bodies]
    assert told[-4:] == [
        ("ordered", "operator"),
        ("injected", "None"),
        ("stopped", "operator"),
        ("over", "None"),
    ]
