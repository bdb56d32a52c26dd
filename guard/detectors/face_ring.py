"""Face ring: is the inside of the face sharper, smoother or otherwise coloured than what surrounds it?

Whoever puts a face on another one draws it at some other resolution, without the camera's noise and
with colours of its own, and leaves forehead, hair, jaw and neck as they were. ``guard.media.ring``
measures patches, ``guard.media.contrasts`` the differences within one picture; a small model weighs
them. One picture is noisy, so the medians over the last looks at the same face are weighed: 8 looks are
1.6 s at five a second. What it cannot tell: docs/face-signals/face_ring.md.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.detectors.card import Card
from guard.detectors.face_limits import FaceLimits
from guard.detectors.kept import forget_tracks, kept
from guard.detectors.onnx import OnnxModel, Scorer
from guard.fusion.calibration import Logistic
from guard.media.contrasts import contrasts
from guard.media.ring import BROWS, MOUTH, OUTSIDE, OVAL, Patches, measure_patches
from guard.types import Abstain, FaceWindow, Finding, FloatArray, Signal, TrackKey, Window

RING_NOT_SEEN = "ring_not_seen"
FACE_FLAT = "face_flat"
MAX_FACES = 1024
_CROP_SHAPE, _POINTS_SHAPE = (224, 224, 3), (468, 2)


@dataclass(frozen=True, slots=True)
class FaceRingConfig(FaceLimits):
    """What is looked at, and the quality below which a face is not scored; see docs/reasons.md.

    The limits are the edges of what the model was trained on.

    Args:
        min_inside: patches of the inner face that lie in the picture and are neither black nor burnt out.
        min_outside: the same of forehead, edge, hair and jaw together.
        min_texture: energy of brightness in the band of 2 px, median over the inner face, in levels squared.
        looks: of the same face, over which medians are taken.
        max_age_s: looks longer ago than this do not count.
    """

    min_eye_distance_px: float = 40.0
    min_inside: int = 40
    min_outside: int = 30
    min_texture: float = 0.05
    looks: int = 8
    max_age_s: float = 4.0

    def __post_init__(self) -> None:
        FaceLimits.__post_init__(self)
        if self.min_texture < 0:
            raise ValueError("min_texture must not be negative")
        if min(self.min_inside, self.min_outside, self.looks) < 1 or self.max_age_s <= 0:
            raise ValueError("min_inside, min_outside, looks and max_age_s must be positive")

    def reason_against_patches(self, patches: Patches) -> str | None:
        """Return why too little can be read from these patches, or None."""
        outside = np.isin(patches.region, OUTSIDE)
        inside = (patches.region >= 0) & ~outside
        if outside.sum() < self.min_outside:
            return RING_NOT_SEEN
        if inside.sum() < self.min_inside:
            return FACE_FLAT
        if np.median(patches.fine[inside, 1]) < np.log(self.min_texture):
            return FACE_FLAT
        return None


@dataclass(frozen=True, slots=True)
class _Look:
    time_s: float
    features: FloatArray


class FaceRing:
    """Scores the last looks at each face; a ``types.Detector`` with a memory of each face.

    Keeps at most ``looks`` rows of features of each of at most MAX_FACES faces, no picture.
    """

    def __init__(self, model: Scorer, calibration: Logistic, config: FaceRingConfig | None = None) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or FaceRingConfig()
        self._looks: OrderedDict[tuple[TrackKey, int], deque[_Look]] = OrderedDict()

    @classmethod
    def from_card(cls, card: Card) -> FaceRing:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibration)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.FACE_RING

    @property
    def faces(self) -> int:
        """Faces of which looks are remembered."""
        return len(self._looks)

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the features of one look, float32 (COUNT,), or why it cannot be scored."""
        if not isinstance(window, FaceWindow) or window.crop.shape != _CROP_SHAPE:
            return Abstain("wrong_window")
        points = window.landmarks
        if points.shape != _POINTS_SHAPE or not np.isfinite(points).all():
            return Abstain("wrong_window")
        reason = self._config.reason_against(window.quality)
        if reason is not None:
            return Abstain(reason)
        oval, brows, mouth = (points[list(chosen)] for chosen in (OVAL, BROWS, MOUTH))
        patches = measure_patches(window.crop, oval, brows, mouth)
        reason = self._config.reason_against_patches(patches)
        if reason is not None:
            return Abstain(reason)
        return contrasts(patches)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row with the looks before it, positive means spoof.

        Args:
            batch: float32 (B, COUNT), rows as ``prepare`` returned them.
            windows: the B windows the rows were made of, in the order they were seen.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        rows = [self._median(row, window) for row, window in zip(batch, windows, strict=True)]
        raw = self._model.raw(np.stack(rows))
        return [Finding(llr) for llr in self._calibration.llr(raw).tolist()]

    def forget(self, session: str, participant: str) -> None:
        """Drop the looks at the faces of a participant who left."""
        forget_tracks(self._looks, session, participant)

    def _median(self, row: FloatArray, window: Window) -> FloatArray:
        """Remember a look and return the medians of the looks at its face, float32 (COUNT,)."""
        assert isinstance(window, FaceWindow)
        key = (window.key, window.face)
        looks = kept(self._looks, key, lambda: deque[_Look](maxlen=self._config.looks), MAX_FACES)
        if looks and looks[-1].time_s > window.end_s:
            looks.clear()  # the track begins anew
        looks.append(_Look(window.end_s, row.copy()))
        while looks[0].time_s < window.end_s - self._config.max_age_s:
            looks.popleft()
        return np.median([look.features for look in looks], axis=0).astype(np.float32)
