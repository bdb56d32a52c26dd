"""What was heard of one voice earlier in a call, in bounded memory.

The rules:

- The reference is the mean of the vectors of the last minute or so of windows that sounded like one
  person. It follows a slow drift of room and channel because its windows grow old and leave.
- A window that overlaps the newest one is no reference for it: the two share audio.
- A window that sounds like another person does not enter the reference, so that a change does not teach
  itself. A change is an event: once the new voice was heard for ``adopt_s`` without a word of the old
  one, it becomes the reference, and what comes after is compared with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from guard.types import AudioWindow, FloatArray

_ROUNDING_S = 1e-3


@dataclass(frozen=True, slots=True)
class Heard:
    """One window: its place, the speech it added to those before it, and its vector of length 1."""

    start_s: float
    end_s: float
    speech_s: float
    vector: FloatArray


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """How much is kept and needed.

    Args:
        min_speech_s: earlier speech before anything is compared with it.
        adopt_s: speech of another voice after which it becomes the reference.
        max_windows: windows kept; with a window every 2 s, about a minute.
    """

    min_speech_s: float = 8.0
    adopt_s: float = 30.0
    max_windows: int = 32

    def __post_init__(self) -> None:
        if not (self.min_speech_s > 0 and self.adopt_s > 0 and self.max_windows >= 8):
            raise ValueError("needs min_speech_s > 0, adopt_s > 0 and max_windows >= 8")


class VoiceMemory:
    """The windows of one track that make its reference; see the module's rules."""

    def __init__(self, config: MemoryConfig) -> None:
        self._config = config
        self._own: deque[Heard] = deque(maxlen=config.max_windows)
        self._other: deque[Heard] = deque(maxlen=config.max_windows)

    def reference(self, window: AudioWindow) -> FloatArray | None:
        """Return the mean vector, of length 1, of what was heard before; None where that is too little."""
        before = [heard for heard in self._own if heard.end_s <= window.start_s + _ROUNDING_S]
        if sum(heard.speech_s for heard in before) < self._config.min_speech_s:
            return None
        mean = np.mean([heard.vector for heard in before], axis=0)
        return np.asarray(mean / (np.linalg.norm(mean) + 1e-9), np.float32)

    def keep(self, window: AudioWindow, vector: FloatArray, *, same: bool) -> None:
        """Take a window that sounded like the reference (or came before there was one), or like another."""
        into = self._own if same else self._other
        if same:
            self._other.clear()
        last_s = into[-1].end_s if into else window.start_s
        if window.end_s <= last_s + _ROUNDING_S and into:
            return  # out of order: the newer one counts
        new_s = window.end_s - max(window.start_s, last_s)
        speech_s = window.quality.speech_ratio * new_s
        into.append(Heard(window.start_s, window.end_s, speech_s, vector))
        if sum(heard.speech_s for heard in self._other) >= self._config.adopt_s:
            self._own, self._other = self._other, deque(maxlen=self._config.max_windows)
