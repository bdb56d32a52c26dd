"""One alert on its way: who has been told by which means, and what is due next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from guard.alert import Alert
from guard.policy.config import AlertsConfig
from guard.policy.messages import Action, Channel, Delivery, Party
from guard.policy.profile import Means

_NEVER = float("inf")
_LASTING = frozenset({Channel.BANNER, Channel.ANNOUNCEMENT})


@dataclass(slots=True)
class _Told:
    """What one recipient has been sent; times are monotonic seconds, inf = not due."""

    has_channel: bool
    has_page: bool
    acked: bool = False
    repeat_at: float = _NEVER
    banner_at: float = _NEVER
    announce_at: float = _NEVER
    showing: set[Channel] = field(default_factory=set)

    def due(self) -> float:
        return min(self.repeat_at, self.banner_at, self.announce_at)

    def quiet(self) -> None:
        self.repeat_at = self.banner_at = self.announce_at = _NEVER


class Case:
    """The timetable of one alert; no clock, no I/O.

    Args:
        alert: what is told.
        means: by which means this state is told.
        config: the timetable.
        now: monotonic seconds of the decision.
        urgent: whether it is repeated until acknowledged and raises the console alarm.
    """

    def __init__(
        self, alert: Alert, means: Means, config: AlertsConfig, now: float, *, urgent: bool = True
    ) -> None:
        self.alert = alert
        self.answered = False
        self.closed = False
        self._means = means
        self._urgent = urgent
        self._config = config
        self._told: dict[str, _Told] = {}
        self._alarm_at = now + config.alarm_s if means.console and urgent else _NEVER
        self._alarm_on = False
        self._expires_at = now + config.ttl_s

    def open(
        self, recipients: Iterable[Party], now: float, banner_for: frozenset[str] = frozenset()
    ) -> list[Delivery]:
        """Tell everybody and the site's systems; returns what to do now.

        Args:
            recipients: whom to tell.
            now: monotonic seconds.
            banner_for: recipients who see a milder banner already and keep one.
        """
        out: list[Delivery] = []
        if self._means.webhook:
            out.append(Delivery(None, Channel.WEBHOOK, Action.SEND, self.alert))
        if self._means.console:
            out.append(Delivery(None, Channel.CONSOLE, Action.SEND, self.alert))
        for party in recipients:
            out += self.tell(party, now, at_once=party.id in banner_for)
        return out

    def tell(self, party: Party, now: float, at_once: bool = False) -> list[Delivery]:
        """Begin the timetable of one recipient, with the banner ``at_once`` or in its turn."""
        if self.closed or party.id in self._told:
            return []
        told = _Told(party.has_channel and self._means.data_channel, party.has_page and self._means.page)
        self._told[party.id] = told
        reachable = (told.has_channel or told.has_page) and not at_once
        if self._means.banner:
            told.banner_at = now + self._config.banner_s if reachable else now
        if self._means.announcement:
            told.announce_at = now + self._config.announce_s
        out: list[Delivery] = []
        if told.has_page:
            out.append(self._send(party.id, told, Channel.PAGE))
        if told.has_channel:
            told.repeat_at = now
        return out + self._due(party.id, told, now)

    def reach(self, party: Party, now: float) -> list[Delivery]:
        """A channel or page of a recipient has opened or closed."""
        told = self._told.get(party.id)
        if self.closed or told is None:
            return []
        opened_page = party.has_page and self._means.page and not told.has_page
        told.has_page = party.has_page and self._means.page
        told.has_channel = party.has_channel and self._means.data_channel
        if told.acked:
            return []
        told.repeat_at = min(told.repeat_at, now) if told.has_channel else _NEVER
        if not told.has_channel and not told.has_page:
            told.banner_at = min(told.banner_at, now)
        out = [self._send(party.id, told, Channel.PAGE)] if opened_page else []
        return out + self._due(party.id, told, now)

    def drop(self, recipient: str) -> None:
        """A recipient has left."""
        self._told.pop(recipient, None)

    def ack(self, recipient: str) -> tuple[str, list[Delivery]]:
        """A recipient has seen it: ``accepted``, ``repeated`` or ``not_recipient``."""
        told = self._told.get(recipient)
        if told is None:
            return "not_recipient", []
        if told.acked:
            return "repeated", []
        told.acked = self.answered = True
        told.quiet()
        stopped = self._stop(recipient, told, told.showing & _LASTING)
        return "accepted", [*stopped, *self._stop_alarm()]

    def with_banner(self) -> frozenset[str]:
        """Return the recipients who see the banner now."""
        return frozenset(r for r, told in self._told.items() if Channel.BANNER in told.showing)

    def close(self) -> list[Delivery]:
        """End it: cleared, settled by a person, expired, or the suspect has left."""
        if self.closed:
            return []
        self.closed = True
        return self._stop_all()

    def poll(self, now: float) -> list[Delivery]:
        """Return what has become due by ``now``."""
        if self.closed:
            return []
        if now >= self._expires_at:
            return self.close()
        out: list[Delivery] = []
        for recipient, told in self._told.items():
            out += self._due(recipient, told, now)
        if now >= self._alarm_at:
            self._alarm_at = _NEVER
            if not self.answered:
                self._alarm_on = True
                out.append(Delivery(None, Channel.CONSOLE, Action.START, self.alert))
        return out

    def deadline(self) -> float | None:
        """Return when ``poll`` is due next; None when nothing is left to do."""
        if self.closed:
            return None
        return min([self._expires_at, self._alarm_at, *(told.due() for told in self._told.values())])

    def _due(self, recipient: str, told: _Told, now: float) -> list[Delivery]:
        out: list[Delivery] = []
        if now >= told.repeat_at:
            out.append(self._send(recipient, told, Channel.DATA_CHANNEL))
            late = max(0.0, now - told.repeat_at) // self._config.repeat_s
            told.repeat_at += self._config.repeat_s * (1 + late) if self._urgent else _NEVER
        if now >= told.banner_at:
            told.banner_at = _NEVER
            out.append(self._start(recipient, told, Channel.BANNER))
        if now >= told.announce_at:
            told.announce_at = _NEVER
            out.append(self._start(recipient, told, Channel.ANNOUNCEMENT))
        return out

    def _send(self, recipient: str, told: _Told, channel: Channel) -> Delivery:
        told.showing.add(channel)
        return Delivery(recipient, channel, Action.SEND, self.alert)

    def _start(self, recipient: str, told: _Told, channel: Channel) -> Delivery:
        told.showing.add(channel)
        return Delivery(recipient, channel, Action.START, self.alert)

    def _stop(self, recipient: str, told: _Told, channels: set[Channel]) -> list[Delivery]:
        told.showing = told.showing - channels
        return [Delivery(recipient, channel, Action.STOP, self.alert) for channel in sorted(channels)]

    def _stop_alarm(self) -> list[Delivery]:
        on, self._alarm_on = self._alarm_on, False
        self._alarm_at = _NEVER
        return [Delivery(None, Channel.CONSOLE, Action.STOP, self.alert)] if on else []

    def _stop_all(self) -> list[Delivery]:
        out: list[Delivery] = []
        for recipient, told in self._told.items():
            told.quiet()
            out += self._stop(recipient, told, set(told.showing))
        return out + self._stop_alarm()
