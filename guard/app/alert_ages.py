"""When alerts were decided: each is counted once, and so is how long people took to acknowledge it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from guard.app.call_ports import AlertCounter, Counters
from guard.policy.messages import Action, Delivery
from guard.types import ALERTING

MAX_REMEMBERED_ALERTS = 1024


class AlertAges:
    """The alerts of all calls.

    Args:
        counters: of real calls.
        drills: of training calls, whose alerts are not counted as real ones.
        profile_of: names the profile of a session.
    """

    def __init__(self, counters: Counters, drills: AlertCounter, profile_of: Callable[[str], str]) -> None:
        self._counters, self._drills, self._profile_of = counters, drills, profile_of
        self._decided_s: OrderedDict[str, float] = OrderedDict()

    def note(self, deliveries: Iterable[Delivery], decided_s: float, *, drill: bool) -> None:
        """Count the alerts not seen before, decided at ``decided_s`` (monotonic seconds), notices apart."""
        for delivery in deliveries:
            alert = delivery.alert
            fresh = delivery.action is not Action.STOP and alert.id not in self._decided_s
            if fresh and alert.state in ALERTING:
                self._decided_s[alert.id] = decided_s
                counters = self._drills if drill else self._counters
                counters.alert(self._profile_of(alert.session), alert.state)
        while len(self._decided_s) > MAX_REMEMBERED_ALERTS:
            self._decided_s.popitem(last=False)

    def acknowledged(self, alert: str, now: float) -> None:
        """A person acknowledged an alert of a real call."""
        if alert in self._decided_s:
            self._counters.acknowledged(now - self._decided_s[alert])
