"""Lip-sync: do these lips form this voice?

Every window hands over what the mouth did; the voice is heard beside it (``inference.lanes.Listening``). Once
both are known for some seconds they are compared at one lag for the whole call, and until that is known at
the best lag within 0.4 s; what the sender's own clocks tell of the tracks' skew is taken off first. Learned
and measured on simulated lips only: docs/face-signals/lip_sync.md and models/lip_sync/card.toml.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.detectors.card import Card
from guard.detectors.kept import forget_tracks, kept
from guard.detectors.lip_sync_features import Comparison, compare
from guard.detectors.lip_sync_series import MouthTrace, VoiceTrace
from guard.detectors.onnx import OnnxModel, Scorer
from guard.fusion.calibration import Logistic
from guard.media.lips import MAX_LAG_STEPS, STEP_S, STILL, Steps
from guard.types import (
    Abstain,
    AudioWindow,
    Details,
    FaceQuality,
    FaceWindow,
    Finding,
    FloatArray,
    Signal,
    TrackKey,
    Window,
)

MAX_VOICES, MAX_TRACKS, MAX_FACES = 256, 256, 8
_NEW_STEPS = 12
# readings in step with the voice from which a face is known to have spoken
_SPOKE = 2


@dataclass(frozen=True, slots=True)
class LipSyncConfig:
    """What must be seen and heard before lips and voice are compared; see docs/reasons.md.

    Args:
        min_eye_distance_px: between the middles of the eyes, in the picture.
        max_yaw_deg: turn of the head to either side.
        min_snr_db: as the newest window of the voice estimates it.
        stretch_s: longest stretch that is compared.
        min_both_s: of it, seconds in which the mouth was seen and sound was heard.
        min_seen_ratio: share of the stretch in which the mouth was seen.
        min_speech_s: of it, seconds of speech.
        max_behind_s: a voice not heard for longer than this before the picture is another matter.
        still: movement below which lips are still, in lengths of the face.
        in_step_z: the score against far lags from which lips were in step with the voice.
        learn_s: seconds of a call, before the stretch, after which its lag is known.
    """

    min_eye_distance_px: float = 40.0
    max_yaw_deg: float = 30.0
    min_snr_db: float = 8.0
    stretch_s: float = 10.0
    min_both_s: float = 5.0
    min_seen_ratio: float = 0.6
    min_speech_s: float = 2.0
    max_behind_s: float = 5.0
    still: float = STILL
    in_step_z: float = 2.5
    learn_s: float = 8.0

    def __post_init__(self) -> None:
        if not 0 < self.min_speech_s <= self.min_both_s <= self.stretch_s <= 16:
            raise ValueError("needs 0 < min_speech_s <= min_both_s <= stretch_s <= 16")
        if self.min_both_s < 3:
            raise ValueError("min_both_s must be at least 3: far lags need room")
        if not (0 < self.max_yaw_deg <= 90 and 0 < self.min_seen_ratio <= 1):
            raise ValueError("max_yaw_deg must lie in (0, 90], min_seen_ratio in (0, 1]")


class LagMemory:
    """The lag of one face's call: correlations of stretches that do not overlap, the old fading."""

    def __init__(self) -> None:
        self._sum = np.zeros(2 * MAX_LAG_STEPS + 1)
        self._seconds = 0.0
        self._waiting: list[tuple[int, Steps, float]] = []
        self._until = -(10**9)

    def add(self, first: int, end: int, found: Comparison) -> None:
        """Take a stretch that begins after the last one taken."""
        if first >= self._until:
            self._waiting.append((end, np.arctanh(np.clip(found.near, -0.95, 0.95)), found.both_s))
            self._until = end

    def lag_s(self, before: int, learn_s: float) -> float | None:
        """Return the lag that stretches before a step agree on; None while there are too few."""
        while self._waiting and self._waiting[0][0] <= before:
            _, curve, seconds = self._waiting.pop(0)
            fade = 0.5 ** (seconds / 60.0)
            self._sum, self._seconds = self._sum * fade + curve * seconds, self._seconds * fade + seconds
        if self._seconds < learn_s:
            return None
        return (int(np.argmax(self._sum)) - MAX_LAG_STEPS) * STEP_S


class _Face:
    """What is remembered of one face."""

    def __init__(self) -> None:
        self.mouth = MouthTrace()
        self.lag = LagMemory()
        self.in_step = 0
        self.seen_s = -math.inf
        self.at: int | None = None
        self.read: FloatArray | Abstain = Abstain("too_little_speech")
        self.details: Details = {}
        self.skew_s: float | None = None
        self._learned_at_s = 0.0

    def reckon(self, skew_s: float | None) -> None:
        """Take off this skew from now on: lags found under quite another one are lags no more."""
        self.skew_s = skew_s
        if abs((skew_s or 0.0) - self._learned_at_s) >= STEP_S:
            self._learned_at_s = skew_s or 0.0
            self.lag, self.at = LagMemory(), None


class _Track:
    """The faces of one video track, and when two of them were last in the picture together."""

    def __init__(self) -> None:
        self.faces: OrderedDict[int, _Face] = OrderedDict()
        self.together_s = -math.inf


