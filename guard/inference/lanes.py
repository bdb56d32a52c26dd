"""One lane per detector: its own thread and model session, fed by a SlotQueue.

A shared lane makes the face detector's p95 twenty times worse (DESIGN), because a
voice window takes as long as dozens of faces. The thread ends with ``close``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from guard.clock import Clock
from guard.inference.slots import LaneCounts, Priority, SlotConfig, SlotQueue
from guard.reasons import DETECTOR_FAILED
from guard.types import (
    Abstain,
    AudioWindow,
    Detector,
    FaceWindow,
    Finding,
    FloatArray,
    Score,
    TrackKey,
    Window,
)

ScoreSink = Callable[[Sequence[Score]], None]
# told which part failed, and of what
Failed = Callable[[str, Exception], None]
_FAILED = Abstain(DETECTOR_FAILED)
# voices that wait to be heard while a batch is scored: 8 MB; beyond it the oldest is shed
MAX_UNHEARD = 32


@runtime_checkable
class Remembering(Protocol):
    """A Detector that keeps something of each track from window to window."""

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant's tracks: they left, or their tracks begin anew."""


@runtime_checkable
class Listening(Protocol):
    """A Detector of video that also hears the voice of the participant whose face it sees."""

    def hear(self, window: AudioWindow) -> None:
        """Keep what is needed of a window, in bounded memory; nothing is scored for it.

        Heard windows are not in step with those that are scored: ``prepare`` may come before or after.
        """


def stream_of(window: Window) -> tuple[object, int]:
    """Return what must not be mixed up: the track, and the face in it."""
    return window.key, window.face if isinstance(window, FaceWindow) else 0


def _is_of(stream: object, session: str, participant: str) -> bool:
    """Tell whether a stream, as ``stream_of`` names it, is of a participant."""
    key = stream[0] if isinstance(stream, tuple) else None
    return isinstance(key, TrackKey) and (key.session, key.participant) == (session, participant)


def score_of(detector: Detector, window: Window, found: Finding | Abstain) -> Score:
    """Return the Score of one window."""
    face = window.face if isinstance(window, FaceWindow) else None
    score = Score(window.key, detector.signal, window.start_s, window.end_s, llr=None, face=face)
    if isinstance(found, Abstain):
        return replace(score, reason=found.reason)
    return replace(
        score,
        llr=found.llr,
        parts_llr=found.parts_llr,
        details=found.details,
        other_person_llr=found.other_person_llr,
        replaced_llr=found.replaced_llr,
    )


def _untold(part: str, error: Exception) -> None:
    """Leave it at the Score, which says ``detector_failed``."""
    del part, error


def run_detector(detector: Detector, windows: Sequence[Window], failed: Failed = _untold) -> list[Score]:
    """Score windows of any number: abstentions keep their reason, failures say so.

    Args:
        failed: told of every failure, with its cause.

    Returns:
        One Score per window, in the order given. A window the detector abstains from, before
        or after its model ran, has llr None; if the detector fails, every prepared window of the
        batch has llr None and reason ``detector_failed``: no evidence, never a good mark.
    """
    found: list[Finding | Abstain] = [_FAILED] * len(windows)
    rows: dict[int, FloatArray] = {}
    for at, window in enumerate(windows):
        try:
            prepared = detector.prepare(window)
        except Exception as error:  # whatever a detector does wrong, the lane and the call go on
            failed(detector.signal.value, error)
            continue
        if isinstance(prepared, Abstain):
            found[at] = prepared
        else:
            rows[at] = prepared
    if rows:
        try:
            findings = detector.score(np.stack(list(rows.values())), [windows[at] for at in rows])
            found_by_row = dict(zip(rows, findings, strict=True))
        except Exception as error:  # as above; these windows already say detector_failed
            failed(detector.signal.value, error)
            found_by_row = {}
        for at, finding in found_by_row.items():
            found[at] = finding
    return [score_of(detector, window, finding) for window, finding in zip(windows, found, strict=True)]


def forget_in(detector: Detector, session: str, participant: str) -> None:
    """Have a detector that remembers tracks forget those of a participant."""
    if isinstance(detector, Remembering):
        detector.forget(session, participant)


def hear_in(detector: Detector, window: AudioWindow, failed: Failed = _untold) -> list[Score]:
    """Have a detector that listens hear a window; return nothing, or the Score that says it failed."""
    if isinstance(detector, Listening):
        try:
            detector.hear(window)
        except Exception as error:  # as in run_detector: the lane and the call go on, and the failure shows
            failed(detector.signal.value, error)
            key = replace(window.key, kind=detector.signal.kind)
            return [Score(key, detector.signal, window.start_s, window.end_s, None, _FAILED.reason)]
    return []


