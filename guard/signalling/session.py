"""One call and the people in it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from guard.errors import NotFoundError
from guard.signalling.hub import Event, Hub
from guard.types import Role, Signal, SignalState, State

SUSPECTABLE = frozenset({Role.CUSTOMER, Role.GUEST})
"""Roles that are analysed unless the profile or the session says otherwise."""


MAX_DECISIONS = 256
"""Reasons that are kept of one session."""


class Phase(StrEnum):
    """Where a call stands; ``state`` of a session on the wire."""

    OPEN = "open"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class NewParticipant:
    """Who is expected in a session; ``suspectable`` None takes the role's default."""

    id: str
    role: Role
    suspectable: bool | None = None


@dataclass(slots=True)
class Participant:
    """One person of one session and what guard makes of them now.

    ``reasons`` are codes for the state, strongest first (docs/reasons.md). ``alert`` is the newest warning,
    by which the state can be settled; None where there is nothing to settle. ``language`` is the one they
    read the notice in; None before they have joined by a page.
    """

    id: str
    role: Role
    suspectable: bool
    connected: bool = False
    publishing: bool = False
    language: str | None = None
    state: State = State.UNDECIDED
    llr: float | None = None
    signals: Mapping[Signal, SignalState] = field(default_factory=dict)
    reasons: Sequence[str] = ()
    alert: str | None = None


@dataclass(slots=True)
class SentAlert:
    """An alert as it went out; ``recipients`` None means everyone whose role watches."""

    event: Event
    recipients: frozenset[str] | None
    answered: bool = False

    @property
    def participant(self) -> str:
        """Whom it is about."""
        return str(self.event["participant"])


@dataclass(slots=True)
class Session:
    """One call.

    Args:
        drill: a training call: nothing in it is analysed or counted as real.
        alerts: its latest ones by id.
        steps: the latest event of each open step of the playbook, by participant and step.
        alarms: the events of the alarms that ring, by alert and reason.
        decisions: the latest ``acknowledged`` events with a reason, oldest first; nowhere else is it kept.
        empty_since: monotonic seconds when it was opened or the last person left.
        used: whether anybody was ever there.
    """

    id: str
    profile: str
    hub: Hub
    phase: Phase = Phase.OPEN
    drill: bool = False
    participants: dict[str, Participant] = field(default_factory=dict)
    alerts: OrderedDict[str, SentAlert] = field(default_factory=OrderedDict)
    steps: dict[tuple[str, str], Event] = field(default_factory=dict)
    alarms: dict[tuple[str, str], Event] = field(default_factory=dict)
    decisions: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_DECISIONS))
    empty_since: float = 0.0
    used: bool = False

    @property
    def empty(self) -> bool:
        """Whether nobody is connected."""
        return not any(person.connected or person.publishing for person in self.participants.values())

    def note_step(self, event: Event) -> None:
        """Keep a ``playbook`` event for pages that open later; ``closed`` forgets all of its participant."""
        about = str(event["participant"])
        if event["state"] == "closed":
            self.steps = {key: kept for key, kept in self.steps.items() if key[0] != about}
        else:
            self.steps.pop((about, str(event["step"])), None)  # the latest comes last
            self.steps[about, str(event["step"])] = event

    def note_alarm(self, event: Event) -> None:
        """Keep an ``alarm`` event for consoles that open while it rings."""
        key = (str(event["id"]), str(event["reason"]))
        self.alarms.pop(key, None)
        if event["ringing"]:
            self.alarms[key] = event

    def participant(self, name: str) -> Participant:
        """Return one participant.

        Raises:
            NotFoundError: ``participant_unknown``.
        """
        try:
            return self.participants[name]
        except KeyError:
            raise NotFoundError("participant_unknown", "no such participant in this session") from None
