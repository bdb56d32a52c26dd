"""The room: one WebSocket per call page, for offers, presence, states and alerts.

The protocol is written down in docs/signalling.md. A page is one task that reads, one
that writes; what is sent goes through the page's bounded ``Subscription``, so one slow
page never delays another. Anything that is not the protocol closes the socket with a code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from guard.clock import Clock, rfc3339
from guard.errors import AccessError, ConfigError, GuardError, PeerError
from guard.signalling.actions import Actions
from guard.signalling.check_messages import (
    CheckMessage,
    ClientMessage,
    ComparedMessage,
    NeedsMessage,
    ShownMessage,
)
from guard.signalling.closing import CLOSE_LEFT, Budget, close, close_code
from guard.signalling.connections import Connection, Connections, Via
from guard.signalling.hub import Subscription
from guard.signalling.messages import (
    Ack,
    Candidate,
    DeviceMessage,
    Join,
    LanguageMessage,
    Leave,
    Message,
    OfferMessage,
    parse_message,
)
from guard.signalling.ports import ActionKind
from guard.signalling.sdp import Offer, read_offer
from guard.signalling.session import Participant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access, Tokens
from guard.signalling.views import decisions, drill_label, open_alerts, open_steps, people, standing
from guard.signalling.visibility import may_see_state


@dataclass(frozen=True, slots=True)
class RoomsConfig:
    """Limits of one page's socket.

    Args:
        message_rate_hz: messages a second in the long run; a burst may be ten seconds' worth.
        ice_servers: RTCIceServer objects for the page; empty = host candidates only.
    """

    max_message_bytes: int = 320 * 1024
    message_rate_hz: float = 20.0
    join_timeout_s: float = 15.0
    send_timeout_s: float = 10.0
    ice_servers: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_message_bytes", "message_rate_hz", "join_timeout_s", "send_timeout_s"):
            if not getattr(self, name) > 0:
                raise ConfigError("config_invalid", f"rooms.{name} must be above zero")


@dataclass(eq=False, slots=True)
class _Page:
    """One open call page."""

    socket: WebSocket
    access: Access
    session: Session
    person: Participant
    inbox: Subscription
    connection: Connection | None = None
    verdict: GuardError | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self, why: GuardError) -> None:
        """Close the page from outside."""
        self.verdict = why
        self.over.set()


class Rooms:
    """Serves the call pages of all sessions."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        sessions: Sessions,
        connections: Connections,
        actions: Actions,
        clock: Clock,
        config: RoomsConfig | None = None,
        on_page: Callable[[str, str, bool], None] = lambda *_: None,
        on_device: Callable[[str, str, DeviceMessage], None] = lambda *_: None,
        on_check: Callable[[str, str, CheckMessage], None] = lambda *_: None,
    ) -> None:
        """Serve no page yet.

        Args:
            on_page: told (session, participant, open) when somebody's page has joined or gone.
            on_device: told (session, participant, report) what somebody's page says of its camera.
            on_check: told (session, participant, message) what it says of a check.
        """
        self._tokens = tokens
        self._sessions = sessions
        self._connections = connections
        self._actions = actions
        self._clock = clock
        self._config = config or RoomsConfig()
        self._on_page = on_page
        self._on_device = on_device
        self._on_check = on_check
        self._pages: dict[tuple[str, str], _Page] = {}

    def __len__(self) -> int:
        return len(self._pages)

    async def serve(self, socket: WebSocket, session: str, token: str | None) -> None:
        """Serve one page until it leaves, is thrown out, or the session ends."""
        await socket.accept()
        try:
            access = self._tokens.verify(token)
            access.require_session(session)
            if access.site_operator:
                raise AccessError("token_forbidden", "an operator joins with the link of one session")
            page = await self._join(socket, access)
            try:
                await self._run(page)
            finally:
                await self._leave(page)
            await close(socket, CLOSE_LEFT, "left")
        except GuardError as error:
            await close(socket, close_code(error), error.code)
        except WebSocketDisconnect:
            return  # it hung up; everything is cleaned up by now

    def media_lost(self, peer: str) -> None:
        """Tell the page whose peer connection broke, so that it offers a fresh one.

        The media plane may report every end here; those that were asked for change nothing.
        """
        if not self._connections.lost(peer):
            return
        for page in self._pages.values():
            if page.connection is not None and page.connection.peer == peer:
                page.connection = None
                page.inbox.put({"v": 1, "type": "media", "state": "lost"})

    async def _join(self, socket: WebSocket, access: Access) -> _Page:
        try:
            async with asyncio.timeout(self._config.join_timeout_s):
                first = parse_message(await self._receive(socket))
        except TimeoutError as error:
            raise PeerError("join_missing", "the first message, join, did not come in time") from error
        if not isinstance(first, Join):
            raise PeerError("message_malformed", "the first message is join")
        session, person = self._sessions.admit(access)
        page = _Page(socket, access, session, person, self._sessions.subscribe(session, access))
        key = (session.id, person.id)
        if (old := self._pages.get(key)) is not None:
            old.stop(PeerError("replaced", "joined again from elsewhere"))
        self._pages[key] = page
        page.inbox.put(self._welcome(page))
        session.hub.publish(
            {
                "v": 1,
                "type": "consent",
                "session": session.id,
                "participant": person.id,
                "language": first.language,
                "at": rfc3339(self._clock.utc()),
            }
        )
        person.connected, person.language = True, first.language
        self._sessions.announce(session)
        self._on_page(session.id, person.id, True)
        return page

    def _welcome(self, page: _Page) -> dict[str, Any]:
        session, access = page.session, page.access
        return {
            "v": 1,
            "type": "welcome",
            **drill_label(session),
            "session": session.id,
            "profile": session.profile,
            "state": session.phase.value,
            "you": {"id": page.person.id, "role": page.person.role.value, "watches": access.watches},
            "ice_servers": [dict(server) for server in self._config.ice_servers],
            **people(session),
            "states": {
                p.id: standing(p)
                for p in session.participants.values()
                if p.suspectable and may_see_state(access, p.id)
            },
            "alerts": open_alerts(session, access, self._clock.utc()),
            "steps": open_steps(session, access),
            "decisions": decisions(session, access),
        }

    async def _run(self, page: _Page) -> None:
        tasks = [
            asyncio.ensure_future(self._read(page)),
            asyncio.ensure_future(self._write(page)),
            asyncio.ensure_future(page.over.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if page.verdict is not None:
                raise page.verdict
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self, page: _Page) -> None:
        key = (page.session.id, page.person.id)
        page.session.hub.unsubscribe(page.inbox)
        if page.connection is not None:
            await self._connections.close(page.connection)
        if self._pages.get(key) is page:
            del self._pages[key]
            page.person.connected = False
            self._sessions.announce(page.session)
            self._on_page(*key, False)

    async def _read(self, page: _Page) -> None:
        budget = Budget(self._config.message_rate_hz, self._clock.now())
        while True:
            text = await self._receive(page.socket)
            budget.spend(self._clock.now())
            message = parse_message(text)
            if isinstance(message, Leave):
                return
            try:
                await self._handle(page, message)
            except GuardError as error:
                reply: dict[str, Any] = {
                    "v": 1,
                    "type": "error",
                    "code": error.code,
                    "message": error.message,
                }
                if isinstance(message, OfferMessage | Ack):
                    reply["re"] = message.id
                page.inbox.put(reply)

    async def _write(self, page: _Page) -> None:
        while not page.inbox.ended:
            event = await page.inbox.next(timeout_s=3600)
            if page.inbox.dropped:
                raise PeerError("too_slow", "the page cannot keep up; it joins again")
            if event is not None:
                try:
                    async with asyncio.timeout(self._config.send_timeout_s):
                        await page.socket.send_json(event)
                except TimeoutError as error:
                    raise PeerError("too_slow", "the page does not read") from error
        raise PeerError("session_ended", "the call has ended")

    async def _receive(self, socket: WebSocket) -> str:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        if text is None:
            raise PeerError("message_malformed", "messages are JSON text")
        if len(text) > self._config.max_message_bytes:
            raise PeerError(
                "message_too_big", f"a message has at most {self._config.max_message_bytes} bytes"
            )
        return str(text)

    async def _handle(self, page: _Page, message: Message) -> None:
        match message:
            case OfferMessage():
                answer = await self._negotiate(page, message)
                page.inbox.put({"v": 1, "type": "answer", "id": message.id, "sdp": answer})
            case Candidate():
                if page.connection is None:
                    raise PeerError("offer_missing", "send an offer before candidates")
                await self._connections.add_candidate(page.connection, message.candidate, message.mid)
            case Ack():
                await self._actions.perform(
                    page.access, page.session.id, ActionKind.ACKNOWLEDGE, alert=message.id, reason=None
                )
            case LanguageMessage():
                page.person.language = message.language
            case DeviceMessage():
                self._on_device(page.session.id, page.person.id, message)
            case ShownMessage() | NeedsMessage() | ComparedMessage() | ClientMessage():
                self._on_check(page.session.id, page.person.id, message)
            case _:
                raise PeerError("message_unexpected", "already joined")

    async def _negotiate(self, page: _Page, message: OfferMessage) -> str:
        offer = self._check(page, message)
        if page.connection is not None and message.fresh:
            await self._connections.close(page.connection, "replaced")
            page.connection = None
        if page.connection is not None:
            return await self._connections.negotiate(page.connection, offer)
        page.connection, answer = await self._connections.open(page.session, page.person.id, Via.ROOM, offer)
        return answer

    def _check(self, page: _Page, message: OfferMessage) -> Offer:
        for wanted in message.subscriptions.values():
            page.session.participant(wanted)
            if wanted == page.person.id:
                raise PeerError("subscription_invalid", "nobody subscribes to themselves")
        return read_offer(message.sdp, message.subscriptions)
