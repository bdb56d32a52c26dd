"""What is done about a warning, step by step: the tables ``[playbook]`` and ``[checks]`` of a profile.

A playbook only advises, holds and asks. No step ends the call, and none can be written that does:
the names of the steps are a closed list. Only what can be taken back may happen without a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guard.types import Role, State

Roles = Annotated[tuple[Annotated[Role, Field(strict=False)], ...], Field(min_length=1, strict=False)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Kind = Literal["visual", "light", "occlusion", "words"]


class Strict(BaseModel):
    """A table of a profile: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StepName(StrEnum):
    """The steps there are, in the only order they can have."""

    NOTICE = "notice"
    HOLD = "hold"
    CHALLENGE = "challenge"
    CALL_BACK = "call_back"
    SECOND_PERSON = "second_person"


class Autonomy(StrEnum):
    """Whether guard advises a person to do it, or does it."""

    ADVISE = "advise"
    AUTOMATIC = "automatic"


_ORDER = tuple(StepName)
_MAY_BE_AUTOMATIC = frozenset({StepName.NOTICE, StepName.HOLD, StepName.CHALLENGE})


class StepTable(Strict):
    """One step.

    Args:
        step: which.
        at: the state that starts it; ``suspect`` starts it in both.
        autonomy: ``automatic`` is possible for the notice, the hold and the challenge.
        limit_s: seconds after which it is overdue and the next step is opened all the same; the notice
            (its timetable is ``[alerts]``) and an automatic hold (``confirm_s``) take none.
        kind: of a challenge.
        to: roles that are told of it; those the profile tells, where it is left out.
    """

    step: Annotated[StepName, Field(strict=False)]
    at: Literal["suspect", "spoof"]
    autonomy: Annotated[Autonomy, Field(strict=False)] = Autonomy.ADVISE
    limit_s: Seconds | None = None
    kind: Kind | None = None
    to: Roles | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.autonomy is Autonomy.AUTOMATIC and self.step not in _MAY_BE_AUTOMATIC:
            raise ValueError(f"{self.step.value} cannot be automatic; a person does it: write advise")
        if self.step is StepName.NOTICE:
            if (self.autonomy, self.at) != (Autonomy.AUTOMATIC, "suspect"):
                raise ValueError("the notice is always given: it needs autonomy automatic, at suspect")
            if self.limit_s is not None or self.to is not None:
                raise ValueError("the notice takes neither limit_s nor to; [alerts] and tell say them")
        elif (self.limit_s is None) is not self._asked_at_once:
            raise ValueError(
                f"{self.step.value} needs limit_s, the seconds after which it is overdue"
                if self.limit_s is None
                else "an automatic hold takes no limit_s; confirm_s says how long it may take"
            )
        if (self.kind is not None) != (self.step is StepName.CHALLENGE):
            raise ValueError("a challenge needs kind, and no other step takes one")
        return self

    @property
    def _asked_at_once(self) -> bool:
        return self.step is StepName.HOLD and self.autonomy is Autonomy.AUTOMATIC

    def starts_in(self, state: State) -> bool:
        """Return whether the state starts the step."""
        return state is State.SPOOF or (state is State.SUSPECT and self.at == "suspect")


class PlaybookTable(Strict):
    """The steps in order, and who may release what was held.

    Args:
        steps: begins with the notice; each at most once, in the order of ``StepName``.
        second_person: whether a hold can only be released by somebody who had no hand in it.
        release_roles: roles that may release a hold.
        confirm_s: seconds the bank's system has to confirm a hold or a release.
    """

    steps: Annotated[tuple[StepTable, ...], Field(min_length=1, strict=False)]
    second_person: bool = False
    release_roles: Roles = (Role.AGENT, Role.HOST, Role.OPERATOR, Role.SECURITY)
    confirm_s: Annotated[float, Field(ge=1, le=300)] = 15.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        names = [step.step for step in self.steps]
        if names[0] is not StepName.NOTICE:
            raise ValueError("steps must begin with notice: nothing is done before people are told")
        if len(set(names)) < len(names):
            raise ValueError("steps: each step can be there once")
        if names != sorted(names, key=_ORDER.index):
            raise ValueError(f"steps must be in the order {', '.join(_ORDER)}")
        second = StepName.SECOND_PERSON in names
        if second is not self.second_person or (second and StepName.HOLD not in names):
            raise ValueError(
                "second_person = true needs the steps hold and second_person; without it leave the step out"
            )
        if not set(self.release_roles) <= _DECIDING:
            raise ValueError("release_roles can hold agent, host, operator and security only")
        return self

    def step(self, name: StepName) -> StepTable | None:
        """Return one step; None where the playbook does not have it."""
        return next((step for step in self.steps if step.step is name), None)

    def roles(self) -> Iterator[Role]:
        """Return every role that a step names."""
        for step in self.steps:
            yield from step.to or ()


_DECIDING = frozenset({Role.AGENT, Role.HOST, Role.OPERATOR, Role.SECURITY})


class ChecksTable(Strict):
    """When guard itself starts an active check.

    Args:
        at: never, when a judged participant joins, or in a state; a state needs the playbook's challenge
            step there, automatic and of the same kind.
        kind: which check.
    """

    at: Literal["never", "call_start", "suspect", "spoof"] = "never"
    kind: Kind | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.at == "never") != (self.kind is None):
            raise ValueError("checks needs kind where it starts one, and none with at = never")
        return self

    def fits(self, playbook: PlaybookTable) -> bool:
        """Return whether the playbook's challenge is automatic exactly where this says so."""
        challenge = playbook.step(StepName.CHALLENGE)
        automatic = challenge is not None and challenge.autonomy is Autonomy.AUTOMATIC
        if self.at in ("never", "call_start") or challenge is None:
            return not automatic and self.at in ("never", "call_start")
        return automatic and (challenge.at, challenge.kind) == (self.at, self.kind)
