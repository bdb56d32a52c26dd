"""A face that becomes another person's without leaving the picture, as when a live swap is turned on.

Somebody who hands over takes seconds, and the camera sees them go. So a change is *in place* where the face
was followed under one number, at most ``in_place_s`` lies between the last look at the one person and the
first at the other, nobody else was seen in any picture for ``alone_s`` before, and around the face the
pictures of those two looks are alike: the face itself may fill half of them and does differ. Bars at their
borders are left out, and where nothing is seen around the face, it counts with the rest. One look proves
nothing: a face is *surely* the one person or the other once the mean llr of ``sure_looks`` is
``sure_llr`` either way. Only a face that was surely the reference's person can become another in place;
only once it surely is does the person from before stay the reference, and a face that hides for less than
``hidden_s`` and comes back under another number remain the one that was changed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.media.likeness import MIN_CONTRAST, likeness
from guard.types import FaceWindow, Glimpse, ImageArray

# part of the face's width and height by which hair, neck and what else goes with it reach beyond its points
_BEYOND = 0.25
# cells of the picture in little below which nothing is known of them
_LEAST_CELLS = 60


@dataclass(frozen=True, slots=True)
class InPlaceConfig:
    """When a face has become another in place; see the module.

    Args:
        in_place_s: longest time between the two looks.
        alone_s: how long nobody else may have been seen.
        same_picture: least likeness of what lies around the face in the two pictures, in (0, 1].
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
        self._last: Glimpse | None = None
        self._recent: deque[float] = deque(maxlen=config.sure_looks)
        self._candidate = False
        self._replaced = False

    @property
    def replaced(self) -> bool:
        """Whether the face surely is another person's than the reference, and never left."""
        return self._replaced

    def inherit(self, gone_s: float) -> InPlace:
        """Return what holds of the face that comes in the place of this one, ``gone_s`` seconds later."""
        other = InPlace(self._config)
        other._replaced = self._replaced and gone_s <= self._config.hidden_s
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
            self._same_s, self._last = window.end_s, _newest(window)
            self._candidate = self._replaced = False
        elif other_llr > 0 and not (self._candidate or self._replaced):
            self._candidate = self._came_at_once(window)
            return other_llr if self._candidate else None
        self._replaced = self._replaced or (self._candidate and mean >= self._config.sure_llr)
        return other_llr

    def _came_at_once(self, window: FaceWindow) -> bool:
        config, now = self._config, _newest(window)
        if window.end_s - self._same_s > config.in_place_s or self._same_s - self._crowd_s < config.alone_s:
            return False
        if self._last is None or now is None:
            return False
        return _same_picture(self._last, now, config.same_picture)


def _same_picture(before: Glimpse, after: Glimpse, least: float) -> bool:
    """Tell whether two pictures are alike but for the face; where nothing is seen around it, with it."""
    content = _content(before.thumbnail, after.thumbnail)
    around = content & _around_face(before) & _around_face(after)
    for cells in (around, content):
        first, second = (glimpse.thumbnail[cells].astype(np.float32) for glimpse in (before, after))
        found = likeness(first, second) if len(first) >= _LEAST_CELLS else None
        if found is not None:
            return found >= least
    return False


def _content(before: ImageArray, after: ImageArray) -> NDArray[np.bool_]:
    """Return bool (18, 32): the cells inside borders that are flat in both pictures, as black bars are.

    Bars beside a portrait picture are the same in everybody's, and most of what lies around a face.
    """
    pair = before.astype(np.float32), after.astype(np.float32)
    busy = [np.maximum(*(own.std(axis) for own in pair)) >= MIN_CONTRAST for axis in (1, 0)]
    rows, columns = (np.logical_or.accumulate(b) & np.logical_or.accumulate(b[::-1])[::-1] for b in busy)
    return np.asarray(rows[:, None] & columns[None])


def _newest(window: FaceWindow) -> Glimpse | None:
    """Return the look at the window's own picture; None where the window has none."""
    return window.glimpses[-1] if window.glimpses else None


def _around_face(glimpse: Glimpse) -> NDArray[np.bool_]:
    """Return bool (18, 32): the cells of the picture in little that show neither the face nor its hair."""
    rows, columns = glimpse.thumbnail.shape
    if glimpse.points is None:
        return np.zeros((rows, columns), bool)
    low, high = glimpse.points.min(0), glimpse.points.max(0)
    low, high = low - _BEYOND * (high - low), high + _BEYOND * (high - low)
    wide, tall = glimpse.size[0] // columns, glimpse.size[1] // rows  # as guard.windows.glimpses cuts them
    x, y = (np.arange(columns) + 0.5) * wide, (np.arange(rows) + 0.5) * tall
    across, down = (x > low[0]) & (x < high[0]), (y > low[1]) & (y < high[1])
    return np.asarray(~(down[:, None] & across[None]))
