"""What drills (``drills.py``) need of the parts around them."""

from __future__ import annotations

from typing import Protocol

from guard.types import State, Verdict


class DrillCounter(Protocol):
    """What is counted of drills; ``metrics.py`` behind it."""

    def reaction(self, reaction: str, delay_s: float) -> None:
        """The first reaction of its kind, so long after people were told."""

    def unanswered(self) -> None:
        """Nobody reacted to an attack before the call ended."""

    def detected(self, attack: str, state: str, delay_s: float) -> None:
        """The detectors raised this state so long after the synthetic media began."""

    def attack_over(self, attack: str, result: str) -> None:
        """A synthetic attack is over."""


class DrillCalls(Protocol):
    """The calls, as far as drills go."""

    def inject(self, session: str, participant: str, state: State) -> str | None:
        """Tell of a state as if it had been found; the alert's id, None where no alert can be told now."""

    def may_alarm(self, session: str, participant: str) -> bool:
        """Return whether an alert about a participant would be told at once."""

    def found(self, verdict: Verdict, age_s: float) -> str | None:
        """Tell what was found of a drill's synthetic media; the alert's id where one is told of it."""

    def drill_over(self, session: str, participant: str) -> None:
        """Nothing more is found for a drill of this participant."""
