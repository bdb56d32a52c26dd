"""A failure on one picture is noted; one on a plain picture, too, is told as the end."""

from __future__ import annotations

from guard.app.face_failures import CHECK_EVERY_S, FaceFailures
from guard.clock import ManualClock
from guard.errors import ModelError

ODD = ModelError("model_not_finite", "facemesh returned a value that is not finite")


class Networks:
    def __init__(self) -> None:
        self.broken, self.checks = False, 0

    def check(self) -> None:
        self.checks += 1
        if self.broken:
            raise ModelError("model_failed", "facemesh failed to run")


def test_a_failure_on_one_picture_is_noted_and_the_networks_are_checked_once_a_second() -> None:
    clock, networks = ManualClock(10.0), Networks()
    noted, ends = list[str](), list[ModelError]()
    failures = FaceFailures(networks, lambda failed, _: noted.append(failed), ends.append, clock)
    for _ in range(5):
        failures(ODD)
    assert (len(noted), networks.checks) == (5, 1)
    clock.advance(CHECK_EVERY_S)
    failures(ODD)
    assert (len(noted), networks.checks, ends) == (6, 2, [])


def test_networks_that_fail_on_a_plain_picture_end_it() -> None:
    clock, networks, ends = ManualClock(10.0), Networks(), list[ModelError]()
    failures = FaceFailures(networks, lambda *_: None, ends.append, clock)
    networks.broken = True
    failures(ODD)
    assert [end.code for end in ends] == ["model_failed"]
