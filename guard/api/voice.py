"""``/api/v1/sessions/{id}/participants/{participant}/voice``: the voice a participant should have."""

# no postponed annotations here: FastAPI reads them, and the dependencies are local to a function

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.types import Scope

from guard.api.auth import from_header
from guard.api.services import Services
from guard.errors import PeerError
from guard.signalling.tokens import Access, Tokens, forbidden
from guard.types import Role

# of a recording or a photo
MAX_VOICE_BYTES = 5 * 1024 * 1024

_PATH = re.compile(r"/api/v1/sessions/[^/]+/participants/[^/]+/(?:voice|face)")
BINARY_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def voice_router(services: Services) -> APIRouter:
    """Return the routes of enrolled voices."""
    router = APIRouter(prefix="/api/v1/sessions/{session}/participants/{participant}", tags=["voices"])
    token = from_header(services.tokens)
    sessions = services.sessions

    @router.put("/voice", status_code=204, openapi_extra=BINARY_BODY)
    async def enrol(
        session: str, participant: str, access: Annotated[Access, Depends(token)], request: Request
    ) -> None:
        """Compare a participant with the voice in an audio file (operators).

        The body is the file: wav, flac, opus, mp3 or m4a, up to 5 MiB, with at least 5 s of clear speech of
        this person alone. A new file takes the place of the one before. The recording is not kept; the
        numbers that describe the voice are, in memory, until they are deleted or the session ends.
        """
        require_operator(access, session)
        person = sessions.get(session).participant(participant)
        if not person.suspectable:
            raise PeerError(
                "participant_not_analysed", "this participant is not analysed, so no voice is compared"
            )
        content = await request.body()
        if not content:
            raise PeerError("voice_missing", "send the audio file as the body of the request")
        await services.voices.enrol(session, participant, content)

    @router.delete("/voice", status_code=204)
    async def withdraw(session: str, participant: str, access: Annotated[Access, Depends(token)]) -> None:
        """Forget the voice of a participant (operators); having none is no error."""
        require_operator(access, session)
        sessions.get(session).participant(participant)
        services.voices.withdraw(session, participant)

    return router


def larger_body(scope: Scope, tokens: Tokens) -> int | None:
    """Return how large the body of a voice or a photo may be, None for any other request.

    Only for an operator's token: nobody else can make this process hold megabytes.

    Raises:
        AccessError: the token is none, or too old. That is what its sender has to know, and not that
            the file is too large for people without one.
    """
    if scope["method"] != "PUT" or not _PATH.fullmatch(scope["path"]):
        return None
    headers = dict(scope["headers"])
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    access = tokens.verify(token.strip() if scheme.lower() == "bearer" else None)
    return MAX_VOICE_BYTES if access.role is Role.OPERATOR else None


def require_operator(access: Access, session: str) -> None:
    """Raise unless the token is an operator's, of this session or of all.

    Raises:
        AccessError: ``token_forbidden``.
    """
    access.require_session(session)
    if access.role is not Role.OPERATOR:
        raise forbidden("only an operator may enrol or withdraw a voice or a face")
