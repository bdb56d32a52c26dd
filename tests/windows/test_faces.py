from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from guard.errors import ModelError
from guard.media.boxes import Region
from guard.reasons import FACE_FAILED
from guard.types import FaceWindow, FloatArray, ImageArray, WindowSkip
from guard.windows import faces
from guard.windows.face_models import FaceModels, Mesh
from guard.windows.faces import FaceWindowConfig, FaceWindows
from tests.windows.face_pictures import EYE_DISTANCE_PX, KEY, frame, placed, scene


@pytest.fixture
def stage(face_models: FaceModels) -> FaceWindows:
    return FaceWindows(KEY, FaceWindowConfig(), face_models)


def window(models: FaceModels, image: ImageArray) -> FaceWindow:
    (item,) = FaceWindows(KEY, FaceWindowConfig(), models).push(frame(image, 0.0))
    assert isinstance(item, FaceWindow)
    return item


def reason(stage: FaceWindows, image: ImageArray, time_s: float = 0.0) -> tuple[str, int | None]:
    (item,) = stage.push(frame(image, time_s))
    assert isinstance(item, WindowSkip)
    return item.reason, item.face


def eyes(item: FaceWindow) -> FloatArray:
    points = item.landmarks
    return np.stack([points[[33, 133]].mean(axis=0), points[[263, 362]].mean(axis=0)])


def pixels(item: FaceWindow) -> FloatArray:
    return item.crop[60:170, 60:165].astype(np.float32)


@pytest.mark.parametrize(
    "place",
    [
        placed(320, 180),
        placed(120, 120, scale=0.7),
        placed(400, 200, scale=1.6),
        placed(320, 180, angle_deg=30),
        placed(250, 200, scale=0.8, angle_deg=-20),
        placed(320, 180, angle_deg=90),
        placed(320, 180, angle_deg=135),
        placed(320, 180, angle_deg=180),
        placed(320, 180, angle_deg=170),
    ],
)
def test_the_aligned_face_looks_the_same_wherever_it_was(face_models: FaceModels, place: FloatArray) -> None:
    item = window(face_models, scene(place))
    reference = window(face_models, scene(placed(320, 180)))
    assert item.crop.shape == (224, 224, 3)
    assert np.abs(eyes(item) - [[85.5, 89], [138.5, 89]]).max() < 3
    assert np.abs(item.landmarks - reference.landmarks).mean() < 1
    assert np.abs(pixels(item) - pixels(reference)).mean() < 8  # two pixels beside it is 11


def test_the_window_says_where_it_comes_from(stage: FaceWindows) -> None:
    image = scene(placed(320, 180))
    (first,) = stage.push(frame(image, 1.0))
    (second,) = stage.push(frame(image, 1.2))
    assert isinstance(first, FaceWindow) and isinstance(second, FaceWindow)
    assert (first.key, first.face, first.start_s, first.end_s) == (KEY, 0, 1.0, 1.0)
    assert (second.face, second.start_s, second.end_s) == (0, 1.0, 1.2)
    assert second.quality.eye_distance_px == pytest.approx(EYE_DISTANCE_PX, rel=0.05)
    assert second.quality.confidence > 0.9
    assert abs(second.quality.yaw_deg) < 10


def test_a_face_on_the_move_stays_aligned(stage: FaceWindows, face_models: FaceModels) -> None:
    reference = window(face_models, scene(placed(320, 180)))
    for look in range(10):
        swing = 22 * look, 15 * np.sin(look), 12 * np.sin(look)
        image = scene(placed(150 + swing[0], 180 + swing[1], angle_deg=swing[2]))
        (item,) = stage.push(frame(image, look * 0.2))
        assert isinstance(item, FaceWindow)
        assert np.abs(pixels(item) - pixels(reference)).mean() < 6


def test_a_picture_that_turns_over_is_followed_within_a_second(
    stage: FaceWindows, face_models: FaceModels
) -> None:
    reference = window(face_models, scene(placed(320, 180)))
    late = None
    for look in range(12):
        (item,) = stage.push(frame(scene(placed(320, 180, angle_deg=180 if look > 3 else 0)), look * 0.2))
        if isinstance(item, FaceWindow):
            assert np.abs(pixels(item) - pixels(reference)).mean() < 8
            late = late if look <= 3 or late is not None else look
    assert late is not None and late <= 9


