"""How the inside of a face differs from what surrounds it, within one picture.

People, cameras and codecs differ from each other by more than a swap does, so nothing here is an
absolute level. The aligned crop is cut into patches of 8 x 8 pixels; of each the energy in three
bands of brightness and of colour is taken (an undecimated wavelet: Holschneider et al., 1989), and a
linear fit over the patches of this one picture says by how much a region of the face is finer,
noisier or more coloured than the inner face *given* its brightness and its coarser texture
(an analysis of covariance). Regions: inner face, mouth, forehead, edge of the face, hair beside the
temples, jaw and neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray, ImageArray

# What is measured: the middle of the 224 px crop, all that tight pictures of faces to train on cover.
LEFT_PX, TOP_PX, SIDE_PX, PATCH_PX = 48, 51, 128, 8
GRID = SIDE_PX // PATCH_PX
# FaceMesh points round the face, from the middle of the forehead clockwise in the picture
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
MOUTH = (61, 0, 291, 17)
REGIONS = ("inner", "mouth", "forehead", "edge", "hair", "jaw")
INNER, MOUTH_REGION, FOREHEAD, EDGE, HAIR, JAW = range(len(REGIONS))
INSIDE, OUTSIDE = (INNER, MOUTH_REGION), (FOREHEAD, EDGE, HAIR, JAW)
_MARGIN_PX = 8
# of the mouth's width and height, from its middle
_MOUTH_REACH = np.array([0.8, 1.2], np.float32)
_MIN_LUMA, _MAX_LUMA = 14.0, 242.0
_EDGE_FROM, _RING_FROM, _RING_TO = 0.86, 1.04, 1.6
# energies below what rounding to whole levels leaves are not told apart
_FLOOR = 0.05
# ITU-R BT.601, section 2.5.1
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


@dataclass(frozen=True, slots=True)
class Patches:
    """What was measured of each of the 256 patches, row by row from the top left.

    Args:
        region: int64 (256,), index into REGIONS; -1 where a patch is in none or not exposed well.
        side: float32 (256,), -1 on the image's left of the face, +1 on its right.
        luma: float32 (256,), mean brightness in [0, 255].
        fine: float32 (256, 3), natural log of the energy of brightness in bands of 1, 2 and 4 px.
        colour: float32 (256, 3), the same of Cb and Cr together.
        tint: float32 (256, 2), mean Cb and Cr.
        across: float32 (256, 2), log ratio of slope along the face's outward normal to slope across it,
            of brightness and of colour.
        grain: float32 (256, 5), in [-1, 1]: how alike neighbours are in the finest band of brightness one
            pixel to the right, one below and two away, in its next band two away, and in that of colour one
            away. Scaling, cleaning and coding leave marks of their own there (Popescu and Farid, IEEE
            Transactions on Signal Processing 53, 2005).
    """

    region: NDArray[np.int64]
    side: FloatArray
    luma: FloatArray
    fine: FloatArray
    colour: FloatArray
    tint: FloatArray
    across: FloatArray
    grain: FloatArray


def measure_patches(crop: ImageArray, oval: FloatArray, brows: FloatArray, mouth: FloatArray) -> Patches:
    """Measure the patches of one aligned crop.

    Args:
        crop: uint8 (224, 224, 3), RGB, aligned by ``guard.media.align``.
        oval: float32 (36, 2), the points OVAL in pixels of the crop.
        brows: float32 (10, 2), the points BROWS.
        mouth: float32 (4, 2), the points MOUTH.
    """
    rows = slice(TOP_PX - _MARGIN_PX, TOP_PX + SIDE_PX + _MARGIN_PX)
    columns = slice(LEFT_PX - _MARGIN_PX, LEFT_PX + SIDE_PX + _MARGIN_PX)
    planes = np.tensordot(_TO_YCC, crop[rows, columns].astype(np.float32), axes=(1, 2))
    bands = _bands(planes)
    energy = np.stack([_means(_middle(band * band)) for band in bands], axis=1)  # (3 planes, 3 bands, 256)
    level = _means(_middle(planes))
    region, side, normal = _regions(oval, brows, mouth)
    exposed = _means(_middle(((planes[0] > _MIN_LUMA) & (planes[0] < _MAX_LUMA)).astype(np.float32)[None]))[0]
    return Patches(
        region=np.where(exposed > 0.9, region, -1),
        side=side,
        luma=level[0],
        fine=np.log(energy[0].T + _FLOOR),
        colour=np.log(energy[1].T + energy[2].T + _FLOOR),
        tint=level[1:].T,
        across=_across(planes, normal),
        grain=_grain(bands),
    )


def _bands(planes: FloatArray) -> list[FloatArray]:
    """Return what three ever wider smoothings take away, each (3, H, W)."""
    bands = []
    for step in (1, 2, 4):
        soft = _smooth(_smooth(planes, step, 1), step, 2)
        bands.append(planes - soft)
        planes = soft
    return bands


def _smooth(planes: FloatArray, step: int, axis: int) -> FloatArray:
    """Return the planes after the weights 1, 2, 1 at a distance of ``step``; margins are left as they are."""
    out = planes.copy()
    size = planes.shape[axis]
    near, here, far = (
        (slice(None),) * axis + (slice(start, size - 2 * step + start),) for start in (0, step, 2 * step)
    )
    out[here] *= np.float32(0.5)
    out[here] += np.float32(0.25) * (planes[near] + planes[far])
    return out


# the last three are means of two directions
_GRAIN_SHARES = np.array([1, 1, 0.5, 0.5, 0.5], np.float32)


def _grain(bands: list[FloatArray]) -> FloatArray:
    """Return the likeness of neighbours, float32 (256, 5); see Patches."""
    fine, middle, colour = bands[0][:1], bands[1][:1], bands[1][1:]
    found = [_alike(fine, 0, 1), _alike(fine, 1, 0)]
    found += [_alike(p, 0, by) + _alike(p, by, 0) for p, by in ((fine, 2), (middle, 2), (colour, 1))]
    return np.stack(found, axis=1) * _GRAIN_SHARES


def _alike(planes: FloatArray, down: int, right: int) -> FloatArray:
    """Return float32 (256,): correlation of each patch with itself moved by some pixels, over all planes."""
    stop = planes.shape[1] - _MARGIN_PX
    moved = planes[:, _MARGIN_PX + down : stop + down, _MARGIN_PX + right : stop + right]
    here = _middle(planes)
    likeness: FloatArray = _means(here * moved).sum(axis=0) / (_means(here * here).sum(axis=0) + _FLOOR)
    return np.clip(likeness, -1, 1)


def _middle(planes: FloatArray) -> FloatArray:
    return planes[:, _MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]


def _means(planes: FloatArray) -> FloatArray:
    """Return float32 (N, 256): means of the patches of each plane (N, 128, 128)."""
    means: FloatArray = _TO_PATCHES.T @ planes @ _TO_PATCHES
    return means.reshape(len(planes), -1)


# (128, 16): each column takes the mean of one patch's pixels
_TO_PATCHES = np.kron(np.eye(GRID, dtype=np.float32), np.full((PATCH_PX, 1), 1 / PATCH_PX, np.float32))


def _centres() -> FloatArray:
    steps = np.arange(GRID, dtype=np.float32) * PATCH_PX + PATCH_PX / 2
    x, y = np.meshgrid(steps + LEFT_PX, steps + TOP_PX)
    return np.stack([x.ravel(), y.ravel()], axis=1)


_CENTRES = _centres()


def _regions(
    oval: FloatArray, brows: FloatArray, mouth: FloatArray
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Return the region, the side and the outward normal of each patch, from the face's outline."""
    centre = (oval.min(axis=0) + oval.max(axis=0)) / 2
    outline, offset = oval - centre, _CENTRES - centre
    angle, radius = np.arctan2(outline[:, 1], outline[:, 0]), np.hypot(outline[:, 0], outline[:, 1])
    order = np.argsort(angle)
    reach = np.interp(np.arctan2(offset[:, 1], offset[:, 0]), angle[order], radius[order], period=2 * np.pi)
    distance = np.hypot(offset[:, 0], offset[:, 1])
    out = distance / np.maximum(reach, 1.0)  # 1 on the outline
    high = _CENTRES[:, 1] < brows[:, 1].mean()
    ring = (out >= _RING_FROM) & (out < _RING_TO)
    region = np.full(len(out), INNER, np.int64)
    region[high] = FOREHEAD
    spread = (_CENTRES - mouth.mean(axis=0)) / np.maximum(np.ptp(mouth, axis=0) * _MOUTH_REACH, 4.0)
    region[(spread**2).sum(axis=1) < 1] = MOUTH_REGION
    region[(out >= _EDGE_FROM) & (out < _RING_FROM)] = EDGE
    region[ring & (offset[:, 1] < 0)] = HAIR
    region[ring & (offset[:, 1] >= 0)] = JAW
    region[out >= _RING_TO] = -1
    normal = offset / np.maximum(distance, 1e-3)[:, None]
    return region, np.sign(offset[:, 0]).astype(np.float32), normal.astype(np.float32)


def _across(planes: FloatArray, normal: FloatArray) -> FloatArray:
    """Return float32 (256, 2): log of slope outward over slope along the outline, of luma and of colour."""
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    after, before = slice(_MARGIN_PX + 1, 1 - _MARGIN_PX), slice(_MARGIN_PX - 1, -1 - _MARGIN_PX)
    x = planes[:, inner, after] - planes[:, inner, before]
    y = planes[:, after, inner] - planes[:, before, inner]
    xx, yy, xy = (_means(product) for product in (x * x, y * y, x * y))
    nx, ny = normal.T
    outward = xx * nx * nx + yy * ny * ny + 2 * xy * nx * ny
    along = xx * ny * ny + yy * nx * nx - 2 * xy * nx * ny
    both = [np.stack([e[0], e[1] + e[2]], axis=1) for e in (outward, along)]
    ratio: FloatArray = np.log(np.maximum(both[0], 0) + 1) - np.log(np.maximum(both[1], 0) + 1)
    return ratio
