"""Runs one file under one condition through the pipeline of ``guard analyze`` and keeps what was said."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from guard.app.parts import Models, PipelineConfig, build_pipeline
from guard.app.references import PARTICIPANT, SESSION, face_in
from guard.evaluation.face_conditions import STILL_FPS, Condition, Sender
from guard.evaluation.face_data import Item, frames_of
from guard.evaluation.face_fusion import Fused, fuse
from guard.evaluation.face_scene import Scene, features
from guard.evaluation.face_watch import Masked, Watched
from guard.media.timeline import Thinner
from guard.types import (
    AudioFrame,
    FaceWindow,
    FloatArray,
    Kind,
    Score,
    Signal,
    State,
    Verdict,
    VideoFrame,
    Window,
)
from guard.windows.faces import NO_FACE

LOOKS_FPS = 15.0
"""Pictures a second that reach the pipeline, as when a file is analysed."""
_WORST = (State.BONA_FIDE, State.UNDECIDED, State.SUSPECT, State.SPOOF)


@dataclass(frozen=True, slots=True)
class Cost:
    """Process seconds of finding, following and cutting faces (fusion included) and of each signal.

    ``faces`` is how many faces each signal was asked about, ``media_s`` the seconds of the file.
    """

    faces_s: float
    signals_s: dict[Signal, float]
    faces: int
    media_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What the detectors made of one file under one condition.

    Args:
        scores: of every video signal, abstentions included, in the order they came.
        fused: what the product's fusion says at the end of the file.
        worst: the highest state that the product showed during the file.
        looks: pictures looked at, with or without a face.
        visible_s: seconds in which a face was seen; 0 for a single picture.
        eye_px: median distance between the eyes; None where no face could be judged.
        scene: what the crops hold besides the face; None likewise.
        fps: pictures a second of the file itself.
        kbit_s: sent under this condition; None where nothing is coded.
        has_sound: whether the file has any.
    """

    item: Item
    scores: tuple[Score, ...]
    fused: Fused
    worst: State
    looks: int
    visible_s: float
    eye_px: float | None
    scene: Scene | None
    cost: Cost
    fps: float
    kbit_s: float | None
    has_sound: bool = False

    def llr(self, signal: Signal) -> float | None:
        """Return the signal's mean llr over its looks; of several faces the highest counts.

        A face scored less than half as often as the one scored most does not count.
        """
        by_face: dict[int, list[float]] = {}
        for score in self.scores:
            if score.signal is signal and score.llr is not None:
                by_face.setdefault(score.face or 0, []).append(score.llr)
        most = max((len(llrs) for llrs in by_face.values()), default=0)
        return max((float(np.mean(own)) for own in by_face.values() if 2 * len(own) >= most), default=None)

    def looks_llr(self, signal: Signal) -> list[float]:
        """Return the llr of every scored look."""
        return [s.llr for s in self.scores if s.signal is signal and s.llr is not None]

    def reasons(self, signal: Signal) -> Counter[str]:
        """Return why the other looks gave no score, with counts."""
        return Counter(s.reason or "" for s in self.scores if s.signal is signal and s.llr is None)


