"""Carries out what the policy decides: each Delivery goes out by its channel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from guard.alert import Alert
from guard.app.alarms import ANSWERED, AlarmReason, Alarms
from guard.app.reach import NO_RECIPIENT, NOT_CONNECTED, Reach
from guard.clock import Clock
from guard.policy.messages import Action, Channel, Delivery
from guard.signalling.session import SentAlert
from guard.signalling.sessions import Sessions
from guard.types import ALERTING


class DeliveryCounters(Protocol):
    """What is counted of deliveries; ``metrics.py`` behind it."""

    def delivered(self, channel: str, action: str, delay_s: float | None = None) -> None:
        """One delivery; ``delay_s`` from the decision where it is the first by its channel."""

    def delivery_failed(self, channel: str, reason: str) -> None:
        """One delivery could not be made."""


class MessagePort(Protocol):
    """The data channels."""

    def send(self, session: str, participant: str, text: str) -> bool:
        """Send text to a participant; False where no channel is open."""


class InjectionPort(Protocol):
    """The burnt-in banner and the announcement."""

    def start_banner(self, alert: Alert, recipient: str) -> str | None:
        """Show the banner over the suspect's picture to one recipient; returns why it cannot, or None."""

    def stop_banner(self, alert: Alert, recipient: str) -> None:
        """Take it away again."""

    def start_announcement(self, alert: Alert, recipient: str) -> str | None:
        """Play it once to one recipient in place of the suspect's voice; returns why it cannot, or None."""

    def stop_announcement(self, alert: Alert, recipient: str) -> None:
        """Stop it where it still plays."""


