"""``.../participants/{participant}/voice`` and ``.../face``: how a participant should sound and look."""

# no postponed annotations here: FastAPI reads them, and the dependencies are local to a function

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.types import Scope

from guard.api.auth import from_header
from guard.api.services import Services
from guard.errors import PeerError
from guard.signalling.session import Participant
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


def enrolment_router(services: Services) -> APIRouter:
    """Return the routes of enrolled voices and faces; ``larger_body`` lets their bodies in."""
    router = APIRouter(prefix="/api/v1/sessions/{session}/participants/{participant}")
    _add_voices(router, services)
    _add_faces(router, services)
    return router


def _add_voices(router: APIRouter, services: Services) -> None:
    token = from_header(services.tokens)

    @router.put("/voice", status_code=204, openapi_extra=BINARY_BODY, tags=["voices"])
    async def enrol_voice(
        session: str, participant: str, access: Annotated[Access, Depends(token)], request: Request
    ) -> None:
        """Compare a participant with the voice in an audio file (operators).

        The body is the file: wav, flac, opus, mp3 or m4a, up to 5 MiB, with at least 5 s of clear speech of
        this person alone. A new file takes the place of the one before. The recording is not kept; the
        numbers that describe the voice are, in memory, until they are deleted or the session ends.
        """
        require_analysed(asked_for(services, access, session, participant), "voice")
        content = await body_of(request, "voice_missing", "the audio file")
        await services.voices.enrol(session, participant, content)

    @router.delete("/voice", status_code=204, tags=["voices"])
    async def withdraw_voice(
        session: str, participant: str, access: Annotated[Access, Depends(token)]
    ) -> None:
        """Forget the voice of a participant (operators); having none is no error."""
        asked_for(services, access, session, participant)
        services.voices.withdraw(session, participant)


def _add_faces(router: APIRouter, services: Services) -> None:
    token = from_header(services.tokens)

    @router.put("/face", status_code=204, openapi_extra=BINARY_BODY, tags=["faces"])
    async def enrol_face(
        session: str, participant: str, access: Annotated[Access, Depends(token)], request: Request
    ) -> None:
        """Compare a participant with the face in a photo (operators).

        The body is the photo: JPEG, PNG or WebP, up to 5 MiB and 40 million pixels, of this person alone,
        looking at the camera. A new photo takes the place of the one before. The photo is not kept; the
        numbers that describe the face are, in memory, until they are deleted or the session ends.
        """
        require_analysed(asked_for(services, access, session, participant), "face")
        content = await body_of(request, "photo_missing", "the photo")
        await services.faces.enrol(session, participant, content)

    @router.delete("/face", status_code=204, tags=["faces"])
    async def withdraw_face(
        session: str, participant: str, access: Annotated[Access, Depends(token)]
    ) -> None:
        """Forget the face of a participant (operators); having none is no error."""
        asked_for(services, access, session, participant)
        services.faces.withdraw(session, participant)


def asked_for(services: Services, access: Access, session: str, participant: str) -> Participant:
    """Return the participant an operator asks for.

    Raises:
        AccessError: ``token_forbidden``, no operator of this session asks.
        PeerError: there is no such session or participant.
    """
    require_operator(access, session)
    return services.sessions.get(session).participant(participant)


def require_analysed(person: Participant, what: str) -> None:
    """Raise unless the participant is analysed, so that there is something to compare.

    Raises:
        PeerError: ``participant_not_analysed``.
    """
    if not person.suspectable:
        raise PeerError(
            "participant_not_analysed", f"this participant is not analysed, so no {what} is compared"
        )


async def body_of(request: Request, code: str, what: str) -> bytes:
    """Return the body of a request.

    Raises:
        PeerError: ``code``, it is empty.
    """
    content = await request.body()
    if not content:
        raise PeerError(code, f"send {what} as the body of the request")
    return content


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
