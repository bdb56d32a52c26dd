"""What the codes of a verdict are taken from; the codes of whole calls stand in test_engine.py and others."""

from __future__ import annotations

from guard import reasons
from guard.fusion.config import FusionConfig
from guard.fusion.grounds import other_person, withheld
from guard.fusion.signal import Reading
from guard.types import Signal


def test_how_a_face_is_anothers_is_said_once_graver_first_whichever_signals_say_it() -> None:
    readings = {
        Signal.FACE_FRAME: Reading(1.0, others=(reasons.PHOTO_MISMATCH,)),
        Signal.FACE_IDENTITY: Reading(1.0, others=(reasons.FACE_REPLACED, reasons.PHOTO_MISMATCH)),
    }
    assert other_person(readings, FusionConfig()) == (reasons.FACE_REPLACED, reasons.PHOTO_MISMATCH)


def test_a_signal_that_decides_nothing_says_nothing_of_another_person() -> None:
    readings = {Signal.TEMPORAL: Reading(1.0, others=(reasons.PHOTO_MISMATCH,))}
    assert other_person(readings, FusionConfig()) == ()


def test_a_picture_that_is_not_live_is_so_by_any_signal() -> None:
    live = {Signal.FACE_FRAME: Reading(1.0)}
    assert withheld(live) == ()
    cut = Reading(None, withheld=(reasons.VIDEO_CUT,))
    assert withheld(live | {Signal.TEMPORAL: cut}) == (reasons.VIDEO_CUT,)
    failed = Reading(1.0, withheld=(reasons.FACE_FAILED,))
    both = {Signal.FACE_FRAME: failed, Signal.TEMPORAL: cut}
    assert withheld(both) == (reasons.VIDEO_CUT, reasons.FACE_FAILED), "the graver first, none hides another"
