"""Presentation: is the face filmed from a screen or a print, instead of from a person?

Advisory. The traces (guard.detectors.presentation_features) are those of one camera looking at one display at
one distance; a good display, far enough away or a little out of focus, leaves none of them. The model was
trained on simulated displays only and never measured on a real one: docs/face-signals/presentation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guard.detectors.card import Card
from guard.detectors.onnx import OnnxModel, Scorer
from guard.detectors.presentation_features import LEFT_PX, SIDE_PX, TOP_PX, features
from guard.fusion.calibration import Logistic
from guard.types import Abstain, FaceQuality, FaceWindow, Finding, FloatArray, Signal, Window

_CROP_SHAPE = (224, 224, 3)


@dataclass(frozen=True, slots=True)
class PresentationConfig:
    """The quality below which a face is not scored; see docs/reasons.md.

    Args:
        min_eye_distance_px: between the middles of the eyes, in the picture.
        min_sharpness: variance of the Laplacian over the face in the crop.
        max_yaw_deg: turn of the head to either side.
        min_luma: mean brightness of the face, of 255.
    """

    min_eye_distance_px: float = 32.0
    min_sharpness: float = 8.0
    max_yaw_deg: float = 35.0
    min_luma: float = 30.0

    def __post_init__(self) -> None:
        if min(self.min_eye_distance_px, self.min_sharpness, self.min_luma) < 0:
            raise ValueError("min_eye_distance_px, min_sharpness and min_luma must not be negative")
        if not 0 < self.max_yaw_deg <= 90:
            raise ValueError("max_yaw_deg must be above 0 and at most 90")

    def reason_against(self, quality: FaceQuality) -> str | None:
        """Return why a face is not scored, or None."""
        if quality.eye_distance_px < self.min_eye_distance_px:
            return "face_too_small"
        if quality.luma < self.min_luma:
            return "face_dark"
        if abs(quality.yaw_deg) > self.max_yaw_deg:
            return "face_turned"
        if quality.sharpness < self.min_sharpness:
            return "face_blurred"
        return None


class Presentation:
    """Scores single aligned faces; a ``types.Detector``."""

    def __init__(
        self, model: Scorer, calibration: Logistic, config: PresentationConfig | None = None
    ) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or PresentationConfig()

    @classmethod
    def from_card(cls, card: Card) -> Presentation:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibration)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.PRESENTATION

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the numbers of the face, float32 (21,), or why it cannot be scored."""
        if not isinstance(window, FaceWindow) or window.crop.shape != _CROP_SHAPE:
            return Abstain("wrong_window")
        reason = self._config.reason_against(window.quality)
        if reason is not None:
            return Abstain(reason)
        face = window.crop[TOP_PX : TOP_PX + SIDE_PX, LEFT_PX : LEFT_PX + SIDE_PX]
        return features(face, window.quality.eye_distance_px)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means spoof, and never less than 0.

        No trace of a display is no evidence for a person: a swapped face that is injected has none either.

        Args:
            batch: float32 (B, 21), rows as ``prepare`` returned them.
            windows: not looked at.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        del windows
        return [Finding(max(llr, 0.0)) for llr in self._calibration.llr(self._model.raw(batch)).tolist()]
