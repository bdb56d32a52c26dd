"""Tokens of HTTP requests."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from guard.signalling.resources import bearer
from guard.signalling.tokens import Access, Tokens, forbidden
from guard.types import Role

Authorise = Callable[..., Access]

_BEARER = HTTPBearer(auto_error=False, description="room token or operator token")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def from_header(tokens: Tokens) -> Authorise:
    """Return a dependency that reads ``Authorization: Bearer``."""

    def authorise(credentials: _Credentials) -> Access:
        return tokens.verify(credentials.credentials if credentials else None)

    return authorise


def from_header_or_query(tokens: Tokens) -> Authorise:
    """Return a dependency that also takes ``?token=``: EventSource cannot send headers."""

    def authorise(request: Request, credentials: _Credentials) -> Access:
        return tokens.verify(credentials.credentials if credentials else request.query_params.get("token"))

    return authorise


def require_site_operator(access: Access) -> None:
    """Raise unless the token may create and list sessions.

    Raises:
        AccessError: ``token_forbidden``.
    """
    if not access.site_operator:
        raise forbidden("only an operator's token that is not bound to one session may do this")


def require_watcher(access: Access, session: str) -> None:
    """Raise unless the token may see states of others in ``session``.

    Raises:
        AccessError: ``token_forbidden``.
    """
    access.require_session(session)
    if not access.watches:
        raise forbidden("only agents, hosts, operators and security see what guard found")


def require_metrics(tokens: Tokens, request: Request, *, loopback_allowed: bool) -> None:
    """Raise unless the request comes from this machine (where allowed) or holds an operator token.

    Raises:
        AccessError: ``token_missing``, ``token_invalid``, ``token_expired`` or ``token_forbidden``.
    """
    if loopback_allowed and request.client is not None and _is_loopback(request.client.host):
        return
    if tokens.verify(bearer(request)).role is not Role.OPERATOR:
        raise forbidden("metrics are for operators")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
