"""Tells whether a face followed some screen-light code, whichever it was.

Every code of the family moves red against green between two levels, and blue against green between two, in
steps of half a second and more, and leaves the luminance alone. Little else that lights a face does: a
television has another level in every shot and changes its brightness most, a coloured lamp fades, a head that
moves drifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guard.challenge.commands import Step
from guard.challenge.light_code import chroma
from guard.challenge.light_response import Array, Series

_ROUNDS = 6
_MEANS = 8
# a page or a connection that stalls shows a colour this late at most, or skips it
_STALL_S = 3.0


@dataclass(frozen=True, slots=True)
class Family:
    """What a Series has of a code.

    Args:
        explained: part of the variance that two levels explain, of the worse channel; noise has 0.64, a
            ramp 0.75.
        changes: changes of level, of the channel that has fewer.
        held_s: seconds that a fifth of the stays on a level stay below, of the worse channel.
        amplitude: half the distance of the levels, of the smaller channel, natural logarithm.
        luminance: how much of that goes along in the luminance, of the worse channel.
    """

    explained: float
    changes: int
    held_s: float
    amplitude: float
    luminance: float


def family(observed: Series) -> Family:
    """Return what a Series of at least a dozen pictures has of a code."""
    slow = _drift(observed.times_s)
    levels = [_levels(observed.times_s, observed.colour[:, channel], slow) for channel in (0, 1)]
    design = np.column_stack([slow, *(level.up for level in levels)])
    along = np.abs(np.linalg.lstsq(design, observed.luminance, rcond=None)[0][-2:])
    return Family(
        explained=min(level.explained for level in levels),
        changes=min(level.changes for level in levels),
        held_s=min(level.held_s for level in levels),
        amplitude=min(level.amplitude for level in levels),
        luminance=max(float(a) / max(level.amplitude, 1e-9) for a, level in zip(along, levels, strict=True)),
    )


def in_order(observed: Series, steps: Sequence[Step], starts_s: Sequence[float]) -> float:
    """Return the part of the pictures that the shown colours explain in their order, at changing lags.

    A page that stalls shows colours late, unequally late, or not at all, and a face before it follows that.
    The best way through the steps is found by dynamic programming: a picture may show a step that was sent
    and whose successor was sent at most 3 s ago, and never an earlier one than the picture before it.

    Args:
        observed: at least a dozen pictures.
        steps: with colours, as many as were sent.
        starts_s: when each was sent.
    """
    slow = _drift(observed.times_s)
    up = np.stack([_levels(observed.times_s, observed.colour[:, c], slow).up for c in (0, 1)], axis=1)
    signs = np.where(np.abs(chroma(steps)) < 0.05, 0.0, np.sign(chroma(steps)))
    agree = ((up[:, None] == signs[None]) | (signs[None] == 0)).mean(axis=2)
    starts = np.array(starts_s, np.float64)
    ends = np.append(starts[1:], np.inf) + _STALL_S
    times = observed.times_s[:, None]
    agree = np.where((starts <= times) & (times <= ends), agree, -np.inf)
    best = agree[0]
    for row in agree[1:]:
        best = np.maximum.accumulate(best) + row
    return max(0.0, float(best.max()) / len(agree))


@dataclass(frozen=True, slots=True)
class _Levels:
    """Two levels of one channel; ``up`` is float64 (N,), +1 and -1."""

    up: Array
    explained: float
    changes: int
    held_s: float
    amplitude: float


def _drift(times_s: Array) -> Array:
    """Return (N, 3) orthonormal columns of a parabola."""
    place = -1.0 + 2.0 * (times_s - times_s[0]) / max(times_s[-1] - times_s[0], 1e-6)
    basis, _ = np.linalg.qr(np.stack([np.ones_like(place), place, place * place], axis=1))
    return np.asarray(basis, np.float64)


def _levels(times_s: Array, colour: Array, slow: Array) -> _Levels:
    """Part a channel into two levels upon a slow drift, in turns."""
    seen = colour.copy()
    seen[1:-1] = np.median(np.stack([colour[:-2], colour[1:-1], colour[2:]]), axis=0)
    drift = slow[:, :2] @ (slow[:, :2].T @ seen)
    up, parted = np.zeros(len(seen), bool), np.zeros(len(seen))
    for _ in range(_ROUNDS):
        up, parted = _two_means(seen - drift)
        drift = slow @ (slow.T @ (seen - parted))
    around, left = seen - drift, seen - drift - parted
    changes = np.flatnonzero(np.diff(up))
    stays_s = np.diff(times_s[changes])
    return _Levels(
        up=np.where(up, 1.0, -1.0),
        explained=float(1.0 - left.var() / max(around.var(), 1e-12)),
        changes=len(changes),
        held_s=float(np.quantile(stays_s, 0.2)) if len(stays_s) else 0.0,
        amplitude=float(np.ptp(parted) / 2),
    )


def _two_means(values: Array) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Array]:
    """Return which values are on the upper of two levels, and the level of each (Lloyd's algorithm)."""
    low, high = (float(v) for v in np.quantile(values, (0.2, 0.8)))
    up = values > (low + high) / 2
    for _ in range(_MEANS):
        if up.all() or not up.any():
            return up, np.full(len(values), values.mean())
        low, high = float(values[~up].mean()), float(values[up].mean())
        up = values > (low + high) / 2
    return up, np.where(up, high, low)
