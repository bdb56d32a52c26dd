"""What became of each alert on its way: when it first went out by each means, and whom it reached."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from guard.alert import Alert
from guard.policy.messages import Action, Channel, Delivery

MAX_REMEMBERED = 1024
NO_RECIPIENT = "nobody"
NOT_CONNECTED = "not_connected"
"""Why a banner or announcement reaches somebody who is invited and not in the call: no failure of its own."""
_TO_PEOPLE = frozenset({Channel.DATA_CHANNEL, Channel.PAGE, Channel.BANNER, Channel.ANNOUNCEMENT})


@dataclass(slots=True)
class _Way:
    decided_s: float
    told: set[Channel] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)
    failures: set[tuple[str | None, str]] = field(default_factory=set)


class Reach:
    """Keeps the last ``MAX_REMEMBERED`` alerts; one told anew under the same id counts as another."""

    def __init__(self) -> None:
        self._ways: OrderedDict[tuple[str, str, str], _Way] = OrderedDict()

    def decided(self, alert: Alert, at_s: float) -> bool:
        """Remember when an alert was decided, monotonic seconds; returns whether it is new."""
        key = _key(alert)
        if key in self._ways:
            return False
        self._ways[key] = _Way(at_s)
        while len(self._ways) > MAX_REMEMBERED:
            self._ways.popitem(last=False)
        return True

    def first_delay_s(self, delivery: Delivery, now: float) -> float | None:
        """Return the seconds from the decision to this delivery, if it is the first by its channel."""
        way = self._way(delivery.alert)
        if way is None or delivery.action is Action.STOP or delivery.channel in way.told:
            return None
        way.told.add(delivery.channel)
        return max(now - way.decided_s, 0.0)

    def reached(self, delivery: Delivery) -> None:
        """A delivery to a person was handed over."""
        way = self._way(delivery.alert)
        if way is not None and delivery.recipient is not None and delivery.channel in _TO_PEOPLE:
            way.reached.add(delivery.recipient)

    def failed(self, alert: Alert, recipient: str | None, channel: str) -> bool:
        """A delivery could not be made; returns whether that is new."""
        way = self._way(alert)
        if way is None or (recipient, channel) in way.failures:
            return False
        way.failures.add((recipient, channel))
        return True

    def nobody(self, alert: Alert) -> bool:
        """Return whether no way to any person has worked so far."""
        way = self._way(alert)
        return way is not None and not way.reached

    def quiet(self, alert: Alert) -> bool:
        """Return whether no failure has been told of so far."""
        way = self._way(alert)
        return way is None or not way.failures

    def _way(self, alert: Alert) -> _Way | None:
        return self._ways.get(_key(alert))


def _key(alert: Alert) -> tuple[str, str, str]:
    return alert.id, alert.state.value, alert.at
