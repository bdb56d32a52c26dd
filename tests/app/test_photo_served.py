"""Somebody else than the enrolled photo shows, in the real ``guard serve``: the operator hears of it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from guard.codec.files import read_file
from guard.codec.packets import read_clip
from guard.demo.server import HOST, LocalServer
from guard.media.clip import Playlist
from guard.relay.client import ClientConfig, ScriptedClient
from guard.relay.client_http import join
from guard.resources import clips_dir
from guard.types import VideoFrame

PEOPLE = [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}]


def photo_of(clip: str) -> bytes:
    """Return the first picture of a clip of the demo as JPEG."""
    frames = read_file(clips_dir() / f"{clip}.webm")
    first = next(frame for frame in frames if isinstance(frame, VideoFrame))
    out = io.BytesIO()
    Image.fromarray(first.image).save(out, "JPEG", quality=92)
    return out.getvalue()


async def first_alert(server: LocalServer, photo: str, seen: str) -> dict[str, Any]:
    """Return the first alert of a customer who shows one clip while another's face is enrolled."""
    headers = {"Authorization": f"Bearer {server.operator_token}"}
    body = {"profile": "kz-ardfm", "participants": PEOPLE}
    made = (await server.http.post("/api/v1/sessions", json=body, headers=headers)).json()
    path = f"/api/v1/sessions/{made['id']}"
    enrolled = await server.http.put(
        f"{path}/participants/customer/face", content=photo_of(photo), headers=headers, timeout=60
    )
    assert enrolled.status_code == 204
    token = next(person["token"] for person in made["participants"] if person["id"] == "customer")
    client = ScriptedClient(
        Playlist(read_clip(clips_dir() / f"{seen}.webm")), ClientConfig(addresses=(HOST,))
    )
    following = server.http.stream("GET", f"{path}/events", headers=headers, timeout=None)
    async with following as stream:  # from here on no event is missed
        joined = await join(client, server.http, f"{server.url}/whip/{made['id']}", token)
        try:
            async for line in stream.aiter_lines():
                event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if event.get("type") == "alert":
                    return dict(event)
        finally:
            await joined.leave()
            await client.close()
    raise AssertionError("the events ended")


async def test_a_genuine_person_who_is_not_the_enrolled_one_raises_an_alert_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GUARD_ANALYSIS__WORKER__HEARTBEAT_TIMEOUT_S", "20")
    monkeypatch.setenv("GUARD_ANALYSIS__WORKER__HANG_TIMEOUT_S", "60")
    async with LocalServer("kz-ardfm") as server:
        alert = await first_alert(server, photo="customer_genuine", seen="agent_genuine")
    assert (alert["participant"], alert["state"]) == ("customer", "suspect")
    assert alert["reasons"][0] == "photo_mismatch"
    assert alert["llr"] is None or alert["llr"] < 4.3
    assert "face_identity" in alert["signals"]
    assert alert["advice"]["en"].startswith("Hold the operation and find out who is in front of the camera")
