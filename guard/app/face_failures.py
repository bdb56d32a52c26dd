"""A network that finds faces failed on a picture: is it this picture, or the network?

One call's picture must not end the others' analysis, so the failure is noted and the picture skipped. A
network that fails on a plain picture as well looks at nobody's any more: then the analysis process ends, is
shown as ``detector_down``, and is started again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from guard.app.failures import FACES
from guard.clock import Clock
from guard.errors import ModelError
from guard.inference.lanes import Failed

CHECK_EVERY_S = 1.0


class Checkable(Protocol):
    """The networks; ``FaceModels``."""

    def check(self) -> None:
        """Run them on a plain picture; raises ModelError."""


class FaceFailures:
    """Takes the failures of every call's pictures, in the thread in which the networks run.

    Args:
        networks: what failed.
        failed: notes each failure.
        broken: told once the networks fail on a plain picture, too.
        clock: the networks are checked once a second at most.
    """

    def __init__(
        self, networks: Checkable, failed: Failed, broken: Callable[[ModelError], None], clock: Clock
    ) -> None:
        self._networks, self._failed, self._broken, self._clock = networks, failed, broken, clock
        self._checked_s = float("-inf")

    def __call__(self, error: ModelError) -> None:
        """Take note of one."""
        self._failed(FACES, error)
        now = self._clock.now()
        if now - self._checked_s < CHECK_EVERY_S:
            return
        self._checked_s = now
        try:
            self._networks.check()
        except ModelError as always:
            self._broken(always)
