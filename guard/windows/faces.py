"""Turns the pictures of one video track into aligned, measured faces.

What cannot be judged is not passed on: a face too small, dark, blurred, turned away, unclear, hidden in part
or cut off by the edge is skipped with the reason, and so is a picture without a face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from guard.errors import ModelError
from guard.media.align import align_matrix, transform_points, warp
from guard.media.quality import face_quality, outside_ratio
from guard.media.surroundings import surroundings
from guard.reasons import FACE_FAILED
from guard.types import FaceQuality, FaceWindow, TrackKey, VideoFrame, WindowSkip
from guard.windows.face_hidden import HiddenFaces
from guard.windows.face_models import FaceModels, Mesh
from guard.windows.face_track import FaceTrackConfig, FaceTracker, FollowedFace
from guard.windows.glimpses import Glimpses

NO_FACE = "no_face"
FACE_TOO_SMALL = "face_too_small"
FACE_DARK = "face_dark"
FACE_BLURRED = "face_blurred"
FACE_TURNED = "face_turned"
FACE_CUT_OFF = "face_cut_off"
FACE_UNCLEAR = "face_unclear"
FACE_HIDDEN = "face_hidden"

Looked = Callable[[VideoFrame, Mapping[int, Mesh]], None]
"""Told of every picture that was looked at, with the faces found in it by FaceTrack number."""

NetworkFailed = Callable[[ModelError], None]
"""Told why a network failed on a picture."""


def stop(error: ModelError) -> None:
    """Raise it: a picture that cannot be looked at ends a measurement, or the reading of a photo."""
    raise error


# picture times jitter by a few milliseconds; a picture this early still counts as due
_EARLY_S = 0.005


@dataclass(frozen=True, slots=True)
class FaceWindowConfig:
    """How often to look, and which faces are good enough to judge.

    Args:
        rate_hz: looks per second of media time, at most.
        glimpse_hz: pictures a second in which the points are followed, looks included; at least ``rate_hz``.
        min_eye_distance_px: between the middles of the eyes, in the picture.
        min_sharpness: share of fine detail in the face, in percent; below it nothing can be judged.
        max_yaw_deg: turn of the head to either side.
        min_luma: mean brightness of the face, of 255.
        min_confidence: FaceMesh's own probability that there is a face where it drew one.
        max_outside_ratio: part of the face's points that may lie outside the picture.
        track: finding and following.
    """

    rate_hz: float = 5.0
    glimpse_hz: float = 15.0
    min_eye_distance_px: float = 24.0
    min_sharpness: float = 2.0
    max_yaw_deg: float = 35.0
    min_luma: float = 30.0
    # a face that stands on its head and could not be turned mostly has less (docs/face.md)
    min_confidence: float = 0.999
    max_outside_ratio: float = 0.1
    track: FaceTrackConfig = field(default_factory=FaceTrackConfig)

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz <= 60:
            raise ValueError("rate_hz must be above 0 and at most 60")
        if not self.rate_hz <= self.glimpse_hz <= 60:
            raise ValueError("glimpse_hz must be at least rate_hz and at most 60")
        if min(self.min_eye_distance_px, self.min_sharpness, self.min_luma) < 0:
            raise ValueError("min_eye_distance_px, min_sharpness and min_luma must not be negative")
        if not 0 < self.max_yaw_deg <= 90:
            raise ValueError("max_yaw_deg must be above 0 and at most 90")
        if not 0 <= self.min_confidence < 1:
            raise ValueError("min_confidence must be at least 0 and below 1")
        if not 0 <= self.max_outside_ratio <= 1:
            raise ValueError("max_outside_ratio must lie between 0 and 1")

    def reason_against(self, quality: FaceQuality, outside: float) -> str | None:
        """Return why a face cannot be judged, or None; ``outside`` is its part not in the picture."""
        if outside > self.max_outside_ratio:
            return FACE_CUT_OFF
        if quality.eye_distance_px < self.min_eye_distance_px:
            return FACE_TOO_SMALL
        if quality.luma < self.min_luma:
            return FACE_DARK
        if abs(quality.yaw_deg) > self.max_yaw_deg:
            return FACE_TURNED
        if quality.sharpness < self.min_sharpness:
            return FACE_BLURRED
        if quality.confidence < self.min_confidence:
            return FACE_UNCLEAR
        return None


class FaceWindows:
    """The face stage of one video track."""

    def __init__(
        self,
        key: TrackKey,
        config: FaceWindowConfig,
        models: FaceModels,
        looked: Looked = lambda *_: None,
        failed: NetworkFailed = stop,
    ) -> None:
        self._key = key
        self._looked = looked
        self._failed = failed
        self._config = config
        self._tracker = FaceTracker(config.track, models)
        self._looked_s: float | None = None
        self._due_s = 0.0
        # since a network failed nothing is looked at before the next look is due, nor called scored
        self._failing = False
        self._failed_s = float("-inf")
        self._glimpsed = Glimpses()
        self._hidden = HiddenFaces()

    def push(self, frame: VideoFrame) -> list[FaceWindow | WindowSkip]:
        """Return what the picture shows: one item per face, or one skip where there is none.

        A picture that comes before the next look is due returns nothing. One on which a network failed is a
        skip that says so; faces are followed on from where they were, as over a picture that was lost.

        Raises:
            ModelError: a network failed, and ``failed`` raised it.
        """
        start_s = self._looked_s
        try:
            return self._push(frame)
        except ModelError as error:
            self._failed(error)
        self._failing, self._looked_s, self._failed_s = True, frame.time_s, frame.time_s
        self._glimpsed.skip(frame)
        if start_s is None or not 0 <= frame.time_s - start_s <= self._config.track.lost_after_s:
            start_s = frame.time_s
        return [WindowSkip(self._key, start_s, frame.time_s, FACE_FAILED)]

    def _push(self, frame: VideoFrame) -> list[FaceWindow | WindowSkip]:
        looked_s = self._looked_s
        if looked_s is not None and frame.time_s < looked_s:
            self._tracker.reset()
            self._glimpsed = Glimpses()
            looked_s, self._failed_s = None, float("-inf")
        elif looked_s is not None and frame.time_s < self._due_s - _EARLY_S:
            step_s = 1.0 / self._config.glimpse_hz - _EARLY_S
            if not self._failing and self._glimpsed.due(frame.time_s, step_s):
                self._glimpse(frame, self._tracker.glance(frame.image))
            else:
                self._glimpsed.skip(frame)
            return []
        elif looked_s is not None and frame.time_s - looked_s > self._config.track.lost_after_s:
            looked_s = None
        self._schedule(frame.time_s, looked_s)
        faces = self._tracker.push(frame.image, frame.time_s)
        self._failing = False
        self._glimpse(frame, {face.number: face.mesh for face in faces})
        if not faces:
            start_s = frame.time_s if looked_s is None else looked_s
            return [WindowSkip(self._key, start_s, frame.time_s, NO_FACE)]
        return [self._window(frame, face) for face in faces]

    def _glimpse(self, frame: VideoFrame, meshes: Mapping[int, Mesh]) -> None:
        self._glimpsed.add(frame, meshes)
        self._looked(frame, meshes)

    def _schedule(self, time_s: float, looked_s: float | None) -> None:
        """Keep to a grid, so that uneven picture times do not lower the rate."""
        step_s = 1.0 / self._config.rate_hz
        self._looked_s = time_s
        on_grid = looked_s is not None and time_s < self._due_s + step_s
        self._due_s = (self._due_s if on_grid else time_s) + step_s

    def _window(self, frame: VideoFrame, face: FollowedFace) -> FaceWindow | WindowSkip:
        flat = face.mesh.points[:, :2]
        matrix = align_matrix(flat)
        crop = warp(frame.image, matrix)
        quality = face_quality(crop, face.mesh.points, face.mesh.presence)
        height, width = frame.image.shape[:2]
        landmarks = transform_points(flat, matrix)
        reason = self._config.reason_against(quality, outside_ratio(flat, width, height))
        if reason is None and self._hidden.look(face.number, crop, landmarks):
            reason = FACE_HIDDEN
        glimpses = self._glimpsed.take(face.number)
        start_s = max(face.previous_s, self._failed_s)
        if reason is not None:
            return WindowSkip(self._key, start_s, frame.time_s, reason, face.number)
        return FaceWindow(
            key=self._key,
            face=face.number,
            start_s=start_s,
            end_s=frame.time_s,
            crop=crop,
            landmarks=landmarks,
            quality=quality,
            glimpses=glimpses,
            around=surroundings(frame.image, flat),
        )
