"""What WHIP and WHEP share: reading requests within limits, answering, PATCH and DELETE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from guard.errors import PeerError
from guard.signalling.connections import Connection, Connections, Via
from guard.signalling.sdp import MAX_FRAGMENT_BYTES, MAX_SDP_BYTES, parse_fragment
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access, Tokens, forbidden

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"


@dataclass(frozen=True, slots=True)
class Ingest:
    """What the WHIP and WHEP endpoints work with."""

    tokens: Tokens
    sessions: Sessions
    connections: Connections
    ice_servers: Sequence[Mapping[str, Any]] = ()


def bearer(request: Request) -> str | None:
    """Return the token of the Authorization header (RFC 6750), if there is one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def read_body(request: Request, media_type: str, limit_bytes: int) -> str:
    """Return the request's body as text.

    Raises:
        PeerError: ``content_type`` (415), ``body_too_large`` (413) or ``sdp_malformed``.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise PeerError("content_type", f"send the body as {media_type}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise PeerError("body_too_large", f"the body has at most {limit_bytes} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise PeerError("sdp_malformed", "the body is not UTF-8 text") from error


async def read_sdp(request: Request) -> str:
    """Return the offer in the body; errors as ``read_body``."""
    return await read_body(request, SDP_TYPE, MAX_SDP_BYTES)


def created(ingest: Ingest, answer: str, location: str) -> Response:
    """Return the 201 of RFC 9725 section 4.2, with the ICE servers as Link headers (4.6).

    There is no ETag: RFC 9725 asks for one only where ICE restarts are supported.
    """
    response = Response(
        answer,
        status_code=201,
        media_type=SDP_TYPE,
        headers={"Location": location, "Accept-Patch": FRAGMENT_TYPE},
    )
    for server in ingest.ice_servers:
        urls = server.get("urls", ())
        for url in [urls] if isinstance(urls, str) else urls:
            response.headers.append("Link", _ice_link(url, server))
    return response


async def trickle(ingest: Ingest, connection: Connection, request: Request) -> Response:
    """Take a PATCH: trickled candidates, 204.

    Raises:
        PeerError: ``ice_restart_unsupported`` (422, RFC 9725 section 4.3.1: the status for the one of
            trickle and restart that a server does not do), or as ``read_body``.
    """
    fragment = parse_fragment(await read_body(request, FRAGMENT_TYPE, MAX_FRAGMENT_BYTES))
    if fragment.ufrag is not None and fragment.ufrag != connection.ufrag:
        raise PeerError("ice_restart_unsupported", "ICE restart is not supported; DELETE, then POST again")
    for candidate, mid in fragment.candidates:
        await ingest.connections.add_candidate(connection, candidate, mid)
    return Response(status_code=204)


def add_resource(router: APIRouter, ingest: Ingest, via: Via) -> None:
    """Add PATCH and DELETE of ``/{via}/{session}/{peer}``, the resource a POST has made."""
    path = f"/{via.value}/{{session}}/{{peer}}"

    @router.patch(path, status_code=204, response_class=Response)
    async def patch(session: str, peer: str, request: Request) -> Response:
        """Add ICE candidates; an ICE restart is refused with 422."""
        _, connection = owned(ingest, request, session, peer, via)
        return await trickle(ingest, connection, request)

    @router.delete(path, response_class=Response)
    async def end(session: str, peer: str, request: Request) -> Response:
        """End the connection."""
        _, connection = owned(ingest, request, session, peer, via)
        await ingest.connections.close(connection)
        return Response(status_code=200)


def owned(ingest: Ingest, request: Request, session: str, peer: str, via: Via) -> tuple[Access, Connection]:
    """Return the connection a PATCH or DELETE is about, if the token may touch it.

    Raises:
        AccessError: no token, or somebody else's connection.
        NotFoundError: the session or connection does not exist.
    """
    access = ingest.tokens.verify(bearer(request))
    access.require_session(session)
    connection = ingest.connections.find(peer, session=session, via=via)
    if connection.participant != access.participant and not access.site_operator:
        raise forbidden("this connection is somebody else's")
    return access, connection


def _ice_link(url: str, server: Mapping[str, Any]) -> str:
    link = f'<{url}>; rel="ice-server"'
    if "username" in server:
        link += f'; username="{server["username"]}"; credential="{server["credential"]}"'
        link += '; credential-type="password"'
    return link
