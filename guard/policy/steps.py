"""What the playbook hands out: things that happened, and things that somebody must do now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from guard.policy.plan import StepName
from guard.types import Role


class Standing(StrEnum):
    """Where a step stands; ``state`` of a ``playbook`` event."""

    ADVISED = "advised"  # a person is to do it
    STARTED = "started"  # guard has begun it
    REQUESTED = "requested"  # the bank's system has been asked
    CONFIRMED = "confirmed"  # the bank's system, or a person, says that it is so
    FAILED = "failed"  # the bank's system has not confirmed
    REPEATED = "repeated"  # asked for again; nothing changed
    DONE = "done"
    OVERDUE = "overdue"
    ASKED = "asked"  # one person asks for the release, another is needed
    RELEASED = "released"
    LEFT_OPEN = "left_open"  # the call ended while the operation was on hold
    CLOSED = "closed"  # nothing is left to do about this participant


class BankState(StrEnum):
    """What the bank's system is asked to do: hold an operation, or let it go on."""

    REQUESTED = "requested"
    RELEASED = "released"


class BankAnswer(StrEnum):
    """What the bank's system answered."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Happened:
    """One event for the record; told to people where it has a text.

    Args:
        suspect: whom the warning is about.
        alert: the alert it belongs to.
        step: of the playbook.
        state: where the step stands now.
        by: who did it; None for guard itself.
        text: key of the words people are told; None tells nobody.
        to: roles that are told; empty for all the profile tells.
        loud: whether the console alarm rings.
        details: more for the record.
    """

    suspect: str
    alert: str
    step: StepName
    state: Standing
    by: str | None = None
    text: str | None = None
    to: tuple[Role, ...] = ()
    loud: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskBank:
    """The bank's system is to hold the operation, or to let it go on; its answer goes to ``on_bank``.

    Args:
        hold: id of the hold, the same for both.
        by: who asked; None for guard itself.
    """

    hold: str
    suspect: str
    alert: str
    state: BankState
    by: str | None


@dataclass(frozen=True, slots=True)
class StartChallenge:
    """Guard begins an active check; ``alert`` is None at the beginning of a call."""

    suspect: str
    kind: str
    alert: str | None


Out = Happened | AskBank | StartChallenge
