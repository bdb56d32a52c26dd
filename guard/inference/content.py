"""One voice, or something else? What one detector hears in a window binds the others.

The model of ``voice_spoof`` tells one voice from music, noise, several people at once and what sounds too
bad to be speech; the models beside it cannot, and would score a street or take it for the caller's voice. So
a window goes first to the detector that tells, and to the others only where that one did not hear something
else. Where nothing tells (its model is not in use, failed on the window, or has no such output), the others
judge the window by themselves and their Scores say so: ``content_unchecked`` among the details.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from guard.types import AudioWindow, Detector, Kind, Score, Signal, TrackKey

UNCHECKED = "content_unchecked"
# windows of one track that wait for an answer; more only wait where the lane sheds them
_MOST_WAITING = 4


@runtime_checkable
class TellsContent(Protocol):
    """A Detector that also says what else than one voice is in a window."""

    @property
    def content_reasons(self) -> frozenset[str]:
        """The reasons to abstain that bind every voice signal; empty where its model does not tell."""


def content_reasons(detector: Detector) -> frozenset[str]:
    """Return the reasons of a detector that bind the others; empty where it tells none."""
    return detector.content_reasons if isinstance(detector, TellsContent) else frozenset()


def telling(detectors: Iterable[Detector]) -> Detector | None:
    """Return the first detector that tells what is in a window of audio, None where there is none."""
    return next((detector for detector in detectors if content_reasons(detector)), None)


class Waiting:
    """The windows whose content is not known yet, and those of which it could not be told."""

    def __init__(self) -> None:
        self._waiting: dict[TrackKey, deque[AudioWindow]] = {}
        self._untold: dict[TrackKey, deque[float]] = {}

    def put(self, window: AudioWindow) -> None:
        """Keep a window until it is answered for, or newer ones are."""
        self._waiting.setdefault(window.key, deque(maxlen=_MOST_WAITING)).append(window)

    def answered(self, score: Score) -> AudioWindow | None:
        """Return the window this Score is about, and drop it with those before it; None: none waits.

        The ones before were shed by the lane of the detector that tells: nobody scores them.
        """
        waiting = self._waiting.get(score.key, deque())
        if all((window.start_s, window.end_s) != (score.start_s, score.end_s) for window in waiting):
            return None
        while True:
            window = waiting.popleft()
            if (window.start_s, window.end_s) == (score.start_s, score.end_s):
                return window

    def untold(self, window: AudioWindow) -> None:
        """The window goes to the others though nothing could be told of it."""
        self._untold.setdefault(window.key, deque(maxlen=_MOST_WAITING)).append(window.end_s)

    def marked(self, score: Score) -> Score:
        """Return the Score, with a mark where it was given of a window of which nothing could be told."""
        if (
            score.llr is None
            or score.key.kind is not Kind.AUDIO
            or score.signal is Signal.VOICE_SPOOF
            or score.end_s not in self._untold.get(score.key, ())
        ):
            return score
        return replace(score, details={**score.details, UNCHECKED: True})

    def forget(self, key: TrackKey) -> None:
        """Drop what is kept of a track."""
        self._waiting.pop(key, None)
        self._untold.pop(key, None)
