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

# ITU-R BT.601, section 2.5.1
_LUMA = np.array([0.299, 0.587, 0.114])
# rows and columns: eye at image left, eye at image right, mouth
_EYES = ((slice(19, 29), slice(13, 27)), (slice(19, 29), slice(37, 51)))
_PARTS = (*((slice(9, 15), slice(6, 14)), (slice(9, 15), slice(18, 26))), (slice(20, 27), slice(10, 22)))
# how far a part is looked for, in pixels of the halved patch
_SEARCH_PX = 5
_MOUTH, _SKIN = (slice(40, 62), slice(20, 44)), (slice(28, 38), slice(14, 50))
# the inside of a mouth is darker than this share of the skin
_DARK = 0.45
# luma squared times pixels: a flat place correlates with nothing
_FLAT = 20.0


@dataclass(frozen=True, slots=True)
class Looks:
    """How the patch of each picture compares with rest, float64; NaN where there is no patch.

    Args:
        eyes: (T, 2) correlation of the eye at image left and image right, in place: about 1 open, 0.3 shut.
        parts: (T, 3) best correlation nearby of the eyes, image left first, and the mouth: low where hidden.
        dark_px: (T,) pixels of the mouth that became as dark as its inside.
    """

    eyes: Floats
    parts: Floats
    dark_px: Floats


def looks(sights: Sequence[Sight], before: int) -> Looks:
    """Compare every picture's patch with the median of the first ``before``."""
    luma = np.stack([_luma(sight) for sight in sights])
    rest = np.nanmedian(luma[:before], axis=0)
    small = luma.reshape(len(luma), 32, 2, 32, 2).mean(axis=(2, 4))
    small_rest = rest.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    skin = float(np.median(rest[_SKIN]))
    dark = (luma[:, *_MOUTH] < _DARK * skin).sum(axis=(1, 2)) - (rest[_MOUTH] < _DARK * skin).sum()
    return Looks(
        eyes=np.column_stack([_correlated(luma[:, *eye][:, None], rest[eye])[:, 0] for eye in _EYES]),
        parts=np.column_stack([_best(small, small_rest, part) for part in _PARTS]),
        dark_px=np.where(np.isfinite(luma[:, 0, 0]), dark, np.nan),
    )


def _luma(sight: Sight) -> Floats:
    if sight.patch is None:
        return np.full((64, 64), np.nan)
    return np.asarray(sight.patch @ _LUMA)


def _best(small: Floats, rest: Floats, part: tuple[slice, slice]) -> Floats:
    """Return (T,) the best correlation of a part of ``rest`` within ``_SEARCH_PX`` of its place."""
    rows, columns = part
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    top, left = max(0, rows.start - _SEARCH_PX), max(0, columns.start - _SEARCH_PX)
    around = small[:, top : rows.stop + _SEARCH_PX, left : columns.stop + _SEARCH_PX]
    places = np.lib.stride_tricks.sliding_window_view(around, (high, wide), axis=(1, 2))
    return np.asarray(_correlated(places.reshape(len(small), -1, high, wide), rest[part]).max(axis=1))


def _correlated(pictures: Floats, wanted: Floats) -> Floats:
    """Return (T, P) normalised correlations of pictures (T, P, H, W) with one (H, W)."""
    template = wanted - wanted.mean()
    size = float(np.sqrt((template**2).sum()))
    here = pictures - pictures.mean(axis=(2, 3), keepdims=True)
    spread = np.sqrt((here**2).sum(axis=(2, 3)))
    return np.asarray((here * template).sum(axis=(2, 3)) / (size * spread + _FLAT))


def hidden(found: Looks, before: int, part: int) -> NDArray[np.bool_]:
    """Return (T,) where a part (0 and 1 eyes, 2 mouth) is not to be found near its place.

    Nothing is said to be hidden that could hardly be told at rest.
    """
    rest = found.parts[:before, part]
    told = bool(np.nanmedian(rest) >= _TOLD)
    return np.asarray(told & (found.parts[:, part] < _HIDDEN))


_TOLD, _HIDDEN = 0.85, 0.5
