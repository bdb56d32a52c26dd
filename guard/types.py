"""The vocabulary every part of guard shares.

Values are frozen, slotted dataclasses. Units are in the field names. Media time
is seconds from the start of its track; ``now`` and ``arrival_s`` are monotonic
seconds. Scores are natural log-likelihood ratios (``llr``): positive means spoof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
ImageArray = NDArray[np.uint8]
Details = Mapping[str, float | bool]

# length of the parts of a window that a detector may tell apart
PART_S = 0.5


class Kind(StrEnum):
    """The two kinds of media a track can carry."""

    AUDIO = "audio"
    VIDEO = "video"


class State(StrEnum):
    """What guard says of a participant; the words used on every wire."""

    UNDECIDED = "undecided"
    BONA_FIDE = "bona_fide"
    SUSPECT = "suspect"
    SPOOF = "spoof"
    DETECTOR_DOWN = "detector_down"


ALERTING = (State.SUSPECT, State.SPOOF)
"""States that people are warned of."""


class Role(StrEnum):
    """Who a participant is in the call; decides what they may do and are told."""

    CUSTOMER = "customer"
    AGENT = "agent"
    HOST = "host"
    GUEST = "guest"
    OPERATOR = "operator"
    SECURITY = "security"


class Signal(StrEnum):
    """Every signal a verdict can rest on (the contract of ``guard analyze``)."""

    VOICE_SPOOF = "voice_spoof"
    VOICE_REPLAY = "voice_replay"
    SPEAKER_CHANGE = "speaker_change"
    VOICE_MATCH = "voice_match"
    FACE_FRAME = "face_frame"
    FACE_RING = "face_ring"
    TEMPORAL = "temporal"
    LIP_SYNC = "lip_sync"
    PRESENTATION = "presentation"
    VIRTUAL_CAMERA = "virtual_camera"
    FACE_IDENTITY = "face_identity"
    SCREEN_LIGHT = "screen_light"

    @property
    def kind(self) -> Kind:
        """The kind of track the signal is read from."""
        return Kind.AUDIO if self in _VOICE_SIGNALS else Kind.VIDEO


_VOICE_SIGNALS = frozenset(
    {Signal.VOICE_SPOOF, Signal.VOICE_REPLAY, Signal.SPEAKER_CHANGE, Signal.VOICE_MATCH}
)


@dataclass(frozen=True, slots=True)
class TrackKey:
    """Names one audio or video stream of one participant of one session."""

    session: str
    participant: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class SenderClock:
    """One moment by a sender report (RFC 3550 section 6.4.1): 64-bit NTP time, never 0, and RTP timestamp."""

    ntp: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class TapPacket:
    """A copy of one decrypted RTP packet, as the tap hands it to analysis (RFC 3550).

    Args:
        key: the track it belongs to.
        codec: ``opus``, ``vp8`` or ``h264``.
        sequence: the publisher's 16-bit sequence number, not unwrapped.
        timestamp: the publisher's 32-bit RTP timestamp, not unwrapped.
        marker: the RTP marker bit.
        arrival_s: monotonic seconds at which the relay received it.
        payload: RTP payload, padding removed, payload descriptor kept.
        clock: of the newest sender report about the packet's own SSRC; None before the first.
    """

    key: TrackKey
    codec: str
    sequence: int
    timestamp: int
    marker: bool
    arrival_s: float
    payload: bytes
    clock: SenderClock | None = None


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """Decoded audio of one track.

    Args:
        time_s: media time of the first sample.
        samples: float32 (N,), mono in [-1, 1].
        rate_hz: sample rate.
        concealed: true where the samples were invented to bridge a loss.
    """

    key: TrackKey
    time_s: float
    samples: FloatArray
    rate_hz: int
    concealed: bool = False


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One decoded picture of one track: uint8 (H, W, 3), RGB.

    ``skipped_s`` are the media times of the pictures since the one before that were decoded but not
    given out, because more come than are looked at.
    """

    key: TrackKey
    time_s: float
    image: ImageArray
    skipped_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioQuality:
    """What the window's audio was like; the reasons to abstain are read from it.

    Ratios are in [0, 1]; ``snr_db`` is speech to steady noise (``guard.media.channel``), None
    where under half a second was heard.
    """

    speech_ratio: float
    speech_s: float
    snr_db: float | None
    clipping_ratio: float
    concealed_ratio: float


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """What the face in the window was like.

    ``sharpness`` is how much of the luma's variance over the face in the aligned crop is fine
    detail (``guard.media.quality.fine_detail``), in percent and above 100 where it is noise; ``luma``
    its mean there in [0, 255]; ``yaw_deg`` is positive toward image right.
    """

    eye_distance_px: float
    sharpness: float
    yaw_deg: float
    luma: float
    confidence: float


