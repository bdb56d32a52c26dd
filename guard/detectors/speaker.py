"""Whose voice is it? Two signals over one model that describes a voice by a vector.

``speaker_change`` compares the newest window with the voice heard earlier in the call, ``voice_match`` with
a voice that was enrolled for the participant. Both say "another person" or "the same person", which is not
"spoof" or "bona fide": a second person may honestly take over the microphone, and a clone has the right
voice. How much either weighs: ``vector_card.PersonCalibration``, docs/voice-companions.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from guard.detectors.kept import forget_tracks, kept
from guard.detectors.onnx import Embedder, OnnxEmbedder
from guard.detectors.person_memory import Enrolled, MemoryConfig, PersonMemory
from guard.detectors.speaker_card import load_speaker_card
from guard.detectors.speech import SpeechLimits
from guard.detectors.vector_card import PersonCalibration, VectorCard
from guard.types import (
    Abstain,
    AudioWindow,
    Finding,
    FloatArray,
    Signal,
    TrackKey,
    Window,
)

MAX_TRACKS = 1024


@dataclass(frozen=True, slots=True)
class SpeakerConfig(SpeechLimits):
    """The quality below which a voice is not described; see docs/reasons.md.

    ``min_snr_db`` is where verification was measured to become unreliable, see the model's card.
    """

    min_speech_s: float = 1.9
    min_snr_db: float = 12.0
    max_clipping_ratio: float = 0.1
    max_concealed_ratio: float = 0.25
    memory: MemoryConfig = field(default_factory=MemoryConfig)


class Voices:
    """Describes windows, each once: both signals ask about the same ones.

    Keeps the newest vector of each track, of at most ``MAX_TRACKS`` tracks.

    Args:
        embedder: the model.
        lock: held while the model runs, where the two signals ask from threads of their own.
        config: quality limits.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        lock: AbstractContextManager[object] | None = None,
        config: SpeakerConfig | None = None,
    ) -> None:
        self._embedder = embedder
        self._lock = nullcontext() if lock is None else lock
        self._newest: OrderedDict[TrackKey, tuple[AudioWindow, FloatArray]] = OrderedDict()
        self.config = config or SpeakerConfig()

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the samples as float32 (64000,), mono 16 kHz in [-1, 1], or why not."""
        return self.config.samples(window)

    def describe(self, batch: FloatArray, windows: Sequence[Window]) -> list[FloatArray]:
        """Return the vector of each window, float32 (D,) of length 1; of ``prepare``d rows."""
        with self._lock:
            known = [self._known(window) for window in windows]
            unknown = [row for row, vector in enumerate(known) if vector is None]
            fresh = self._embedder.embed(batch[unknown]) if unknown else batch[:0]
            for row, vector in zip(unknown, fresh, strict=True):
                known[row] = vector
                self._remember(windows[row], vector)
        return [vector for vector in known if vector is not None]

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant's tracks."""
        with self._lock:  # the other signal's thread may be adding to the table
            forget_tracks(self._newest, session, participant)

    def _known(self, window: Window) -> FloatArray | None:
        newest = self._newest.get(window.key)
        # the same object, not an equal time: two files may have a window at the same place
        return newest[1] if newest is not None and newest[0] is window else None

    def _remember(self, window: Window, vector: FloatArray) -> None:
        assert isinstance(window, AudioWindow)
        self._newest.pop(window.key, None)
        kept(self._newest, window.key, lambda: (window, vector), MAX_TRACKS)


