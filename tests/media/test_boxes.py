from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.media.boxes import (
    Region,
    anchor_centres,
    bounding_box,
    decode_boxes,
    merge_overlapping,
    overlap,
    region_of_box,
    region_of_points,
)
from guard.media.warp import transform_points
from guard.types import FloatArray


def rows(*values: tuple[float, ...]) -> FloatArray:
    return np.array(values, dtype=np.float32)


def test_anchors_run_row_by_row_with_the_cell_centre_repeated() -> None:
    centres = anchor_centres(((2, 2), (1, 1)))
    expected = [[0.25, 0.25]] * 2 + [[0.75, 0.25]] * 2 + [[0.25, 0.75]] * 2 + [[0.75, 0.75]] * 2
    assert centres.tolist() == [*expected, [0.5, 0.5]]
    assert anchor_centres(((16, 2), (8, 6))).shape == (896, 2)


def test_a_regression_is_read_relative_to_its_anchor() -> None:
    raw = np.zeros((1, 16), dtype=np.float32)
    raw[0, :6] = (10, -20, 40, 60, 5, 0)
    boxes, points = decode_boxes(raw, rows((0.5, 0.5)), 100)
    assert boxes[0] == pytest.approx([0.4, 0.0, 0.8, 0.6])
    assert points.shape == (1, 6, 2)
    assert points[0, 0] == pytest.approx([0.55, 0.5])
    assert points[0, 5] == pytest.approx([0.5, 0.5])


def test_overlap_of_known_boxes() -> None:
    box = rows((0, 0, 2, 2))[0]
    others = rows((0, 0, 2, 2), (1, 0, 3, 2), (5, 5, 6, 6), (2, 0, 4, 2), (1, 1, 1, 1))
    assert overlap(box, others) == pytest.approx([1, 1 / 3, 0, 0, 0])


def test_boxes_of_one_face_are_blended_by_score_and_others_kept_apart() -> None:
    boxes = rows((10, 10, 20, 20), (50, 50, 60, 60), (11, 10, 21, 20))
    (first, weights), (second, alone) = merge_overlapping(boxes, rows((0.6, 0.9, 0.8))[0], 0.3)
    assert first == [1] and weights.tolist() == [1.0]
    assert second == [2, 0] and alone == pytest.approx([0.8 / 1.4, 0.6 / 1.4])
    assert merge_overlapping(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.3) == []


@given(st.lists(st.tuples(*[st.floats(-10, 10, width=32)] * 5), max_size=30))
def test_every_box_belongs_to_exactly_one_face(values: list[tuple[float, ...]]) -> None:
    table = np.array(values, dtype=np.float32).reshape(-1, 5)
    scores = np.abs(table[:, 4]) + np.float32(0.1)
    groups = merge_overlapping(table[:, :4], scores, 0.3)
    assert sorted(row for members, _ in groups for row in members) == list(range(len(values)))
    assert all(weights.sum() == pytest.approx(1, abs=1e-4) for _, weights in groups)
    best = [float(scores[members[0]]) for members, _ in groups]
    assert best == sorted(best, reverse=True)


@given(angle=st.floats(-3, 3), side=st.floats(5, 2000), x=st.floats(-500, 2000), y=st.floats(-500, 2000))
def test_a_regions_centre_and_corner_land_in_the_square(
    angle: float, side: float, x: float, y: float
) -> None:
    matrix = Region(x, y, side, angle).matrix_to(192)
    c, s = math.cos(angle) * side / 2, math.sin(angle) * side / 2
    picture = rows((x, y), (x - c + s, y - s - c), (x + c - s, y + s + c))
    landed = transform_points(picture, matrix)
    assert np.abs(landed - rows((96, 96), (0, 0), (192, 192))).max() < 0.15


def test_a_region_levels_the_eyes() -> None:
    points = rows((100, 100), (140, 120), (110, 160))
    region = region_of_points(points, points[0], points[1], 1.5)
    left, right = transform_points(points[:2], region.matrix_to(192))
    assert left[1] == pytest.approx(right[1], abs=0.01)
    assert left[0] < right[0]


@given(angle=st.floats(-1.5, 1.5))
def test_the_region_of_points_turns_with_them(angle: float) -> None:
    face = rows((-30, -20), (30, -20), (0, 10), (-20, 40), (20, 40))
    c, s = math.cos(angle), math.sin(angle)
    turned = transform_points(face, rows((c, -s, 300), (s, c, 200)))
    region = region_of_points(turned, turned[0], turned[1], 1.5)
    assert region.angle == pytest.approx(angle, abs=1e-4)
    assert region.side_px == pytest.approx(90, abs=0.01)
    upright = transform_points(turned, region.matrix_to(90))
    assert np.abs(upright - (face + rows((45, 35)))).max() < 0.01


def test_the_region_of_a_box_is_a_square_around_it() -> None:
    region = region_of_box(rows((10, 20, 50, 80))[0], rows((20, 40))[0], rows((40, 40))[0], 1.5)
    assert (region.x_px, region.y_px, region.side_px, region.angle) == (30, 50, 90, 0)


def test_bounding_box_of_points() -> None:
    assert bounding_box(rows((3, 9), (-1, 4), (2, 5))).tolist() == [-1, 4, 3, 9]
