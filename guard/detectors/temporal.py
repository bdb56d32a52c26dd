"""Temporal: does the face move, change and repeat as a camera's does?

Looks at the last four seconds of one face: flicker inside it and at its edge against its surroundings,
trembling of its points against its outline, and a feed that stands still, runs again or jumps. Learned from
animated stills, so its llr is kept small by its card, and a feed that is certainly not live is told as a
reason instead: docs/face-signals/temporal.md and models/temporal/card.toml.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from guard.detectors.card import Card
from guard.detectors.kept import forget_tracks, kept
from guard.detectors.onnx import OnnxModel, Scorer
from guard.detectors.temporal_memory import FaceMemory, TemporalReadings
from guard.detectors.temporal_video import Feed
from guard.fusion.calibration import Logistic
from guard.types import Abstain, FaceWindow, Finding, FloatArray, Signal, TrackKey, Window

MAX_TRACKS = 128
MAX_FACES = 256
_CROP_SHAPE = (224, 224, 3)
# faces of one picture may come in any order, a little late; further back is another track
_REWIND_S = 2.0


@dataclass(frozen=True, slots=True)
class TemporalConfig:
    """What must have been seen of a face before it is judged; see docs/reasons.md.

    Args:
        min_pairs: of looks that stand side by side, in the last four seconds.
        min_triples: of glimpses that stand side by side, in the last four seconds.
        min_eye_distance_px: between the middles of the eyes, in the picture.
        min_sharpness: share of fine detail in the face, in percent.
        max_speed: of the head, eye distances per second, above which motion hides the rest.
    """

    min_pairs: int = 7
    min_triples: int = 15
    min_eye_distance_px: float = 32.0
    min_sharpness: float = 5.0
    max_speed: float = 3.0

    def __post_init__(self) -> None:
        if self.min_pairs < 2 or self.min_triples < 2:
            raise ValueError("min_pairs and min_triples must be at least 2")
        if min(self.min_eye_distance_px, self.min_sharpness) < 0 or self.max_speed <= 0:
            raise ValueError(
                "min_eye_distance_px and min_sharpness must not be negative, max_speed must be above 0"
            )


class Temporal:
    """Scores faces by their last seconds; a ``types.Detector`` with a memory of each track and face."""

    def __init__(self, model: Scorer, calibration: Logistic, config: TemporalConfig | None = None) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or TemporalConfig()
        self._feeds: OrderedDict[TrackKey, Feed] = OrderedDict()
        self._faces: OrderedDict[tuple[TrackKey, int], FaceMemory] = OrderedDict()

    @classmethod
    def from_card(cls, card: Card) -> Temporal:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibration)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.TEMPORAL

    @property
    def remembered(self) -> tuple[int, int]:
        """Tracks and faces of which something is remembered."""
        return len(self._feeds), len(self._faces)

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Take the window into the memory of its face; return the model's input, or why there is none.

        Of a picture that certainly stands still, repeats or jumped nothing else is asked: what it is goes
        before the other reasons, and ``guard.fusion`` holds back ``bona_fide`` for it.

        Returns:
            float32 (14,), ``TemporalReadings.row``.
        """
        found = self.read(window)
        not_live = self.not_live(window) if isinstance(window, FaceWindow) else None
        if not_live is not None:
            return Abstain(not_live)
        return found if isinstance(found, Abstain) else found.row()

    def not_live(self, window: FaceWindow) -> str | None:
        """Return what the picture of a window that was read certainly is instead of live, or None."""
        face, feed = self._faces.get((window.key, window.face)), self._feeds.get(window.key)
        return None if face is None or feed is None else face.not_live(feed)

    def read(self, window: Window) -> TemporalReadings | Abstain:
        """Do what ``prepare`` does, and name the numbers; each window is to be taken once, in order."""
        if not isinstance(window, FaceWindow) or window.crop.shape != _CROP_SHAPE:
            return Abstain("wrong_window")
        feed = kept(self._feeds, window.key, Feed, MAX_TRACKS)
        if window.end_s < feed.last_s - _REWIND_S:  # the track begins anew
            self.forget(window.key.session, window.key.participant)
            feed = kept(self._feeds, window.key, Feed, MAX_TRACKS)
        face = kept(self._faces, (window.key, window.face), FaceMemory, MAX_FACES)
        face.add(window, feed)
        config = self._config
        if window.quality.eye_distance_px < config.min_eye_distance_px:
            return Abstain("face_too_small")
        if window.quality.sharpness < config.min_sharpness:
            return Abstain("face_blurred")
        trembling = face.jitter(window.end_s)
        if face.pairs(window.end_s) < config.min_pairs:
            return Abstain("too_few_looks")
        if trembling is None or trembling.triples < config.min_triples:
            return Abstain("too_few_pictures")
        if trembling.speed > config.max_speed:
            return Abstain("moving_fast")
        return face.readings(window.end_s, feed, trembling)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means spoof.

        Args:
            batch: float32 (B, 14), rows as ``prepare`` returned them.
            windows: not looked at.

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        del windows
        return [Finding(llr) for llr in self._calibration.llr(self._model.raw(batch)).tolist()]

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant's tracks and faces."""
        forget_tracks(self._feeds, session, participant)
        forget_tracks(self._faces, session, participant)
