"""Why detectors failed, for the log and the metrics: the call goes on, and somebody must look.

A Score that says ``detector_failed`` cannot say why. Here each cause is written once, then at most once a
minute with how often it came since: a broken model fails on every window of every call.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from guard.clock import Clock
from guard.errors import GuardError

AGAIN_AFTER_S = 60.0
# causes that are told apart; others count with the failures and stay unwritten
MAX_CAUSES = 64


def cause_of(error: BaseException) -> tuple[str, str]:
    """Return the code of a failure and what is known of it, for people.

    The text of an exception that is not guard's own may quote what came in; where it was raised may not.
    """
    if isinstance(error, GuardError):
        return error.code, error.message
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" in {Path(place[0].filename).name}:{place[0].lineno}" if place else ""
    return "internal_error", f"{type(error).__name__}{where}"


class Failures:
    """Counts failures and writes their causes; may be called from any thread.

    Args:
        write: takes the keys ``part``, ``code``, ``why`` and ``times`` of one line of the log.
        clock: for how long ago a cause was written.
    """

    def __init__(self, write: Callable[[dict[str, object]], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._written_s: dict[tuple[str, str, str], float] = {}
        self._since: Counter[tuple[str, str, str]] = Counter()

    def __call__(self, part: str, error: Exception) -> None:
        """Take note that a part of the pipeline, a signal or ``face_finder``, failed."""
        cause, now = (part, *cause_of(error)), self._clock.now()
        with self._lock:
            self._counts[part] += 1
            if cause not in self._written_s and len(self._written_s) == MAX_CAUSES:
                return
            self._since[cause] += 1
            if now - self._written_s.get(cause, float("-inf")) < AGAIN_AFTER_S:
                return
            self._written_s[cause] = now
            times = self._since.pop(cause)
        self._write({"failed": part, "code": cause[1], "why": cause[2], "times": times})

    def of(self, part: str) -> int:
        """Return how often a part failed since the start."""
        with self._lock:
            return self._counts[part]
