"""What was heard or seen of one person earlier in a call, and who should be in it; in bounded memory.

The rules of a ``PersonMemory``:

- The reference is the mean of the vectors of the last minute or so of windows in which one person seemed
  to be. It follows a slow drift of room, light and channel because its windows grow old and leave.
- A window that overlaps the newest one is no reference for it: the two share media.
- A window of what seems to be another person does not enter the reference, so that a change does not teach
  itself. A change is an event: once the new person was there for ``adopt_s`` without a window of the old
  one, they become the reference, and what comes after is compared with them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from guard.types import FloatArray, TrackKey

_ROUNDING_S = 1e-3


@dataclass(frozen=True, slots=True)
class Kept:
    """One window: its place, the new seconds of the person it brought, its vector of length 1."""

    start_s: float
    end_s: float
    person_s: float
    vector: FloatArray


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """How much is kept and needed.

    Args:
        min_s: of the person earlier, before anything is compared with them.
        adopt_s: of another person after which they become the reference.
        max_windows: windows kept; with one every 2 s, about a minute.
    """

    min_s: float = 8.0
    adopt_s: float = 30.0
    max_windows: int = 32

    def __post_init__(self) -> None:
        if not (self.min_s > 0 and self.adopt_s > 0 and self.max_windows >= 8):
            raise ValueError("needs min_s > 0, adopt_s > 0 and max_windows >= 8")


class PersonMemory:
    """The windows of one voice or face that make its reference; see the module's rules."""

    def __init__(self, config: MemoryConfig) -> None:
        self._config = config
        self._own: deque[Kept] = deque(maxlen=config.max_windows)
        self._other: deque[Kept] = deque(maxlen=config.max_windows)

    def reference(self, start_s: float) -> FloatArray | None:
        """Return the mean vector, of length 1, of what ended by ``start_s``; None where it is too little."""
        before = [kept for kept in self._own if kept.end_s <= start_s + _ROUNDING_S]
        if sum(kept.person_s for kept in before) < self._config.min_s:
            return None
        return mean_vector([kept.vector for kept in before])

    def keep(self, start_s: float, end_s: float, vector: FloatArray, *, share: float, same: bool) -> None:
        """Take a window.

        Args:
            start_s: where it begins; what overlaps the window kept before counts once.
            end_s: where it ends; one that ends no later than the one before is left out.
            vector: float32 (D,) of length 1.
            share: part of the window in which the person was heard or seen.
            same: whether it seemed to be the reference's person (or came before there was one).
        """
        into = self._own if same else self._other
        if same:
            self._other.clear()
        last_s = into[-1].end_s if into else start_s
        if end_s <= last_s + _ROUNDING_S and into:
            return  # out of order: the newer one counts
        into.append(Kept(start_s, end_s, share * (end_s - max(start_s, last_s)), vector))
        if sum(kept.person_s for kept in self._other) >= self._config.adopt_s:
            self._own, self._other = self._other, deque(maxlen=self._config.max_windows)

    def fork(self) -> PersonMemory:
        """Return a memory of the same windows that goes its own way from here."""
        other = PersonMemory(self._config)
        other._own.extend(self._own)
        other._other.extend(self._other)
        return other


class Enrolled:
    """Who should be in the call: the vector of each participant for whom one was enrolled.

    They live in memory only, and outlive the participant's tracks: who reconnects is still the same
    participant. Its table is read in a lane's thread and written in another; each step is one
    operation of a dict.
    """

    def __init__(self) -> None:
        self._vectors: dict[tuple[str, str], FloatArray] = {}
        self._lent: dict[tuple[str, str], str] = {}

    def lend(self, session: str, participant: str, name: str) -> None:
        """Let ``name`` count as the participant, until withdrawn from either."""
        self._lent[session, name] = participant

    def enrol(self, session: str, participant: str, vector: FloatArray) -> None:
        """Take the vector of a participant in the place of the one before."""
        self._vectors[session, participant] = vector

    def withdraw(self, session: str, participant: str | None = None) -> None:
        """Drop the vector of a participant, or of everybody in the session."""
        for who in list(self._vectors):
            if who[0] == session and participant in (None, who[1]):
                self._vectors.pop(who, None)
        for who in list(self._lent):
            if who[0] == session and participant in (None, who[1]):
                self._lent.pop(who, None)

    def of(self, key: TrackKey) -> FloatArray | None:
        """Return the vector of a track's participant; None where none was enrolled."""
        participant = self._lent.get((key.session, key.participant), key.participant)
        return self._vectors.get((key.session, participant))


@runtime_checkable
class Lending(Protocol):
    """A Detector that was told of a participant beforehand: their voice, their face, their camera."""

    def lend(self, session: str, participant: str, name: str) -> None:
        """Judge ``name`` by what was told of the participant, until it is withdrawn from ``name``."""

    def withdraw(self, session: str, participant: str) -> None:
        """Judge by it no longer."""


def mean_vector(vectors: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of vectors (D,), of length 1: one person out of many windows of them."""
    mean = np.mean(vectors, axis=0)
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-9), np.float32)
