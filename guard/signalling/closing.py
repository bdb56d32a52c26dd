"""How a page's WebSocket ends: close codes, and the budget whose overdraft is one of the reasons."""

from __future__ import annotations

import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from guard.errors import AccessError, GuardError, PeerError

CLOSE_LEFT = 1000
CLOSE_TOO_BIG = 1009
CLOSE_MALFORMED = 4400
CLOSE_TOKEN = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_UNKNOWN = 4404
CLOSE_NO_JOIN = 4408
CLOSE_REPLACED = 4409
CLOSE_ENDED = 4410
CLOSE_FLOOD = 4429
CLOSE_FULL = 4503
CLOSE_SLOW = 4508

_CODES = {
    "token_forbidden": CLOSE_FORBIDDEN,
    "session_ended": CLOSE_ENDED,
    "session_unknown": CLOSE_UNKNOWN,
    "message_malformed": CLOSE_MALFORMED,
    "message_too_big": CLOSE_TOO_BIG,
    "messages_too_many": CLOSE_FLOOD,
    "join_missing": CLOSE_NO_JOIN,
    "replaced": CLOSE_REPLACED,
    "too_slow": CLOSE_SLOW,
}


class Budget:
    """A token bucket: ``rate_hz`` messages a second, ten seconds' worth at once."""

    def __init__(self, rate_hz: float, now: float) -> None:
        self._rate_hz = rate_hz
        self._left = rate_hz * 10
        self._at = now

    def spend(self, now: float) -> None:
        """Take one message off.

        Raises:
            PeerError: ``messages_too_many``.
        """
        self._left = min(self._rate_hz * 10, self._left + (now - self._at) * self._rate_hz) - 1
        self._at = now
        if self._left < 0:
            raise PeerError("messages_too_many", "too many messages; the page is closed")


def close_code(error: GuardError) -> int:
    """Return the code a page is closed with because of ``error``."""
    if error.code in _CODES:
        return _CODES[error.code]
    if isinstance(error, AccessError):
        return CLOSE_TOKEN
    return CLOSE_FULL if error.status == 503 else CLOSE_MALFORMED


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close a socket that may be closed already."""
    if WebSocketState.DISCONNECTED in (socket.application_state, socket.client_state):
        return
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may hang up at this very moment
        await socket.close(code, reason)
