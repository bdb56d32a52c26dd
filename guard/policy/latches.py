"""What stays until a person has acted: red, and the negative result of a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from guard.reasons import CHECK_FAILED, MILDER, WAITING_FOR_PERSON
from guard.types import ALERTING, State, Verdict


class Latches:
    """The latches of one session. They are kept beside fusion's own so that they outlive its process."""

    def __init__(self) -> None:
        self._red: set[str] = set()
        self._failed: set[str] = set()

    def red(self, participant: str) -> None:
        """The participant was found to be SPOOF."""
        self._red.add(participant)

    def failed(self, participant: str) -> None:
        """An active check of the participant had its negative result."""
        self._failed.add(participant)

    def release(self, participant: str) -> None:
        """A person has acted, or the participant is gone."""
        self._red.discard(participant)
        self._failed.discard(participant)

    def is_red(self, participant: str) -> bool:
        """Return whether the participant was found to be SPOOF."""
        return participant in self._red

    def has_failed(self, participant: str) -> bool:
        """Return whether a check of the participant had its negative result."""
        return participant in self._failed

    def waits(self, participant: str) -> bool:
        """Return whether something about the participant needs a person."""
        return participant in self._red or participant in self._failed

    def state(self, participant: str, state: State) -> State:
        """Return the state to show: red stays red, a failed check amber; DETECTOR_DOWN lies over both."""
        return state if state is State.DETECTOR_DOWN else self._at_least(participant, state)

    def raised(self, verdict: Verdict) -> Verdict:
        """Return the verdict with the state that people are told, and why."""
        state = self._at_least(verdict.participant, verdict.state)
        return replace(
            verdict, state=state, reasons=self.reasons(verdict.participant, verdict.state, verdict.reasons)
        )

    def reasons(self, participant: str, state: State, reasons: Sequence[str]) -> tuple[str, ...]:
        """Return the reasons for the state to show, given those of a verdict's state."""
        first = (CHECK_FAILED,) if participant in self._failed else ()
        last = (WAITING_FOR_PERSON,) if participant in self._red and state is not State.SPOOF else ()
        dropped = {*first, *last, *(MILDER if first or last else ())}
        return (*first, *(code for code in reasons if code not in dropped), *last)

    def _at_least(self, participant: str, state: State) -> State:
        if participant in self._red:
            return State.SPOOF
        return State.SUSPECT if participant in self._failed and state not in ALERTING else state
