"""Joins a scripted client to ``guard serve``: WHIP to publish, WHEP to receive."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import httpx

from guard.errors import PeerError
from guard.relay.client import ScriptedClient

SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Joined:
    """A WHIP or WHEP resource; delete it to leave in good order (RFC 9725 section 4.2)."""

    url: httpx.URL
    token: str
    http: httpx.AsyncClient

    async def leave(self) -> None:
        """End the resource; one that has ended already is fine."""
        response = await self.http.delete(self.url, headers=_bearer(self.token))
        fine = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        if response.status_code not in fine:
            raise _refused("DELETE", response)


async def join(client: ScriptedClient, http: httpx.AsyncClient, url: str, token: str) -> Joined:
    """Post the client's offer to a WHIP or WHEP endpoint and take the answer.

    Args:
        client: not negotiated yet.
        http: verifies, or knowingly does not verify, the server's certificate.
        url: ``.../whip/{session}`` or ``.../whep/{session}/{participant}``.
        token: goes into the ``Authorization`` header.

    Raises:
        PeerError: ``join_refused``, the server said no; ``bad_answer``.
    """
    location: list[httpx.URL] = []

    async def exchange(offer: str) -> str:
        response = await http.post(url, content=offer, headers={**_bearer(token), "Content-Type": SDP})
        if response.status_code != HTTPStatus.CREATED:
            raise _refused("POST", response)
        location.append(response.url.join(response.headers.get("Location", "")))
        return response.text

    await client.negotiate(exchange)
    return Joined(location[0], token, http)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _refused(method: str, response: httpx.Response) -> PeerError:
    problem = response.text[:200].strip() or "no explanation"
    return PeerError(
        "join_refused", f"{method} {response.url.path} was answered {response.status_code}: {problem}"
    )
