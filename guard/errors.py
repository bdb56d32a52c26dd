"""Every error guard raises on purpose.

    GuardError            has a stable ``code`` and says what is wrong, where, what to do
    +- ConfigError        the operator's settings are wrong
    +- ModelError         a model file, its card or its runtime is at fault
    +- MediaError         a media file or stream cannot be read
    +- PeerError          the remote side sent something it must not
    +- AccessError        a token is missing, wrong, expired or not enough
    +- NotFoundError      a session, participant or connection does not exist
    +- Overload           guard itself has no room for the request now
    +- RecordError        a signed record cannot be made, written or read

Analysis may fail; the call goes on.
"""

from __future__ import annotations


class GuardError(Exception):
    """Base of all of guard's own errors.

    Args:
        code: stable, lower-case, for programs; listed in docs/errors.md.
        message: for people: what is wrong, where, what to do.
    """

    status = 500

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConfigError(GuardError):
    """The operator's settings are wrong."""


class ModelError(GuardError):
    """A model file, its card or its runtime is at fault."""


class MediaError(GuardError):
    """A media file or stream cannot be read."""

    status = 422


class PeerError(GuardError):
    """The remote side sent something it must not."""

    status = 400


class AccessError(GuardError):
    """A token is missing, wrong, expired or not enough."""

    status = 401


class NotFoundError(GuardError):
    """A session, participant or connection does not exist (any more)."""

    status = 404


class Overload(GuardError):
    """Guard has no room for the request now."""

    status = 503


class RecordError(GuardError):
    """A signed record cannot be made, written or read."""