class SpeakerChange:
    """Another voice than earlier in the call? A ``types.Detector`` with a memory of each track."""

    def __init__(self, voices: Voices, calibration: PersonCalibration) -> None:
        self._voices = voices
        self._calibration = calibration
        self._memories: OrderedDict[TrackKey, PersonMemory] = OrderedDict()

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.SPEAKER_CHANGE

    @property
    def tracks(self) -> int:
        """Tracks of which something is remembered."""
        return len(self._memories)

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the samples as float32 (64000,), or why the voice cannot be described."""
        return self._voices.prepare(window)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        """Compare each window with what was heard of its track before, in the order given.

        Raises:
            ModelError: the runtime failed, or a number is not finite.
        """
        vectors = self._voices.describe(batch, windows)
        return [self._compare(w, v) for w, v in zip(windows, vectors, strict=True)]

    def forget(self, session: str, participant: str) -> None:
        """Drop what was heard of a participant who left."""
        forget_tracks(self._memories, session, participant)
        self._voices.forget(session, participant)

    def _compare(self, window: Window, vector: FloatArray) -> Finding | Abstain:
        assert isinstance(window, AudioWindow)
        memory = self._memory(window.key)
        reference = memory.reference(window.start_s)
        if reference is None:
            self._keep(memory, window, vector, same=True)
            return Abstain("no_reference_yet")
        other_llr = self._calibration.other_llr(np.array([1 - vector @ reference], np.float32))
        self._keep(memory, window, vector, same=bool(other_llr[0] <= 0))
        return Finding(float(self._calibration.llr(other_llr)[0]))

    @staticmethod
    def _keep(memory: PersonMemory, window: AudioWindow, vector: FloatArray, *, same: bool) -> None:
        share = window.quality.speech_ratio
        memory.keep(window.start_s, window.end_s, vector, share=share, same=same)

    def _memory(self, key: TrackKey) -> PersonMemory:
        return kept(self._memories, key, lambda: PersonMemory(self._voices.config.memory), MAX_TRACKS)


class VoiceMatch:
    """Another voice than the one enrolled for the participant? A ``types.Detector``.

    Enrolled vectors live in memory only; ``forget`` keeps them, because somebody who reconnects is
    still the same participant.
    """

    def __init__(self, voices: Voices, calibration: PersonCalibration) -> None:
        self._voices = voices
        self._calibration = calibration
        self._enrolled = Enrolled()

    @property
    def signal(self) -> Signal:
        """The signal it scores."""
        return Signal.VOICE_MATCH

    def enrol(self, session: str, participant: str, vector: FloatArray) -> None:
        """Compare the participant with this voice from now on."""
        self._enrolled.enrol(session, participant, vector)

    def lend(self, session: str, participant: str, name: str) -> None:
        """Compare ``name`` with what is enrolled for the participant, until it is withdrawn from either."""
        self._enrolled.lend(session, participant, name)

    def withdraw(self, session: str, participant: str | None = None) -> None:
        """Drop the voice of a participant, or of everybody in the session."""
        self._enrolled.withdraw(session, participant)

    def declines(self, key: TrackKey) -> str | None:
        """Return ``no_enrolment`` for a participant without an enrolled voice."""
        return None if self._enrolled.of(key) is not None else "no_enrolment"

    def prepare(self, window: Window) -> FloatArray | Abstain:
        """Return the samples as float32 (64000,), or why they are not compared."""
        declined = self.declines(window.key)
        return self._voices.prepare(window) if declined is None else Abstain(declined)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        """Compare each window with the enrolled voice of its participant.

        Raises:
            ModelError: the runtime failed, or a number is not finite.
        """
        vectors = self._voices.describe(batch, windows)
        return [self._compare(w.key, v) for w, v in zip(windows, vectors, strict=True)]

    def _compare(self, key: TrackKey, vector: FloatArray) -> Finding | Abstain:
        enrolled = self._enrolled.of(key)
        if enrolled is None:  # withdrawn while the model ran
            return Abstain("no_enrolment")
        other_llr = self._calibration.other_llr(np.array([1 - vector @ enrolled], np.float32))
        return Finding(float(self._calibration.llr(other_llr)[0]))


@dataclass(frozen=True, slots=True)
class Speaker:
    """The two signals over one loaded model, and what they share."""

    card: VectorCard
    voices: Voices
    change: SpeakerChange
    match: VoiceMatch


def load_speaker(folder: Path, lock: AbstractContextManager[object] | None = None) -> Speaker:
    """Load the model of a card's folder, once for both signals.

    Raises:
        ModelError: the card, the file or the runtime is at fault.
    """
    card = load_speaker_card(folder)
    voices = Voices(OnnxEmbedder(card), lock=lock)
    change = SpeakerChange(voices, card.calibrations[Signal.SPEAKER_CHANGE])
    return Speaker(card, voices, change, VoiceMatch(voices, card.calibrations[Signal.VOICE_MATCH]))
