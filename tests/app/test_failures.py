"""Why detectors failed reaches the log: each cause once, then once a minute, and nothing that came in."""

from __future__ import annotations

import threading

import numpy as np

from guard.app.failures import AGAIN_AFTER_S, MAX_CAUSES, Failures, cause_of
from guard.clock import ManualClock
from guard.errors import ModelError


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_cause_is_written_at_once_and_again_after_a_minute_with_how_often_it_came() -> None:
    clock, written = ManualClock(100.0), list[dict[str, object]]()
    failures = Failures(written.append, clock)
    broken = ModelError("model_run", "the runtime gave up")
    for _ in range(3):
        failures("voice_spoof", broken)
    assert written == [
        {"failed": "voice_spoof", "code": "model_run", "why": "the runtime gave up", "times": 1}
    ]
    clock.advance(AGAIN_AFTER_S)
    failures("voice_spoof", broken)
    assert [line["times"] for line in written] == [1, 3]


def test_more_causes_than_are_told_apart_are_written_as_one_and_hide_no_other_detector() -> None:
    clock, written = ManualClock(0.0), list[dict[str, object]]()
    failures = Failures(written.append, clock)
    for n in range(3 * MAX_CAUSES):
        failures("face_frame", ModelError("model_run", f"fault {n}"))
    assert [line["code"] for line in written] == ["model_run"] * MAX_CAUSES + ["other_causes"]
    failures("voice_spoof", ModelError("model_run", "the runtime gave up"))
    assert (written[-1]["failed"], written[-1]["times"]) == ("voice_spoof", 1)
    clock.advance(AGAIN_AFTER_S)
    failures("face_frame", ModelError("model_run", "yet another"))
    assert (written[-1]["code"], written[-1]["times"]) == ("other_causes", 2 * MAX_CAUSES)


def test_no_failure_is_lost_between_threads() -> None:
    clock, written = ManualClock(0.0), list[dict[str, object]]()
    failures = Failures(written.append, clock)
    broken = ModelError("model_run", "the runtime gave up")

    def fail() -> None:
        for _ in range(500):
            failures("a", broken)

    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.advance(AGAIN_AFTER_S)
    failures("a", broken)
    assert [line["times"] for line in written] == [1, 2000]


def test_a_long_text_of_the_runtime_is_cut() -> None:
    assert len(cause_of(ModelError("model_run", "x" * 5000))[1]) == 300


def test_what_came_in_is_not_quoted() -> None:
    code, why = cause_of(raised(ValueError(f"cannot take {np.array([0.25, 0.75])} of 990101300123")))
    assert code == "internal_error"
    assert why.startswith("ValueError in test_failures.py:")
    assert "0.25" not in why and "990101300123" not in why


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert cause_of(KeyError("a")) == ("internal_error", "KeyError")
