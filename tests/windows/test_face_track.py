from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from guard.types import ImageArray
from guard.windows.face_models import FaceModels
from guard.windows.face_track import FaceTrackConfig, FaceTracker
from tests.windows.face_pictures import placed, scene

STEP_S = 0.2


@pytest.fixture
def tracker(face_models: FaceModels) -> FaceTracker:
    return FaceTracker(FaceTrackConfig(), face_models)


def numbers(tracker: FaceTracker, image: ImageArray, time_s: float) -> list[int]:
    return [face.number for face in tracker.push(image, time_s)]


def nose_x(tracker: FaceTracker, image: ImageArray, time_s: float) -> dict[int, float]:
    return {face.number: float(face.mesh.points[4, 0]) for face in tracker.push(image, time_s)}


def test_a_face_that_moves_keeps_its_number_and_is_followed(tracker: FaceTracker) -> None:
    for look in range(20):
        x, y = 150 + 18 * look, 180 + 40 * np.sin(look / 3)
        image = scene(placed(x, y, scale=0.8, angle_deg=10 * np.sin(look / 4)))
        seen = nose_x(tracker, image, look * STEP_S)
        assert seen == {0: pytest.approx(x, abs=6)}


def test_two_people_side_by_side_keep_their_numbers_while_they_come_and_go(tracker: FaceTracker) -> None:
    left, right = placed(160, 180, scale=0.9), placed(480, 180, scale=0.8)
    assert numbers(tracker, scene(left), 0.0) == [0]
    for look in range(1, 11):
        seen = nose_x(tracker, scene(left, right), look * STEP_S)
    assert seen == {0: pytest.approx(160, abs=6), 1: pytest.approx(480, abs=6)}
    assert numbers(tracker, scene(right), 11 * STEP_S) == [1]
    assert numbers(tracker, scene(left, right), 12 * STEP_S) == [0, 1]


def test_a_newcomer_is_found_within_the_configured_time(face_models: FaceModels) -> None:
    tracker = FaceTracker(FaceTrackConfig(find_every_s=1.0), face_models)
    left, right = placed(160, 180), placed(480, 180)
    numbers(tracker, scene(left), 0.0)
    first = next(n for n in range(1, 20) if len(numbers(tracker, scene(left, right), n * STEP_S)) == 2)
    assert first * STEP_S == pytest.approx(1.0)


def test_a_face_that_jumps_by_its_own_size_keeps_its_number_and_no_further(tracker: FaceTracker) -> None:
    assert numbers(tracker, scene(placed(150, 180)), 0.0) == [0]
    assert nose_x(tracker, scene(placed(247, 180)), STEP_S) == {0: pytest.approx(247, abs=6)}
    assert nose_x(tracker, scene(placed(480, 180)), 2 * STEP_S) == {1: pytest.approx(480, abs=6)}


def test_a_lost_face_ends_and_its_number_is_not_used_again(tracker: FaceTracker) -> None:
    here, empty = scene(placed(320, 180)), scene()
    assert numbers(tracker, here, 0.0) == [0]
    assert numbers(tracker, empty, 0.2) == []
    assert numbers(tracker, here, 0.8) == [0]
    for look in range(5, 12):
        assert numbers(tracker, empty, look * STEP_S) == []
    assert numbers(tracker, here, 2.4) == [1]


def test_the_time_of_the_previous_look_is_kept_over_a_miss(tracker: FaceTracker) -> None:
    here = scene(placed(320, 180))
    assert [face.previous_s for face in tracker.push(here, 3.0)] == [3.0]
    assert [face.previous_s for face in tracker.push(here, 3.2)] == [3.0]
    tracker.push(scene(), 3.4)
    assert [face.previous_s for face in tracker.push(here, 3.6)] == [3.2]


def test_no_more_faces_than_configured(face_models: FaceModels) -> None:
    tracker = FaceTracker(FaceTrackConfig(max_faces=1), face_models)
    image = scene(placed(160, 180), placed(480, 180))
    for look in range(8):
        assert numbers(tracker, image, look * STEP_S) == [0]


def test_two_tracks_that_meet_become_one(tracker: FaceTracker) -> None:
    for look in range(30):
        gap = max(0.0, 300 - 15 * look)
        seen = numbers(tracker, scene(placed(180, 180), placed(180 + gap, 180)), look * STEP_S)
        assert 1 <= len(seen) <= 2
    assert seen == [0]


def test_a_change_of_resolution_keeps_the_number(tracker: FaceTracker) -> None:
    place = placed(500, 250, scale=0.8)
    for look, (width, height) in enumerate([(640, 360), (320, 180), (1280, 720), (640, 360)]):
        picture = Image.fromarray(scene(place)).resize((width, height), Image.Resampling.BICUBIC)
        seen = nose_x(tracker, np.asarray(picture), look * STEP_S)
        assert seen == {0: pytest.approx(500 * width / 640, rel=0.01)}


def test_reset_forgets_faces_but_not_numbers(tracker: FaceTracker) -> None:
    image = scene(placed(320, 180))
    assert numbers(tracker, image, 5.0) == [0]
    tracker.reset()
    assert numbers(tracker, image, 1.0) == [1]


@pytest.mark.parametrize(
    "wrong",
    [{"find_every_s": 0.0}, {"lost_after_s": -1.0}, {"min_presence": 1.0}, {"max_faces": 0}],
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FaceTrackConfig(**wrong)  # type: ignore[arg-type]
