"""What the active checks (``checks.py``) need of the parts around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from guard.signalling.check_messages import ClientMessage
from guard.signalling.messages import DeviceMessage


class AnalysisPort(Protocol):
    """The analysis process."""

    @property
    def up(self) -> bool:
        """Whether it works."""

    def send(self, message: dict[str, Any]) -> bool:
        """Tell it something; False where it is down or behind."""


class MessagePort(Protocol):
    """The data channels."""

    def send(self, session: str, participant: str, text: str) -> bool:
        """Send text to a participant; False where no channel is open."""


class Recorder(Protocol):
    """Writes signed records."""

    def record(self, session: str, kind: str, body: Mapping[str, Any]) -> None:
        """Write one; a failure is told loudly where it happens, never here."""

    def badge(self, statement: Mapping[str, Any]) -> str:
        """Return a statement signed with this server's key, as one word."""


@dataclass(frozen=True, slots=True)
class ClientClaim:
    """What a participant's page said of itself: its files and its camera."""

    client: ClientMessage | None = None
    device: DeviceMessage | None = None
