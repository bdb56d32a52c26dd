"""The room's WebSocket, through the real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.websockets import WebSocket, WebSocketState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from guard.alert import Alert
from guard.api import create_app
from guard.api.server import HttpServer, ServerConfig
from guard.errors import AccessError, GuardError, PeerError
from guard.signalling.messages import parse_message
from guard.signalling.ports import ActionKind
from guard.signalling.rooms import Rooms, RoomsConfig
from guard.signalling.session import NewParticipant
from guard.signalling.sessions import SessionsConfig
from guard.signalling.tokens import Access
from guard.types import Role, State
from tests.signalling.fakes import ANSWER, PUBLISH, House, house, offer
from tests.signalling.test_device_message import REPORT

JOIN = {"v": 1, "type": "join", "consent": True, "language": "kk"}
WATCH = offer(("audio", "0", "sendonly"), ("audio", "2", "recvonly"), ("video", "3", "recvonly"))


class Page:
    """A scripted call page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, message: object) -> None:
        with contextlib.suppress(ConnectionClosed):  # what it was closed with is asked afterwards
            await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of a type; what came before it is kept in ``seen``."""
        async with asyncio.timeout(5):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                self.seen.append(message)
                if message["type"] == kind:
                    return message

    async def closed(self) -> int:
        """The code the server closes with."""
        async with asyncio.timeout(5):
            while True:
                try:
                    self.seen.append(json.loads(await self.socket.recv()))
                except ConnectionClosed as closed:
                    assert closed.rcvd is not None
                    return closed.rcvd.code


class Building:
    """A running server, its parts, and pages on it."""

    def __init__(self, home: House, port: int) -> None:
        self.home = home
        self.port = port
        self.session = home.sessions.create(
            None, [NewParticipant("cust", Role.CUSTOMER), NewParticipant("agent", Role.AGENT)]
        )
        self._open: list[ClientConnection] = []

    async def connect(self, participant: str, role: Role, *, token: str | None = None) -> Page:
        token = token if token is not None else self.home.token(self.session.id, participant, role)
        url = f"ws://127.0.0.1:{self.port}/ws/{self.session.id}?token={token}"
        socket = await connect(url, compression=None, max_size=None)
        self._open.append(socket)
        return Page(socket)

    async def join(self, participant: str, role: Role) -> tuple[Page, dict[str, Any]]:
        page = await self.connect(participant, role)
        await page.send(JOIN)
        return page, await page.until("welcome")

    async def leave(self) -> None:
        for socket in self._open:
            await socket.close()


async def building(sessions_config: SessionsConfig | None = None) -> AsyncIterator[Building]:
    home = house(sessions_config=sessions_config)
    server = HttpServer(create_app(home.services), ServerConfig(host="127.0.0.1", port=0))
    await server.start()
    made = Building(home, server.port)
    try:
        yield made
    finally:
        await made.leave()
        await server.stop()


@pytest.fixture
async def hall() -> AsyncIterator[Building]:
    async for made in building():
        yield made


def alert(session: str, about: str = "cust") -> Alert:
    return Alert(
        id="a-1",
        session=session,
        participant=about,
        state=State.SPOOF,
        llr=6.0,
        signals=["voice_spoof"],
        advice={"kk": "тоқтатыңыз", "ru": "остановите", "en": "hold"},
        at="2026-01-01T00:00:00.000Z",
        expires_at="2026-01-01T00:10:00.000Z",
    )


async def test_a_page_is_welcomed_and_others_hear_of_it(hall: Building) -> None:
    agent, welcome = await hall.join("agent", Role.AGENT)
    assert welcome["you"] == {"id": "agent", "role": "agent", "watches": True}
    assert welcome["ice_servers"] == []
    assert welcome["states"] == {
        "cust": {"state": "undecided", "llr": None, "signals": {}, "reasons": [], "alert": None}
    }
    await agent.until("participants")
    _, seen = await hall.join("cust", Role.CUSTOMER)
    assert seen["states"] == {} and seen["alerts"] == []
    consent = await agent.until("consent")
    assert (consent["participant"], consent["language"]) == ("cust", "kk")
    assert hall.home.sessions.language_of(hall.session.id, "cust") == "kk"
    assert hall.home.sessions.language_of(hall.session.id, "nobody") is None
    people = (await agent.until("participants"))["participants"]
    assert {p["id"]: p["connected"] for p in people} == {"cust": True, "agent": True}


async def test_offers_are_answered_and_carry_subscriptions(hall: Building) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    await agent.send({"type": "offer", "id": 7, "sdp": PUBLISH})
    assert await agent.until("answer") == {"v": 1, "type": "answer", "id": 7, "sdp": ANSWER}
    wanted = {"2": "cust", "3": "cust"}
    await agent.send({"type": "offer", "id": 8, "sdp": WATCH, "subscriptions": wanted})
    await agent.until("answer")
    first, second = hall.home.media.calls
    assert first.peer == second.peer
    assert (second.subscriptions, second.publish) == (wanted, True)
    await agent.send({"type": "candidate", "candidate": "candidate:1", "mid": "0"})
    await agent.send({"type": "candidate", "candidate": "", "mid": "0"})
    await agent.send({"type": "offer", "id": 9, "sdp": WATCH, "fresh": True})
    await agent.until("answer")
    assert "media" not in {message["type"] for message in agent.seen}, "asked for, not lost"
    assert hall.home.media.candidates == [(first.peer, "candidate:1", "0")]
    assert hall.home.media.closed == [(first.peer, "replaced")]


async def test_states_and_alerts_reach_the_agent_and_never_the_suspect(hall: Building) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    sessions, name = hall.home.sessions, hall.session.id
    sessions.update_state(name, "cust", state=State.SPOOF, llr=6.0, signals={})
    sessions.publish_alert(alert(name))
    assert (await agent.until("state"))["state"] == "spoof"
    assert await agent.until("alert") == alert(name).as_json()
    await agent.send({"type": "ack", "id": "a-1"})
    assert (await agent.until("acknowledged"))["by"] == "agent"
    sessions.end(name)
    await cust.closed()
    assert {m["type"] for m in cust.seen} <= {"welcome", "participants", "session"}
    assert [a.alert for a in hall.home.log.actions] == ["a-1"]


async def test_an_agent_learns_nothing_about_themselves(hall: Building) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    sessions, name = hall.home.sessions, hall.session.id
    sessions.update_state(name, "agent", state=State.SPOOF, llr=6.0, signals={})
    sessions.publish_alert(alert(name, about="agent"))
    await agent.send({"type": "ack", "id": "a-1"})
    assert (await agent.until("error"))["code"] == "alert_unknown"
    assert {m["type"] for m in agent.seen} == {"welcome", "participants", "error"}


async def test_a_customer_cannot_acknowledge(hall: Building) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    hall.home.sessions.publish_alert(alert(hall.session.id, about="agent"))
    await cust.send({"type": "ack", "id": "a-1"})
    assert (await cust.until("error"))["code"] == "alert_unknown"
    assert hall.home.log.actions == []


async def test_a_guest_takes_note_of_what_was_addressed_to_them_and_no_more(hall: Building) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    hall.home.sessions.publish_alert(alert(hall.session.id, about="agent"), {"cust"})
    assert (await cust.until("alert"))["participant"] == "agent"
    _, welcome = await hall.join("cust", Role.CUSTOMER)
    assert [a["id"] for a in welcome["alerts"]] == ["a-1"]
    access = Access(hall.session.id, "cust", Role.CUSTOMER)
    actions, name = hall.home.services.actions, hall.session.id
    for kind, reason in ((ActionKind.ACKNOWLEDGE, "all is well"), (ActionKind.HOLD, None)):
        with pytest.raises(AccessError):
            await actions.perform(access, name, kind, alert="a-1", reason=reason)
    await actions.perform(access, name, ActionKind.ACKNOWLEDGE, alert="a-1", reason=None)
    assert [a.by for a in hall.home.log.actions] == ["cust"]


async def test_an_open_alert_greets_who_comes_later(hall: Building) -> None:
    hall.home.sessions.publish_alert(alert(hall.session.id))
    _, welcome = await hall.join("agent", Role.AGENT)
    assert [a["id"] for a in welcome["alerts"]] == ["a-1"]
    hall.home.clock.advance(601)
    _, later = await hall.join("agent", Role.AGENT)
    assert later["alerts"] == []


async def test_leaving_closes_the_connection_and_tells_the_others(hall: Building) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    await cust.until("answer")
    await cust.send({"type": "leave"})
    assert await cust.closed() == 1000
    while any(
        p["id"] == "cust" and p["connected"] for p in (await agent.until("participants"))["participants"]
    ):
        pass
    while hall.home.media.open:
        await agent.until("participants")
    assert len(hall.home.services.rooms) == 1


async def test_a_page_that_vanishes_is_cleaned_up(hall: Building) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    cust.socket.transport.abort()

    def here() -> bool:
        return hall.session.participants["cust"].connected

    await agent.until("participants")
    while here():
        await agent.until("participants")
    assert len(hall.session.hub) == 1


async def test_joining_again_replaces_the_first_page(hall: Building) -> None:
    first, _ = await hall.join("cust", Role.CUSTOMER)
    second, _ = await hall.join("cust", Role.CUSTOMER)
    assert await first.closed() == 4409
    await second.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    await second.until("answer")
    assert hall.session.participants["cust"].connected


async def test_a_lost_media_connection_asks_the_page_for_a_fresh_one(hall: Building) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    await cust.until("answer")
    assert hall.session.participants["cust"].publishing
    hall.home.services.rooms.media_lost(hall.home.media.calls[0].peer)
    assert (await cust.until("media"))["state"] == "lost"
    assert not hall.session.participants["cust"].publishing
    await cust.send({"type": "offer", "id": 2, "sdp": PUBLISH, "fresh": True})
    await cust.until("answer")
    first, second = hall.home.media.calls
    assert first.peer != second.peer


@pytest.mark.parametrize(
    ("token", "code"),
    [("", 4401), ("garbage", 4401), ("other", 4403), ("operator", 4403), ("role", 4403), ("expired", 4401)],
)
async def test_a_wrong_token_closes_the_page(hall: Building, token: str, code: int) -> None:
    home = hall.home
    made = {
        "other": home.token("another", "cust", Role.CUSTOMER),
        "operator": home.operator(),
        "role": home.token(hall.session.id, "cust", Role.AGENT),
        "expired": home.token(hall.session.id, "cust", Role.CUSTOMER, ttl_s=1),
    }.get(token, token)
    home.clock.advance(1.0)
    page = await hall.connect("cust", Role.CUSTOMER, token=made)
    await page.send(JOIN)
    assert await page.closed() == code


async def test_whoever_changes_the_language_of_the_page_is_warned_in_it(hall: Building) -> None:
    page, _ = await hall.join("cust", Role.CUSTOMER)
    assert hall.home.sessions.language_of(hall.session.id, "cust") == "kk"
    await page.send({"v": 1, "type": "language", "language": "en"})
    await page.send({"v": 1, "type": "candidate", "candidate": ""})  # its answer shows that both were read
    assert (await page.until("error"))["code"] == "offer_missing"
    assert hall.home.sessions.language_of(hall.session.id, "cust") == "en"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", 4400),
        ({"type": "language", "language": "en"}, 4400),
        ("[1]", 4400),
        (b"\x00\x01", 4400),
        ({"type": "offer", "id": 1, "sdp": "v=0"}, 4400),
        ({"type": "join", "consent": False, "language": "kk"}, 4400),
        ({"type": "join", "consent": True, "language": "fr"}, 4400),
    ],
)
async def test_a_wrong_first_message_closes_the_page(hall: Building, message: object, code: int) -> None:
    page = await hall.connect("cust", Role.CUSTOMER)
    await page.send(message)
    assert await page.closed() == code
    assert not hall.session.participants["cust"].connected


@pytest.mark.parametrize(
    "message",
    ["{", '{"type":"shell"}', '{"type":"ack"}', b"\xff", '{"type":"leave","extra":1}', "[" * 50_000],
)
async def test_garbage_closes_its_page_and_no_other(hall: Building, message: str | bytes) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send(message)
    assert await cust.closed() == 4400
    await agent.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    await agent.until("answer")


async def test_too_long_a_message_closes_the_page(hall: Building) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send("x" * 400_000)
    assert await cust.closed() == 1009


async def test_a_flood_closes_the_page(hall: Building) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    for _ in range(201):
        await cust.send({"type": "candidate", "candidate": ""})
    assert await cust.closed() == 4429


@pytest.mark.parametrize(
    ("sdp", "subscriptions", "code"),
    [
        ("hello", {}, "sdp_malformed"),
        (WATCH, {"0": "agent"}, "subscription_invalid"),
        (WATCH, {"9": "agent"}, "subscription_invalid"),
        (WATCH, {"2": "cust"}, "subscription_invalid"),
        (WATCH, {"2": "nobody"}, "participant_unknown"),
    ],
)
async def test_a_bad_offer_is_answered_with_its_code_and_the_page_stays(
    hall: Building, sdp: str, subscriptions: dict[str, str], code: str
) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send({"type": "offer", "id": 3, "sdp": sdp, "subscriptions": subscriptions})
    error = await cust.until("error")
    assert (error["code"], error["re"]) == (code, 3)
    await cust.send({"type": "offer", "id": 4, "sdp": PUBLISH})
    await cust.until("answer")


async def test_the_media_planes_refusal_is_told_and_may_be_tried_again(hall: Building) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    hall.home.media.refuse = PeerError("codec_unknown", "no common codec")
    await cust.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    assert (await cust.until("error"))["code"] == "codec_unknown"
    hall.home.media.refuse = None
    await cust.send({"type": "offer", "id": 2, "sdp": PUBLISH})
    await cust.until("answer")


async def test_ending_the_session_closes_every_page(hall: Building) -> None:
    agent, _ = await hall.join("agent", Role.AGENT)
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    await cust.until("answer")
    hall.home.sessions.end(hall.session.id)
    assert hall.home.sessions.language_of(hall.session.id, "cust") is None
    for page in (agent, cust):
        assert await page.closed() == 4410
        assert page.seen[-1] == {"v": 1, "type": "session", "session": hall.session.id, "state": "ended"}
    again = await hall.connect("cust", Role.CUSTOMER)
    await again.send(JOIN)
    assert await again.closed() == 4410
    await hall.home.services.connections.settle()
    assert hall.home.media.open == set()


class StuckSocket:
    """A page that has joined and reads nothing any more."""

    client_state = application_state = WebSocketState.CONNECTED

    def __init__(self) -> None:
        self.first = True
        self.code = 0
        self.sending = asyncio.Event()

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, object]:
        if not self.first:
            await asyncio.Event().wait()
        self.first = False
        return {"type": "websocket.receive", "text": json.dumps(JOIN)}

    async def send_json(self, _: object) -> None:
        self.sending.set()
        await asyncio.Event().wait()

    async def close(self, code: int, _: str) -> None:
        self.code = code


async def test_a_page_that_stops_reading_is_closed_and_holds_up_nobody() -> None:
    home = house()
    rooms = Rooms(
        tokens=home.tokens,
        sessions=home.sessions,
        connections=home.services.connections,
        actions=home.services.actions,
        clock=home.clock,
        config=RoomsConfig(send_timeout_s=0.05),
    )
    made = home.sessions.create(
        None, [NewParticipant("agent", Role.AGENT), NewParticipant("cust", Role.CUSTOMER)]
    )
    stuck = StuckSocket()
    token = home.token(made.id, "agent", Role.AGENT)
    serving = asyncio.create_task(rooms.serve(cast(WebSocket, stuck), made.id, token))
    async with asyncio.timeout(5):
        await stuck.sending.wait()
        for _ in range(10_000):
            home.sessions.update_state(made.id, "cust", state=State.SUSPECT, llr=1.0, signals={})
        await serving
    assert stuck.code == 4508
    assert home.sessions.dropped_events > 9_000
    assert not made.participants["agent"].connected
    assert len(made.hub) == 0


async def test_a_page_that_never_joins_is_closed() -> None:
    home = house()
    rooms = Rooms(
        tokens=home.tokens,
        sessions=home.sessions,
        connections=home.services.connections,
        actions=home.services.actions,
        clock=home.clock,
        config=RoomsConfig(join_timeout_s=0.01),
    )
    made = home.sessions.create(None, [NewParticipant("agent", Role.AGENT)])
    silent = StuckSocket()
    silent.first = False
    await rooms.serve(cast(WebSocket, silent), made.id, home.token(made.id, "agent", Role.AGENT))
    assert silent.code == 4408


async def test_a_command_line_token_opens_its_room(hall: Building) -> None:
    tokens = hall.home.tokens
    hall.session.id = "demo-room"  # the helper's address; no such session yet
    plain = await hall.connect("agent", Role.AGENT)
    await plain.send(JOIN)
    assert await plain.closed() == 4404
    token = tokens.issue("demo-room", "agent", Role.AGENT, ttl_s=60, may_open=True)
    page = await hall.connect("agent", Role.AGENT, token=token)
    await page.send(JOIN)
    assert (await page.until("welcome"))["session"] == "demo-room"


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_message_or_a_peer_error(text: str) -> None:
    with pytest.raises(GuardError) as caught:
        parse_message(text)
    assert caught.value.code == "message_malformed"


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["join", "offer", "candidate", "ack", "leave"]),
    st.dictionaries(st.sampled_from(["id", "sdp", "candidate", "mid", "consent", "subscriptions"]), _JSON),
)
def test_any_json_object_is_a_message_or_a_peer_error(kind: str, fields: dict[str, object]) -> None:
    try:
        message = parse_message(json.dumps({"type": kind, **fields}))
    except PeerError as error:
        assert error.code == "message_malformed"
        assert len(error.message) <= 200
    else:
        assert message.type == kind


async def test_what_a_page_says_of_its_camera_is_handed_on_and_nothing_else_is_taken_for_it(
    hall: Building,
) -> None:
    cust, _ = await hall.join("cust", Role.CUSTOMER)
    await cust.send(REPORT)
    await cust.send({"type": "offer", "id": 1, "sdp": PUBLISH})
    await cust.until("answer")
    told = hall.home.devices
    assert [(session, who, message.kind) for session, who, message in told] == [
        (hall.session.id, "cust", "physical")
    ]
    assert not any(message["type"] == "device" for message in cust.seen)
    await cust.send(REPORT | {"label": "Somebody's camera"})
    assert await cust.closed() == 4400
    assert len(told) == 1