def test_a_face_drawn_over_one_that_stands_on_its_head_is_unclear(
    face_models: FaceModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.windows.face_track._TURNS", ())
    turned = FaceWindows(KEY, FaceWindowConfig(), face_models)
    skips = [
        item
        for scale in (0.8, 1.0, 1.2)
        for item in turned.push(frame(scene(placed(320, 180, angle_deg=180, scale=scale)), 3 * scale))
    ]
    assert all(isinstance(item, WindowSkip) for item in skips)
    reasons = {item.reason for item in skips if isinstance(item, WindowSkip)}
    assert "face_unclear" in reasons and reasons <= {"face_unclear", "no_face"}


def test_two_people_give_two_windows_with_stable_numbers(stage: FaceWindows) -> None:
    for look in range(6):
        image = scene(placed(160 + 4 * look, 180), placed(480 - 4 * look, 180, scale=0.9))
        items = stage.push(frame(image, look * 0.2))
        assert [item.face for item in items] == [0, 1]
        assert all(isinstance(item, FaceWindow) for item in items)


@pytest.mark.parametrize(("fps", "looks"), [(30, 25), (25, 25), (7, 25), (3, 15)])
def test_five_looks_a_second_at_most_whatever_the_frame_rate(
    stage: FaceWindows, fps: int, looks: int
) -> None:
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    times = [n / fps for n in range(5 * fps)]
    made = [time_s for time_s in times if stage.push(frame(image, time_s))]
    assert abs(len(made) - looks) <= 1


def test_uneven_frame_times_do_not_lower_the_rate(stage: FaceWindows) -> None:
    rng = np.random.default_rng(4)
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    times = np.arange(300) / 30 + rng.uniform(-0.008, 0.008, 300)
    made = [t for t in times if stage.push(frame(image, float(t)))]
    assert 49 <= len(made) <= 51


def test_an_empty_room_is_skipped_as_no_face_without_overlap(stage: FaceWindows) -> None:
    skips = [item for n in range(10) for item in stage.push(frame(scene(), n * 0.2))]
    assert all(isinstance(s, WindowSkip) and s.reason == "no_face" and s.face is None for s in skips)
    assert [s.start_s for s in skips[1:]] == [s.end_s for s in skips[:-1]]


def test_a_gap_in_the_track_is_nobodys_time(stage: FaceWindows) -> None:
    image = scene(placed(320, 180))
    stage.push(frame(image, 0.0))
    (item,) = stage.push(frame(image, 30.0))
    assert (item.start_s, item.end_s, item.face) == (30.0, 30.0, 1)
    stage.push(frame(scene(), 31.5))
    (skip,) = stage.push(frame(scene(), 60.0))
    assert (skip.start_s, skip.end_s) == (60.0, 60.0)


def test_time_that_starts_again_starts_new_faces(stage: FaceWindows) -> None:
    image = scene(placed(320, 180))
    stage.push(frame(image, 9.0))
    (item,) = stage.push(frame(image, 0.1))
    assert (item.face, item.start_s) == (1, 0.1)


@pytest.mark.parametrize("colour", [(190, 150, 120), (235, 238, 240), (25, 25, 30)])
@pytest.mark.parametrize(
    "box", [(205, 360, 130, 400), (120, 185, 235, 315), (0, 360, 0, 330)], ids=["mouth", "eye", "half"]
)
def test_a_face_hidden_in_part_is_not_judged(
    stage: FaceWindows, box: tuple[int, int, int, int], colour: tuple[int, int, int]
) -> None:
    plain = scene(placed(320, 191, scale=2.0))
    covered = plain.copy()
    top, bottom, left, right = box
    covered[top:bottom, left:right] = colour
    assert isinstance(stage.push(frame(plain, 0.0))[0], FaceWindow)
    found = [stage.push(frame(covered, 0.2 * look))[0] for look in range(1, 7)]
    assert isinstance(found[-1], WindowSkip) and found[-1].reason in ("face_hidden", "face_unclear")
    back = [stage.push(frame(plain, 0.2 * look))[0] for look in range(7, 13)]
    assert isinstance(back[-1], FaceWindow)


def test_a_single_look_does_not_hide_a_face(stage: FaceWindows) -> None:
    plain = scene(placed(320, 191, scale=2.0))
    covered = plain.copy()
    covered[205:, 130:400] = (190, 150, 120)
    pictures = [plain, plain, plain, covered, plain]
    found = [stage.push(frame(picture, 0.2 * look))[0] for look, picture in enumerate(pictures)]
    assert all(isinstance(item, FaceWindow) for item in found)


def test_a_tiny_face_is_too_small(stage: FaceWindows) -> None:
    image = scene(placed(320, 180, scale=18 / EYE_DISTANCE_PX))
    assert reason(stage, image) == ("face_too_small", 0)


def test_a_face_in_the_dark_is_dark(stage: FaceWindows) -> None:
    image = (scene(placed(320, 180, scale=1.2)) * 0.12).astype(np.uint8)
    assert reason(stage, image) == ("face_dark", 0)


def test_a_face_out_of_focus_is_blurred(stage: FaceWindows) -> None:
    sharp = Image.fromarray(scene(placed(320, 180, scale=1.5)))
    assert isinstance(stage.push(frame(np.asarray(sharp), 0.0))[0], FaceWindow)
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(6)))
    assert reason(stage, blurred, 0.2) == ("face_blurred", 0)


