"""What the relay tells the application."""

from __future__ import annotations

from dataclasses import dataclass

from guard.types import TrackKey


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A connection is encrypted and can carry media."""

    peer: str
    session: str
    participant: str


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """A connection is gone.

    ``reason`` is ``closed`` (by the client or ours), ``vanished`` (silent for too long),
    ``not_connected`` (never got through), ``failed`` (ICE or DTLS), or what the caller of
    ``close`` gave.
    """

    peer: str
    session: str
    participant: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """The first packet of a track arrived."""

    key: TrackKey


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """A published track will bring no more packets."""

    key: TrackKey


@dataclass(frozen=True, slots=True)
class ChannelOpen:
    """The participant's data channel ``guard`` can carry messages."""

    session: str
    participant: str


@dataclass(frozen=True, slots=True)
class ChannelMessage:
    """The participant sent text over the data channel ``guard``."""

    session: str
    participant: str
    text: str


RelayEvent = PeerConnected | PeerClosed | TrackPublished | TrackEnded | ChannelOpen | ChannelMessage
