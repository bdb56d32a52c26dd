"""Signed, expiring room tokens (JWT, RFC 7519, HS256): who may do what in which session."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from guard.clock import Clock
from guard.errors import AccessError, ConfigError
from guard.iin import iin_spans
from guard.keyfile import read_or_make
from guard.types import Role

ANY_SESSION = "*"
"""In a token: not bound to one session (operators only)."""

KEY_BYTES = 32
MAX_TOKEN_CHARS = 2048
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ISSUER = "guard"
ID_RULE = "1 to 64 letters, digits, - or _, and no IIN; take a pseudonym (guard evidence pseudonym)"
_ALGORITHMS = ("HS256",)


def valid_id(text: str) -> bool:
    """Tell whether ``text`` can name a session or a participant; no id holds an IIN, since ids are kept."""
    return _ID.fullmatch(text) is not None and not iin_spans(text)


@dataclass(frozen=True, slots=True)
class Access:
    """What a verified token allows.

    Args:
        session: the session, or ``ANY_SESSION``.
        may_open: joining makes the session if it does not exist (tokens from the command line).
    """

    session: str
    participant: str
    role: Role
    may_open: bool = False

    @property
    def watches(self) -> bool:
        """Whether the role may see states and alerts of others and act on them."""
        return self.role in WATCHERS

    @property
    def site_operator(self) -> bool:
        """Whether it may create sessions and read all of them."""
        return self.role is Role.OPERATOR and self.session == ANY_SESSION

    def require_session(self, session: str) -> None:
        """Raise unless the token is for ``session``.

        Raises:
            AccessError: ``token_forbidden``.
        """
        if self.session != session and not self.site_operator:
            raise forbidden("this token is for another session; use the link of this one")


WATCHERS = frozenset({Role.AGENT, Role.HOST, Role.OPERATOR, Role.SECURITY})
"""Roles that are told about others; customers and guests are not."""


def forbidden(message: str) -> AccessError:
    """Return the error for a valid token that is not enough."""
    return AccessError("token_forbidden", message)


def load_key(path: Path) -> bytes:
    """Return the signing key, made with mode 0600 on the first start.

    Raises:
        ConfigError: the file is too short, readable by others, or cannot be made.
    """
    key = read_or_make(path, lambda: secrets.token_bytes(KEY_BYTES), "the token key")
    if len(key) < KEY_BYTES:
        raise ConfigError(
            "key_invalid", f"{path} is shorter than {KEY_BYTES} bytes; remove it to make a new one"
        )
    return key


class Tokens:
    """Issues and verifies tokens with one symmetric key.

    Args:
        key: at least 32 random bytes (``load_key``).
        clock: gives the time of issue and of expiry checks.
    """

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = OctKey.import_key(key)
        self._clock = clock

    def issue(
        self, session: str, participant: str, role: Role, *, ttl_s: float, may_open: bool = False
    ) -> str:
        """Return a token for one participant of one session.

        Args:
            session: its id, or ``ANY_SESSION`` for a site operator.
            ttl_s: seconds until it expires; counted from the clock's UTC.
            may_open: let joining make the session where it does not exist yet.

        Raises:
            ConfigError: an id or the lifetime is out of range.
        """
        if not (valid_id(session) or (session == ANY_SESSION and role is Role.OPERATOR)):
            raise ConfigError("id_invalid", f"this cannot be a session id: {ID_RULE}")
        if not valid_id(participant):
            raise ConfigError("id_invalid", f"this cannot be a participant id: {ID_RULE}")
        if not ttl_s >= 1:
            raise ConfigError("ttl_invalid", f"a token's lifetime must be at least 1 s, not {ttl_s}")
        now = int(self._clock.utc().timestamp())
        claims: dict[str, object] = {
            "iss": _ISSUER,
            "iat": now,
            "exp": now + int(ttl_s),
            "session": session,
            "participant": participant,
            "role": role.value,
        }
        if may_open:
            claims["open"] = True
        return jwt.encode({"alg": "HS256"}, claims, self._key, algorithms=_ALGORITHMS)

    def verify(self, token: str | None) -> Access:
        """Return what the token allows.

        Raises:
            AccessError: ``token_missing``, ``token_invalid`` or ``token_expired``.
        """
        if not token:
            raise AccessError("token_missing", "send the room token: Authorization: Bearer <token>")
        if len(token) > MAX_TOKEN_CHARS:
            raise _invalid()
        try:
            claims = jwt.decode(token, self._key, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError) as error:
            raise _invalid() from error
        access, expires = _access(claims)
        if self._clock.utc().timestamp() >= expires:
            raise AccessError("token_expired", "the link has expired; ask for a new one")
        return access


def _access(claims: dict[str, object]) -> tuple[Access, float]:
    session, participant, expires = claims.get("session"), claims.get("participant"), claims.get("exp")
    try:
        role = Role(str(claims.get("role")))
    except ValueError as error:
        raise _invalid() from error
    if claims.get("iss") != _ISSUER or not isinstance(session, str) or not isinstance(participant, str):
        raise _invalid()
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise _invalid()
    if session == ANY_SESSION and role is not Role.OPERATOR:
        raise _invalid()
    return Access(session, participant, role, may_open=claims.get("open") is True), float(expires)


def _invalid() -> AccessError:
    return AccessError("token_invalid", "the token is not one of this server's; ask for a new link")
