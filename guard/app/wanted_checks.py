"""Checks that policy wants, until they can begin: at the start of a call people come bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from guard.errors import GuardError
from guard.signalling.sessions import Sessions


class Start(Protocol):
    """Begins a check, as ``Checks.start`` does."""

    def __call__(
        self, session: str, participant: str, kind: str, *, language: str, by: str, instead_of: str | None
    ) -> str:
        """Return its id; raises GuardError where it cannot begin now."""


class WantedChecks:
    """One wanted check for each participant at most.

    Args:
        sessions: who is in which call.
        listens: whether spoken words are written down now.
        start: begins a check.
    """

    def __init__(self, sessions: Sessions, listens: Callable[[], bool], start: Start) -> None:
        self._sessions, self._listens, self._start = sessions, listens, start
        self._wanted: dict[tuple[str, str], str] = {}

    def want(self, session: str, participant: str, kind: str) -> None:
        """Begin a check as soon as the participant is there, can be shown something, and can be judged.

        Words that nobody writes down could only end undecided: then a visual check is begun, and says so.
        """
        self._wanted[session, participant] = kind
        self.look_again(session)

    def look_again(self, session: str) -> None:
        """Somebody came, opened a page or channel, or sends media: begin what was waiting for it."""
        for who in [w for w in self._wanted if w[0] == session]:
            person = self._sessions.get(session).participants.get(who[1])
            if person is None or not person.publishing:
                continue
            language, kind, instead_of = person.language or "ru", self._wanted[who], None
            if kind == "words" and not self._listens():
                kind, instead_of = "visual", kind
            try:
                self._start(*who, kind, language=language, by="policy", instead_of=instead_of)
            except GuardError:
                continue  # not yet: it is looked at again with the next change
            del self._wanted[who]

    def look_everywhere(self) -> None:
        """Begin what was waiting for the analysis process."""
        for session in {who[0] for who in self._wanted}:
            self.look_again(session)

    def forget(self, session: str) -> None:
        """The session is over."""
        for who in [w for w in self._wanted if w[0] == session]:
            del self._wanted[who]
