"""How a head is held: exact where the points are moved exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.challenge.pose import head_size, poses
from guard.media.quality import yaw_deg
from tests.challenge.mesh_person import Posed, neutral, points

ANGLE = st.floats(-70, 70)


@settings(max_examples=60, deadline=None)
@given(yaw=ANGLE, pitch=ANGLE, roll=ANGLE, scale=st.floats(0.5, 2.5))
def test_turns_and_size_of_rotated_points_are_found_exactly(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    found = poses(points(Posed(yaw, pitch, roll, scale))[None], points(Posed()))
    assert found.yaw_deg[0] == pytest.approx(yaw, abs=0.01)
    assert found.pitch_deg[0] == pytest.approx(pitch, abs=0.01)
    assert found.roll_deg[0] == pytest.approx(roll, abs=0.01)
    assert found.log_scale[0] == pytest.approx(np.log(scale), abs=1e-4)
    assert found.shape[0] < 1e-4


def test_a_turn_toward_image_right_is_positive_as_in_the_face_quality() -> None:
    turned = points(Posed(yaw=20.0))
    assert turned[4, 0] > points(Posed())[4, 0]
    assert yaw_deg(turned) - yaw_deg(points(Posed())) == pytest.approx(20.0, abs=2.0)


def test_looking_up_brings_the_nose_up_and_leaning_left_the_forehead_to_image_right() -> None:
    assert points(Posed(pitch=15.0))[4, 1] < points(Posed())[4, 1]
    assert points(Posed(roll=15.0))[10, 0] > points(Posed())[10, 0]


def test_a_mirrored_face_turns_and_leans_the_other_way() -> None:
    def mirrored(posed: Posed) -> np.ndarray:
        out = points(posed) * np.array([-1, 1, 1], np.float32) + np.array([640, 0, 0], np.float32)
        return np.asarray(out[swapped()])

    found = poses(mirrored(Posed(yaw=20.0, pitch=8.0, roll=11.0))[None], mirrored(Posed()))
    assert found.yaw_deg[0] == pytest.approx(-20.0, abs=0.5)
    assert found.pitch_deg[0] == pytest.approx(8.0, abs=0.5)
    assert found.roll_deg[0] == pytest.approx(-11.0, abs=0.5)


def swapped() -> np.ndarray:
    """Return for every point the one nearest to its mirror image."""
    face = neutral()
    mirrored = face * (-1, 1, 1)
    return np.array([int(((face - point) ** 2).sum(axis=1).argmin()) for point in mirrored])


def test_neither_turn_nor_size_opens_mouth_or_eyes() -> None:
    rest = poses(points(Posed(mouth=0.5))[None], points(Posed()))
    moved = poses(
        points(Posed(yaw=30.0, pitch=-20.0, roll=15.0, scale=1.7, mouth=0.5))[None], points(Posed())
    )
    assert moved.mouth[0] == pytest.approx(rest.mouth[0], abs=1e-3)
    assert moved.eyes[0] == pytest.approx(rest.eyes[0], abs=1e-3)


def test_mouth_and_eyes_open_and_shut_without_turning_the_head() -> None:
    faces = np.stack([points(Posed()), points(Posed(mouth=1.0)), points(Posed(shut=1.0))])
    found = poses(faces, faces[0])
    assert found.mouth[1] > found.mouth[0] + 0.5
    assert (found.eyes[2] < 0.5 * found.eyes[0]).all()
    assert np.abs(np.stack([found.yaw_deg, found.pitch_deg, found.roll_deg])).max() < 1e-3


def test_a_face_that_was_not_found_is_nan_and_disturbs_no_other() -> None:
    faces = np.stack(
        [points(Posed(yaw=10.0)), np.full((468, 3), np.nan, np.float32), np.zeros((468, 3), np.float32)]
    )
    found = poses(faces, points(Posed()))
    assert found.yaw_deg[0] == pytest.approx(10.0, abs=0.01)
    assert np.isnan(found.yaw_deg[1:]).all()
    assert np.isnan(found.eyes[1:]).all()


def test_points_that_fall_together_are_no_neutral_face() -> None:
    with pytest.raises(ValueError, match="no face"):
        poses(points(Posed())[None], np.zeros((468, 3), np.float32))


def test_the_heads_size_does_not_shrink_with_a_turn() -> None:
    assert head_size(points(Posed(yaw=60.0))) == pytest.approx(head_size(points(Posed())), rel=1e-5)
