from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.media.align import (
    CROP_SIZE_PX,
    STABLE_INDICES,
    align_matrix,
    align_matrix_from,
    invert,
    scale_of,
    transform_points,
    warp,
)
from guard.types import FloatArray, ImageArray

# a face in its own picture: eyes 60 px apart, looking at the camera
FACE = {
    33: (270.0, 200.0),
    133: (290.0, 201.0),
    362: (312.0, 201.0),
    263: (332.0, 200.0),
    168: (301.0, 198.0),
    197: (301.0, 208.0),
    4: (301.0, 223.0),
    2: (301.0, 231.0),
    61: (282.0, 243.0),
    291: (320.0, 243.0),
}


def mesh() -> FloatArray:
    points = np.tile(np.array([301.0, 215.0], dtype=np.float32), (468, 1))
    for index, place in FACE.items():
        points[index] = place
    return points


def similarity(scale: float, angle: float, dx: float, dy: float) -> FloatArray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, dx], [s, c, dy]], dtype=np.float32)


def checkers(height: int, width: int, block: int) -> ImageArray:
    y, x = np.mgrid[:height, :width]
    return np.repeat((((x // block + y // block) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


@given(
    scale=st.floats(0.1, 8.0),
    angle=st.floats(-3.1, 3.1),
    dx=st.floats(-2000, 2000),
    dy=st.floats(-2000, 2000),
)
def test_a_moved_scaled_or_turned_face_lands_on_the_same_places(
    scale: float, angle: float, dx: float, dy: float
) -> None:
    still = transform_points(mesh(), align_matrix(mesh()))
    moved = transform_points(mesh(), similarity(scale, angle, dx, dy))
    again = transform_points(moved, align_matrix(moved))
    assert np.abs(again - still).max() < 0.1


def test_eyes_are_level_and_the_face_upright_in_the_middle() -> None:
    crop = transform_points(mesh(), align_matrix(mesh()))
    assert abs(crop[33, 1] - crop[263, 1]) < 1
    assert 74 < crop[263, 0] - crop[33, 0] < 82
    assert abs(crop[[33, 263], 0].mean() - CROP_SIZE_PX / 2) < 1
    assert crop[61, 1] > crop[4, 1] > crop[33, 1]


def test_the_subset_with_all_stable_points_gives_the_same_matrix() -> None:
    indices = [10, *reversed(STABLE_INDICES), 152]
    assert np.allclose(align_matrix_from(mesh()[indices], indices), align_matrix(mesh()))


def test_three_points_are_enough_and_two_are_refused() -> None:
    eyes_and_nose = [33, 263, 4]
    matrix = align_matrix_from(mesh()[eyes_and_nose], eyes_and_nose)
    assert scale_of(matrix) == pytest.approx(scale_of(align_matrix(mesh())), rel=0.1)
    with pytest.raises(ValueError, match="three of"):
        align_matrix_from(mesh()[[33, 263]], [33, 263])
    with pytest.raises(ValueError, match="do not match"):
        align_matrix_from(mesh()[[33, 263]], [33, 263, 4])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_points_that_fall_together_or_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        align_matrix(np.full((468, 2), value, dtype=np.float32))


def test_another_number_of_points_is_refused() -> None:
    with pytest.raises(ValueError, match="468"):
        align_matrix(np.zeros((478, 2), dtype=np.float32))


def test_a_matrix_and_its_inverse_cancel() -> None:
    matrix = similarity(0.7, 0.4, 12, -90)
    points = np.array([[0, 0], [640, 0], [17, 333]], dtype=np.float32)
    assert np.abs(transform_points(transform_points(points, matrix), invert(matrix)) - points).max() < 0.01
    with pytest.raises(ValueError, match="inverted"):
        invert(np.zeros((2, 3), dtype=np.float32))


def test_the_identity_returns_the_picture() -> None:
    image = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert np.array_equal(warp(image, similarity(1, 0, 0, 0)), image)


def test_a_shift_by_whole_pixels_is_exact_and_the_outside_is_black() -> None:
    image = np.random.default_rng(2).integers(1, 256, (300, 400, 3), dtype=np.uint8)
    moved = warp(image, similarity(1, 0, 50, -20))
    assert not moved[:, :50].any()
    assert np.array_equal(moved[:, 50:], image[20:244, :174])


def test_a_dot_lands_where_the_point_lands() -> None:
    image = np.zeros((360, 640, 3), dtype=np.uint8)
    image[198:203, 398:403] = 255
    matrix = similarity(1.7, 0.5, -330, -510)
    expected = transform_points(np.array([[400.5, 200.5]], dtype=np.float32), matrix)[0]
    lit = np.argwhere(warp(image, matrix)[:, :, 0] > 128).mean(axis=0)[::-1] + 0.5
    assert np.abs(lit - expected).max() < 0.5


def test_fine_texture_does_not_alias_when_reduced() -> None:
    crop = warp(checkers(1200, 1600, 1), similarity(0.2, 0.1, 0, 0))
    inside = crop[40:200, 60:200].astype(float)
    assert inside.std() < 12
    assert 115 < inside.mean() < 140


def test_a_dot_in_a_large_picture_lands_where_the_point_lands() -> None:
    image = np.zeros((1080, 1920, 3), dtype=np.uint8)
    image[590:611, 1000:1021] = 255
    matrix = similarity(0.23, -0.2, -130, 80)
    expected = transform_points(np.array([[1010.5, 600.5]], dtype=np.float32), matrix)[0]
    crop = warp(image, matrix)[:, :, 0].astype(float)
    y, x = np.mgrid[:224, :224]
    lit = np.array([(crop * x).sum(), (crop * y).sum()]) / crop.sum() + 0.5
    assert np.abs(lit - expected).max() < 0.3


def test_a_region_outside_the_picture_is_black() -> None:
    image = np.full((100, 100, 3), 200, dtype=np.uint8)
    assert not warp(image, similarity(1, 0, -5000, 0)).any()
