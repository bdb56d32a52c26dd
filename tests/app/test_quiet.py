"""Participants of whom nothing arrives any more are named once."""

from __future__ import annotations

from guard.app.quiet import Quiet


def test_who_sends_nothing_for_a_minute_is_named_once_and_again_after_coming_back() -> None:
    quiet = Quiet(60.0)
    quiet.heard(("s", "a"), 10.0)
    quiet.heard(("s", "b"), 40.0)
    assert quiet.due(69.9) == []
    assert quiet.due(70.0) == [("s", "a")]
    assert quiet.due(71.0) == []
    quiet.heard(("s", "a"), 80.0)
    assert sorted(quiet.due(200.0)) == [("s", "a"), ("s", "b")]


def test_who_left_is_not_named() -> None:
    quiet = Quiet(60.0)
    quiet.heard(("s", "a"), 0.0)
    quiet.forget(("s", "a"))
    assert quiet.due(1000.0) == []
