"""One check that runs, as the relay process knows it: what every record and event says of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

MUTUAL = "mutual"


@dataclass(slots=True)
class RunningCheck:
    """A check from its beginning to its last attempt.

    Args:
        id: unguessable.
        session: of the call.
        participant: who is checked.
        kind: ``visual``, ``words``, ... or ``mutual``, which the analysis process knows nothing of.
        language: of the commands.
        by: who began it, a participant or ``policy``.
        drill: whether the session is one.
        instead_of: the kind that policy wanted and that could not pass here.
        attempt: the one that runs, from 1.
        timer: gives it up when nothing is heard of it any more.
    """

    id: str
    session: str
    participant: str
    kind: str
    language: str
    by: str
    drill: bool
    instead_of: str | None = None
    attempt: int = 1
    timer: asyncio.TimerHandle | None = None

    @property
    def who(self) -> tuple[str, str]:
        """Session and participant."""
        return self.session, self.participant

    @property
    def replaced(self) -> dict[str, str]:
        """What is said of a check that policy began in place of another; nothing of any other."""
        return {} if self.instead_of is None else {"instead_of": self.instead_of}

    def head(self) -> dict[str, Any]:
        """Return what every record of it begins with."""
        return {
            "check": self.id,
            "kind": self.kind,
            "participant": self.participant,
            "by": self.by,
            "language": self.language,
            **self.replaced,
            **({"drill": True} if self.drill else {}),
        }

    def stop(self) -> None:
        """Stop its timer."""
        if self.timer is not None:
            self.timer.cancel()