def test_a_face_half_out_of_the_picture_is_cut_off(stage: FaceWindows) -> None:
    whole = scene(placed(60, 180))
    assert isinstance(stage.push(frame(whole, 0.0))[0], FaceWindow)
    assert reason(stage, scene(placed(15, 180)), 0.2) == ("face_cut_off", 0)


def test_a_turned_face_is_turned(face_models: FaceModels) -> None:
    image = scene(placed(320, 180))
    yaw = window(face_models, image).quality.yaw_deg
    strict = FaceWindows(KEY, FaceWindowConfig(max_yaw_deg=max(abs(yaw) / 2, 1e-3)), face_models)
    assert reason(strict, image) == ("face_turned", 0)


def test_a_mirrored_face_is_turned_the_other_way(face_models: FaceModels) -> None:
    image = scene(placed(320, 180))
    yaw = window(face_models, image).quality.yaw_deg
    mirrored = window(face_models, np.ascontiguousarray(image[:, ::-1])).quality.yaw_deg
    assert mirrored == pytest.approx(-yaw, abs=2.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_hz": 0.0},
        {"min_eye_distance_px": -1.0},
        {"min_luma": -1.0},
        {"max_yaw_deg": 91.0},
        {"min_confidence": 1.0},
        {"max_outside_ratio": 2.0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FaceWindowConfig(**wrong)  # type: ignore[arg-type]


def test_every_reason_is_listed_for_people() -> None:
    listed = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text()
    codes = [value for name, value in vars(faces).items() if name.startswith(("FACE_", "NO_FACE"))]
    assert len(codes) == 9
    assert all(f"| `{code}` |" in listed for code in codes)


class Failing(FaceModels):
    """The real networks, told to fail."""

    def __init__(self, models: FaceModels) -> None:
        super().__init__(*models.cards)
        self.broken = False

    def mesh(self, image: ImageArray, region: Region) -> Mesh:
        if self.broken:
            raise ModelError("model_not_finite", "facemesh returned a value that is not finite")
        return super().mesh(image, region)


def test_a_picture_on_which_a_network_fails_is_skipped_and_the_face_keeps_its_number(
    face_models: FaceModels,
) -> None:
    models, told = Failing(face_models), list[ModelError]()
    stage = FaceWindows(KEY, FaceWindowConfig(), models, failed=told.append)
    image, out = scene(placed(320, 180)), list[FaceWindow | WindowSkip]()
    for n in range(30):
        models.broken = 10 <= n < 17
        out += stage.push(frame(image, n / 15))
    skips = [item for item in out if isinstance(item, WindowSkip)]
    assert {skip.reason for skip in skips} == {FACE_FAILED}
    assert len(told) == len(skips) == 3, "one picture between looks, then looks alone"
    assert all(before.end_s <= after.start_s for before, after in pairwise(out))
    faces_seen = [item for item in out if isinstance(item, FaceWindow)]
    assert {item.face for item in faces_seen} == {0}
    assert faces_seen[-1].end_s > skips[-1].end_s


def test_a_failure_after_a_gap_does_not_fill_it(face_models: FaceModels) -> None:
    models = Failing(face_models)
    stage = FaceWindows(KEY, FaceWindowConfig(), models, failed=lambda _: None)
    stage.push(frame(scene(placed(320, 180)), 0.0))
    models.broken = True
    (skip,) = stage.push(frame(scene(placed(320, 180)), 50.0))
    assert (skip.start_s, skip.end_s) == (50.0, 50.0)


def test_where_nobody_takes_a_failure_it_is_raised(face_models: FaceModels) -> None:
    models = Failing(face_models)
    models.broken = True
    with pytest.raises(ModelError, match="not finite"):
        FaceWindows(KEY, FaceWindowConfig(), models).push(frame(scene(placed(320, 180)), 0.0))
