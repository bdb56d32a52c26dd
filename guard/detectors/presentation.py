"""Presentation: is the face filmed from a screen or a print, instead of from a person?

Advisory. The traces (guard.detectors.presentation_features) are those of one camera looking at one display at
one distance; a good display, far enough away or a little out of focus, leaves none of them. The model was
trained on simulated displays only and never measured on a real one: docs/face-signals/presentation.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from guard.detectors.card import Card
from guard.detectors.face_limits import FaceLimits
from guard.detectors.onnx import OnnxModel, Scorer
from guard.detectors.presentation_features import LEFT_PX, SIDE_PX, TOP_PX, features
from guard.fusion.calibration import Logistic
from guard.types import Abstain, FaceWindow, Finding, FloatArray, Signal, Window

_CROP_SHAPE = (224, 224, 3)


class Presentation:
    """Scores single aligned faces; a ``types.Detector``."""

    def __init__(self, model: Scorer, calibration: Logistic, config: FaceLimits | None = None) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or FaceLimits()

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
