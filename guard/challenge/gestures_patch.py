"""What the upright cut-out of the face shows that its points do not: closed eyes, an open mouth, a hand.

FaceMesh goes on drawing a face over a hand that hides it, and its lids hardly follow a blink. So eyes and
mouth are compared with how they looked at rest, by normalised correlation of luma, which neither the
light's strength nor its contrast changes. Places are pixels of ``Sight.patch`` (the middle of the eyes at
(32, 24), 24 px apart).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.challenge.commands import Sight
from guard.challenge.pose import Floats

Mask = NDArray[np.bool_]

PATCH_PX = 64
EYE_LEFT, EYE_RIGHT, MOUTH = 0, 1, 2
# ITU-R BT.601, section 2.5.1
_LUMA = np.array([0.299, 0.587, 0.114])
# rows and columns: brow to mouth; eyes at image left and right; inside of the mouth; skin below the eyes
_FACE = (slice(12, 56), slice(12, 52))
_EYES = ((slice(19, 29), slice(13, 27)), (slice(19, 29), slice(37, 51)))
_INSIDE, _SKIN = (slice(40, 62), slice(20, 44)), (slice(28, 38), slice(14, 50))
# eyes and mouth in the patch halved, and how far around they are looked for
_PARTS = ((slice(9, 15), slice(6, 14)), (slice(9, 15), slice(18, 26)), (slice(20, 27), slice(10, 22)))
_SEARCH_PX = 5
# the inside of a mouth is darker than this share of the skin
_DARK = 0.45
# luma squared times pixels: a flat place correlates with nothing
_FLAT = 20.0
# a part that correlates less than this is not there; one that did not reach the other at rest cannot be told
HIDDEN, _TOLD = 0.5, 0.85


@dataclass(frozen=True, slots=True)
class Looks:
    """How the patch of each picture compares with rest, float64; NaN where there is no patch.

    Args:
        face: (T,) correlation of the inner face: 0.8 to 1 of the same person, seldom over 0.7 of another.
        eyes: (T, 2) correlation of the eyes, image left first, in place: about 1 open, 0.3 shut.
        parts: (T, 3) best correlation nearby of the eyes, image left first, and the mouth: low where hidden.
        dark_px: (T,) pixels of the mouth that became as dark as its inside.
    """

    face: Floats
    eyes: Floats
    parts: Floats
    dark_px: Floats


def resting(sights: Sequence[Sight]) -> Floats | None:
    """Return float64 (64, 64), the median luma of the patches; None where there is none."""
    patches = [sight.patch for sight in sights if sight.patch is not None]
    return np.median([patch @ _LUMA for patch in patches], axis=0) if patches else None


def looks(sights: Sequence[Sight], rest: Floats) -> Looks:
    """Compare the patch of every picture with ``rest`` (``resting``)."""
    luma = np.stack([_luma(sight) for sight in sights])
    halved, halved_rest = _halved(luma), _halved(rest[None])[0]
    dark = _DARK * float(np.median(rest[_SKIN]))
    dark_px = (luma[:, *_INSIDE] < dark).sum(axis=(1, 2)) - (rest[_INSIDE] < dark).sum()
    return Looks(
        face=_correlated(luma[:, None, *_FACE], rest[_FACE])[:, 0],
        eyes=np.column_stack([_correlated(luma[:, None, *eye], rest[eye])[:, 0] for eye in _EYES]),
        parts=np.column_stack([_best(halved, halved_rest, part) for part in _PARTS]),
        dark_px=np.where(np.isfinite(luma[:, 0, 0]), dark_px, np.nan),
    )


def hidden(found: Looks, before: int, part: int) -> Mask:
    """Return (T,) where a part (``EYE_LEFT``, ``EYE_RIGHT``, ``MOUTH``) is not to be found near its place.

    Nothing is called hidden that could hardly be told in the first ``before`` pictures.
    """
    told = _told(found, before, part)
    return np.asarray((found.parts[:, part] < HIDDEN) & told)


def _told(found: Looks, before: int, part: int) -> bool:
    rest = found.parts[:before, part]
    return bool(np.isfinite(rest).any() and np.nanmedian(rest) >= _TOLD)


def _luma(sight: Sight) -> Floats:
    if sight.patch is None:
        return np.full((PATCH_PX, PATCH_PX), np.nan)
    return np.asarray(sight.patch @ _LUMA)


def _halved(luma: Floats) -> Floats:
    half = PATCH_PX // 2
    return np.asarray(luma.reshape(-1, half, 2, half, 2).mean(axis=(2, 4)))


def _best(halved: Floats, rest: Floats, part: tuple[slice, slice]) -> Floats:
    """Return (T,) the best correlation of a part of ``rest`` within ``_SEARCH_PX`` of its place."""
    rows, columns = part
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    top, left = max(0, rows.start - _SEARCH_PX), max(0, columns.start - _SEARCH_PX)
    around = halved[:, top : rows.stop + _SEARCH_PX, left : columns.stop + _SEARCH_PX]
    places = np.lib.stride_tricks.sliding_window_view(around, (high, wide), axis=(1, 2))
    return np.asarray(_correlated(places.reshape(len(halved), -1, high, wide), rest[part]).max(axis=1))


def _correlated(pictures: Floats, wanted: Floats) -> Floats:
    """Return (T, P) normalised correlations of pictures (T, P, H, W) with one (H, W)."""
    template = wanted - wanted.mean()
    size = float(np.sqrt((template**2).sum()))
    here = pictures - pictures.mean(axis=(2, 3), keepdims=True)
    spread = np.sqrt((here**2).sum(axis=(2, 3)))
    return np.asarray((here * template).sum(axis=(2, 3)) / (size * spread + _FLAT))