class InlineLane:
    """Scores at once, in the caller's thread: for files, where nothing may be shed."""

    def __init__(self, detector: Detector, sink: ScoreSink, failed: Failed = _untold) -> None:
        self.detector = detector
        self._sink = sink
        self._failed = failed

    def offer(self, window: Window, priority: Priority = Priority.HIGH) -> None:
        """Score the window and hand the Score to the sink."""
        del priority
        self._sink(run_detector(self.detector, [window], self._failed))

    def hear(self, window: AudioWindow) -> None:
        """Let the detector hear the window, where it listens."""
        failures = hear_in(self.detector, window, self._failed)
        if failures:
            self._sink(failures)

    def forget(self, session: str, participant: str) -> None:
        """Drop what the detector remembers of a participant."""
        forget_in(self.detector, session, participant)


class ThreadLane:
    """Scores in a thread of its own; offers never block.

    Args:
        detector: what scores.
        sink: called in the lane's thread with the Scores of each batch.
        clock: for deadlines.
        config: slots, deadline and batch.
        failed: told in the lane's thread of every failure.
    """

    def __init__(
        self,
        detector: Detector,
        sink: ScoreSink,
        *,
        clock: Clock,
        config: SlotConfig,
        failed: Failed = _untold,
    ) -> None:
        self.detector = detector
        self._sink = sink
        self._failed = failed
        self._clock = clock
        self._queue: SlotQueue[Window] = SlotQueue(config)
        self._wake = threading.Condition()
        self._closing = False
        self._gone: list[tuple[str, str]] = []
        self._unheard: deque[AudioWindow] = deque(maxlen=MAX_UNHEARD)
        self._lost_voices = 0
        self._counts = LaneCounts(0, 0, 0, 0, self._queue.shed)
        self._cpu_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"lane-{detector.signal}", daemon=True)
        self._thread.start()

    def offer(self, window: Window, priority: Priority = Priority.HIGH) -> None:
        """Put the window into its stream's slot."""
        with self._wake:
            self._queue.offer(stream_of(window), window, self._clock.now(), priority)
            self._wake.notify()

    def hear(self, window: AudioWindow) -> None:
        """Have the detector hear the window before its next batch, in the lane's thread."""
        if not isinstance(self.detector, Listening):
            return
        with self._wake:
            if len(self._unheard) == MAX_UNHEARD:
                self._lost_voices += 1
            self._unheard.append(window)
            self._wake.notify()

    def forget(self, session: str, participant: str) -> None:
        """Drop what waits for the participant; the detector forgets them after the batch in hand."""
        with self._wake:
            self._queue.drop(lambda stream: _is_of(stream, session, participant))
            kept = [window for window in self._unheard if not _is_of((window.key, 0), session, participant)]
            self._unheard = deque(kept, maxlen=MAX_UNHEARD)
            self._gone.append((session, participant))
            self._wake.notify()

    def counts(self) -> LaneCounts:
        """Return offered, done, abstained, failed and shed windows since the start."""
        with self._wake:
            now = self._counts
            return LaneCounts(
                self._queue.offered, now.done, now.abstained, now.failed, self._queue.shed.copy()
            )

    def report(self) -> dict[str, Any]:
        """Return the counts as one JSON object, with the thread's CPU seconds."""
        counts = self.counts()
        shed = dict(counts.shed)
        if self._lost_voices:  # heard beside what is offered, so no part of the counts
            shed["unheard"] = self._lost_voices
        return {
            "offered": counts.offered,
            "done": counts.done,
            "abstained": counts.abstained,
            "failed": counts.failed,
            "shed": shed,
            "cpu_s": round(self._cpu_s, 3),
        }

    def close(self) -> None:
        """End the thread after the batch in hand."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._closing or len(self._queue) or self._gone or self._unheard):
                    self._wake.wait()
                if self._closing:
                    return
                gone, self._gone = self._gone, []
                heard = list(self._unheard)
                self._unheard.clear()
                batch = self._queue.take(self._clock.now())
            for who in gone:
                forget_in(self.detector, *who)
            unheard = [score for voice in heard for score in hear_in(self.detector, voice, self._failed)]
            if unheard:
                self._count(unheard)
                self._sink(unheard)
            if batch:
                scores = run_detector(self.detector, batch, self._failed)
                self._count(scores)
                self._sink(scores)
            self._cpu_s = time.thread_time()

    def _count(self, scores: Sequence[Score]) -> None:
        with self._wake:
            for score in scores:
                if score.llr is not None:
                    self._counts.done += 1
                elif score.reason == DETECTOR_FAILED:
                    self._counts.failed += 1
                else:
                    self._counts.abstained += 1
