"""The literal table of detectors: one line each. Adding a detector means adding a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guard.detectors.card import Card
from guard.detectors.face_frame import FaceFrame
from guard.detectors.face_ring import FaceRing
from guard.detectors.lip_sync import LipSync
from guard.detectors.presentation import Presentation
from guard.detectors.temporal import Temporal
from guard.detectors.voice_replay import VoiceReplay
from guard.detectors.voice_spoof import VoiceSpoof
from guard.types import Detector, Signal


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """One detector: the signal it scores, its folder under ``models/``, how to build it from its card."""

    signal: Signal
    model: str
    load: Callable[[Card], Detector]


# Folders of models that are no line of the table: their cards name no signal, because they describe a person
# by a vector. Two signals, ``speaker_change`` and ``voice_match``, share the speaker model's one session
# (guard.detectors.speaker); ``face_identity`` has two calibrations and takes enrolled photos.
SPEAKER, FACE_IDENTITY = "speaker", "face_identity"

DETECTORS: tuple[DetectorEntry, ...] = (
    DetectorEntry(Signal.VOICE_SPOOF, "voice_spoof", VoiceSpoof.from_card),
    DetectorEntry(Signal.VOICE_REPLAY, "voice_replay", VoiceReplay.from_card),
    DetectorEntry(Signal.FACE_FRAME, "face_frame", FaceFrame.from_card),
    DetectorEntry(Signal.FACE_RING, "face_ring", FaceRing.from_card),
    DetectorEntry(Signal.TEMPORAL, "temporal", Temporal.from_card),
    DetectorEntry(Signal.LIP_SYNC, "lip_sync", LipSync.from_card),
    DetectorEntry(Signal.PRESENTATION, "presentation", Presentation.from_card),
)
