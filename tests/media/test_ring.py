"""Patches and contrasts on pictures whose inner face is changed by a known amount."""

from __future__ import annotations

import numpy as np
import pytest

from guard.media.contrasts import COUNT, NAMES, contrasts
from guard.media.ring import (
    BROWS,
    EDGE,
    FOREHEAD,
    GRID,
    HAIR,
    INNER,
    JAW,
    MOUTH,
    MOUTH_REGION,
    OVAL,
    Patches,
    measure_patches,
)
from guard.types import FloatArray, ImageArray

CENTRE, RADIUS = np.array([112.0, 112.0]), np.array([59.0, 67.0])


def points() -> tuple[FloatArray, FloatArray, FloatArray]:
    """An oval as a face's, brows at two fifths of its height, a mouth."""
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False) - np.pi / 2
    oval = CENTRE + np.stack([np.cos(turn), np.sin(turn)], axis=1) * RADIUS
    brows = np.stack([np.linspace(75, 149, len(BROWS)), np.full(len(BROWS), 76.0)], axis=1)
    mouth = np.array([[89, 141], [112, 134], [135, 141], [112, 150]])
    assert len(mouth) == len(MOUTH)
    a, b, c = (np.asarray(p, np.float32) for p in (oval, brows, mouth))
    return a, b, c


def inside(scale: float = 1.0) -> np.ndarray:
    y, x = np.mgrid[0:224, 0:224] + 0.5
    offset = (np.stack([x, y], axis=-1) - CENTRE) / (RADIUS * scale)
    return np.asarray((offset**2).sum(axis=-1) < 1)


def grain(strength: float, seed: int = 1) -> np.ndarray:
    """Independent grain of each pixel, the same in red, green and blue."""
    noise = np.random.default_rng(seed).normal(0, strength, (224, 224, 1))
    return np.repeat(noise, 3, axis=2)


def softened(values: np.ndarray) -> np.ndarray:
    """Smooth three times with weights 1, 2, 1 along both axes."""
    for _ in range(3):
        for axis in (0, 1):
            values = (np.roll(values, 1, axis) + 2 * values + np.roll(values, -1, axis)) / 4
    return values


def picture(values: np.ndarray) -> ImageArray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def features(values: np.ndarray) -> dict[str, float]:
    found = contrasts(measured(values))
    return dict(zip(NAMES, found.tolist(), strict=True))


def measured(values: np.ndarray) -> Patches:
    return measure_patches(picture(values), *points())


def test_the_regions_lie_where_their_names_say() -> None:
    region = measured(128 + grain(5)).region.reshape(GRID, GRID)
    assert region[GRID // 2, GRID // 2] == INNER
    assert region[1, GRID // 2] == FOREHEAD
    assert region[GRID // 2, 0] == EDGE
    assert {region[0, 0], region[0, -1]} == {HAIR}
    assert {region[-1, 0], region[-1, -1]} == {JAW}
    assert region[11, GRID // 2] == MOUTH_REGION


def test_grain_of_half_the_strength_inside_is_a_quarter_of_the_energy() -> None:
    y = np.arange(224)[:, None, None]
    strength = np.where(inside(0.84)[..., None] & (y > 76), 0.5, 1.0)  # the forehead stays as it was
    found = features(128 + grain(10) * strength)
    # rounding to levels adds a little
    assert found["floor_f0_50"] == pytest.approx(-np.log(4), abs=0.15)
    assert found["floor_f1_50"] == pytest.approx(-np.log(4), abs=0.25)
    for region in ("edge", "hair", "jaw"):
        # patches that lie across the border have something of both
        assert np.log(4) - 0.4 < found[f"level0_{region}"] < np.log(4)


def test_the_same_grain_everywhere_gives_no_contrast() -> None:
    found = features(128 + grain(10))
    assert (
        max(abs(found[f"{name}_{where}"]) for name in ("level0", "fine") for where in ("edge", "jaw")) < 0.1
    )
    assert abs(found["floor_f0_50"]) < 0.1


def test_a_soft_inside_lacks_fine_detail_beside_its_coarse_detail() -> None:
    sharp = 128 + grain(25)
    plain = features(sharp)
    swapped = features(np.where(inside(0.84)[..., None], softened(sharp), sharp))
    for region in ("edge", "hair", "jaw"):
        assert swapped[f"texture_{region}"] > plain[f"texture_{region}"] + 1.0


def test_exposure_and_contrast_of_the_whole_picture_move_no_ratio_of_sharpness() -> None:
    strength = np.where(inside(0.84)[..., None], 0.5, 1.0)
    scene = 30 * strength * grain(1.0)
    bright, dim = features(160 + scene), features(80 + scene / 2)
    for name in ("floor_f0_50", "level0_jaw", "texture_edge"):
        assert dim[name] == pytest.approx(bright[name], abs=0.1)


def test_bluer_skin_inside_is_measured_in_levels_of_cb() -> None:
    values = 128 + grain(4)
    values[inside(0.84)] += (0.0, -3.1, 16.0)  # brightness stays, Cb rises by 9, Cr by 0
    found = features(values)
    # the scale is one quarter of a level; few patches are drawn to nothing a little
    assert found["blue_jaw"] == pytest.approx(-9.0 / 4, abs=0.4)
    assert found["blue_jaw_size"] == pytest.approx(-found["blue_jaw"])
    assert abs(found["red_jaw"]) < 0.5


def test_a_seam_has_its_slope_across_the_outline() -> None:
    y, x = np.mgrid[0:224, 0:224] + 0.5
    distance = np.sqrt((((np.stack([x, y], axis=-1) - CENTRE) / RADIUS) ** 2).sum(axis=-1))
    seam = 20 / (1 + np.exp((distance - 0.95) * 40))
    with_seam, without = features(128 + grain(2) + seam[..., None]), features(128 + grain(2))
    assert with_seam["across_edge"] > without["across_edge"] + 0.6


def test_a_soft_half_of_the_face_shows_as_a_difference_of_sides() -> None:
    sharp = 128 + grain(25)
    left = np.arange(224)[None, :, None] < 112
    halved, plain = features(np.where(left, softened(sharp), sharp)), features(sharp)
    for name in ("middle_inner_sides", "middle_edge_sides"):
        assert plain[name] < 0.3
        assert halved[name] > plain[name] + 1.0


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((224, 224, 3)),
        np.full((224, 224, 3), 255.0),
        np.full((224, 224, 3), 128.0),
        np.random.default_rng(2).uniform(0, 255, (224, 224, 3)),
    ],
    ids=["black", "white", "grey", "noise"],
)
def test_features_are_finite_on_any_picture(values: np.ndarray) -> None:
    found = contrasts(measured(values))
    assert found.shape == (COUNT,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_burnt_out_and_black_patches_are_in_no_region() -> None:
    values = 128 + grain(5)
    values[:80] = 255.0
    values[-70:] = 0.0
    region = measured(values).region.reshape(GRID, GRID)
    assert (region[:3] == -1).all()
    assert (region[-3:] == -1).all()
    assert (region[GRID // 2] >= 0).all()


def test_names_are_unique_and_as_many_as_the_features() -> None:
    assert len(set(NAMES)) == len(NAMES) == COUNT
