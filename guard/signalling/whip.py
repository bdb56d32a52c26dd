"""WHIP (RFC 9725): publish into a session with one POST."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from guard.signalling.connections import Via
from guard.signalling.resources import Ingest, add_resource, bearer, created, read_sdp
from guard.signalling.sdp import read_offer


def whip_router(ingest: Ingest) -> APIRouter:
    """Return the routes ``/whip/{session}`` and ``/whip/{session}/{peer}``.

    The token's participant publishes; who watches is up to the room and WHEP.
    """
    router = APIRouter(tags=["WHIP"])

    @router.post("/whip/{session}", status_code=201, response_class=Response)
    async def publish(session: str, request: Request) -> Response:
        """Publish the offered audio and video as the token's participant."""
        access = ingest.tokens.verify(bearer(request))
        access.require_session(session)
        if not access.site_operator:
            ingest.sessions.admit(access)
        found = ingest.sessions.get(session)
        person = found.participant(access.participant)
        offer = read_offer(await read_sdp(request), {})
        connection, answer = await ingest.connections.open(found, person.id, Via.WHIP, offer)
        return created(ingest, answer, f"/whip/{session}/{connection.peer}")

    add_resource(router, ingest, Via.WHIP)
    return router
