"""Why detectors failed, for the log: the call goes on, and somebody must look.

A Score that says ``detector_failed`` cannot say why. Here each cause is written once, then at most once a
minute with how often it came since: a broken model fails on every window of every call.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from guard.clock import Clock
from guard.errors import GuardError

AGAIN_AFTER_S = 60.0
# of one detector, that are told apart: a runtime may name shapes and addresses; others are written as one
MAX_CAUSES = 8
OTHER_CAUSES = ("other_causes", "this detector fails for more causes than are told apart")
_MAX_WHY = 300
# what the networks that find faces fail as; detectors fail as their signals
FACES = "faces"


def cause_of(error: BaseException) -> tuple[str, str]:
    """Return the code of a failure and what is known of it, for people.

    The text of an exception that is not guard's own may quote what came in; where it was raised may not.
    """
    if isinstance(error, GuardError):
        return error.code, error.message[:_MAX_WHY]
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" in {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
    return "internal_error", f"{type(error).__name__}{where}"


class Failures:
    """Writes causes; may be called from any thread.

    Args:
        write: takes the keys ``failed``, ``code``, ``why`` and ``times`` of one line of the log.
        clock: for how long ago a cause was written.
    """

    def __init__(self, write: Callable[[dict[str, object]], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._written_s: dict[str, dict[tuple[str, str], float]] = {}
        self._since: Counter[tuple[str, str, str]] = Counter()
        self._total: Counter[str] = Counter()

    def __call__(self, failed: str, error: Exception) -> None:
        """Take note that a detector, by its signal, or ``FACES`` failed."""
        cause, now = cause_of(error), self._clock.now()
        with self._lock:
            self._total[failed] += 1
            written_s = self._written_s.setdefault(failed, {})
            if cause not in written_s and len(written_s) >= MAX_CAUSES:
                cause = OTHER_CAUSES
            self._since[failed, *cause] += 1
            if now - written_s.get(cause, float("-inf")) < AGAIN_AFTER_S:
                return
            written_s[cause] = now
            times = self._since.pop((failed, *cause))
        self._write({"failed": failed, "code": cause[0], "why": cause[1], "times": times})

    def total(self, failed: str) -> int:
        """Return how often a detector failed since the process began."""
        with self._lock:
            return self._total[failed]
