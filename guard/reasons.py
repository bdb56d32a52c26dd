"""The codes a verdict gives for its state; the words are in guard/policy/texts.

A signal that carries the state gives ``<signal>_high`` (at or above amber alone) or
``<signal>_raised`` (positive, below amber). Abstention reasons of detectors are passed
on unchanged.
"""

from __future__ import annotations

from guard.types import Signal

NO_EVIDENCE = "no_evidence"
TOO_LITTLE_EVIDENCE = "too_little_evidence"
WITHIN_NOISE = "within_noise"
NO_SUSPICION = "no_suspicion"
SWITCHED = "switched_mid_call"
VOICE_ALONE = "voice_alone_not_red"
WAITING_FOR_CLEAR = "waiting_for_clear"
WAITING_FOR_PERSON = "waiting_for_person"
DETECTOR_DOWN = "detector_down"
CHECK_FAILED = "check_failed"
# nobody in the picture is the person of the enrolled photo: suspect, and no evidence of synthetic media
PHOTO_MISMATCH = "photo_mismatch"
# a face became another's without leaving the picture, as when a swap is turned on: suspect
FACE_REPLACED = "face_replaced"
FACE_LAPSED = "face_lapsed"
LOW_COVERAGE = "low_coverage"
# of a picture that is certainly not one camera's live one: no accusation, and no good mark (temporal)
VIDEO_FROZEN = "video_frozen"
VIDEO_REPEATS = "video_repeats"
VIDEO_CUT = "video_cut"
# of a picture in which a network that finds faces failed: nobody knows who is in it
FACE_FAILED = "face_failed"
# of a signal, not of a state: nothing of its track was scored or explained for a minute
LAPSED = "lapsed"
# of a signal whose score is no number, as of one that could not be scored (docs/reasons.md)
DETECTOR_FAILED = "detector_failed"
# of a signal that nobody asked for: it explains no lack of evidence
NOT_ASKED = "no_enrolment"

STATE_REASONS = (
    NO_EVIDENCE,
    TOO_LITTLE_EVIDENCE,
    WITHIN_NOISE,
    NO_SUSPICION,
    SWITCHED,
    VOICE_ALONE,
    WAITING_FOR_CLEAR,
    WAITING_FOR_PERSON,
    DETECTOR_DOWN,
    CHECK_FAILED,
    PHOTO_MISMATCH,
    FACE_REPLACED,
    FACE_LAPSED,
    LOW_COVERAGE,
    VIDEO_FROZEN,
    VIDEO_REPEATS,
    VIDEO_CUT,
    FACE_FAILED,
)

# why a state is no worse: of a state that is kept worse they say nothing
MILDER = frozenset({NO_EVIDENCE, TOO_LITTLE_EVIDENCE, WITHIN_NOISE, NO_SUSPICION})

# of a state that only a person can settle, also where DETECTOR_DOWN lies over it
NEED_A_PERSON = frozenset({CHECK_FAILED, WAITING_FOR_PERSON})

# how a face is another person's, graver first
OTHER_PERSON = (FACE_REPLACED, PHOTO_MISMATCH)

# of a picture that is certainly not one camera's live one
NOT_LIVE = (VIDEO_FROZEN, VIDEO_REPEATS, VIDEO_CUT)
# what holds back bona_fide for as long as evidence is remembered, graver first
WITHHOLDING = (*NOT_LIVE, FACE_FAILED)


def high(signal: Signal) -> str:
    """Return the code of a signal that reaches amber by itself."""
    return f"{signal.value}_high"


def raised(signal: Signal) -> str:
    """Return the code of a signal that points to spoof without reaching amber."""
    return f"{signal.value}_raised"


ALL_REASONS = (*STATE_REASONS, *(f(s) for s in Signal for f in (high, raised)))
