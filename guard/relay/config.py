"""What an operator may set of the relay."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from guard.errors import ConfigError
from guard.relay.codecs import H264, VP8


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server; none is used unless configured."""

    url: str
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Settings of the relay.

    Args:
        addresses: the host's own IP addresses to offer to clients; empty means every one but
            loopback, and loopback alone on a host that has nothing else.
        ice_servers: STUN and TURN servers; empty means none, nothing is contacted.
        video_codecs: allowed video codecs in order of preference; a room uses the first one
            that its first publisher offers.
        max_peers: connections at a time; more are refused with ``relay_full``.
        max_sdp_bytes: larger offers are refused.
        max_media_sections: m-lines in one offer; more are refused.
        max_message_bytes: longer data-channel messages are dropped and counted.
        connect_timeout_s: a connection not encrypted by then is given up.
        peer_timeout_s: a connected peer silent for so long (no media, no ICE consent check)
            has vanished. Clients check about every 5 s, so keep it above 6.

    Raises:
        ConfigError: ``relay_config``, with the field's name.
    """

    addresses: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    video_codecs: tuple[str, ...] = (VP8, H264)
    max_peers: int = 400
    max_sdp_bytes: int = 262144
    max_media_sections: int = 64
    max_message_bytes: int = 16384
    connect_timeout_s: float = 20.0
    peer_timeout_s: float = 15.0

    def __post_init__(self) -> None:
        for address in self.addresses:
            try:
                ip_address(address)
            except ValueError:
                raise ConfigError(
                    "relay_config", f"relay.addresses: {address!r} is not an IP address"
                ) from None
        if not self.video_codecs or not set(self.video_codecs) <= {VP8, H264}:
            raise ConfigError(
                "relay_config", f"relay.video_codecs: {self.video_codecs} must name vp8, h264 or both"
            )
        for name in (
            "max_peers",
            "max_sdp_bytes",
            "max_media_sections",
            "max_message_bytes",
            "connect_timeout_s",
            "peer_timeout_s",
        ):
            if getattr(self, name) <= 0:
                raise ConfigError("relay_config", f"relay.{name}: {getattr(self, name)} must be above zero")
