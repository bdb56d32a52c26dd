"""A face that becomes another person's without leaving the picture, as when a live swap is turned on.

Somebody who hands over takes seconds, and the camera sees them go. So a change is *in place* where the face
was followed under one number, at most ``in_place_s`` lies between the last look at the one person and the
first at the other, nobody else was seen in any picture for ``alone_s`` before, and the whole pictures of
those two looks are alike. One look proves nothing: a face is *surely* the one person or the other once the
mean llr of ``sure_looks`` is ``sure_llr`` either way. Only a face that was surely the reference's person can
become another in place; only once it surely is does the person from before stay the reference, and a face
that hides for less than ``hidden_s`` and comes back under another number remain the one that was changed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from guard.detectors.temporal_video import likeness
from guard.types import FaceWindow, FloatArray

# a picture flatter than that, standard deviation of its means, may show anything (of 255)
_LEAST_CONTRAST = 4.0


@dataclass(frozen=True, slots=True)
class InPlaceConfig:
    """When a face has become another in place; see the module.

    Args:
        in_place_s: longest time between the two looks.
        alone_s: how long nobody else may have been seen.
        same_picture: least likeness of the two whole pictures, in (0, 1].
        sure_looks: looks at one person that make sure who it is.
        sure_llr: how far from 0 their mean natural llr must lie.
        hidden_s: longest time a changed face may be gone and still be the changed one.
    """

    in_place_s: float = 0.6
    alone_s: float = 5.0
    same_picture: float = 0.9
    sure_looks: int = 8
    sure_llr: float = 1.0
    hidden_s: float = 10.0

    def __post_init__(self) -> None:
        if min(self.in_place_s, self.alone_s, self.sure_llr, self.hidden_s) <= 0 or self.sure_looks < 1:
            raise ValueError("all but same_picture must be above 0")
        if not 0 < self.same_picture <= 1:
            raise ValueError("same_picture must lie in (0, 1]")


class InPlace:
    """Follows one face of one track; looks come in the order of time, each compared with the reference."""

    def __init__(self, config: InPlaceConfig) -> None:
        self._config = config
        self._same_s = float("-inf")
        self._crowd_s = float("-inf")
        self._picture: FloatArray | None = None
        self._recent: deque[float] = deque(maxlen=config.sure_looks)
        self._came = False
        self.sure = False

    def inherit(self, gone_s: float) -> InPlace:
        """Return what holds of the face that comes in the place of this one, ``gone_s`` seconds later."""
        other = InPlace(self._config)
        other.sure = self.sure and gone_s <= self._config.hidden_s
        return other

    def see(self, window: FaceWindow) -> None:
        """Take note of everybody in the pictures since the look before."""
        crowded = [glimpse.time_s for glimpse in window.glimpses if glimpse.faces > 1]
        self._crowd_s = max((self._crowd_s, *crowded))

    def compare(self, window: FaceWindow, other_llr: float) -> float | None:
        """Return the llr of another person against whoever was there before and never left.

        None where another came in a way that people can.

        Args:
            other_llr: natural llr of another person than the reference's in this look.
        """
        self._recent.append(other_llr)
        is_full = len(self._recent) == self._config.sure_looks
        mean = sum(self._recent) / len(self._recent) if is_full else 0.0
        if other_llr <= 0 and mean <= -self._config.sure_llr:
            self._same_s, self._picture = window.end_s, _whole(window)
            self._came = self.sure = False
        elif other_llr > 0 and not (self._came or self.sure):
            self._came = self._came_at_once(window)
            return other_llr if self._came else None
        self.sure = self.sure or (self._came and mean >= self._config.sure_llr)
        return other_llr

    def _came_at_once(self, window: FaceWindow) -> bool:
        config, now = self._config, _whole(window)
        if window.end_s - self._same_s > config.in_place_s or self._same_s - self._crowd_s < config.alone_s:
            return False
        if self._picture is None or now is None or min(self._picture.std(), now.std()) < _LEAST_CONTRAST:
            return False
        return likeness(self._picture, now) >= config.same_picture


def _whole(window: FaceWindow) -> FloatArray | None:
    """Return the newest whole picture in little, float32 (N,); None where the window has none."""
    if not window.glimpses:
        return None
    return window.glimpses[-1].thumbnail.astype(np.float32).reshape(-1)
