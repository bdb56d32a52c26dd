from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from guard.detectors.tflite import TfliteModel
from guard.errors import ModelError
from guard.media.warp import transform_points
from guard.resources import models_dir
from guard.types import FloatArray
from guard.windows.face_models import FaceModels, load_face_models
from tests.windows.face_pictures import EYE_DISTANCE_PX, MOUTH, NOSE, PUPILS, placed, portrait, scene

PLACES = [
    placed(320, 180),
    placed(150, 120, scale=0.7),
    placed(480, 220, scale=1.4, angle_deg=12),
    placed(330, 170, scale=0.9, angle_deg=-25),
    placed(560, 290, scale=0.6),
]


@pytest.mark.parametrize("place", PLACES)
def test_a_face_is_found_where_it_is(face_models: FaceModels, place: FloatArray) -> None:
    (face,) = face_models.find(scene(place))
    nose = transform_points(NOSE, place)[0]
    assert (face.box[:2] < nose).all() and (nose < face.box[2:]).all()
    near = 0.2 * EYE_DISTANCE_PX * np.hypot(*place[:, 0])
    assert np.abs(face.points[:2] - transform_points(PUPILS, place)).max() < near
    assert face.score > 0.6


@pytest.mark.parametrize("place", PLACES)
def test_the_points_lie_on_eyes_nose_and_mouth(face_models: FaceModels, place: FloatArray) -> None:
    image = scene(place)
    (face,) = face_models.find(image)
    mesh = face_models.mesh(image, face.region())
    mesh = face_models.mesh(image, mesh.region())
    assert mesh.presence > 0.9
    points = mesh.points[:, :2]
    eyes = np.stack([points[[33, 133]].mean(axis=0), points[[263, 362]].mean(axis=0)])
    near = 0.08 * EYE_DISTANCE_PX * np.hypot(*place[:, 0])
    assert np.abs(eyes - transform_points(PUPILS, place)).max() < near
    assert np.abs(points[[61, 291]] - transform_points(MOUTH, place)).max() < 1.5 * near
    assert np.abs(points[[4]] - transform_points(NOSE, place)).max() < 2 * near


def test_the_tip_of_the_nose_is_nearest_to_the_camera(face_models: FaceModels) -> None:
    image = scene(placed(320, 180))
    mesh = face_models.mesh(image, face_models.find(image)[0].region())
    depth = mesh.points[:, 2]
    assert depth[4] < depth[[33, 263]].min() < depth[[234, 454]].min()


def test_two_people_are_found(face_models: FaceModels) -> None:
    found = face_models.find(scene(placed(160, 170, scale=0.9), placed(470, 190, scale=0.8)))
    assert len(found) == 2
    assert sorted(round(float(face.points[2, 0]) / 10) for face in found) == [16, 47]


def test_a_small_face_far_away_is_found(face_models: FaceModels) -> None:
    (face,) = face_models.find(scene(placed(420, 150, scale=24 / EYE_DISTANCE_PX)))
    assert np.hypot(*(face.points[1] - face.points[0])) == pytest.approx(24, rel=0.2)


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (720, 1280), (97, 131), (1, 1), (3, 900)])
def test_pictures_of_any_shape_without_a_face_give_none(
    face_models: FaceModels, shape: tuple[int, int]
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert face_models.find(noise) == []
    assert face_models.find(np.zeros_like(noise)) == []


def test_no_face_where_there_is_none(face_models: FaceModels) -> None:
    image = scene(placed(320, 180))
    region = face_models.find(image)[0].region()
    assert face_models.mesh(scene(), region).presence < 0.1


def test_equal_pictures_give_equal_points(face_models: FaceModels) -> None:
    image = np.asarray(portrait())
    first, second = face_models.find(image), face_models.find(image)
    assert np.array_equal(first[0].box, second[0].box)
    one, two = (face_models.mesh(image, face[0].region()).points for face in (first, second))
    assert np.array_equal(one, two)


def test_a_changed_model_file_is_refused_with_its_name_and_what_to_do(tmp_path: Path) -> None:
    for name in ("blazeface", "facemesh"):
        shutil.copytree(models_dir() / name, tmp_path / name)
    weights = tmp_path / "facemesh" / "face_landmark.tflite"
    content = bytearray(weights.read_bytes())
    content[5000] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"facemesh/face_landmark\.tflite.*reinstall") as caught:
        load_face_models(tmp_path)
    assert caught.value.code == "model_hash"


def test_the_networks_work_on_a_plain_picture(face_models: FaceModels) -> None:
    face_models.check()


@pytest.mark.parametrize("wild", [1e5, 1e20, 3e38])
def test_points_far_outside_the_picture_are_refused(
    face_models: FaceModels, monkeypatch: pytest.MonkeyPatch, wild: float
) -> None:
    run = TfliteModel.run

    def wilder(model: TfliteModel, batch: FloatArray) -> tuple[FloatArray, ...]:
        first, *others = run(model, batch)
        return np.full_like(first, wild), *others

    image = scene(placed(320, 180))
    (face,) = face_models.find(image)
    monkeypatch.setattr(TfliteModel, "run", wilder)
    for look in (lambda: face_models.find(image), lambda: face_models.mesh(image, face.region())):
        with pytest.raises(ModelError, match="far outside"):
            look()
