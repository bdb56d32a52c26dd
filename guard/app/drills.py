"""Drills: attacks injected into a training call, and how long its people take to react.

What is injected goes through the session's own policy, deliveries and playbook; only the verdict is made
up. Reactions are told as events, written into the records as ``drill``, and counted in ``guard_drill_*``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from guard.clock import Clock
from guard.errors import PeerError
from guard.signalling.session import Session
from guard.signalling.sessions import Sessions
from guard.types import State


class DrillCounter(Protocol):
    """What is counted of drills; ``metrics.py`` behind it."""

    def reaction(self, reaction: str, delay_s: float) -> None:
        """The first reaction of its kind, so long after the injection."""

    def unanswered(self) -> None:
        """Nobody reacted to an attack before the call ended."""


@dataclass(slots=True)
class _Attack:
    alert: str
    participant: str
    state: State
    by: str
    at_s: float
    reactions: set[str] = field(default_factory=set)


class Drills:
    """The attacks of the training calls that run.

    Args:
        clock: times reactions.
        sessions: where events go.
        inject: tells of (session, participant, state) as if it had been found; returns the alert's id,
            or None where no alert can be told now.
        record: takes (session, type, body) for the signed records.
        counter: of drills alone.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sessions: Sessions,
        inject: Callable[[str, str, State], str | None],
        record: Callable[[str, str, Mapping[str, Any]], None],
        counter: DrillCounter,
    ) -> None:
        self._clock, self._sessions = clock, sessions
        self._inject, self._record, self._counter = inject, record, counter
        self._attacks: dict[str, list[_Attack]] = {}
        sessions.listen(ended=self._ended)

    def inject(self, session: str, participant: str, state: State, *, by: str) -> str:
        """Inject an attack and return the id of its alert (``DrillPort``).

        Raises:
            NotFoundError: no such session or participant.
            PeerError: ``drill_only``, ``participant_not_analysed`` or ``drill_running``.
        """
        found = self._sessions.get(session)
        if not found.drill:
            raise PeerError("drill_only", 'this is no training call; open one with "drill": true')
        if not found.participant(participant).suspectable:
            raise PeerError("participant_not_analysed", "this participant is not analysed; name one who is")
        # before the injection: people may react while it is being carried out
        attack = _Attack("", participant, state, by, self._clock.now())
        self._attacks.setdefault(session, []).append(attack)
        alert = self._inject(session, participant, state)
        if alert is None:
            self._attacks[session].remove(attack)
            raise PeerError(
                "drill_running",
                "an alert about this participant runs, or was told within the last minute; "
                "acknowledge it with a reason, or wait",
            )
        attack.alert = alert
        self._say(found, attack, "injected", by, 0.0)
        return alert

    def reacted(self, session: str, participant: str, reaction: str, by: str) -> None:
        """Somebody acted on an alert about a participant; in real calls this is nothing to a drill."""
        attack = next(
            (a for a in reversed(self._attacks.get(session, [])) if a.participant == participant), None
        )
        if attack is None or reaction in attack.reactions:
            return
        attack.reactions.add(reaction)
        delay_s = self._clock.now() - attack.at_s
        self._counter.reaction(reaction, delay_s)
        self._say(self._sessions.get(session), attack, reaction, by, delay_s)

    def _ended(self, session: Session) -> None:
        for attack in self._attacks.pop(session.id, []):
            if not attack.reactions:
                self._counter.unanswered()
                self._say(session, attack, "unanswered", None, self._clock.now() - attack.at_s)

    def _say(self, session: Session, attack: _Attack, reaction: str, by: str | None, delay_s: float) -> None:
        body = {
            "participant": attack.participant,
            "id": attack.alert,
            "injected": attack.state.value,
            "reaction": reaction,
            "by": by,
            "delay_s": round(delay_s, 3),
        }
        self._record(session.id, "drill", body)
        self._sessions.publish(session.id, {"v": 1, "type": "drill", "session": session.id, **body})