class Bench:
    """The video detectors of the loaded models, ready to be run over files.

    Args:
        models: everything loaded; the voice detectors are left out.
        config: as ``guard analyze`` has it.
        masked: show the detectors every crop without its face.
    """

    def __init__(self, models: Models, config: PipelineConfig, *, masked: bool = False) -> None:
        self._run: _Run | None = None
        kind = Masked if masked else Watched
        video = [detector for detector in models.detectors if detector.signal.kind is Kind.VIDEO]
        self._watched = [kind(detector, self._listen if n == 0 else None) for n, detector in enumerate(video)]
        self._models = replace(models, detectors=tuple(self._watched))
        self._config = config
        self._photos: dict[Path, FloatArray] = {}

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals that are measured, in the order of the detector table."""
        return tuple(detector.signal for detector in self._watched)

    def measure(self, item: Item, condition: Condition, fps: float = STILL_FPS) -> Measured:
        """Run one file through the pipeline, with the photo of its person enrolled where there is one.

        The photo is compared as it is, whatever the condition does to the file.

        Args:
            fps: pictures a second of the file, for the rate control; it is found out in a clean run.

        Raises:
            MediaError: the file or its photo cannot be read, or the file not be coded.
            ModelError: a face model failed.
        """
        self._enrol(item)
        before = {w.signal: w.cpu_s for w in self._watched}
        self._run = run = _Run(Sender(condition, item.path.name, fps), item)
        built = build_pipeline(self._models, self._config, run.on_verdict)
        try:
            for frame in frames_of(item):
                arrived = run.arrives(frame)
                if arrived is None:
                    continue
                started_s = time.process_time() - self._elsewhere_s()
                built.pipeline.push(arrived)
                if isinstance(arrived, VideoFrame):
                    run.faces_s += time.process_time() - self._elsewhere_s() - started_s
            built.pipeline.finish(SESSION, PARTICIPANT)
        finally:
            built.pipeline.forget(SESSION, PARTICIPANT)
        spent = {w.signal: w.cpu_s - before[w.signal] for w in self._watched}
        return run.measured(spent, self._config)

    def _enrol(self, item: Item) -> None:
        """Enrol the photo of a file; without one, or without a model to describe it, nobody is enrolled."""
        identity = self._models.identity
        if identity is None:
            return
        identity.detector.withdraw(SESSION, PARTICIPANT)
        if item.reference is None:
            return
        if item.reference not in self._photos:
            self._photos[item.reference] = face_in(item.reference, identity.detector, self._models.faces)
        identity.detector.enrol(SESSION, PARTICIPANT, self._photos[item.reference])

    def _elsewhere_s(self) -> float:
        """Return the process seconds so far that are the detectors' own or only this evaluation's."""
        return sum(watched.cpu_s + watched.shown_s for watched in self._watched)

    def _listen(self, window: Window) -> None:
        if self._run is not None:
            self._run.on_window(window)


class _Run:
    """One file on its way through the pipeline."""

    def __init__(self, sender: Sender, item: Item) -> None:
        self.faces_s = 0.0
        self._has_sound = False
        self._sender, self._item = sender, item
        self._thinner = Thinner(LOOKS_FPS)
        self._scores: list[Score] = []
        self._worst = State.BONA_FIDE
        self._last: Verdict | None = None
        self._eyes_px: list[float] = []
        self._scenes: list[Scene] = []
        self._times_s: list[float] = []

    def on_window(self, window: Window) -> None:
        """Take note of one face before the detectors get it."""
        if isinstance(window, FaceWindow):
            self._eyes_px.append(window.quality.eye_distance_px)
            self._scenes.append(features(window))

    def on_verdict(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        """Take one verdict and the scores behind it."""
        self._scores += [score for score in scores if score.signal.kind is Kind.VIDEO]
        self._last = verdict
        if _WORST.index(verdict.state) > _WORST.index(self._worst):
            self._worst = verdict.state

    def arrives(self, frame: AudioFrame | VideoFrame) -> AudioFrame | VideoFrame | None:
        """Return the frame as it reaches the pipeline; None where it is lost or left out."""
        if isinstance(frame, AudioFrame):
            self._has_sound = True
            return frame
        self._times_s.append(frame.time_s)
        arrived = self._sender.still(frame) if self._item.is_still else self._sender.push(frame)
        if arrived is None or not self._thinner.keep(arrived.time_s):
            return None
        return replace(arrived, skipped_s=self._thinner.skipped_s())

    def measured(self, spent: dict[Signal, float], config: PipelineConfig) -> Measured:
        """Return everything that was kept."""
        looked = {score.end_s for score in self._scores}
        seen = {score.end_s for score in self._scores if score.reason != NO_FACE}
        times_s = self._times_s
        span_s = times_s[-1] - times_s[0] if len(times_s) > 1 else 0.0
        fps = (len(times_s) - 1) / span_s if span_s > 0 else STILL_FPS
        return Measured(
            item=self._item,
            scores=tuple(self._scores),
            fused=fuse(self._scores, config.fusion),
            worst=self._worst if self._last is not None else State.UNDECIDED,
            looks=len(looked),
            visible_s=0.0 if self._item.is_still else len(seen) / config.face.rate_hz,
            eye_px=median(self._eyes_px) if self._eyes_px else None,
            scene=np.mean(self._scenes, axis=0) if self._scenes else None,
            cost=Cost(self.faces_s, spent, len(self._eyes_px), len(times_s) / fps),
            fps=fps,
            kbit_s=self._sender.kbit_s,
            has_sound=self._has_sound,
        )
