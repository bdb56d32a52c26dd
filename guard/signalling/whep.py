"""WHEP (draft-ietf-wish-whep): watch one participant of a session with one POST."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from guard.signalling.connections import Via
from guard.signalling.resources import Ingest, add_resource, bearer, created, read_sdp
from guard.signalling.sdp import Offer, media_lines, read_offer


def whep_router(ingest: Ingest) -> APIRouter:
    """Return the routes ``/whep/{session}/{participant}`` and ``/whep/{session}/{peer}``.

    Any token of the session may watch; the viewer need not be one of its participants.
    """
    router = APIRouter(tags=["WHEP"])

    @router.post("/whep/{session}/{participant}", status_code=201, response_class=Response)
    async def watch(session: str, participant: str, request: Request) -> Response:
        """Receive the audio and video of ``participant`` on the offer's receiving m-lines."""
        access = ingest.tokens.verify(bearer(request))
        access.require_session(session)
        found = ingest.sessions.get(session)
        wanted = found.participant(participant)
        offer = _viewer_offer(await read_sdp(request), wanted.id)
        connection, answer = await ingest.connections.open(found, access.participant, Via.WHEP, offer)
        return created(ingest, answer, f"/whep/{session}/{connection.peer}")

    add_resource(router, ingest, Via.WHEP)
    return router


def _viewer_offer(sdp: str, participant: str) -> Offer:
    wanted = {line.mid: participant for line in media_lines(sdp) if line.receives and line.mid is not None}
    offer = read_offer(sdp, wanted)
    return Offer(offer.sdp, publish=False, subscriptions=offer.subscriptions, ufrag=offer.ufrag)
