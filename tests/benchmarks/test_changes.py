"""What the benchmarks of voices and faces that change count, on outcomes made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import face_changes, voice_changes
from benchmarks.face_changes import KINDS, ON, SAME, Seen
from benchmarks.voice_changes import ENGINE, TAKEN_OVER, Call, without_change
from guard.evaluation.replay import Outcome
from guard.fusion.config import FusionConfig
from guard.types import State


def test_only_what_comes_after_the_change_of_a_face_is_noticed_and_the_reason_is_told_apart() -> None:
    seen = [Seen(kind, "a", None, None, 5, -1.0) for kind in KINDS]
    seen += [
        Seen(ON, "b", 19.5, "face_replaced", 5, -1.0),
        Seen(ON, "c", 20.0, "face_frame_high", 5, 4.4),
        Seen(ON, "d", 9.0, "face_replaced", 0, 1.0),
    ]
    found = face_changes.account(seen)
    on = found[ON]
    assert (on["calls"], on["suspect_calls"], on["face_replaced"], on["before"]) == (4, 2, 1, 1)
    assert on["delays_s"] == [5.5, 6.0]
    assert on["compared_calls"] == 3
    assert (found[SAME]["suspect_calls"], found[SAME]["delays_s"]) == (0, [])
    assert "| a swap is turned on | 4 | 2: 0.50" in face_changes.table(found)


def test_alarms_before_the_change_of_a_voice_count_apart_and_rules_stand_beside_each_other() -> None:
    calls = [Call(kind, "v", "w", None, str(n)) for n, kind in enumerate((ENGINE, ENGINE, TAKEN_OVER))]
    quiet = Outcome("c", True, 100.0, None, None, State.UNDECIDED, 2.0)
    late, early = replace(quiet, amber_s=54.0, highest_llr=4.5), replace(quiet, amber_s=12.0, highest_llr=5.0)
    found = voice_changes.account(calls, {"with": [late, early, quiet], "without": [quiet, early, quiet]})
    engine = found[ENGINE]
    assert [engine[rule]["amber"] for rule in ("with", "without")] == [1, 0]
    assert [engine[rule]["before"] for rule in ("with", "without")] == [1, 1]
    assert engine["with"]["delays_s"] == [14.0]
    assert engine["with"]["highest_llr"]["most"] == pytest.approx(5.0)
    assert found[TAKEN_OVER]["with"]["amber"] == 0
    assert "| an engine | 2 | 1 (" in voice_changes.table(found)


def test_without_a_rise_means_that_it_adds_nothing_and_nothing_else() -> None:
    config = FusionConfig()
    off = without_change(config)
    assert off.change.most_llr == pytest.approx(0.0)
    assert replace(off, change=config.change) == config
