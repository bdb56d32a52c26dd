"""Which peer connections exist, whose they are, and that they are closed when they should be."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from enum import StrEnum

from guard.errors import ConfigError, GuardError, NotFoundError, Overload
from guard.signalling.ports import MediaPlane
from guard.signalling.sdp import Offer
from guard.signalling.session import Session
from guard.signalling.sessions import Sessions


class Via(StrEnum):
    """How a peer connection was made."""

    ROOM = "room"
    WHIP = "whip"
    WHEP = "whep"


@dataclass(frozen=True, slots=True)
class Connection:
    """One peer connection of one participant; ``peer`` is its id in the media plane and in URLs."""

    peer: str
    session: str
    participant: str
    via: Via
    ufrag: str | None = None

    @property
    def main(self) -> bool:
        """Whether it is the participant's own one, of which there is only one: a room page or WHIP."""
        return self.via is not Via.WHEP


@dataclass(frozen=True, slots=True)
class ConnectionsConfig:
    """Limits; ``max_viewers`` is WHEP connections of one session."""

    max_viewers: int = 32
    negotiate_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.negotiate_timeout_s > 0:
            raise ConfigError("config_invalid", "connections.negotiate_timeout_s must be above zero")


class Connections:
    """All peer connections that signalling opened."""

    def __init__(
        self, media: MediaPlane, sessions: Sessions, config: ConnectionsConfig | None = None
    ) -> None:
        self._media = media
        self._sessions = sessions
        self._config = config or ConnectionsConfig()
        self._open: dict[str, Connection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        sessions.listen(ended=self._session_ended)

    def __len__(self) -> int:
        return len(self._open)

    def find(self, peer: str, *, session: str, via: Via) -> Connection:
        """Return a connection by id.

        Raises:
            NotFoundError: ``connection_unknown``, or the session ended.
        """
        self._sessions.get(session)
        found = self._open.get(peer)
        if found is None or found.session != session or found.via is not via:
            raise NotFoundError("connection_unknown", "no such connection; it may have been closed")
        return found

    async def open(
        self, session: Session, participant: str, via: Via, offer: Offer
    ) -> tuple[Connection, str]:
        """Make a connection from an offer; returns it and the answer.

        A participant's earlier main connection is closed first: the newest wins, so
        that somebody who lost the network can come back at once.

        Raises:
            GuardError: the media plane refused, or there is no room.
        """
        connection = Connection(secrets.token_urlsafe(12), session.id, participant, via, offer.ufrag)
        if connection.main:
            await self._replace(session.id, participant)
        else:
            viewers = [c for c in self._open.values() if c.session == session.id and c.via is Via.WHEP]
            if len(viewers) >= self._config.max_viewers:
                raise Overload("viewers_full", "too many viewers in this session")
        self._open[connection.peer] = connection
        try:
            answer = await self.negotiate(connection, offer)
        except BaseException:
            await self.close(connection, "refused")
            raise
        return connection, answer

    async def negotiate(self, connection: Connection, offer: Offer) -> str:
        """Hand an offer to the media plane; returns the answer.

        Raises:
            GuardError: as ``MediaPlane.negotiate``; ``negotiation_timeout`` when it takes too long.
        """
        try:
            async with asyncio.timeout(self._config.negotiate_timeout_s):
                answer = await self._media.negotiate(
                    connection.peer,
                    session=connection.session,
                    participant=connection.participant,
                    sdp=offer.sdp,
                    publish=offer.publish,
                    subscriptions=offer.subscriptions,
                )
        except TimeoutError as error:
            raise Overload("negotiation_timeout", "no answer in time; try again") from error
        if connection.peer not in self._open:
            # closed while the answer was being made (the session ended, or a newer page came)
            await self._media.close(connection.peer)
            raise NotFoundError("connection_unknown", "the connection was closed meanwhile")
        self._present(connection, here=offer.publish)
        return answer

    async def add_candidate(self, connection: Connection, candidate: str, mid: str | None) -> None:
        """Hand on one trickled candidate; an empty one (end of candidates) needs nothing."""
        if candidate:
            await self._media.add_candidate(connection.peer, candidate, mid)

    async def close(self, connection: Connection, reason: str = "closed") -> None:
        """Close a connection; closing twice is no error."""
        if self._open.pop(connection.peer, None) is not None:
            self._present(connection, here=False)
        await self._media.close(connection.peer, reason)

    def lost(self, peer: str) -> bool:
        """Forget a connection the media plane has closed by itself (the other side vanished).

        Returns:
            False where it had been closed from here.
        """
        connection = self._open.pop(peer, None)
        if connection is not None:
            self._present(connection, here=False)
        return connection is not None

    async def settle(self) -> None:
        """Wait until the connections of ended sessions are closed."""
        while self._closing:
            await asyncio.gather(*self._closing)

    async def _replace(self, session: str, participant: str) -> None:
        for old in list(self._open.values()):
            if old.main and old.session == session and old.participant == participant:
                await self.close(old, "replaced")

    def _present(self, connection: Connection, *, here: bool) -> None:
        if not connection.main:
            return
        try:
            session = self._sessions.get(connection.session)
            person = session.participant(connection.participant)
        except GuardError:
            return  # it ended meanwhile: nobody is left to be told
        before = (person.connected, person.publishing)
        person.publishing = here
        if connection.via is Via.WHIP:
            person.connected = here
        if before != (person.connected, person.publishing):
            self._sessions.announce(session)

    def _session_ended(self, session: Session) -> None:
        for connection in [c for c in self._open.values() if c.session == session.id]:
            del self._open[connection.peer]
            task = asyncio.get_running_loop().create_task(self._media.close(connection.peer, "ended"))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
