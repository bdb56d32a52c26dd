"""Carries out what the policy decides: each Delivery goes out by its channel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from guard.policy.messages import Action, Channel, Delivery
from guard.signalling.session import SentAlert
from guard.signalling.sessions import Sessions
from guard.types import Alert


class MessagePort(Protocol):
    """The data channels."""

    def send(self, session: str, participant: str, text: str) -> bool:
        """Send text to a participant; False where no channel is open."""


class InjectionPort(Protocol):
    """The burnt-in banner and the announcement."""

    def start_banner(self, alert: Alert, recipient: str) -> None:
        """Show the banner over the suspect's picture to one recipient."""

    def stop_banner(self, alert: Alert, recipient: str) -> None:
        """Take it away again."""

    def start_announcement(self, alert: Alert, recipient: str) -> None:
        """Play the announcement once to one recipient in place of the suspect's voice."""

    def stop_announcement(self, alert: Alert, recipient: str) -> None:
        """Stop it where it still plays."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where deliveries go.

    Args:
        messages: data channels.
        injection: banner and announcement.
        webhook: takes one JSON object for the site's systems; None where none is set.
        log: takes an event name and keys.
        sent: counts one delivery by channel and action, with its delay from the decision.
        failed: counts one delivery that could not be made, by channel and reason.
    """

    messages: MessagePort
    injection: InjectionPort
    webhook: Callable[[dict[str, Any]], None] | None
    log: Callable[..., None]
    sent: Callable[[str, str, float | None], None]
    failed: Callable[[str, str], None]


class Deliverer:
    """Sends deliveries out; none of the ways can hold up another."""

    def __init__(self, sessions: Sessions, ports: Ports) -> None:
        self._sessions = sessions
        self._ports = ports

    def carry_out(self, deliveries: Iterable[Delivery], delay_s: float | None = None) -> None:
        """Carry out deliveries in order; what pages see is published once per alert.

        Args:
            deliveries: what the policy decided.
            delay_s: age of the decision, where they tell of a new one.
        """
        pages: dict[str, tuple[Alert, set[str]]] = {}
        for delivery in deliveries:
            self._ports.sent(delivery.channel.value, delivery.action.value, delay_s)
            opened = delivery.action is not Action.STOP
            if opened:
                _, readers = pages.setdefault(delivery.alert.id, (delivery.alert, set()))
                if delivery.recipient is not None and self._addresses(delivery):
                    readers.add(delivery.recipient)
            self._one(delivery)
        for alert, readers in pages.values():
            self._publish(alert, readers)

    def _addresses(self, delivery: Delivery) -> bool:
        """Tell whether the delivery makes the alert one that its recipient may answer.

        A data channel repeats until it is answered; only its first message says anything new.
        """
        if delivery.channel is Channel.PAGE:
            return True
        sent = self._sent(delivery.alert)
        known = sent is not None and delivery.recipient in (sent.recipients or ())
        return delivery.channel is Channel.DATA_CHANNEL and not known

    def _publish(self, alert: Alert, readers: set[str]) -> None:
        # operators' event streams hear of an alert once, pages whenever they are to show it
        if readers or self._sent(alert) is None:
            self._sessions.publish_alert(alert, readers)

    def _sent(self, alert: Alert) -> SentAlert | None:
        return next(
            (found.alerts.get(alert.id) for found in self._sessions if found.id == alert.session), None
        )

    def _one(self, delivery: Delivery) -> None:
        match delivery.channel:
            case Channel.DATA_CHANNEL:
                self._data_channel(delivery)
            case Channel.PAGE:
                self._page(delivery)
            case Channel.BANNER:
                self._banner(delivery)
            case Channel.ANNOUNCEMENT:
                self._announcement(delivery)
            case Channel.WEBHOOK:
                if self._ports.webhook is not None:
                    self._ports.webhook(delivery.alert.as_json())
            case Channel.CONSOLE:
                self._console(delivery)

    def _data_channel(self, delivery: Delivery) -> None:
        if delivery.recipient is None:
            return
        body = delivery.alert.as_json() if delivery.action is Action.SEND else _cleared(delivery.alert)
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        if not self._ports.messages.send(delivery.alert.session, delivery.recipient, text):
            self._ports.failed(delivery.channel.value, "no_channel")

    def _page(self, delivery: Delivery) -> None:
        if delivery.action is Action.STOP and delivery.recipient is not None:
            body = _cleared(delivery.alert)
            self._sessions.publish(delivery.alert.session, body, {delivery.recipient})

    def _banner(self, delivery: Delivery) -> None:
        injection = self._ports.injection
        act = injection.start_banner if delivery.action is Action.START else injection.stop_banner
        if delivery.recipient is not None:
            act(delivery.alert, delivery.recipient)

    def _announcement(self, delivery: Delivery) -> None:
        injection = self._ports.injection
        act = injection.start_announcement if delivery.action is Action.START else injection.stop_announcement
        if delivery.recipient is not None:
            act(delivery.alert, delivery.recipient)

    def _console(self, delivery: Delivery) -> None:
        names = {Action.SEND: "alert", Action.START: "alarm_unanswered", Action.STOP: "alarm_answered"}
        alert = delivery.alert
        self._ports.log(
            names[delivery.action], session=alert.session, alert=alert.id, state=alert.state.value
        )
        if delivery.action is not Action.SEND:
            event = {
                "v": 1,
                "type": "alarm",
                "session": alert.session,
                "participant": alert.participant,
                "id": alert.id,
                "ringing": delivery.action is Action.START,
            }
            self._sessions.publish(alert.session, event, set())


def _cleared(alert: Alert) -> dict[str, Any]:
    """Return the message that takes an alert off the screen."""
    return {
        "v": 1,
        "type": "cleared",
        "id": alert.id,
        "session": alert.session,
        "participant": alert.participant,
    }
