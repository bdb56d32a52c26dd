"""Presentation: is the face filmed from a screen or a print, instead of from a person?

Advisory. The traces (guard.detectors.presentation_features) are those of one camera looking at one display at
one distance; a good display, far enough away or a little out of focus, leaves none of them. The model was
trained on simulated displays only and never measured on a real one: docs/face-signals/presentation.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from guard.detectors.card import FRAME_BIN, Card
from guard.detectors.face_limits import FaceLimits
from guard.detectors.kept import forget_tracks, kept
from guard.detectors.onnx import OnnxModel, Scorer
from guard.detectors.presentation_bezel import FRAME, FrameMemory
from guard.detectors.presentation_features import LEFT_PX, SIDE_PX, TOP_PX, features
from guard.fusion.calibration import Logistic
from guard.types import Abstain, FaceWindow, Finding, FloatArray, Signal, TrackKey, Window

_CROP_SHAPE = (224, 224, 3)
MAX_FACES = 256


class Presentation:
    """Scores single aligned faces; a ``types.Detector``.

    Args:
        model: of the face's numbers.
        calibration: of the model.
        config: which faces are looked at.
        frame: calibration of the frame around the face.
    """

    def __init__(
        self,
        model: Scorer,
        calibration: Logistic,
        config: FaceLimits | None = None,
        frame: Logistic = FRAME,
    ) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or FaceLimits()
        self._frame = frame
        self._frames: OrderedDict[tuple[TrackKey, int], FrameMemory] = OrderedDict()

    @classmethod
    def from_card(cls, card: Card) -> Presentation:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibration, frame=card.bins.get(FRAME_BIN, FRAME))

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
        self._memory(window).see(window)
        face = window.crop[TOP_PX : TOP_PX + SIDE_PX, LEFT_PX : LEFT_PX + SIDE_PX]
        return features(face, window.quality.eye_distance_px)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means spoof, and never less than 0.

        No trace of a display is no evidence for a person: a swapped face that is injected has none either.
        What the frame around the face says is added; both together claim no more than one may.

        Args:
            batch: float32 (B, 21), rows as ``prepare`` returned them.
            windows: whose they are.

        Returns:
            Findings whose details are ``bezel`` (how much of a frame is around the face, 0 to 1) and
            ``bezel_with_face`` (whether it moved as the face did), each where it can be told.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        llrs = self._calibration.llr(self._model.raw(batch)).tolist()
        return [self._finding(llr, window) for llr, window in zip(llrs, windows, strict=True)]

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of the frames around a participant's faces."""
        forget_tracks(self._frames, session, participant)

    def _finding(self, llr: float, window: Window) -> Finding:
        found = self._memory(window).standing() if isinstance(window, FaceWindow) else None
        if found is None:
            return Finding(max(llr, 0.0))
        details: dict[str, float | bool] = {"bezel": round(found.strength, 3)}
        if found.with_face is not None:
            details["bezel_with_face"] = found.with_face
        both = max(llr, 0.0) + max(found.llr(self._frame), 0.0)
        return Finding(min(both, self._calibration.limit_llr), (), details)

    def _memory(self, window: FaceWindow) -> FrameMemory:
        """Return what is kept of the window's face; the longest unseen face goes where there are too many."""
        return kept(self._frames, (window.key, window.face), FrameMemory, MAX_FACES)