class LipSync:
    """Scores what the lips of a face did against its participant's voice; a ``types.Detector``."""

    def __init__(self, model: Scorer, calibration: Logistic, config: LipSyncConfig | None = None) -> None:
        self._model = model
        self._calibration = calibration
        self._config = config or LipSyncConfig()
        self._voices: OrderedDict[tuple[str, str], VoiceTrace] = OrderedDict()
        self._tracks: OrderedDict[TrackKey, _Track] = OrderedDict()

    @classmethod
    def from_card(cls, card: Card) -> LipSync:
        """Load the card's model; raises ModelError as ``OnnxModel`` does."""
        return cls(OnnxModel(card), card.calibration)

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.LIP_SYNC

    @property
    def remembered(self) -> tuple[int, int]:
        """How many voices and how many video tracks something is kept of."""
        return len(self._voices), len(self._tracks)

    def hear(self, window: AudioWindow) -> None:
        """Keep the levels of a window of a participant's voice."""
        who = window.key.session, window.key.participant
        kept(self._voices, who, VoiceTrace, MAX_VOICES).add(window)

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant's lips and voice."""
        self._voices.pop((session, participant), None)
        forget_tracks(self._tracks, session, participant)

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return float32 (10,), ``lip_sync_features.NAMES`` of the last seconds, or why there are none.

        A window is asked about what was seen and heard until now; the same answer stands until half a
        second more is known of both.
        """
        if not isinstance(window, FaceWindow):
            return Abstain("wrong_window")
        track = kept(self._tracks, window.key, _Track, MAX_TRACKS)
        face = kept(track.faces, window.face, _Face, MAX_FACES)
        self._see(window, track, face)
        reason = self._quality_reason(window.quality)
        if reason is not None:
            return Abstain(reason)
        face.mouth.add(window.glimpses)
        if track.together_s > window.end_s - self._config.stretch_s:
            return Abstain("several_faces")
        voice = self._voices.get((window.key.session, window.key.participant))
        if voice is None or voice.seen_end_s < window.end_s - self._config.max_behind_s:
            return Abstain("too_little_speech")
        face.reckon(voice.skew_s)
        end = math.floor(min(voice.seen_end_s, window.end_s) / STEP_S)
        if face.at is None or end >= face.at + _NEW_STEPS:
            face.at, face.read = end, self._read(face, voice, end)
        return face.read

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        """Return the calibrated natural llr of each row, positive means that lips and voice do not agree.

        Args:
            batch: float32 (B, 10), rows as ``prepare`` returned them.
            windows: whose they are; what is told besides is of the newest comparison of each face.

        Returns:
            Findings whose details are ``rtcp_clocks`` (whether the skew of the tracks was known from sender
            reports), ``av_skew_s`` (how large it was: it is taken off) and ``lag_s`` (what was left).

        Raises:
            ModelError: the runtime failed, or a score is not finite.
        """
        llrs = self._calibration.llr(self._model.raw(batch)).tolist()
        return [Finding(llr, (), self._details(window)) for llr, window in zip(llrs, windows, strict=True)]

    def _details(self, window: Window) -> Details:
        track = self._tracks.get(window.key)
        face = track.faces.get(window.face) if track is not None and isinstance(window, FaceWindow) else None
        return {} if face is None else face.details

    def _see(self, window: FaceWindow, track: _Track, face: _Face) -> None:
        """Note when the face was seen, and whether another one was in the picture with it."""
        others = (other.seen_s for number, other in track.faces.items() if number != window.face)
        face.seen_s = max(face.seen_s, window.end_s)
        # the faces of one picture come one after the other, with the picture's time
        if any(abs(seen_s - window.end_s) < STEP_S for seen_s in others):
            track.together_s = max(track.together_s, window.end_s)

    def _quality_reason(self, quality: FaceQuality) -> str | None:
        if quality.eye_distance_px < self._config.min_eye_distance_px:
            return "face_too_small"
        return "face_turned" if abs(quality.yaw_deg) > self._config.max_yaw_deg else None

    def _read(self, face: _Face, voice: VoiceTrace, end: int) -> FloatArray | Abstain:
        """Compare the stretch before a step of the grid."""
        c = self._config
        first = end - round(c.stretch_s / STEP_S)
        mouth, sound = face.mouth.steps(first, end), voice.steps(first, end)
        heard_s = sound.known.sum() * STEP_S
        if heard_s < c.min_both_s:
            return Abstain("too_little_speech")
        both = mouth.known & sound.known
        if both.sum() * STEP_S < max(c.min_both_s, c.min_seen_ratio * heard_s):
            return Abstain("too_few_pictures")
        if voice.snr_db is not None and voice.snr_db < c.min_snr_db:
            return Abstain("too_noisy")
        found = compare(mouth, sound, face.lag.lag_s(first, c.learn_s))
        if found.speech_s < c.min_speech_s:
            return Abstain("too_little_speech")
        return self._judged(face, found, first, end)

    def _judged(self, face: _Face, found: Comparison, first: int, end: int) -> FloatArray | Abstain:
        """Return the features, unless lips that spoke before are still: then somebody else speaks."""
        if found.movement < self._config.still and face.in_step >= _SPOKE:
            return Abstain("other_speaker")
        skew = {} if face.skew_s is None else {"av_skew_s": round(face.skew_s, 3)}
        face.details = {"rtcp_clocks": bool(skew), "lag_s": round(found.lag_s, 3), **skew}
        face.lag.add(first, end, found)
        face.in_step += float(found.features[1]) >= self._config.in_step_z
        return found.features
