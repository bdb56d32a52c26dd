"""Follows every face of one video track from picture to picture.

FaceMesh follows a face from its last points and says itself when there is none any
more; BlazeFace looks at the whole picture where a face is missing, and now and then
for newcomers. A number belongs to a face for as long as it is followed. A face that lies on
its side or stands on its head is turned; its points are those of the picture all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from guard.media.boxes import Region, bounding_box, overlap
from guard.types import FloatArray, ImageArray
from guard.windows.face_models import FACE_REGION_GROW, FaceModels, Mesh

_SAME_FACE_OVERLAP = 0.3
# a face found this near (in sizes of the face) to where one went missing is that one
_SAME_FACE_DISTANCE = 1.0
# a face that lies this much beside its region (shift as a part of the side, growth as a
# ratio, turn in radians) is looked at again: the points are exact only where it is centred
_MAX_SHIFT = 0.05
_MAX_GROWTH = 1.1
_MAX_TURN = 0.05
# points that fall together are no face, whatever the network says
_MIN_REGION_PX = 8.0
# FaceMesh also draws a face over one that stands on its head, and is then less sure than this (logit): of 117
# faces turned by 180 degrees at most 7.1, of 120 upright ones 98 % are above (docs/face.md)
_SURE_LOGIT = 12.0
# such a fit is tried turned by these angles as well, but not more often than this
_TURNS = (math.pi, math.pi / 2, -math.pi / 2)
_TURN_EVERY_S = 1.0
# within one look a face does not grow or shrink more than this
_MAX_SCALE_CHANGE = 1.6


@dataclass(frozen=True, slots=True)
class FaceTrackConfig:
    """When to look for faces, and when to give one up.

    Args:
        find_every_s: BlazeFace looks for newcomers this often while all faces are followed.
        lost_after_s: a face not seen for this long has left; its number is not used again.
        min_presence: FaceMesh's own probability below which there is no face.
        max_faces: further faces of one picture are left out, the best found first.
    """

    find_every_s: float = 1.0
    lost_after_s: float = 1.0
    min_presence: float = 0.5
    max_faces: int = 4

    def __post_init__(self) -> None:
        if not (self.find_every_s > 0 and self.lost_after_s > 0):
            raise ValueError("find_every_s and lost_after_s must be above 0")
        if not 0 < self.min_presence < 1:
            raise ValueError("min_presence must lie between 0 and 1")
        if self.max_faces < 1:
            raise ValueError("max_faces must be at least 1")


@dataclass(frozen=True, slots=True)
class FollowedFace:
    """One face seen in the picture just pushed.

    Args:
        number: of the FaceTrack, from 0, stable while the face is followed.
        mesh: its points in this picture.
        previous_s: media time of the look before, or of this one where it is the first.
    """

    number: int
    mesh: Mesh
    previous_s: float


@dataclass(slots=True)
class _Track:
    number: int
    mesh: Mesh
    seen_s: float
    previous_s: float

    def see(self, mesh: Mesh, time_s: float) -> None:
        self.mesh, self.previous_s, self.seen_s = mesh, self.seen_s, time_s

    @property
    def box(self) -> FloatArray:
        return bounding_box(self.mesh.points[:, :2])


class FaceTracker:
    """Holds the FaceTracks of one video track; media time must not run backwards."""

    def __init__(self, config: FaceTrackConfig, models: FaceModels) -> None:
        self._config = config
        self._models = models
        self._tracks: list[_Track] = []
        self._next_number = 0
        self._found_s: float | None = None
        self._turned_s: float | None = None
        self._size: tuple[int, int] | None = None

    def reset(self) -> None:
        """Give up every face; numbers go on from where they were."""
        self._tracks.clear()
        self._found_s = self._turned_s = None

    def push(self, image: ImageArray, time_s: float) -> list[FollowedFace]:
        """Return the faces seen in this picture, lowest number first.

        Args:
            image: uint8 (H, W, 3), RGB.
            time_s: media time of the picture.

        Raises:
            ModelError: a network failed.
        """
        self._end_lost(time_s)
        self._follow_size(image.shape[1], image.shape[0])
        for track in self._tracks:
            mesh = self._look(image, track.mesh.region(), time_s)
            if mesh is not None and _plausible(track.mesh, mesh):
                track.see(mesh, time_s)
        self._part_doubles(time_s)
        if self._must_find(time_s):
            self._find(image, time_s)
        return [FollowedFace(t.number, t.mesh, t.previous_s) for t in self._tracks if t.seen_s == time_s]

    def glance(self, image: ImageArray) -> dict[int, Mesh]:
        """Return the points of the followed faces in a picture between two looks, by number.

        No newcomer is looked for, and a face that is not found here is not given up.

        Args:
            image: uint8 (H, W, 3), RGB.

        Raises:
            ModelError: a network failed.
        """
        self._follow_size(image.shape[1], image.shape[0])
        found: dict[int, Mesh] = {}
        for track in self._tracks:
            mesh = self._models.mesh(image, track.mesh.region())
            if mesh.presence >= self._config.min_presence and _plausible(track.mesh, mesh):
                track.mesh = found[track.number] = mesh
        return found

    def _follow_size(self, width: int, height: int) -> None:
        """Carry the tracks over when the sender changes resolution, as WebRTC does under load."""
        if self._size is not None and self._size != (width, height):
            ratio = (width / self._size[0], height / self._size[1])
            for track in self._tracks:
                track.mesh = track.mesh.scaled(*ratio)
        self._size = (width, height)

    def _end_lost(self, time_s: float) -> None:
        limit = time_s - self._config.lost_after_s
        self._tracks = [track for track in self._tracks if track.seen_s >= limit]

    def _must_find(self, time_s: float) -> bool:
        if not self._tracks or any(track.seen_s < time_s for track in self._tracks):
            return True
        return self._found_s is None or time_s - self._found_s >= self._config.find_every_s

    def _find(self, image: ImageArray, time_s: float) -> None:
        self._found_s = time_s
        for found in self._models.find(image)[: 2 * self._config.max_faces]:
            if len(self._seen(time_s)) >= self._config.max_faces:
                return
            if _nearest(found.box, self._seen(time_s)) is not None:
                continue
            rough = self._look(image, found.region(), time_s)
            mesh = self._look(image, rough.region(), time_s) if rough is not None else None
            if mesh is None:
                continue
            box = bounding_box(mesh.points[:, :2])
            if _nearest(box, self._seen(time_s)) is None:
                self._take(mesh, time_s)

    def _take(self, mesh: Mesh, time_s: float) -> None:
        """Give a found face the number of the missing one that was near there, or a new one."""
        missing = [track for track in self._tracks if track.seen_s < time_s]
        track = min(missing, key=lambda known: _distance(known.mesh, mesh), default=None)
        if track is not None and _distance(track.mesh, mesh) < _SAME_FACE_DISTANCE:
            track.see(mesh, time_s)
        elif len(self._tracks) < self._config.max_faces:
            self._tracks.append(_Track(self._next_number, mesh, time_s, time_s))
            self._next_number += 1

    def _seen(self, time_s: float) -> list[_Track]:
        return [track for track in self._tracks if track.seen_s == time_s]

    def _look(self, image: ImageArray, region: Region, time_s: float) -> Mesh | None:
        """Return the face in the region, or None; turned ones are tried where FaceMesh is not sure of it."""
        mesh = self._fit(image, region, self._config.min_presence)
        due = self._turned_s is None or not 0 < time_s - self._turned_s < _TURN_EVERY_S
        if due and (mesh is None or mesh.logit < _SURE_LOGIT):
            self._turned_s = time_s
            turned = [self._fit(image, region.turned(angle)) for angle in _TURNS]
            sure = [fit for fit in turned if fit is not None and fit.logit >= _SURE_LOGIT]
            mesh = max(sure, key=lambda fit: fit.logit, default=mesh)
        return mesh if mesh is not None and mesh.presence >= self._config.min_presence else None

    def _fit(self, image: ImageArray, region: Region, least: float = 0.0) -> Mesh | None:
        """Return the points in the region; looks twice where they lie beside it and presence is ``least``."""
        mesh = self._models.mesh(image, region)
        better = mesh.region()
        if mesh.presence < least or better.side_px < _MIN_REGION_PX:
            return None
        return self._models.mesh(image, better) if _beside(region, better) else mesh

    def _part_doubles(self, time_s: float) -> None:
        """End the younger of two tracks that came to lie on one face."""
        kept: list[_Track] = []
        for track in self._tracks:
            rivals = [other for other in kept if other.seen_s == time_s]
            if track.seen_s < time_s or _nearest(track.box, rivals) is None:
                kept.append(track)
        self._tracks = kept


def _nearest(box: FloatArray, tracks: Iterable[_Track]) -> _Track | None:
    """Return the track whose face overlaps the box most, if it is the same face."""
    known = list(tracks)
    if not known:
        return None
    shared = overlap(box, np.stack([track.box for track in known]))
    best = int(shared.argmax())
    return known[best] if shared[best] > _SAME_FACE_OVERLAP else None


def _beside(looked: Region, face: Region) -> bool:
    shift = math.hypot(face.x_px - looked.x_px, face.y_px - looked.y_px) / looked.side_px
    growth = abs(math.log(face.side_px / looked.side_px))
    turn = abs(math.remainder(face.angle - looked.angle, math.tau))
    return shift > _MAX_SHIFT or growth > math.log(_MAX_GROWTH) or turn > _MAX_TURN


def _distance(before: Mesh, after: Mesh) -> float:
    """Return how far a face moved, in sizes of the face; infinite where its size changed too much."""
    if not _plausible(before, after):
        return math.inf
    old, new = before.region(), after.region()
    moved = math.hypot(new.x_px - old.x_px, new.y_px - old.y_px)
    return moved * FACE_REGION_GROW / max(old.side_px, new.side_px)


def _plausible(before: Mesh, after: Mesh) -> bool:
    ratio = after.region().side_px / before.region().side_px
    return 1 / _MAX_SCALE_CHANGE < ratio < _MAX_SCALE_CHANGE
