"""What people decide about a warning, applied to the policy and to the analysis process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from guard.app.alert_ages import AlertAges
from guard.app.call_ports import AnalysisPort
from guard.clock import Clock
from guard.errors import PeerError
from guard.policy.engine import Policy
from guard.policy.messages import Delivery
from guard.signalling.ports import Action, ActionKind


class Settling:
    """Takes acknowledgements (``ActionSink``).

    Args:
        clock: times them.
        policies: by session.
        analysis: starts its evidence afresh once a person has settled a state.
        ages: counts how long people took.
        carry_out: sends deliveries out.
        reset: shows (session, participant) as one of whom nothing is known.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        policies: Mapping[str, Policy],
        analysis: AnalysisPort,
        ages: AlertAges,
        carry_out: Callable[[Iterable[Delivery]], None],
        reset: Callable[[str, str], None],
    ) -> None:
        self._clock, self._policies, self._analysis, self._ages = clock, policies, analysis, ages
        self._carry_out, self._reset = carry_out, reset

    def settles(self, session: str, alert: str) -> bool:
        """Return whether an acknowledgement of an alert with a reason settles what people were warned of."""
        policy = self._policies.get(session)
        return policy is not None and policy.suspect_of(alert) is not None

    def check(self, action: Action) -> None:
        """Refuse an acknowledgement of what has become worse since the person saw it.

        Raises:
            PeerError: ``state_graver``.
        """
        policy = self._policies.get(action.session)
        if policy is None or action.kind is not ActionKind.ACKNOWLEDGE:
            return
        if (
            action.alert is not None
            and action.state is not None
            and policy.graver(action.alert, action.state)
        ):
            raise PeerError("state_graver", "the warning is red by now; read it, and decide about that")

    def act(self, action: Action) -> None:
        """Take a permitted action; an acknowledgement with a reason releases the latch."""
        policy = self._policies.get(action.session)
        if policy is None or action.kind is not ActionKind.ACKNOWLEDGE or action.alert is None:
            return
        now = self._clock.now()
        suspect = policy.suspect_of(action.alert)
        accepted = policy.acks["accepted"]
        self._carry_out(policy.on_ack(action.alert, action.by, now))
        if policy.acks["accepted"] > accepted and not policy.drill:
            self._ages.acknowledged(action.alert, now)
        if suspect is not None and action.reasoned:
            self._carry_out(policy.settle(suspect, now))
            # in a drill it is about what was injected, never about what is really known of the participant
            kind = "drill_acknowledge" if policy.drill else "acknowledge"
            self._analysis.send({"type": kind, "session": action.session, "participant": suspect})
            # no verdict may follow: the camera is off, or it was a drill
            self._reset(action.session, suspect)
