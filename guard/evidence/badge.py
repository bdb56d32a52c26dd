"""A statement signed by this server, as one word to show or to scan: the agent's badge of the mutual check.

A JSON Web Signature in compact form (RFC 7515), alg ``Ed25519`` (RFC 9864), so that any JWS library reads it.
What is signed begins with ``ey``, and a record with ``{``: neither can be passed off as the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guard.errors import RecordError
from guard.evidence.base64url import decoded, encoded
from guard.evidence.canonical import Json, canonical, normal
from guard.evidence.keys import SigningKey, key_id
from guard.evidence.personal import forbid

MAX_CHARS = 4096
_TYPE = "guard-badge"


def badge(key: SigningKey, statement: Mapping[str, object]) -> str:
    """Return a statement signed with the key that signs records.

    Raises:
        RecordError: ``record_invalid`` or ``record_personal``; it cannot be written, or holds an IIN.
    """
    kept = normal(statement)
    forbid(kept)
    content = f"{encoded(canonical(_header(key.id)))}.{encoded(canonical(kept))}"
    return f"{content}.{encoded(key.sign(content.encode()))}"


def read_badge(text: str, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Json]:
    """Return the statement of a badge that one of the keys, by their ids, signed.

    Raises:
        RecordError: ``badge_invalid``; it is no badge, changed, or signed with another key.
    """
    try:
        if len(text) > MAX_CHARS:
            raise ValueError("too long")
        content, _, signature = text.strip().rpartition(".")
        header, _, statement = content.partition(".")
        known = json.loads(decoded(header))
        for public in keys.values():
            if known == _header(key_id(public)):
                public.verify(decoded(signature), content.encode())
                read = json.loads(decoded(statement))
                if isinstance(read, dict):
                    return read
    except (ValueError, RecursionError, InvalidSignature) as error:
        raise _invalid() from error
    raise _invalid()


def _header(kid: str) -> dict[str, str]:
    return {"alg": "Ed25519", "kid": kid, "typ": _TYPE}


def _invalid() -> RecordError:
    return RecordError("badge_invalid", "this is no badge of this server, or it was changed")
