"""base64url without padding (RFC 4648, 5), one text only for the same bytes."""

from __future__ import annotations

import base64


def encoded(content: bytes) -> str:
    """Return bytes as text."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes of the one text for them.

    Raises:
        ValueError: it is not what ``encoded`` gives for anything.
    """
    content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encoded(content) != text:
        raise ValueError("not the one text for these bytes")
    return content