@dataclass(frozen=True, slots=True)
class AudioWindow:
    """A fixed-length slice of one voice: float32 (64000,), 4 s at 16 kHz, mono.

    ``skew_s``: how much later it stands in media time than pictures of the same moment; None: not known.
    """

    key: TrackKey
    start_s: float
    end_s: float
    samples: FloatArray
    quality: AudioQuality
    skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A short look at a picture: where the face's points were, and the picture in little.

    Args:
        time_s: media time of the picture.
        points: float32 (468, 2), FaceMesh points in pixels of the picture; None where the face was not found.
        thumbnail: uint8 (18, 32), means of the green channel over the whole picture.
        size: width and height of the picture in pixels.
        skipped_s: media times of pictures just before it that were not looked at.
        faces: how many faces were followed in it.
    """

    time_s: float
    points: FloatArray | None
    thumbnail: ImageArray
    size: tuple[int, int]
    skipped_s: tuple[float, ...] = ()
    faces: int = 1


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """One aligned face of one FaceTrack at one moment.

    Args:
        key: the video track.
        face: FaceTrack number, stable while the face is followed.
        start_s: media time of the previous look at this face (or its own); end_s: that of the picture.
        crop: uint8 (224, 224, 3) RGB, aligned by ``guard.media.align``, with context.
        landmarks: float32 (468, 2), FaceMesh points in pixels of the crop.
        quality: what the face was like in the original picture.
        glimpses: of the pictures since this face's previous window or skip, oldest first, its own last.
        around: ``guard.media.surroundings`` of the face; None where nobody asked for them.
    """

    key: TrackKey
    face: int
    start_s: float
    end_s: float
    crop: ImageArray
    landmarks: FloatArray
    quality: FaceQuality
    glimpses: tuple[Glimpse, ...] = ()
    around: ImageArray | None = None


Window = AudioWindow | FaceWindow


@dataclass(frozen=True, slots=True)
class WindowSkip:
    """A stretch of a track that gave no Window, and why.

    The stretches of one track do not overlap each other, so that coverage can be
    counted from them; a later Window may still reach back into one.

    Args:
        key: the track.
        start_s: media time where the stretch begins.
        end_s: media time where it ends.
        reason: code listed in docs/reasons.md.
        face: the FaceTrack it concerns, None where no face is meant.
    """

    key: TrackKey
    start_s: float
    end_s: float
    reason: str
    face: int | None = None


@dataclass(frozen=True, slots=True)
class Abstain:
    """A detector's refusal to score a window; ``reason`` is listed in docs/reasons.md."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector found in one window.

    Args:
        llr: of the whole window.
        parts_llr: of its consecutive parts of half a second, oldest first, each weaker than ``llr``, or none.
        details: how it was found, for people; names carry units.
        other_person_llr: of another against the enrolled person (``guard.fusion.mismatch``).
        replaced_llr: of another against whoever was there before (``guard.detectors.face_in_place``).
    """

    llr: float
    parts_llr: tuple[float, ...] = ()
    details: Details = field(default_factory=dict)
    other_person_llr: float | None = None
    replaced_llr: float | None = None


class Detector(Protocol):
    """One signal: turns windows into calibrated llr, positive meaning spoof."""

    @property
    def signal(self) -> Signal:
        """The signal it scores."""

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the model input of one window, or why it cannot be scored."""

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return what was found in each row, or why nothing can be said after all.

        Args:
            batch: float32 (B, ...), rows as ``prepare`` returned them.
            windows: the B windows the rows were made of, in the same order.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """


@dataclass(frozen=True, slots=True)
class Score:
    """What one signal says of one window; ``llr`` is None where it abstained.

    What ``Finding`` has, too, is the Finding's; ``parts_llr`` begin at ``start_s``.
    """

    key: TrackKey
    signal: Signal
    start_s: float
    end_s: float
    llr: float | None
    reason: str | None = None
    face: int | None = None
    parts_llr: tuple[float, ...] = ()
    details: Details = field(default_factory=dict)
    other_person_llr: float | None = None
    replaced_llr: float | None = None


@dataclass(frozen=True, slots=True)
class SignalState:
    """Where one signal stands now, with what it rests on; ``details`` are those of its newest Score.

    ``reason`` says why there is no llr, or, beside one, what it found that no llr says.
    """

    llr: float | None
    coverage: float
    reason: str | None
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What guard makes of one participant at one moment.

    Args:
        at_s: media time up to which evidence was taken.
        state: never DETECTOR_DOWN; that is laid over it by who sees the process die.
        llr: fused llr, None where there was no evidence.
        signals: state of each signal that was asked.
        reasons: codes in plain words for the state, strongest first.
        evidence: the scores that carried it, newest last, bounded.
    """

    session: str
    participant: str
    at_s: float
    state: State
    llr: float | None
    signals: Mapping[Signal, SignalState] = field(default_factory=dict)
    reasons: Sequence[str] = ()
    evidence: Sequence[Score] = ()
