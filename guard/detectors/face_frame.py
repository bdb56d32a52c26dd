"""Face frame: does this one picture show a face that was put on, or rebuilt, by a machine?

The net sees brow to chin and cheek to cheek of the aligned crop: the seam between a swapped face
and its surroundings, and the smoothing a live tool's network leaves inside it. The model and
its known failures: docs/face.md and models/face_frame/card.toml; its data: docs/face-training.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guard.detectors.card import Card
from guard.detectors.face_limits import FaceLimits
from guard.detectors.onnx import OnnxModel, Scorer
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.quality import face_bin
from guard.types import Abstain, FaceWindow, Finding, FloatArray, Signal, Window

INPUT_PX = 128
# Where the input lies in the 224 px crop: all that tight training pictures of faces cover.
LEFT_PX, TOP_PX = 48, 51
_CROP_SHAPE = (224, 224, 3)


class FaceFrame:
    """Scores single aligned faces; a ``types.Detector``.

    The default limits are the edges of what the model was trained on: there it knows both classes.
    """

    def __init__(
        self, model: Scorer, calibration: BinnedLogistic | Logistic, config: FaceLimits | None = None
    ) -> None:
        self._model = model
        self._calibration = BinnedLogistic(calibration) if isinstance(calibration, Logistic) else calibration
        self._config = config or FaceLimits()

    @classmethod
    def from_card(cls, card: Card) -> FaceFrame:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibrations)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.FACE_FRAME

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the face as float32 (3, 128, 128), RGB in [0, 1], or why it cannot be scored."""
        if not isinstance(window, FaceWindow) or window.crop.shape != _CROP_SHAPE:
            return Abstain("wrong_window")
        reason = self._config.reason_against(window.quality)
        if reason is not None:
            return Abstain(reason)
        cut = window.crop[TOP_PX : TOP_PX + INPUT_PX, LEFT_PX : LEFT_PX + INPUT_PX]
        return np.ascontiguousarray(cut.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means spoof.

        Args:
            batch: float32 (B, 3, 128, 128), rows as ``prepare`` returned them.
            windows: the FaceWindows of the rows; a soft face has a calibration of its own.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        bins = [face_bin(window.quality) for window in windows if isinstance(window, FaceWindow)]
        return [Finding(llr) for llr in self._calibration.llr(self._model.raw(batch), bins).tolist()]
