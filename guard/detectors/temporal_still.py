"""A picture that stands still although new ones come, also under a camera's grain or a codec's trembling.

One picture against another says little under grain: every point of the face trembles, every cell of the
thumbnail flickers. Means over a second do not, while whoever sits before a camera sways, breathes and
blinks. So seconds are compared, and within them only what grain never does is looked for: a blink, a jerk.
How still a person sits: the head of people asked to sit quietly turns by about a degree (standard deviation),
which moves a face by some two millimetres; here less than half a millimetre is asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from guard.detectors.temporal_points import FOLLOWED, eye_distances
from guard.types import FloatArray, Glimpse, ImageArray

# a stretch is so many blocks of a second, each of at least so many pictures
BLOCKS, BLOCK_S, _IN_BLOCK = 6, 1.0, 2
STRETCH_S = BLOCKS * BLOCK_S
# pictures further apart than this leave time in which anything may have happened; under overload one look
# a second is left, with the pictures just before it
MAX_GAP_S = 1.05
MAX_KEPT = 256

# in eye distances (63 mm): how far the middle of the face may be in a second from where it is in all of them;
# how far the points may be in one picture, root mean square; by how much the lids may open or close
_SWAY, _JERK, _BLINK = 0.007, 0.05, 0.03
# levels of 255 by which the cells of the thumbnail may differ in a second from all of them: 19 in 20 by less
_LEVELS, _CELLS = 2.2, 0.95
_LIDS = tuple((FOLLOWED.index(upper), FOLLOWED.index(lower)) for upper, lower in ((159, 145), (386, 374)))


@dataclass(frozen=True, slots=True)
class Stillness:
    """How much moved in a stretch; what is in eye distances is of one face.

    Args:
        sway: largest way of the middle of the face in a second from its place in the whole stretch.
        jerk: largest way of the points in one picture, root mean square.
        blink: largest change of the gap between the lids in one picture.
        levels: difference of the thumbnail's cells in a second from the whole stretch, 19 in 20 of them less.
    """

    sway: float
    jerk: float
    blink: float
    levels: float

    @property
    def frozen(self) -> bool:
        """Whether nobody who sits before a camera is so still for so long."""
        return self.sway <= _SWAY and self.jerk <= _JERK and self.blink <= _BLINK and self.levels <= _LEVELS


class Still:
    """The last seconds of one video track; bounded."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, ImageArray, FloatArray]] = deque(maxlen=MAX_KEPT)

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, glimpse: Glimpse, points: FloatArray | None) -> None:
        """Take the next picture, with the ``FOLLOWED`` points of one face in it; one without says nothing."""
        if points is None:
            return
        if self._seen and not 0 <= glimpse.time_s - self._seen[-1][0] <= MAX_GAP_S:
            self._seen.clear()
        self._seen.append((glimpse.time_s, glimpse.thumbnail, points))
        while self._seen[-1][0] - self._seen[0][0] > STRETCH_S + MAX_GAP_S:
            self._seen.popleft()

    def measure(self) -> Stillness | None:
        """Return how much moved in the last ``STRETCH_S``; None where that was not seen throughout."""
        if not self._seen or self._seen[-1][0] - self._seen[0][0] < STRETCH_S:
            return None
        times = np.array([time_s for time_s, _, _ in self._seen])
        block = np.floor((times[-1] - times) / BLOCK_S).astype(int)
        rows = [np.flatnonzero(block == number) for number in range(BLOCKS)]
        if min(len(row) for row in rows) < _IN_BLOCK:
            return None
        points = np.stack([points for _, _, points in self._seen])
        points = points / max(float(np.median(eye_distances(points))), 1.0)
        cells = np.stack([thumbnail for _, thumbnail, _ in self._seen]).astype(np.float32)
        stretch = np.concatenate(rows)
        return Stillness(
            sway=_departure(np.stack([np.median(points[row], axis=0).mean(axis=0) for row in rows])),
            jerk=_jerk(points[stretch]),
            blink=_blink(points[stretch]),
            levels=_levels(np.stack([cells[row].mean(axis=0) for row in rows])),
        )


def _departure(places: FloatArray) -> float:
    """Return the largest distance of places (B, 2) from their mean."""
    return float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1)).max())


def _jerk(points: FloatArray) -> float:
    """Return the largest way of points (T, K, 2) from their median over time, root mean square."""
    way = ((points - np.median(points, axis=0)) ** 2).sum(axis=2)
    return float(np.sqrt(way.mean(axis=1)).max())


def _blink(points: FloatArray) -> float:
    """Return the largest change of the gap between the lids against its median over time."""
    gaps = np.stack([np.hypot(*(points[:, lower] - points[:, upper]).T) for upper, lower in _LIDS])
    return float(np.abs(gaps - np.median(gaps, axis=1, keepdims=True)).max())


def _levels(cells: FloatArray) -> float:
    """Return by how much the cells of seconds (B, 18, 32) differ from all of them, 19 in 20 by less."""
    return float(np.quantile(np.abs(cells - cells.mean(axis=0)).max(axis=0), _CELLS))
