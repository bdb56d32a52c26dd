"""The real ``guard serve``, as a subprocess, seen from outside."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from guard.codec.files import read_file
from guard.demo.server import LocalServer
from guard.resources import clips_dir
from guard.types import VideoFrame

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE = [
    {"id": "mallory", "role": "customer", "suspectable": True},
    {"id": "alice", "role": "agent", "suspectable": False},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer("meeting") as running:
        yield running


def children(pid: int, name: str) -> list[int]:
    """Return the pids of the relay process's children that run the named worker."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if name.encode() in command:
                found.append(int(child))
    return found


async def until_state(server: LocalServer, session: str, state: str, deadline_s: float) -> None:
    """Ask until the customer is in the state; fail after the deadline."""
    async with asyncio.timeout(deadline_s):
        while (await server.view(session))["participants"][0]["state"] != state:
            pass  # each turn waits for the server's answer


async def test_a_killed_analysis_process_is_shown_within_two_seconds_and_restarted(
    server: LocalServer,
) -> None:
    session = (await server.create_session("meeting", PEOPLE))["id"]
    (analysis,) = children(server.pid, "analysis")
    os.kill(analysis, signal.SIGKILL)
    await until_state(server, session, "detector_down", 2.0)
    assert (await server.view(session))["participants"][0]["llr"] is None
    assert (await server.http.get("/readyz")).status_code == 503
    await until_state(server, session, "undecided", 20.0)
    (restarted,) = children(server.pid, "analysis")
    assert restarted != analysis


async def test_a_hanging_analysis_process_is_noticed_like_a_dead_one(server: LocalServer) -> None:
    session = (await server.create_session("meeting", PEOPLE))["id"]
    (analysis,) = children(server.pid, "analysis")
    os.kill(analysis, signal.SIGSTOP)
    await until_state(server, session, "detector_down", 2.0)
    await until_state(server, session, "undecided", 20.0)
    assert analysis not in children(server.pid, "analysis")


async def test_an_analysis_process_that_comes_back_in_time_goes_on_and_has_missed_no_word(
    server: LocalServer,
) -> None:
    session = (await server.create_session("meeting", PEOPLE))["id"]
    (analysis,) = children(server.pid, "analysis")
    os.kill(analysis, signal.SIGSTOP)
    await until_state(server, session, "detector_down", 2.0)
    # both reach the process only when it runs again
    later = (await server.create_session("meeting", PEOPLE))["id"]
    assert (await server.view(later))["participants"][0]["state"] == "detector_down"
    os.kill(analysis, signal.SIGCONT)
    await until_state(server, session, "undecided", 2.0)
    await until_state(server, later, "undecided", 2.0)
    assert children(server.pid, "analysis") == [analysis]
    assert (await server.http.get("/readyz")).status_code == 200


async def test_a_voice_is_enrolled_through_both_processes_and_bad_bytes_are_refused(
    server: LocalServer,
) -> None:
    session = (await server.create_session("meeting", PEOPLE))["id"]
    url = f"/api/v1/sessions/{session}/participants/mallory/voice"
    operator = {"Authorization": f"Bearer {server.operator_token}"}
    voice = (clips_dir() / "voices" / "customer_genuine.opus").read_bytes()
    answer = await server.http.put(url, content=voice, headers=operator, timeout=60)
    assert (answer.status_code, answer.text) == (204, "")
    for content, code in ((b"no audio" * 100, "voice_unreadable"), (voice[:9000], "voice_too_short")):
        refused = await server.http.put(url, content=content, headers=operator, timeout=60)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert (await server.http.delete(url, headers=operator)).status_code == 204
    assert (await server.http.get("/readyz")).status_code == 200


async def test_a_face_is_enrolled_through_both_processes_and_bad_photos_are_refused(
    server: LocalServer,
) -> None:
    session = (await server.create_session("meeting", PEOPLE))["id"]
    url = f"/api/v1/sessions/{session}/participants/mallory/face"
    operator = {"Authorization": f"Bearer {server.operator_token}"}
    frames = read_file(clips_dir() / "customer_genuine.webm")
    picture = Image.fromarray(next(f for f in frames if isinstance(f, VideoFrame)).image)
    photo, grey = io.BytesIO(), io.BytesIO()
    picture.save(photo, "JPEG")
    Image.new("RGB", picture.size, "grey").save(grey, "PNG")
    answer = await server.http.put(url, content=photo.getvalue(), headers=operator, timeout=60)
    assert (answer.status_code, answer.text) == (204, "")
    for content, code in ((b"no photo" * 100, "photo_unreadable"), (grey.getvalue(), "photo_no_face")):
        refused = await server.http.put(url, content=content, headers=operator, timeout=60)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert (await server.http.delete(url, headers=operator)).status_code == 204
    assert (await server.http.get("/readyz")).status_code == 200


async def test_nothing_is_readable_without_a_token(server: LocalServer) -> None:
    session = (await server.create_session("meeting", PEOPLE))["id"]
    for path in (f"/api/v1/sessions/{session}", f"/api/v1/sessions/{session}/events"):
        answer = await server.http.get(path)
        assert answer.status_code == 401
        assert answer.json()["code"] == "token_missing"
    refused = await server.http.post("/api/v1/sessions", json={"profile": "meeting", "participants": []})
    assert refused.status_code == 401


async def test_the_page_is_served_over_tls_and_ready_is_green(server: LocalServer) -> None:
    assert (await server.http.get("/readyz")).json()["status"] == "ok"
    page = await server.http.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    key = server.data_dir / "tls-key.pem"
    assert key.stat().st_mode & 0o077 == 0
