"""Builds the pipeline: models from their cards, a lane for each, stages for each track."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from guard.app.model_files import NETWORKS, in_use, load_detector
from guard.clock import Clock
from guard.config import Settings, thresholds
from guard.detectors.face_identity import Identity, load_face_identity
from guard.detectors.speaker import Speaker, load_speaker
from guard.detectors.speaker_card import SIGNALS
from guard.detectors.table import DETECTORS
from guard.detectors.tflite import load_network_card
from guard.detectors.virtual_camera import VirtualCamera
from guard.errors import ModelError
from guard.fusion.config import FusionConfig, Thresholds
from guard.fusion.engine import Fusion
from guard.inference.lanes import Failed, InlineLane, ScoreSink, ThreadLane
from guard.inference.slots import SlotConfig
from guard.pipeline import Lane, Pipeline, SkewOf, Stages
from guard.policy.profile import load_profile
from guard.reasons import DETECTOR_FAILED
from guard.types import (
    Abstain,
    Detector,
    Finding,
    FloatArray,
    Kind,
    Score,
    Signal,
    TrackKey,
    Verdict,
    Window,
)
from guard.windows.audio import AudioWindowConfig, AudioWindows
from guard.windows.face_models import FaceModels
from guard.windows.faces import FaceWindowConfig, FaceWindows, Looked, NetworkFailed, stop

OnVerdict = Callable[[Verdict, Sequence[Score]], None]

_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True, slots=True)
class UnusableDetector:
    """Stands where a model could not be loaded: abstains from everything and says why."""

    signal: Signal

    def declines(self, key: TrackKey) -> str:
        """Return ``detector_failed``: no window of any track can be scored."""
        del key
        return DETECTOR_FAILED

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Abstain: there is no model to ask."""
        return Abstain(self.declines(window.key))

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Refuse: nothing this detector prepared can have led here.

        Raises:
            ModelError: always.
        """
        del batch
        raise ModelError(
            "model_unusable", f"{self.signal} has no usable model; {len(windows)} windows refused"
        )


@dataclass(frozen=True, slots=True)
class Models:
    """Everything loaded from the folder of models, and what could not be.

    Args:
        detectors: one per line of the detector table, in its order, the two of the speaker model, and
            ``cameras``.
        faces: BlazeFace and FaceMesh.
        sha256: of every model file in use, by name.
        errors: why a detector's model is not in use, by signal.
        speaker: what takes the voices that are enrolled; None where its model is not in use.
        cameras: what takes the pages' reports of their cameras; it has no model.
        identity: what takes the photos that are enrolled; None where its model is not in use.
    """

    detectors: tuple[Detector, ...]
    faces: FaceModels
    sha256: Mapping[str, str]
    errors: Mapping[Signal, ModelError]
    speaker: Speaker | None = None
    cameras: VirtualCamera = field(default_factory=VirtualCamera)
    identity: Identity | None = None


def load_models(folder: Path | None) -> Models:
    """Load every model of the detector table; one that fails is named, the rest work.

    Args:
        folder: the operator's models, laid over the shipped ones (``guard.app.model_files``).

    Raises:
        ConfigError: the operator's folder cannot be read.
        ModelError: the face finder or its mesh cannot be loaded: without them no picture
            can be looked at.
    """
    places = in_use(folder)
    faces = FaceModels(*(load_network_card(places.networks[name].folder) for name in NETWORKS))
    sha256 = {card.name: card.sha256 for card in faces.cards}
    detectors: list[Detector] = []
    errors: dict[Signal, ModelError] = {}

    def or_unusable(signals: Sequence[Signal], load: Callable[[], _Loaded]) -> _Loaded | None:
        try:
            return load()
        except ModelError as error:
            detectors.extend(UnusableDetector(signal) for signal in signals)
            errors.update(dict.fromkeys(signals, error))
            return None

    for entry in DETECTORS:
        folder_of = places.detectors[entry.signal].folder
        if (found := or_unusable([entry.signal], partial(load_detector, entry, folder_of))) is not None:
            sha256[found[0].name] = found[0].sha256
            detectors.append(found[1])
    speaker = or_unusable(SIGNALS, partial(load_speaker, places.speaker.folder, threading.Lock()))
    if speaker is not None:
        sha256[speaker.card.name] = speaker.card.sha256
        detectors += [speaker.change, speaker.match]
    identity = or_unusable([Signal.FACE_IDENTITY], partial(load_face_identity, places.face_identity.folder))
    if identity is not None:
        sha256[identity.card.name] = identity.card.sha256
        detectors.append(identity.detector)
    cameras = VirtualCamera()
    return Models((*detectors, cameras), faces, sha256, errors, speaker, cameras, identity)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """The settings of the middle of the line."""

    audio: AudioWindowConfig
    face: FaceWindowConfig
    fusion: FusionConfig
    slots: SlotConfig


def thresholds_of(profile: str) -> Thresholds:
    """Return where a profile's states begin.

    Raises:
        ConfigError: there is no such profile, or it is wrong.
    """
    return thresholds(load_profile(profile))


def settings_config(settings: Settings, profile: str | None = None) -> PipelineConfig:
    """Return the pipeline's part of the settings, with a profile's thresholds where one is named.

    Raises:
        ConfigError: there is no such profile, or it is wrong.
    """
    analysis, fusion = settings.analysis, settings.fusion
    if profile is not None:
        fusion = replace(fusion, thresholds=thresholds_of(profile))
    return PipelineConfig(analysis.audio, analysis.face, fusion, analysis.lanes)


@dataclass(frozen=True, slots=True)
class Built:
    """A pipeline with what its owner must close or report."""

    pipeline: Pipeline
    lanes: tuple[ThreadLane, ...]
    fusions: Mapping[tuple[str, str], Fusion]


def build_pipeline(
    models: Models,
    config: PipelineConfig,
    on_verdict: OnVerdict,
    *,
    threads: tuple[Clock, Callable[[ScoreSink], ScoreSink]] | None = None,
    session_thresholds: Callable[[str], Thresholds] | None = None,
    looked: Looked = lambda *_: None,
    skew_s: SkewOf = lambda *_: None,
    failed: Failed = lambda *_: None,
    face_failed: NetworkFailed = stop,
) -> Built:
    """Return a pipeline over the loaded models.

    Args:
        on_verdict: see Pipeline.
        threads: None scores in the caller's thread (files). Otherwise a clock, and a
            function that wraps a sink so that it may be called from any thread.
        session_thresholds: thresholds of a session's policy; without it the configured ones.
        looked: told of every picture in which faces are followed.
        skew_s: see Pipeline.
        failed: told of every failure of a detector, in the thread in which it came.
        face_failed: told where a network that finds faces fails on a picture; what it raises ends ``push``.
    """
    fusions: dict[tuple[str, str], Fusion] = {}

    def make_fusion(session: str, participant: str) -> Fusion:
        thresholds = config.fusion.thresholds if session_thresholds is None else session_thresholds(session)
        fusion = Fusion(session, participant, replace(config.fusion, thresholds=thresholds))
        fusions[session, participant] = fusion
        return fusion

    stages = Stages(
        audio=lambda key: AudioWindows(key, config.audio),
        face=lambda key: FaceWindows(key, config.face, models.faces, looked, face_failed),
        fusion=make_fusion,
    )
    lanes: dict[Kind, list[Lane]] = {kind: [] for kind in Kind}
    running: list[ThreadLane] = []
    pipeline = Pipeline(stages, lanes, on_verdict, skew_s)
    for detector in models.detectors:
        if threads is None:
            lanes[detector.signal.kind].append(InlineLane(detector, pipeline.scored, failed))
        else:
            clock, anywhere = threads
            sink = anywhere(pipeline.scored)
            lane = ThreadLane(detector, sink, clock=clock, config=config.slots, failed=failed)
            lanes[detector.signal.kind].append(lane)
            running.append(lane)
    return Built(pipeline, tuple(running), fusions)
