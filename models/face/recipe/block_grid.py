"""The grid that a block codec leaves: how strong it is inside a face and how strong in the ring around it.

JPEG, VP8 and H.264 code a picture in blocks of 4, 8 or 16 px, and a little step is left where two blocks
meet. A webcam that sends JPEG, or a film played into a call, leaves such a grid all over its picture; a
face that a tool has turned, scaled and pasted into it has none, or one of its own, displaced (Li, Yuan and
Yu, Signal Processing 89, 2009, section 2: a grid that is blank or mismatched). So the grid is measured in
the decoded picture as it is, not in the aligned crop, whose resampling moves every edge of a block.

The step between two neighbours is what their difference has beyond the slope on either side (the disparity
of slopes of Minami and Zakhor, IEEE Transactions on Circuits and Systems for Video Technology 5, 1995,
section II), and a grid is there where steps at one phase are larger than at the others (Fan and de Queiroz,
IEEE Transactions on Image Processing 12, 2003, section II, who compare block corners with block middles).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CELL_PX = 16  # holds whole periods of every grid
PERIODS_PX = (4, 8, 16)
# Phases of blocks of 8 that are no line of the call's own blocks of 8 or 4, and not beside those of 8. The
# two pairs lie alike to the call's lines, so that each can be held against the other.
_EARLIER = ((2, 3), (5, 6))
# of the distance from the middle of the face to its outline
INSIDE_TO, RING_FROM, RING_TO = 0.85, 1.15, 1.6
MIN_INSIDE, MIN_RING = 12, 20
_MIN_LUMA, _MAX_LUMA = 14, 242
# Steps above it are edges of things; those of blocks are smaller. Sums of a cell then fit into int16.
_MOST_STEP = 48
# in the unit of a step: a cell whose steps are smaller than rounding gives no more weight than this
_FLOOR = 1.0
_TINY = 1e-3  # a flat region has no steps at all
# ITU-R BT.601, section 2.5.1
_TO_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Profiles:
    """Mean step at each column and row of a cell, relative to the cell's own mean, inside and in the ring.

    Args:
        inside: float32 (2, 16): steps between columns, then between rows; entry ``k`` is the step between
            ``16 n + k - 1`` and ``16 n + k`` of the picture. 1 everywhere where there is no grid.
        ring: the same around the face.
        cells: how many cells of 16 x 16 px lie inside and in the ring.
    """

    inside: np.ndarray
    ring: np.ndarray
    cells: tuple[int, int]


def luma_of(image: np.ndarray) -> np.ndarray:
    """Return the brightness int16 (H, W), whole levels, of an RGB picture uint8 (H, W, 3)."""
    return (image.astype(np.float32) @ _TO_LUMA).astype(np.int16)


def measure_profiles(image: np.ndarray, oval: np.ndarray) -> Profiles | None:
    """Measure the steps of one decoded picture inside a face and in the ring around it.

    Args:
        image: uint8 (H, W, 3), RGB, in the size in which it was decoded.
        oval: float32 (N, 2), points round the face's outline in its pixels, none twice in one direction
            from the middle.

    Returns:
        None where fewer than MIN_INSIDE or MIN_RING cells lie in the picture, neither black nor burnt out.
    """
    middle = (oval.min(axis=0) + oval.max(axis=0)) / 2
    half = np.ptp(oval, axis=0) / 2 * RING_TO
    # a slope needs two pixels before a cell and one behind it, so cells at the picture's edge are left out
    low = np.maximum((middle - half) // CELL_PX, 1).astype(int)
    high = np.minimum((middle + half) // CELL_PX + 1, (np.array(image.shape[1::-1]) - 1) // CELL_PX).astype(
        int
    )
    if (high <= low).any():
        return None
    (left, top), (right, bottom) = low * CELL_PX, high * CELL_PX
    luma = luma_of(image[top - 2 : bottom + 1, left - 2 : right + 1])
    level = _cells(luma[2:-1, 2:-1]).sum(axis=2, dtype=np.int32) / CELL_PX**2
    out = np.where((level > _MIN_LUMA) & (level < _MAX_LUMA), _reach(low, high, middle, oval), np.inf)
    where = np.stack([out < INSIDE_TO, (out >= RING_FROM) & (out < RING_TO)])
    cells = where.sum(axis=(1, 2))
    if cells[0] < MIN_INSIDE or cells[1] < MIN_RING:
        return None
    # between columns, then between rows: the picture turned over its diagonal, and the cells with it
    sums = [
        places.reshape(2, -1).astype(np.float32) @ _relative(plane[2:-1]).reshape(-1, CELL_PX)
        for plane, places in ((luma, where), (np.ascontiguousarray(luma.T), where.swapaxes(1, 2)))
    ]
    inside, ring = np.stack(sums, axis=1) / cells.astype(np.float32)[:, None, None]
    return Profiles(inside, ring, (int(cells[0]), int(cells[1])))


def _reach(low: np.ndarray, high: np.ndarray, middle: np.ndarray, oval: np.ndarray) -> np.ndarray:
    """Return how far out each cell lies, float (rows, columns): 0 amid the face, 1 on its outline."""
    outline = oval - middle
    angle, radius = np.arctan2(outline[:, 1], outline[:, 0]), np.hypot(outline[:, 0], outline[:, 1])
    order = np.argsort(angle)
    x, y = ((np.arange(low[axis], high[axis]) + 0.5) * CELL_PX - middle[axis] for axis in (0, 1))
    x, y = np.meshgrid(x, y)
    reach = np.interp(np.arctan2(y, x), angle[order], radius[order], period=2 * np.pi)
    return np.hypot(x, y) / np.maximum(reach, 1.0)


def _cells(sums: np.ndarray) -> np.ndarray:
    """Return (rows, columns, 16): sums down the 16 rows of each cell of (16 rows, 16 columns)."""
    down = sums.reshape(len(sums) // CELL_PX, CELL_PX, -1).sum(axis=1, dtype=sums.dtype)
    return down.reshape(len(down), -1, CELL_PX)


def _relative(luma: np.ndarray) -> np.ndarray:
    """Return float32 (rows, columns, 16): mean steps between columns of each cell, over the cell's mean.

    ``luma`` is int16 (16 rows, 3 + 16 columns), two pixels before the cells and one behind them.
    """
    step = luma
    for _ in range(3):  # twice a slope less the slopes beside it is the third difference
        step = step[:, 1:] - step[:, :-1]
    np.minimum(np.abs(step, out=step), np.int16(_MOST_STEP), out=step)
    found = _cells(step).astype(np.float32)
    return found / np.maximum(found.mean(axis=2, keepdims=True), _FLOOR * CELL_PX)


def _far(period_px: int) -> np.ndarray:
    """Return (period_px, period_px): weight of each phase (rows) in what is far from a phase (columns)."""
    away = range(2, 7) if period_px == 8 else (period_px // 2,)
    return np.mean([np.roll(np.eye(period_px), by, axis=0) for by in away], axis=0)


_FAR = {period_px: _far(period_px) for period_px in PERIODS_PX}


def strengths(profiles: np.ndarray, period_px: int) -> np.ndarray:
    """Return float (2, period_px): natural log of the steps at each phase over those far from it.

    Far is two pixels or more from the phase for blocks of 8, and half a period for the others, because a
    step also raises what lies beside it, and blocks of 4 or 16 have lines where blocks of 8 have them.

    Args:
        profiles: float (2, 16), ``Profiles.inside`` or ``Profiles.ring``.
        period_px: one of PERIODS_PX.
    """
    folded = profiles.reshape(2, -1, period_px).mean(axis=1) + _TINY
    return np.log(folded / (folded @ _FAR[period_px]))


NAMES = (
    *(f"{what}_{period}" for period in PERIODS_PX for what in ("missing", "own", "apart")),
    "missing_earlier",
    "own_earlier",
)


def differences(inside: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return float (11,), NAMES: how the grid inside differs from that of the ring, larger meaning more.

    ``missing`` is by how much the ring's strongest phase is stronger there than inside, ``own`` by how
    much the inside's strongest phase is stronger there than in the ring (both natural logs, means of the
    two directions), ``apart`` the share of directions in which the two phases are not the same. The
    ``earlier`` ones look for blocks of 8 where the call's codec has no lines: a codec's before it.

    Args:
        inside: float (2, 16), ``Profiles.inside``, or its mean over several pictures: the lines of blocks
            stay where they are while the face moves.
        ring: the same of the ring.
    """
    found = []
    for period in PERIODS_PX:
        here, there = strengths(inside, period), strengths(ring, period)
        found += [_lacking(there, here), _lacking(here, there)]
        found.append(float((here.argmax(axis=1) != there.argmax(axis=1)).mean()))
    here, there = _earlier(inside), _earlier(ring)
    return np.array([*found, _lacking(there, here), _lacking(here, there)])


def _earlier(profiles: np.ndarray) -> np.ndarray:
    """Return float (2, 4): natural log of the steps at each of the _EARLIER phases over the other pair."""
    folded = profiles.reshape(2, -1, 8).mean(axis=1) + _TINY
    one, other = (folded[:, phases] for phases in _EARLIER)
    both = [one / other.mean(axis=1, keepdims=True), other / one.mean(axis=1, keepdims=True)]
    return np.log(np.concatenate(both, axis=1))


def _lacking(here: np.ndarray, there: np.ndarray) -> float:
    """Return by how much the strongest phase of ``here`` is weaker in ``there``, both (2, phases).

    Half a period away from a line steps are smaller than the rest: that counts as no line, not as less.
    """
    best = here.argmax(axis=1)[:, None]
    found = np.take_along_axis(here, best, 1) - np.maximum(np.take_along_axis(there, best, 1), 0)
    return float(found.mean())
