"""What the calls (``calls.py``) need of the parts around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from guard.signalling.check_messages import CheckMessage
from guard.signalling.messages import DeviceMessage
from guard.types import State


class AnalysisPort(Protocol):
    """The analysis process."""

    def send(self, message: dict[str, Any]) -> bool:
        """Tell it something; False where it is down or behind."""


class MediaPort(Protocol):
    """What Calls asks of the relay."""

    def tap_participant(self, session: str, participant: str, on: bool = True) -> None:
        """Copy a participant's tracks, present and future, to the tap; or stop that."""


class ChecksFace(Protocol):
    """What Calls tells the active checks."""

    def page_says(self, session: str, participant: str, message: CheckMessage) -> None:
        """Somebody's page, or data channel, says something of a check."""

    def page_gone(self, session: str, participant: str) -> None:
        """Nothing can be shown to this participant any more."""

    def channel(self, session: str, participant: str, is_open: bool) -> None:
        """A participant's data channel has opened or closed."""

    def look_again(self, session: str) -> None:
        """Somebody came, opened a page, or sends media."""

    def device(self, session: str, participant: str, report: DeviceMessage) -> None:
        """A participant's page describes its camera."""

    def on_analysis(self, message: Mapping[str, Any]) -> None:
        """The analysis process says something of a check."""

    def analysis_up(self) -> None:
        """The analysis process works (again)."""

    def analysis_down(self) -> None:
        """The analysis process is gone."""


class AlertCounter(Protocol):
    """Counts alerts: the real ones and those of drills have one each."""

    def alert(self, profile: str, state: State) -> None:
        """One new alert."""


class Counters(AlertCounter, Protocol):
    """What Calls counts; ``metrics.py`` behind it."""

    def verdict(self, latency_s: float) -> None:
        """One verdict, and how old the media behind it was."""

    def acknowledged(self, delay_s: float) -> None:
        """A person acknowledged so long after the decision."""
