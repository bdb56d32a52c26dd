"""What of a picture the checks are judged by."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image

from guard.challenge.sight import SightMemory, around_rgb, make_sight, patch_matrix, skin_rgb
from guard.media.boxes import bounding_box
from guard.media.warp import transform_points
from guard.resources import models_dir
from guard.types import FloatArray, ImageArray
from guard.windows.face_models import load_face_models
from guard.windows.face_track import FaceTrackConfig, FaceTracker
from tests.windows.face_pictures import PUPILS, placed, scene

EYES = ([33, 133], [263, 362])


@cache
def seen(x: float, y: float, scale: float, angle_deg: float) -> tuple[ImageArray, FloatArray]:
    """A picture of the portrait in a grey room, and the points found in it."""
    image = scene(placed(x, y, scale=scale, angle_deg=angle_deg))
    models = load_face_models(models_dir())
    (face,) = FaceTracker(FaceTrackConfig(), models).push(image, 0.0)
    return image, face.mesh.points


def tinted(image: ImageArray, gain: tuple[float, float, float]) -> ImageArray:
    return np.asarray(np.clip(image * np.array(gain) + 0.5, 0, 255), np.uint8)


@pytest.mark.parametrize("angle_deg", [-25.0, 0.0, 25.0])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_patch_has_the_eyes_at_their_place_however_the_head_is_held(
    angle_deg: float, scale: float
) -> None:
    image, points = seen(300.0, 180.0, scale, angle_deg)
    matrix = patch_matrix(points)
    assert matrix is not None
    pupils = transform_points(
        transform_points(PUPILS, placed(300.0, 180.0, scale=scale, angle_deg=angle_deg)), matrix
    )
    np.testing.assert_allclose(pupils.mean(axis=0), (32, 24), atol=1.5)
    assert pupils[1, 0] - pupils[0, 0] == pytest.approx(24, abs=1.5)
    assert pupils[0, 1] == pytest.approx(pupils[1, 1], abs=1.2)
    patch = make_sight(0.0, image, [points], SightMemory()).patch
    assert patch is not None
    assert patch.shape == (64, 64, 3)
    # skin at the bridge of the nose, not the grey of the room
    assert patch[30:36, 30:35, 0].mean() > patch[30:36, 30:35, 2].mean() + 20


def test_a_turned_head_keeps_its_size_in_the_patch() -> None:
    _, points = seen(300.0, 180.0, 1.0, 0.0)
    yaw = np.deg2rad(50.0)
    turned = points.copy()
    turned[:, 0] = points[:, 0] * np.cos(yaw) + points[:, 2] * np.sin(yaw)
    turned[:, 2] = points[:, 2] * np.cos(yaw) - points[:, 0] * np.sin(yaw)
    front, aside = patch_matrix(points), patch_matrix(turned)
    assert front is not None and aside is not None
    # the same height from the eyes to the chin
    heights = [
        np.ptp(transform_points(p[[168, 152], :2], m)[:, 1]) for p, m in ((points, front), (turned, aside))
    ]
    assert heights[1] == pytest.approx(heights[0], rel=0.05)


def test_a_hidden_face_is_cut_out_where_it_was_last_seen() -> None:
    image, points = seen(300.0, 180.0, 1.0, 0.0)
    memory = SightMemory()
    first = make_sight(0.0, image, [points], memory)
    hidden = make_sight(0.1, image, [], memory)
    assert hidden.points is None
    assert hidden.face_rgb is None
    assert hidden.faces == 0
    assert first.patch is not None and hidden.patch is not None
    np.testing.assert_array_equal(hidden.patch, first.patch)
    assert first.around_rgb is not None and hidden.around_rgb is not None
    np.testing.assert_array_equal(hidden.around_rgb, first.around_rgb)


def test_the_place_follows_a_change_of_resolution() -> None:
    image, points = seen(300.0, 180.0, 2.0, 0.0)
    memory = SightMemory()
    first = make_sight(0.0, image, [points], memory)
    half = np.asarray(Image.fromarray(image).reduce(2))
    after = make_sight(0.1, half, [], memory)
    assert first.patch is not None and after.patch is not None
    assert after.size == (320, 180)
    assert np.abs(first.patch.astype(float) - after.patch).mean() < 6
    assert memory.boxes[0] == pytest.approx(bounding_box(points[:, :2]) / 2, rel=1e-4)


def test_before_any_face_there_is_no_patch_and_the_whole_picture_surrounds() -> None:
    image = np.full((360, 640, 3), (90, 100, 110), np.uint8)
    sight = make_sight(0.0, image, [], SightMemory())
    assert sight.patch is None
    assert sight.around_rgb == pytest.approx([90, 100, 110])


def test_the_greatest_of_several_faces_is_taken_and_none_counts_as_background() -> None:
    image = scene(placed(170.0, 190.0, scale=0.8), placed(460.0, 180.0, scale=1.4))
    models = load_face_models(models_dir())
    points = [face.mesh.points for face in FaceTracker(FaceTrackConfig(), models).push(image, 0.0)]
    assert len(points) == 2
    sight = make_sight(0.0, image, points, SightMemory())
    assert sight.faces == 2
    assert sight.points is not None
    assert sight.points[:, 0].mean() > 400
    painted = image.copy()
    for face in points:
        left, top, right, bottom = bounding_box(face[:, :2]).astype(int)
        painted[top:bottom, left:right] = (200, 20, 200)
    again = make_sight(0.0, painted, points, SightMemory())
    assert sight.around_rgb is not None
    np.testing.assert_array_equal(again.around_rgb, sight.around_rgb)


def test_skin_colour_follows_light_on_the_face_and_not_on_the_room() -> None:
    image, points = seen(300.0, 180.0, 1.5, 0.0)
    box = bounding_box(points[:, :2]).astype(int)
    lit = image.copy()
    part = (slice(box[1], box[3]), slice(box[0], box[2]))
    lit[part] = tinted(image[part], (0.97, 1.0, 1.02))
    plain, coloured = (make_sight(0.0, i, [points], SightMemory()) for i in (image, lit))
    assert plain.face_rgb is not None and coloured.face_rgb is not None
    np.testing.assert_allclose(coloured.face_rgb / plain.face_rgb, (0.97, 1.0, 1.02), atol=0.004)
    assert plain.around_rgb is not None and coloured.around_rgb is not None
    np.testing.assert_array_equal(plain.around_rgb, coloured.around_rgb)


def test_shine_on_the_skin_hardly_moves_its_colour() -> None:
    image, points = seen(300.0, 180.0, 1.5, 0.0)
    x, y = points[50, :2].astype(int)
    shiny = image.copy()
    shiny[y - 5 : y + 5, x - 5 : x + 5] = 255
    plain, shine = skin_rgb(image, points), skin_rgb(shiny, points)
    assert plain is not None and shine is not None
    assert np.log(shine[0] / shine[1]) == pytest.approx(np.log(plain[0] / plain[1]), abs=0.01)
    assert shine == pytest.approx(plain, rel=0.03)
    # a whole cheek that shines is left out: what remains is the rest of the skin
    shiny[y - 14 : y + 14, x - 14 : x + 14] = 255
    shine = skin_rgb(shiny, points)
    assert shine is not None
    assert shine.max() < 220


def test_a_white_picture_and_a_face_outside_of_it_have_no_colour() -> None:
    _, points = seen(300.0, 180.0, 1.0, 0.0)
    white = np.full((360, 640, 3), 255, np.uint8)
    assert skin_rgb(white, points) is None
    assert around_rgb(white, []) is None
    assert skin_rgb(white, points + np.float32(2000)) is None
    everything = np.array([-100, -100, 900, 900], np.float32)
    assert around_rgb(np.full((360, 640, 3), 90, np.uint8), [everything]) is None


def test_points_that_fall_together_keep_the_place_before() -> None:
    image, points = seen(300.0, 180.0, 1.0, 0.0)
    memory = SightMemory()
    before = make_sight(0.0, image, [points], memory).patch
    after = make_sight(0.1, image, [np.full((468, 3), 200, np.float32)], memory)
    assert before is not None and after.patch is not None
    np.testing.assert_array_equal(after.patch, before)
    assert after.face_rgb is None


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="picture"):
        make_sight(0.0, np.zeros((4, 640, 3), np.uint8), [], SightMemory())
    with pytest.raises(ValueError, match="points"):
        make_sight(0.0, np.zeros((64, 64, 3), np.uint8), [np.zeros((468, 2), np.float32)], SightMemory())
