"""Numbers of one picture that say how its inner face differs from the rest: input of ``face_ring``.

Every feature is a difference of logarithms or of mean colours within one picture, so that a soft
camera, a dark room or a strong codec, which change the whole picture alike, move none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guard.media.ring import EDGE, INNER, INSIDE, OUTSIDE, REGIONS, Patches
from guard.types import FloatArray

# What is fitted over the patches of a picture: name, response, and what the response depends on anyway.
# "f" and "c" are energies of brightness and colour, bands 0 (finest) to 2; "g" is likeness of neighbours,
# "a" slope across the outline, "t" tint, "m" mean brightness.
_FITS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("fine", "f0", ("f1", "f2", "m")),
    ("middle", "f1", ("f2", "m")),
    ("texture", "f0", ("f2", "m")),
    ("level0", "f0", ("m",)),
    ("level1", "f1", ("m",)),
    ("colour_fine", "c0", ("c1", "c2", "m")),
    ("colour_middle", "c1", ("c2", "f1", "m")),
    ("colour_level", "c2", ("f2", "m")),
    ("grain_right", "g0", ("f1", "f2", "m")),
    ("grain_below", "g1", ("f1", "f2", "m")),
    ("grain_two", "g2", ("f1", "f2", "m")),
    ("grain_middle", "g3", ("f1", "f2", "m")),
    ("grain_colour", "g4", ("c1", "f2", "m")),
    ("across", "a0", ()),
    ("colour_across", "a1", ()),
    ("blue", "t0", ("m",)),
    ("red", "t1", ("m",)),
)
_OTHERS = REGIONS[1:]
_SIGNED = tuple(name for name, _, _ in _FITS)
# of these the size of the difference says more than its direction
_SIZES = ("blue", "red", "fine", "middle", "colour_fine", "colour_middle")
_QUANTILES = (0.15, 0.5)
_QUANTILE_OF = ("f0", "f1", "c0", "c1")
# how strongly a slope or a difference is drawn to nothing, in patches
_RIDGE = 1.0

NAMES: tuple[str, ...] = (
    *(f"{name}_{region}" for name in _SIGNED for region in _OTHERS),
    *(f"{name}_{region}_size" for name in _SIZES for region in _OTHERS),
    *(f"floor_{name}_{round(100 * q)}" for name in _QUANTILE_OF for q in _QUANTILES),
    *(f"{name}_inner_sides" for name in ("fine", "middle", "colour_middle")),
    *(f"{name}_edge_sides" for name in ("fine", "middle", "colour_middle")),
)
COUNT = len(NAMES)


def contrasts(patches: Patches) -> FloatArray:
    """Return float32 (COUNT,), finite: the features NAMES of one picture."""
    kept = patches.region >= 0
    region, side = patches.region[kept], patches.side[kept]
    columns = _columns(patches, kept)
    dummies = np.stack([region == number for number in range(1, len(REGIONS))], axis=1).astype(np.float64)
    found, residual = {}, {}
    for name, response, given in _FITS:
        found[name], residual[name] = _fit(columns[response], [columns[g] for g in given], dummies)
    inside, outside = np.isin(region, INSIDE), np.isin(region, OUTSIDE)
    values = [found[name][i] for name in _SIGNED for i in range(len(_OTHERS))]
    values += [abs(found[name][i]) for name in _SIZES for i in range(len(_OTHERS))]
    for name in _QUANTILE_OF:
        values += (_quantiles(columns[name][inside]) - _quantiles(columns[name][outside])).tolist()
    for where in (INNER, EDGE):
        for name in ("fine", "middle", "colour_middle"):
            left, right = (residual[name][(region == where) & (side == s)] for s in (-1, 1))
            values.append(abs(_mean(left) - _mean(right)))
    return np.array(values, np.float32)


def _columns(patches: Patches, kept: NDArray[np.bool_]) -> dict[str, FloatArray]:
    columns = {f"f{band}": patches.fine[kept, band] for band in range(3)}
    columns |= {f"c{band}": patches.colour[kept, band] for band in range(3)}
    columns |= {f"g{place}": patches.grain[kept, place] * np.float32(4) for place in range(5)}
    columns |= {f"a{plane}": patches.across[kept, plane] for plane in range(2)}
    columns |= {f"t{plane}": patches.tint[kept, plane] / np.float32(4) for plane in range(2)}
    columns["m"] = patches.luma[kept] / np.float32(50)
    return columns


def _fit(
    response: FloatArray, given: Sequence[FloatArray], dummies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far each other region lies from the inner face, and what is left, both float64.

    Ridge regression of ``response`` on ``given`` and the regions; the constant is not drawn to nothing.
    """
    if not len(response):
        return np.zeros(dummies.shape[1]), np.zeros(0)
    slopes = np.stack(given, axis=1).astype(np.float64) if given else np.zeros((len(response), 0))
    design = np.hstack([slopes - slopes.mean(axis=0), dummies, np.ones((len(response), 1))])
    pull = np.full(design.shape[1], _RIDGE)
    pull[-1] = 1e-6
    y = response.astype(np.float64)
    weights = np.linalg.solve(design.T @ design + np.diag(pull), design.T @ y)
    residual = y - design @ weights
    return weights[slopes.shape[1] : -1], residual


def _quantiles(values: FloatArray) -> NDArray[np.float64]:
    return np.quantile(values.astype(np.float64), _QUANTILES) if len(values) else np.zeros(len(_QUANTILES))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
