"""What the HTTP layer is given by ``app.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from guard.clock import Clock
from guard.errors import ConfigError
from guard.signalling.actions import Actions
from guard.signalling.check_messages import CheckMessage
from guard.signalling.connections import Connections, ConnectionsConfig
from guard.signalling.messages import DeviceMessage
from guard.signalling.ports import (
    ActionSink,
    ChecksPort,
    DrillPort,
    EnrolmentPort,
    MediaPlane,
    Operations,
)
from guard.signalling.rooms import Rooms, RoomsConfig
from guard.signalling.sdp import MAX_SDP_BYTES
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Tokens

Ready = Callable[[], Mapping[str, str]]
"""Returns the parts that are not ready, by name, with the reason; empty when all is well."""

MetricsPage = Callable[[], bytes]
"""Returns the Prometheus exposition text."""

Reasons = Callable[[str], Mapping[str, str]]
"""Returns the words of every reason code (docs/reasons.md) in a language, for pages."""


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Settings of the HTTP layer.

    Args:
        public_url: how people reach this server, for links; None takes the request's own address.
        token_ttl_s: lifetime of the links a new session gets.
        max_body_bytes: largest request body of any route.
        body_timeout_s: how long a body may take to arrive.
        heartbeat_s: how often an idle event stream says that it is alive.
        metrics_from_loopback: serve /metrics without a token to this machine; turn off behind a
            reverse proxy on the same host.
        ice_servers: RTCIceServer objects for pages, WHIP and WHEP clients.
    """

    public_url: str | None = None
    token_ttl_s: float = 8 * 3600.0
    max_body_bytes: int = 320 * 1024
    body_timeout_s: float = 15.0
    heartbeat_s: float = 15.0
    metrics_from_loopback: bool = True
    ice_servers: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.token_ttl_s < 1:
            raise ConfigError("config_invalid", "api.token_ttl_s must be at least 1")
        if not (self.body_timeout_s > 0 and self.heartbeat_s > 0):
            raise ConfigError("config_invalid", "api.body_timeout_s and api.heartbeat_s must be above zero")
        if self.max_body_bytes < MAX_SDP_BYTES:
            message = f"api.max_body_bytes must leave room for an SDP ({MAX_SDP_BYTES})"
            raise ConfigError("config_invalid", message)
        if self.public_url is not None and not self.public_url.startswith(("https://", "http://")):
            raise ConfigError("config_invalid", "api.public_url must start with https:// or http://")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the HTTP layer; ``build`` makes the usual set."""

    clock: Clock
    tokens: Tokens
    sessions: Sessions
    connections: Connections
    actions: Actions
    rooms: Rooms
    voices: EnrolmentPort
    faces: EnrolmentPort
    checks: ChecksPort
    drills: DrillPort
    ready: Ready
    metrics: MetricsPage
    reasons: Reasons
    config: ApiConfig = field(default_factory=ApiConfig)

    @classmethod
    def build(
        cls,
        *,
        clock: Clock,
        tokens: Tokens,
        sessions: Sessions,
        media: MediaPlane,
        sink: ActionSink,
        voices: EnrolmentPort,
        faces: EnrolmentPort,
        checks: ChecksPort,
        drills: DrillPort,
        ready: Ready,
        metrics: MetricsPage,
        reasons: Reasons,
        config: ApiConfig | None = None,
        connections_config: ConnectionsConfig | None = None,
        rooms_config: RoomsConfig | None = None,
        on_page: Callable[[str, str, bool], None] = lambda *_: None,
        on_device: Callable[[str, str, DeviceMessage], None] = lambda *_: None,
        on_check: Callable[[str, str, CheckMessage], None] = lambda *_: None,
        operations: Operations | None = None,
    ) -> Services:
        """Wire signalling to a media plane and to whoever takes the actions.

        Args:
            on_page: told (session, participant, open) when somebody's page has joined or gone.
            on_device: told (session, participant, report) what somebody's page says of its camera.
            on_check: told (session, participant, message) what it says of a check.
            operations: takes the actions that are about an operation of the bank.
        """
        settings = config or ApiConfig()
        connections = Connections(media, sessions, connections_config)
        actions = Actions(sessions, sink, operations)
        rooms = Rooms(
            tokens=tokens,
            sessions=sessions,
            connections=connections,
            actions=actions,
            clock=clock,
            config=rooms_config or RoomsConfig(ice_servers=settings.ice_servers),
            on_page=on_page,
            on_device=on_device,
            on_check=on_check,
        )
        parts = (clock, tokens, sessions, connections, actions, rooms, voices, faces, checks, drills)
        return cls(*parts, ready, metrics, reasons, settings)
