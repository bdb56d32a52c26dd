"""The vocabulary of the active checks: kinds, commands, what is observed, what is judged of it.

Every ``_s`` here is monotonic seconds of this host: pictures and sound carry the moment at which
they arrived, so that what the customer's own clock says is never needed. Scores are natural
log-likelihood ratios, positive meaning spoof, that is: not answered by a person in front of the camera.
Left and right are the customer's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from guard.types import FloatArray, ImageArray


class CheckKind(StrEnum):
    """The checks a person can be asked to pass (``POST .../challenges``)."""

    VISUAL = "visual"
    LIGHT = "light"
    OCCLUSION = "occlusion"
    WORDS = "words"
    MUTUAL = "mutual"


class Result(StrEnum):
    """How an attempt ended."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Gesture(StrEnum):
    """What one command asks for."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    TURN_FAR_LEFT = "turn_far_left"
    TURN_FAR_RIGHT = "turn_far_right"
    TILT_LEFT = "tilt_left"
    TILT_RIGHT = "tilt_right"
    LOOK_UP = "look_up"
    LOOK_DOWN = "look_down"
    BLINK_TWICE = "blink_twice"
    OPEN_MOUTH = "open_mouth"
    MOVE_CLOSER = "move_closer"
    COVER_MOUTH = "cover_mouth"
    COVER_EYE = "cover_eye"
    FOLLOW_DOT = "follow_dot"
    SAY_WORDS = "say_words"
    SCREEN_LIGHT = "screen_light"


class Need(StrEnum):
    """Why a person wants other commands; nobody fails for one of these."""

    NO_HANDS = "no_hands"
    NO_SIGHT = "no_sight"
    NO_HEARING = "no_hearing"
    NO_SPEECH = "no_speech"
    HEAD_COVERING = "head_covering"
    GLASSES = "glasses"
    LIGHT_SENSITIVE = "light_sensitive"
    NO_TURNING = "no_turning"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing put on the screen for a command, ``at_s`` seconds after the command itself.

    Most commands have a single step. The screen light and the moving dot have several, and the page
    learns each only when it is due, so that nothing can be prepared.

    Args:
        at_s: seconds from the first step.
        colour: sRGB in [0, 1] of the whole screen (``screen_light``).
        dot: where the dot goes, x and y in [0, 1] of the screen from its upper left (``follow_dot``).
    """

    at_s: float
    colour: tuple[float, float, float] | None = None
    dot: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it was drawn.

    Args:
        gesture: what is asked.
        limit_s: seconds from the first step within which it must be done.
        steps: what is put on the screen, and when.
        words: what is to be read aloud (``say_words``), in ``language``.
        language: ``kk``, ``ru`` or ``en``.
    """

    gesture: Gesture
    limit_s: float
    steps: tuple[Step, ...] = (Step(0.0),)
    words: tuple[str, ...] = ()
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Sight:
    """One picture of a participant, reduced to what a check is judged by; never kept after it.

    Args:
        time_s: monotonic seconds at which it arrived, smoothed (``Sights`` in ``guard.app``).
        size: width and height of the picture in pixels.
        faces: how many faces are followed in it.
        points: float32 (468, 3), FaceMesh points of the greatest face, x and y in pixels of the picture,
            depth in the same unit growing away from the camera; None where no face was found.
        patch: uint8 (64, 64, 3), RGB, the face cut out upright where it was last seen, which is what a
            hand in front of it covers; None before any face was seen.
        face_rgb: float32 (3,), mean sRGB in [0, 255] of the skin (brow and cheeks); None without a face.
        around_rgb: the same of the picture away from every face.
    """

    time_s: float
    size: tuple[int, int]
    faces: int
    points: FloatArray | None = None
    patch: ImageArray | None = None
    face_rgb: FloatArray | None = None
    around_rgb: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything seen and heard of one command so far.

    Args:
        shown_s: monotonic seconds at which each step was sent, as many as were sent.
        before: pictures of the two seconds before the first step, oldest first.
        after: pictures since then.
        voice: float32 (N,), mono 16 kHz, the microphone since the first step; empty without one.
        voice_s: monotonic seconds of its first sample.
        heard: what a recogniser made of ``voice`` once the time was over; None where none was asked.
    """

    shown_s: tuple[float, ...]
    before: Sequence[Sight]
    after: Sequence[Sight]
    voice: FloatArray
    voice_s: float
    heard: str | None = None


class Answer(StrEnum):
    """What became of one command."""

    MATCHED = "matched"
    MISMATCHED = "mismatched"
    UNSEEN = "unseen"  # the pictures or the sound do not allow to tell


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one command says.

    Args:
        answer: matched, mismatched, or not to be told.
        llr: natural log-likelihood ratio, positive = not done by a person in front of the camera; 0 where
            unseen.
        reason: code listed in docs/reasons.md.
        onset_s: seconds from the first step to the beginning of the movement; None where none was seen.
        details: measured values for the record: degrees, ratios, correlation, lag; finite numbers only.
    """

    answer: Answer
    llr: float
    reason: str
    onset_s: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)


class Judge(Protocol):
    """Judges one kind of command."""

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        """Return what the command has come to, or None while that is open.

        Args:
            command: what was asked.
            observed: everything so far; each call has all of it again.
            over: whether the time is over; then there is a Judgement.
        """
