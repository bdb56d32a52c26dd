"""The pictures between two looks: what each face is handed, and how little is kept."""

from __future__ import annotations

import numpy as np

from guard.types import Kind, TrackKey, VideoFrame
from guard.windows.face_models import Mesh
from guard.windows.glimpses import MAX_KEPT, THUMBNAIL, Glimpses, thumbnail

KEY = TrackKey("s", "p", Kind.VIDEO)
MESH = Mesh(np.ones((468, 3), np.float32), 1.0)


def picture(time_s: float, value: int = 0, skipped_s: tuple[float, ...] = ()) -> VideoFrame:
    return VideoFrame(KEY, time_s, np.full((90, 160, 3), value, np.uint8), skipped_s)


def test_each_face_gets_every_picture_once_and_in_order() -> None:
    seen = Glimpses()
    for n in range(4):
        seen.add(picture(n / 10), {0: MESH})
    assert [g.time_s for g in seen.take(0)] == [0.0, 0.1, 0.2, 0.3]
    seen.add(picture(0.4), {0: MESH, 1: MESH})
    assert [g.time_s for g in seen.take(0)] == [0.4]
    late = seen.take(1)
    assert [g.time_s for g in late] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [g.points is None for g in late] == [True, True, True, True, False]
    assert seen.take(0) == ()


def test_times_of_pictures_left_out_go_with_the_next_one() -> None:
    seen = Glimpses()
    seen.add(picture(0.0), {})
    seen.skip(picture(0.1, skipped_s=(0.05,)))
    seen.add(picture(0.2, skipped_s=(0.15,)), {})
    assert seen.take(0)[-1].skipped_s == (0.05, 0.1, 0.15)


def test_a_track_nobody_asks_about_keeps_a_bounded_number_of_pictures() -> None:
    seen = Glimpses()
    for n in range(1000):
        seen.add(picture(n / 15), {n: MESH})
        seen.take(n)
    assert len(seen.take(-1)) == MAX_KEPT
    assert len(seen._taken_s) <= MAX_KEPT + 1


def test_due_counts_from_the_newest_picture() -> None:
    seen = Glimpses()
    assert seen.due(0.0, 0.1)
    seen.add(picture(0.0), {})
    assert not seen.due(0.05, 0.1)
    assert seen.due(0.1, 0.1)


def test_thumbnail_is_the_mean_of_the_parts_for_any_size() -> None:
    image = np.zeros((36, 64, 3), np.uint8)
    image[:2, :2, 1] = [[0, 40], [80, 120]]
    assert thumbnail(image)[0, 0] == 60
    assert thumbnail(image).shape == THUMBNAIL
    assert thumbnail(np.full((7, 5, 3), 9, np.uint8)).tolist() == np.full(THUMBNAIL, 9).tolist()
    assert thumbnail(np.full((1080, 1921, 3), 200, np.uint8)).max() == 200
