"""What of a face is to be seen, by crops of a portrait."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from guard.media.hidden import PARTS, hidden_logits, part_measures
from guard.resources import models_dir
from guard.types import FaceWindow, FloatArray, ImageArray
from guard.windows.face_models import load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows
from tests.windows.face_pictures import KEY, frame, placed, scene

# rows and columns of the crop
PLACES = {"mouth": (125, 165, 75, 150), "eye_left": (70, 105, 66, 106), "eye_right": (70, 105, 118, 158)}


@cache
def face() -> tuple[ImageArray, FloatArray]:
    stage = FaceWindows(KEY, FaceWindowConfig(), load_face_models(models_dir()))
    (item,) = stage.push(frame(scene(placed(320, 180, scale=1.5)), 0.0))
    assert isinstance(item, FaceWindow)
    return item.crop, item.landmarks


def covered(*parts: str, colour: tuple[int, int, int] = (170, 130, 110)) -> ImageArray:
    crop = face()[0].copy()
    for part in parts:
        top, bottom, left, right = PLACES[part]
        crop[top:bottom, left:right] = colour
    return crop


def found(crop: ImageArray) -> set[str]:
    logits = hidden_logits(crop, face()[1])
    assert logits.shape == (3,) and logits.dtype == np.float32
    return {part for part, logit in zip(PARTS, logits, strict=True) if logit > 0}


@pytest.mark.parametrize("part", PARTS)
def test_only_the_part_that_is_covered_is_hidden(part: str) -> None:
    assert found(face()[0]) == set()
    assert found(covered(part)) == {part}


def test_both_eyes_covered_are_hidden_unless_by_sunglasses() -> None:
    assert found(covered("eye_left", "eye_right", colour=(220, 215, 210))) == {"eye_left", "eye_right"}
    assert found(covered("eye_left", "eye_right", colour=(20, 20, 25))) == set()


@pytest.mark.parametrize("light", [0.5, 0.75, 1.2])
def test_the_light_changes_nothing(light: float) -> None:
    crop = (face()[0] * light).clip(0, 255).astype(np.uint8)
    assert found(crop) == set()
    covered_too = (covered("mouth") * light).clip(0, 255).astype(np.uint8)
    assert found(covered_too) == {"mouth"}


def test_an_eye_is_measured_like_the_other_one_in_the_mirror() -> None:
    crop, points = face()
    _, left, right = part_measures(crop, points)
    mirrored = points.copy()
    mirrored[:, 0] = 224 - points[:, 0]
    for side in ((33, 263), (133, 362), (61, 291)):
        mirrored[list(side)] = mirrored[list(side[::-1])]
    _, left_again, right_again = part_measures(np.ascontiguousarray(crop[:, ::-1]), mirrored)
    assert np.abs(left_again - right).mean() < 0.05
    assert np.abs(right_again - left).mean() < 0.05


def test_points_beyond_the_crop_are_measured_at_its_edge() -> None:
    crop, points = face()
    assert np.isfinite(hidden_logits(crop, points + 500)).all()
    assert np.isfinite(hidden_logits(np.zeros_like(crop), points)).all()
