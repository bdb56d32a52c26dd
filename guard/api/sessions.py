"""``/api/v1/sessions``: open calls, look at them, act on them, listen to their events."""

# no postponed annotations here: FastAPI reads them, and the dependencies are local to a function

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from guard.api.auth import from_header, from_header_or_query, require_site_operator, require_watcher
from guard.api.services import Services
from guard.signalling.actions import MAX_REASON_CHARS
from guard.signalling.check_messages import NeedNames
from guard.signalling.hub import Subscription
from guard.signalling.messages import Name
from guard.signalling.ports import ActionKind
from guard.signalling.session import NewParticipant, Session
from guard.signalling.tokens import Access
from guard.signalling.views import summary
from guard.types import Role, State

# as for checks that policy starts (guard.app.wanted_checks)
DEFAULT_LANGUAGE = "ru"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewParticipantBody(_Body):
    """One person of a new session."""

    id: Name
    role: Role
    suspectable: bool | None = Field(
        default=None, description="whether they are analysed; by default customers and guests are"
    )


class NewSessionBody(_Body):
    """A new session; no profile takes the server's default."""

    profile: Annotated[str, Field(max_length=64)] | None = None
    participants: Annotated[list[NewParticipantBody], Field(min_length=1, max_length=64)]
    drill: bool = Field(default=False, description="a training call: labelled everywhere, never counted")


class InvitedParticipant(BaseModel):
    """One person of a new session with their token and link."""

    id: str
    role: Role
    token: str
    url: str


class NewSession(BaseModel):
    """A session that was opened."""

    id: str
    participants: list[InvitedParticipant]


class ActionBody(_Body):
    """A person's decision; ``alert`` names the warning it answers."""

    action: ActionKind
    alert: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)] | None = None
    state: Literal[State.SUSPECT, State.SPOOF, State.DETECTOR_DOWN] | None = Field(
        default=None,
        description="what the warning said; an acknowledgement is refused where it is worse by now",
    )


class ChallengeBody(_Body):
    """A check that a participant is asked to pass."""

    participant: Name
    kind: Literal["visual", "light", "occlusion", "words", "mutual"]
    language: Literal["kk", "ru", "en"] | None = Field(
        default=None,
        description="of words to be read; by default the one the participant joined with, else ru",
    )
    needs: NeedNames = Field(
        default=[], description="what the participant cannot do, so that other commands are asked"
    )


class StartedChallenge(BaseModel):
    """A check that has begun."""

    id: str


def sessions_router(services: Services) -> APIRouter:
    """Return the session routes."""
    router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])
    _add_opening(router, services)
    _add_reading(router, services)
    _add_acting(router, services)
    return router


def _add_opening(router: APIRouter, services: Services) -> None:
    token = from_header(services.tokens)

    @router.post("", status_code=201)
    async def create(
        body: NewSessionBody, access: Annotated[Access, Depends(token)], request: Request
    ) -> NewSession:
        """Open a session and get one link for each participant (site operators)."""
        require_site_operator(access)
        people = [NewParticipant(p.id, p.role, p.suspectable) for p in body.participants]
        session = services.sessions.create(body.profile, people, drill=body.drill)
        base = services.config.public_url or str(request.base_url)
        return NewSession(id=session.id, participants=_invite(services, session, base.rstrip("/")))


def _add_reading(router: APIRouter, services: Services) -> None:
    token = from_header(services.tokens)
    page_token = from_header_or_query(services.tokens)
    sessions = services.sessions

    @router.get("")
    async def listing(access: Annotated[Access, Depends(token)]) -> list[dict[str, Any]]:
        """List the running sessions (site operators)."""
        require_site_operator(access)
        return [summary(session, access) for session in sessions]

    @router.get("/{session}")
    async def read(session: str, access: Annotated[Access, Depends(token)]) -> dict[str, Any]:
        """Return a session with the states the token may see."""
        require_watcher(access, session)
        return summary(sessions.get(session), access)

    @router.get("/{session}/events", response_class=StreamingResponse)
    async def events(session: str, access: Annotated[Access, Depends(page_token)]) -> StreamingResponse:
        """Stream the session's events (text/event-stream); ``event`` is the type, ``data`` the JSON."""
        require_watcher(access, session)
        found = sessions.get(session)
        reader = sessions.subscribe(found, access)
        stream = _stream(found, reader, services.config.heartbeat_s)
        return StreamingResponse(stream, media_type="text/event-stream")


def _add_acting(router: APIRouter, services: Services) -> None:
    token = from_header(services.tokens)

    @router.post("/{session}/actions", status_code=204)
    async def act(session: str, body: ActionBody, access: Annotated[Access, Depends(token)]) -> None:
        """Acknowledge an alert, hold or release the call, or end it."""
        await services.actions.perform(
            access, session, body.action, alert=body.alert, reason=body.reason, state=body.state
        )

    @router.post("/{session}/challenges", status_code=201)
    async def challenge(
        session: str, body: ChallengeBody, access: Annotated[Access, Depends(token)]
    ) -> StartedChallenge:
        """Ask a participant to pass an active check; each attempt's result is an event of the session."""
        require_watcher(access, session)
        person = services.sessions.get(session).participant(body.participant)
        check = services.checks.start(
            session,
            body.participant,
            body.kind,
            language=body.language or person.language or DEFAULT_LANGUAGE,
            by=access.participant,
            needs=body.needs,
        )
        return StartedChallenge(id=check)


def _invite(services: Services, session: Session, base: str) -> list[InvitedParticipant]:
    invited = []
    for person in session.participants.values():
        token = services.tokens.issue(session.id, person.id, person.role, ttl_s=services.config.token_ttl_s)
        url = f"{base}/?token={token}"
        invited.append(InvitedParticipant(id=person.id, role=person.role, token=token, url=url))
    return invited


async def _stream(session: Session, reader: Subscription, heartbeat_s: float) -> AsyncIterator[str]:
    try:
        yield ": open\n\n"
        dropped = 0
        while not reader.ended:
            event = await reader.next(heartbeat_s)
            if reader.dropped > dropped:
                yield f": {reader.dropped - dropped} events dropped, this reader is too slow\n\n"
                dropped = reader.dropped
            if event is None:
                yield ": alive\n\n"
            else:
                yield f"event: {event['type']}\ndata: {json.dumps(event, allow_nan=False)}\n\n"
    finally:
        session.hub.unsubscribe(reader)
