"""``/api/v1/sessions/{id}/participants/{participant}/face``: the face a participant should have."""

# no postponed annotations here: FastAPI reads them, and the dependencies are local to a function

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from guard.api.auth import from_header
from guard.api.services import Services
from guard.api.voice import BINARY_BODY, require_operator
from guard.errors import PeerError
from guard.signalling.tokens import Access


def face_router(services: Services) -> APIRouter:
    """Return the routes of enrolled faces; ``guard.api.voice.larger_body`` lets their bodies in."""
    router = APIRouter(prefix="/api/v1/sessions/{session}/participants/{participant}", tags=["faces"])
    token = from_header(services.tokens)
    sessions = services.sessions

    @router.put("/face", status_code=204, openapi_extra=BINARY_BODY)
    async def enrol(
        session: str, participant: str, access: Annotated[Access, Depends(token)], request: Request
    ) -> None:
        """Compare a participant with the face in a photo (operators).

        The body is the photo: JPEG, PNG or WebP, up to 5 MiB and 40 million pixels, of this person alone,
        looking at the camera. A new photo takes the place of the one before. The photo is not kept; the
        numbers that describe the face are, in memory, until they are deleted or the session ends.
        """
        require_operator(access, session)
        person = sessions.get(session).participant(participant)
        if not person.suspectable:
            raise PeerError(
                "participant_not_analysed", "this participant is not analysed, so no face is compared"
            )
        content = await request.body()
        if not content:
            raise PeerError("photo_missing", "send the photo as the body of the request")
        await services.faces.enrol(session, participant, content)

    @router.delete("/face", status_code=204)
    async def withdraw(session: str, participant: str, access: Annotated[Access, Depends(token)]) -> None:
        """Forget the face of a participant (operators); having none is no error."""
        require_operator(access, session)
        sessions.get(session).participant(participant)
        services.faces.withdraw(session, participant)

    return router
