"""How a check goes, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from guard.challenge.commands import CheckKind, Command, Gesture, Judgement, Need, Result
from guard.challenge.draw import POOLS, VARIED
from guard.challenge.sprt import Sprt
from guard.types import FloatArray


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """How a check goes.

    Args:
        commands: least number of commands of a visual attempt.
        most_commands: most of them.
        attempts: failed attempts that make the negative result.
        repeats: inconclusive attempts that are repeated.
        needs_changes: how often a person may ask for other commands.
        lead_s: from the announcement to the first command, in which the resting face is seen.
        pause_s: from a judged command to the next; time to come back and to be seen at rest.
        again_s: from an attempt to the next.
        form_s: how long nothing is asked while a person reads what else they could be asked.
        before_s: pictures kept from before a command.
        transcript_s: how long a recogniser may take.
    """

    commands: int = 3
    most_commands: int = 5
    attempts: int = 3
    repeats: int = 1
    needs_changes: int = 3
    lead_s: float = 3.0
    pause_s: float = 3.5
    again_s: float = 4.0
    form_s: float = 45.0
    before_s: float = 2.0
    transcript_s: float = 10.0
    sprt: Sprt = field(default_factory=Sprt)

    def __post_init__(self) -> None:
        if not 3 <= self.commands <= self.most_commands:
            raise ValueError("a visual check has at least three commands, and most_commands not fewer")
        most = _most_commands(self.attempts)
        if self.attempts * self.commands > most:
            raise ValueError(
                f"attempts and commands: {self.attempts} attempts of {self.commands} commands are more than "
                f"the {most} commands that can be asked in a session without asking one twice"
            )
        if self.attempts < 1 or self.repeats < 0 or self.needs_changes < 0:
            raise ValueError("attempts must be at least 1, repeats and needs_changes not negative")
        if not min(self.lead_s, self.pause_s) >= self.before_s > 0:
            raise ValueError("lead_s and pause_s must not be shorter than before_s: the rest is seen in them")


def _most_commands(attempts: int) -> int:
    """Return how many commands visual attempts can ask at most, where nobody writes words down."""
    pool = set(POOLS[CheckKind.VISUAL]) - {Gesture.SAY_WORDS}
    return len(pool - VARIED) + attempts * len(pool & VARIED)


@dataclass(frozen=True, slots=True)
class Show:
    """Put this step of a command on the person's screen now."""

    attempt: int
    number: int
    step: int
    command: Command


@dataclass(frozen=True, slots=True)
class Listen:
    """Have this speech written down, and tell the check by ``understood``."""

    attempt: int
    number: int
    voice: FloatArray
    language: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A command with what became of it, for the record; times are monotonic seconds."""

    command: Command
    sent_s: tuple[float, ...]
    judgement: Judgement | None = None
    shown_s: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttemptOver:
    """An attempt has ended; ``again`` says whether another follows."""

    attempt: int
    result: Result
    reason: str
    commands: tuple[Asked, ...]
    needs: tuple[Need, ...]
    again: bool


Output = Show | Listen | AttemptOver
