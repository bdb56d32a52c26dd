"""Whose face is it? Each look at it against an enrolled photo, or else against the call's own earlier looks.

"Another person" is not "spoof": a second person may honestly sit down at the camera, and a face swap that
shows the enrolled person has the right face. How much either weighs: ``vector_card.PersonCalibration``,
docs/face-signals/face_identity.md. A live swap shows one wrong face from beginning to end, so the photo is
the strong use; without one, what is seen is a face that becomes another in mid-call. Where it does so from
one look to the next, followed all the while and with the same picture around it, nobody can have sat down
there: ``Finding.replaced_llr`` is about that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from guard.detectors.face_in_place import InPlace, InPlaceConfig
from guard.detectors.face_limits import FaceLimits
from guard.detectors.kept import forget_tracks, kept
from guard.detectors.onnx import Embedder, OnnxEmbedder
from guard.detectors.person_memory import Enrolled, MemoryConfig, PersonMemory
from guard.detectors.vector_card import PersonCalibration, VectorCard, load_vector_card
from guard.media.align import warp
from guard.types import (
    Abstain,
    FaceWindow,
    Finding,
    FloatArray,
    Signal,
    TrackKey,
    Window,
)

CHIP_PX = 150
# From the 224 px crop to dlib's chip (its five points with a padding of 0.25): where the crop's places lie in
# 4,800 pictures that dlib itself aligned (models/face_identity/recipe/chip.py).
_SCALE, _LEFT_PX, _TOP_PX = 1.069, 43.3, 45.3
TO_CHIP = np.array([[_SCALE, 0, -_SCALE * _LEFT_PX], [0, _SCALE, -_SCALE * _TOP_PX]], np.float32)
_CROP_SHAPE = (224, 224, 3)
MAX_TRACKS, MAX_FACES = 1024, 6
# names of the card's calibrations
CALL, PHOTO = "call", "photo"


@dataclass(frozen=True, slots=True)
class FaceIdentityConfig(FaceLimits):
    """The quality below which a face is not described, and what is remembered; see docs/reasons.md.

    Args:
        keep_every_s: one look in so many seconds is remembered, and none as young as that is compared with.
        in_place: when a face has become another without leaving.
        memory: how much is remembered, and how much is needed; a look kept counts ``keep_every_s``.
    """

    max_yaw_deg: float = 30.0
    keep_every_s: float = 1.0
    in_place: InPlaceConfig = field(default_factory=InPlaceConfig)
    memory: MemoryConfig = field(default_factory=lambda: MemoryConfig(min_s=5.0, max_windows=60))

    def __post_init__(self) -> None:
        FaceLimits.__post_init__(self)
        if self.keep_every_s <= 0:
            raise ValueError("keep_every_s must be above 0")


@dataclass(slots=True)
class _Seen:
    """One face of a track.

    Args:
        memory: what it looked like.
        last_s: when it was seen last.
        kept_s: up to when that was remembered.
        in_place: whether it became another without leaving.
    """

    memory: PersonMemory
    last_s: float
    in_place: InPlace
    kept_s: float = float("-inf")


class FaceIdentity:
    """Compares faces; a ``types.Detector`` with a memory of each track.

    Vectors live in memory only and are never logged. ``forget`` drops those of the call, not an enrolled
    one: who reconnects is still the same participant.

    Args:
        embedder: the model.
        call: calibration of a look against the call's earlier looks.
        photo: calibration of a look against an enrolled photo.
        config: quality limits and memory.
    """

    def __init__(
        self,
        embedder: Embedder,
        call: PersonCalibration,
        photo: PersonCalibration,
        config: FaceIdentityConfig | None = None,
    ) -> None:
        self._embedder = embedder
        self._calibrations = {CALL: call, PHOTO: photo}
        self._config = config or FaceIdentityConfig()
        self._tracks: OrderedDict[TrackKey, dict[int, _Seen]] = OrderedDict()
        self._enrolled = Enrolled()

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.FACE_IDENTITY

    @property
    def remembered(self) -> tuple[int, int]:
        """Tracks and faces of which something is remembered."""
        return len(self._tracks), sum(len(faces) for faces in self._tracks.values())

    def enrol(self, session: str, participant: str, vector: FloatArray) -> None:
        """Compare the participant with this face, float32 (D,) of length 1, from now on."""
        self._enrolled.enrol(session, participant, vector)

    def lend(self, session: str, participant: str, name: str) -> None:
        """Compare ``name`` with what is enrolled for the participant, until it is withdrawn from either."""
        self._enrolled.lend(session, participant, name)

    def withdraw(self, session: str, participant: str | None = None) -> None:
        """Drop the enrolled face of a participant, or of everybody in the session."""
        self._enrolled.withdraw(session, participant)

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return dlib's chip as float32 (3, 150, 150), RGB of 255, or why the face cannot be described."""
        if not isinstance(window, FaceWindow) or window.crop.shape != _CROP_SHAPE:
            return Abstain("wrong_window")
        reason = self._config.reason_against(window.quality)
        if reason is not None:
            return Abstain(reason)
        return np.ascontiguousarray(warp(window.crop, TO_CHIP, CHIP_PX).transpose(2, 0, 1), np.float32)

    def describe(self, batch: FloatArray) -> FloatArray:
        """Return the vectors of ``prepare``d rows, float32 (B, D), each of length 1; nothing is remembered.

        Raises:
            ModelError: the runtime failed, or a number is not finite.
        """
        return self._embedder.embed(batch)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        """Compare each look with the enrolled photo, or with what was seen before, in the order given.

        Raises:
            ModelError: the runtime failed, or a number is not finite.
        """
        return [self._compare(w, v) for w, v in zip(windows, self.describe(batch), strict=True)]

    def forget(self, session: str, participant: str) -> None:
        """Drop what was seen of a participant who left."""
        forget_tracks(self._tracks, session, participant)

    def _compare(self, window: Window, vector: FloatArray) -> Finding | Abstain:
        assert isinstance(window, FaceWindow)
        seen = self._face(window)
        reference = seen.memory.reference(window.end_s - self._config.keep_every_s)
        drift = None if reference is None else self._other_llr(CALL, vector, reference)
        seen.in_place.see(window)
        replaced_llr = None if drift is None else seen.in_place.compare(window, drift)
        if not seen.in_place.replaced:
            self._remember(seen, window.end_s, vector, same=drift is None or drift <= 0)
        enrolled = self._enrolled.of(window.key)
        if enrolled is not None:
            other_llr = self._other_llr(PHOTO, vector, enrolled)
            return self._finding(PHOTO, other_llr, other_person_llr=other_llr, replaced_llr=replaced_llr)
        if drift is None:
            return Abstain("no_reference_yet")
        return self._finding(CALL, drift, replaced_llr=replaced_llr)

    def _other_llr(self, kind: str, vector: FloatArray, reference: FloatArray) -> float:
        distance = np.array([1 - vector @ reference], np.float32)
        return float(self._calibrations[kind].other_llr(distance)[0])

    def _finding(
        self,
        kind: str,
        other_llr: float,
        *,
        other_person_llr: float | None = None,
        replaced_llr: float | None = None,
    ) -> Finding:
        llr = float(self._calibrations[kind].llr(np.array([other_llr]))[0])
        return Finding(llr, other_person_llr=other_person_llr, replaced_llr=replaced_llr)

    def _remember(self, seen: _Seen, end_s: float, vector: FloatArray, *, same: bool) -> None:
        """Keep one look in ``keep_every_s``: a minute of looks in few vectors."""
        every_s = self._config.keep_every_s
        if end_s >= seen.kept_s + every_s:
            seen.memory.keep(end_s - every_s, end_s, vector, share=1.0, same=same)
            seen.kept_s = end_s

    def _face(self, window: FaceWindow) -> _Seen:
        """Return what is remembered of the window's face; a new one takes over from one that is gone.

        A face that was hidden, or cut away, comes back under a new number: whether it is still the same
        person is the very question.
        """
        faces = kept(self._tracks, window.key, dict[int, _Seen], MAX_TRACKS)
        seen = faces.pop(window.face, None)
        if seen is None or window.end_s < seen.last_s:  # media time began anew
            gone = [other for other in faces.values() if other.last_s < window.end_s]
            before = max(gone, key=lambda other: other.last_s, default=None)
            if before is None:
                memory, in_place = PersonMemory(self._config.memory), InPlace(self._config.in_place)
            else:
                memory, in_place = before.memory.fork(), before.in_place.inherit(window.end_s - before.last_s)
            seen = _Seen(memory, window.end_s, in_place)
        seen.last_s = window.end_s
        faces[window.face] = seen
        while len(faces) > MAX_FACES:
            del faces[min(faces, key=lambda face: faces[face].last_s)]
        return seen


def load_face_identity_card(folder: Path) -> VectorCard:
    """Read and check ``folder/card.toml``, with both calibrations.

    Raises:
        ModelError: ``card_missing`` or ``card_invalid``.
    """
    return load_vector_card(folder, (CALL, PHOTO))


@dataclass(frozen=True, slots=True)
class Identity:
    """The detector with the card of its model."""

    card: VectorCard
    detector: FaceIdentity


def load_face_identity(folder: Path) -> Identity:
    """Load the model of a card's folder.

    Raises:
        ModelError: the card, the file or the runtime is at fault.
    """
    card = load_face_identity_card(folder)
    calls, photos = card.calibrations[CALL], card.calibrations[PHOTO]
    return Identity(card, FaceIdentity(OnnxEmbedder(card), calls, photos))