WebhookPort = Callable[[dict[str, Any], Callable[[str], None]], None]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where deliveries go.

    Args:
        messages: data channels.
        injection: banner and announcement.
        webhook: takes one JSON object for the site's systems, and whom to tell why it was given up;
            None where none is set.
        log: takes an event name and keys.
        error: the same, for what must not be overlooked.
        counters: of real calls.
        drills: of drills, which are never counted with them.
        alarms: the console alarm.
        told: told of every alert that goes out, once for each state.
    """

    messages: MessagePort
    injection: InjectionPort
    webhook: WebhookPort | None
    log: Callable[..., None]
    error: Callable[..., None]
    counters: DeliveryCounters
    drills: DeliveryCounters
    alarms: Alarms
    told: Callable[[Alert], None] = lambda _: None


class Deliverer:
    """Sends deliveries out; none of the ways can hold up another.

    What cannot be delivered is loud: an event ``delivery_failed`` for those who watch, the console
    alarm and a count; and where nobody was reached by any way, an error in the log.
    """

    def __init__(self, sessions: Sessions, ports: Ports, clock: Clock) -> None:
        self._sessions = sessions
        self._ports = ports
        self._clock = clock
        self._reach = Reach()

    def carry_out(self, deliveries: Iterable[Delivery], delay_s: float | None = None) -> None:
        """Carry out deliveries in order; what pages see is published once per alert.

        Args:
            deliveries: what the policy decided.
            delay_s: age of the decision, where they tell of a new one.
        """
        pages: dict[str, tuple[Alert, set[str]]] = {}
        fresh: set[str] = set()
        for delivery in deliveries:
            opened = delivery.action is not Action.STOP
            if opened:
                if self._reach.decided(delivery.alert, self._clock.now() - (delay_s or 0.0)):
                    fresh.add(delivery.alert.id)
                _, readers = pages.setdefault(delivery.alert.id, (delivery.alert, set()))
                if delivery.recipient is not None and self._addresses(delivery):
                    readers.add(delivery.recipient)
            self._one(delivery)
        for alert, readers in pages.values():
            self._publish(alert, readers)
            if alert.id in fresh and alert.state in ALERTING:
                self._ports.told(alert)
                if self._reach.nobody(alert) and self._reach.quiet(alert):
                    self.fail(alert, None, NO_RECIPIENT, "no_recipient")

    def fail(self, alert: Alert, recipient: str | None, channel: str, reason: str) -> None:
        """A delivery could not be made: count it, and say it loudly where it is a warning.

        Args:
            alert: what was to be told.
            recipient: who was to be told; None for a system.
            channel: by which means.
            reason: code listed in docs/metrics.md.
        """
        self._counters(alert).delivery_failed(channel, reason)
        if not self._reach.failed(alert, recipient, channel):
            return
        event = {
            "v": 1,
            "type": "delivery_failed",
            "session": alert.session,
            "participant": alert.participant,
            "alert": alert.id,
            "channel": channel,
            "reason": reason,
        }
        self._sessions.publish(alert.session, event)
        self._ports.log(
            "delivery_failed", session=alert.session, alert=alert.id, channel=channel, reason=reason
        )
        if alert.state in ALERTING:
            self._ring(alert, AlarmReason.DELIVERY_FAILED)

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

    def _counters(self, alert: Alert) -> DeliveryCounters:
        return self._ports.drills if alert.drill else self._ports.counters

    def _ring(self, alert: Alert, reason: AlarmReason) -> None:
        self._ports.alarms.ring(alert.session, alert.participant, alert.id, reason)

    def _one(self, delivery: Delivery) -> None:
        reason = self._go(delivery)
        if reason == NOT_CONNECTED:
            return  # invited, and not in the call; where nobody is, that is told
        delay_s = self._reach.first_delay_s(delivery, self._clock.now())
        self._counters(delivery.alert).delivered(delivery.channel.value, delivery.action.value, delay_s)
        if reason is not None:
            self.fail(delivery.alert, delivery.recipient, delivery.channel.value, reason)
        elif delivery.action is not Action.STOP:
            self._reach.reached(delivery)

    def _go(self, delivery: Delivery) -> str | None:
        """Make one delivery; returns why it cannot be made, or None."""
        match delivery.channel:
            case Channel.DATA_CHANNEL:
                return self._data_channel(delivery)
            case Channel.PAGE:
                self._page(delivery)
            case Channel.BANNER | Channel.ANNOUNCEMENT:
                return self._inject(delivery)
            case Channel.WEBHOOK:
                if self._ports.webhook is not None:
                    gave_up = partial(self.fail, delivery.alert, None, Channel.WEBHOOK.value)
                    self._ports.webhook(delivery.alert.as_json(), gave_up)
            case Channel.CONSOLE:
                self._console(delivery)
        return None

    def _data_channel(self, delivery: Delivery) -> str | None:
        if delivery.recipient is None:
            return None
        sending = delivery.action is Action.SEND
        body = delivery.alert.as_json() if sending else _cleared(delivery.alert)
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        sent = self._ports.messages.send(delivery.alert.session, delivery.recipient, text)
        # that a warning cannot be taken off a screen which is gone is no failure
        return None if sent or not sending else "no_channel"

    def _page(self, delivery: Delivery) -> None:
        if delivery.action is Action.STOP and delivery.recipient is not None:
            body = _cleared(delivery.alert)
            self._sessions.publish(delivery.alert.session, body, {delivery.recipient})

    def _inject(self, delivery: Delivery) -> str | None:
        if delivery.recipient is None:
            return None
        injection, banner = self._ports.injection, delivery.channel is Channel.BANNER
        if delivery.action is Action.START:
            start = injection.start_banner if banner else injection.start_announcement
            return start(delivery.alert, delivery.recipient)
        stop = injection.stop_banner if banner else injection.stop_announcement
        stop(delivery.alert, delivery.recipient)
        return None

    def _console(self, delivery: Delivery) -> None:
        alert = delivery.alert
        if delivery.action is Action.SEND:
            keys = {"session": alert.session, "alert": alert.id, "state": alert.state.value}
            self._ports.log("alert", **keys, reasons=list(alert.reasons), signals=list(alert.signals))
        elif delivery.action is Action.STOP:
            self._ports.alarms.stop(alert.session, alert.id, *ANSWERED)
        else:
            self._ring(alert, AlarmReason.UNANSWERED)
            if self._reach.nobody(alert):
                # every way has been tried by now: the banner, then the announcement, come before this
                self._ports.error("alert_undelivered", session=alert.session, alert=alert.id)


def _cleared(alert: Alert) -> dict[str, Any]:
    """Return the message that takes an alert off the screen."""
    return {
        "v": 1,
        "type": "cleared",
        "id": alert.id,
        "session": alert.session,
        "participant": alert.participant,
    }
