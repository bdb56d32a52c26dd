"""One hold of a risky operation: asked for, confirmed or not, and released by somebody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

_NEVER = float("inf")


class HoldState(StrEnum):
    """Where a hold stands. Every state but the last has a way to ``released``."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    RELEASED = "released"


@dataclass(slots=True)
class Hold:
    """A hold of the operation one participant is about to make.

    Args:
        id: the same on every wire.
        alert: what it was asked for.
        asked_by: who asked; None for guard itself.
        due: monotonic seconds by which the bank's system must have answered.
        hands: everybody who took part in holding; with ``second_person`` none of them releases.
        operation: what the bank's system calls the operation; None before it said.
    """

    id: str
    alert: str
    asked_by: str | None
    due: float
    state: HoldState = HoldState.REQUESTED
    hands: set[str] = field(default_factory=set)
    operation: str | None = None

    def __post_init__(self) -> None:
        if self.asked_by is not None:
            self.hands.add(self.asked_by)

    @property
    def is_open(self) -> bool:
        """Whether the operation is, or may be, on hold."""
        return self.state is not HoldState.RELEASED

    def confirm(self, by: str | None, operation: str | None) -> None:
        """The operation is on hold."""
        self.state, self.due = HoldState.CONFIRMED, _NEVER
        self.operation = operation or self.operation
        if by is not None:
            self.hands.add(by)

    def fail(self) -> None:
        """Nobody has confirmed it; it may still be on hold, so it stays open."""
        self.state, self.due = HoldState.UNCONFIRMED, _NEVER

    def release(self, due: float) -> None:
        """The operation may go on; the bank's system has until ``due`` to confirm that."""
        self.state, self.due = HoldState.RELEASED, due

    def confirms_by_hand(self, by: str, reason: str | None) -> bool:
        """Return whether a second ``hold`` action confirms this one.

        It must give a reason (what was held, where), and come from somebody else than who asked, unless
        the bank's system has failed to answer and they were told to hold it themselves.
        """
        if not (reason or "").strip():
            return False
        return self.state is HoldState.UNCONFIRMED or (
            self.state is HoldState.REQUESTED and by != self.asked_by
        )
