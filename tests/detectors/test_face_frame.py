"""The face frame detector: golden scores, sign, batches, and when it abstains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from guard.detectors.card import load_card
from guard.detectors.face_frame import INPUT_PX, LEFT_PX, TOP_PX, FaceFrame
from guard.detectors.face_limits import FaceLimits
from guard.detectors.onnx import OnnxModel
from guard.detectors.table import DETECTORS
from guard.errors import ModelError
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.quality import SOFT_BELOW
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    Finding,
    FloatArray,
    Kind,
    Signal,
    TrackKey,
)

DATA = Path(__file__).parent / "data"
KEY = TrackKey("s", "p", Kind.VIDEO)
GOOD = FaceQuality(eye_distance_px=70.0, sharpness=60.0, yaw_deg=2.0, luma=120.0, confidence=1.0)
# crops by `python models/face/recipe/examples.py --golden`; the shipped model's raw score and llr
GOLDEN = {"face_genuine.png": (-3.2864, -1.9021), "face_swapped.png": (-0.1908, -0.1902)}


class ScriptedScorer:
    """Takes the mean of the input as the raw score."""

    def raw(self, batch: object) -> FloatArray:
        means: FloatArray = np.asarray(batch, dtype=np.float32).mean(axis=(1, 2, 3), dtype=np.float32)
        return means


def window(crop: np.ndarray | None = None, quality: FaceQuality = GOOD) -> FaceWindow:
    if crop is None:
        crop = np.random.default_rng(3).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    return FaceWindow(
        key=KEY,
        face=0,
        start_s=0.0,
        end_s=0.2,
        crop=crop,
        landmarks=np.zeros((468, 2), np.float32),
        quality=quality,
    )


def picture(name: str) -> FaceWindow:
    with Image.open(DATA / name) as image:
        return window(np.asarray(image.convert("RGB"), dtype=np.uint8))


def row(detector: FaceFrame, item: FaceWindow) -> FloatArray:
    prepared = detector.prepare(item)
    assert not isinstance(prepared, Abstain)
    return prepared


def llrs(detector: FaceFrame, batch: FloatArray) -> FloatArray:
    """The llr of each row, for detectors that look at no window while scoring."""
    found = detector.score(batch, [window()] * len(batch))
    return np.array([finding.llr for finding in found if isinstance(finding, Finding)], np.float32)


@pytest.fixture(scope="module")
def shipped() -> FaceFrame:
    return FaceFrame.from_card(load_card(models_dir() / "face_frame"))


@pytest.fixture
def scripted() -> FaceFrame:
    return FaceFrame(ScriptedScorer(), Logistic(2.0, -1.0, 4.0))


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_shipped_model_gives_the_pinned_raw_score_and_llr(shipped: FaceFrame, name: str) -> None:
    batch = row(shipped, picture(name))[None]
    found = [
        float(OnnxModel(load_card(models_dir() / "face_frame")).raw(batch)[0]),
        float(llrs(shipped, batch)[0]),
    ]
    assert found == pytest.approx(GOLDEN[name], abs=1e-3)


def test_a_swapped_face_scores_above_the_same_face_before_the_swap(shipped: FaceFrame) -> None:
    batch = np.stack([row(shipped, picture("face_genuine.png")), row(shipped, picture("face_swapped.png"))])
    genuine, swapped = llrs(shipped, batch)
    assert swapped > genuine


def inner_face() -> Image.Image:
    """A mask of the crop: the face's oval at half its area, feathered."""
    mask = Image.new("L", (224, 224), 0)
    ImageDraw.Draw(mask).ellipse((70, 66, 154, 164), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(4))


def test_a_blur_inside_the_face_only_speaks_for_spoof_more_than_one_of_the_whole_picture(
    shipped: FaceFrame,
) -> None:
    genuine = Image.fromarray(picture("face_genuine.png").crop)
    soft = genuine.filter(ImageFilter.GaussianBlur(1.5))
    patched = Image.composite(soft, genuine, inner_face())
    raw = OnnxModel(load_card(models_dir() / "face_frame")).raw
    rows = [row(shipped, window(np.asarray(image, dtype=np.uint8))) for image in (genuine, soft, patched)]
    unchanged, everywhere, inside = raw(np.stack(rows)).tolist()
    assert inside > unchanged
    assert inside > everywhere


def test_a_soft_face_has_a_calibration_of_its_own() -> None:
    maps = BinnedLogistic(Logistic(2.0, -1.0, 4.0), {"soft": Logistic(0.5, 0.25, 4.0)})
    detector = FaceFrame(ScriptedScorer(), maps)
    batch = np.zeros((2, 3, 128, 128), np.float32)
    faces = [window(), replace(window(), quality=replace(GOOD, sharpness=SOFT_BELOW - 1))]
    sharp, soft = [f.llr for f in detector.score(batch, faces) if isinstance(f, Finding)]
    raw = float(ScriptedScorer().raw(batch)[0])
    assert (sharp, soft) == pytest.approx((2.0 * raw - 1.0, 0.5 * raw + 0.25))


def test_the_shipped_card_lets_a_soft_face_say_little(shipped: FaceFrame) -> None:
    card = load_card(models_dir() / "face_frame")
    assert set(card.bins) == {"soft"}
    assert card.bins["soft"].a < 0.7 * card.calibration.a


@pytest.mark.parametrize("level", [0, 255])
def test_an_empty_picture_gets_a_finite_score(shipped: FaceFrame, level: int) -> None:
    crop = np.full((224, 224, 3), level, np.uint8)
    (llr,) = llrs(shipped, row(shipped, window(crop))[None])
    assert np.isfinite(llr)
    assert abs(llr) <= 2.5


def test_batch_of_n_equals_n_singles(shipped: FaceFrame) -> None:
    rng = np.random.default_rng(5)
    crops = [rng.integers(0, 256, (224, 224, 3)).astype(np.uint8) for _ in range(3)]
    rows = [row(shipped, window(crop)) for crop in crops] + [row(shipped, picture("face_genuine.png"))]
    together = llrs(shipped, np.stack(rows))
    alone = np.concatenate([llrs(shipped, item[None]) for item in rows])
    assert together.shape == (4,)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_model_file_is_under_25_mb() -> None:
    card = load_card(models_dir() / "face_frame")
    assert (card.folder / card.file).stat().st_size < 25_000_000


def test_card_says_what_the_detector_feeds_the_model(shipped: FaceFrame) -> None:
    card = load_card(models_dir() / "face_frame")
    prepared = row(shipped, window())
    assert prepared.shape == card.input.shape
    assert prepared.dtype == np.dtype(card.input.dtype)
    assert card.input.colour_order == "RGB"
    assert card.signal is Signal.FACE_FRAME
    assert "UTKFace" in card.licence
    assert "make -C models/face" in card.licence


def test_input_is_the_middle_of_the_crop_scaled_to_one(scripted: FaceFrame) -> None:
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[TOP_PX, LEFT_PX] = (255, 0, 51)
    crop[TOP_PX + INPUT_PX - 1, LEFT_PX + INPUT_PX - 1] = 255
    prepared = row(scripted, window(crop))
    assert prepared.shape == (3, INPUT_PX, INPUT_PX)
    assert prepared[:, 0, 0] == pytest.approx([1.0, 0.0, 0.2])
    assert prepared[:, -1, -1] == pytest.approx([1.0, 1.0, 1.0])
    assert float(prepared.sum()) == pytest.approx(4.2)


def test_score_is_the_calibrated_raw_score(scripted: FaceFrame) -> None:
    batch = np.stack([np.full((3, 128, 128), 0.25, np.float32), np.full((3, 128, 128), 1.0, np.float32)])
    assert llrs(scripted, batch) == pytest.approx([-0.5, 1.0], abs=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eye_distance_px": 31.9}, "face_too_small"),
        ({"sharpness": 4.9}, "face_blurred"),
        ({"yaw_deg": 35.1}, "face_turned"),
        ({"yaw_deg": -35.1}, "face_turned"),
        ({"luma": 29.9}, "face_dark"),
    ],
)
def test_abstains_on_a_face_it_cannot_judge(
    scripted: FaceFrame, change: dict[str, float], reason: str
) -> None:
    assert scripted.prepare(window(quality=replace(GOOD, **change))) == Abstain(reason)


def test_scores_a_face_just_inside_every_limit(scripted: FaceFrame) -> None:
    edge = FaceQuality(eye_distance_px=32.0, sharpness=5.0, yaw_deg=-35.0, luma=30.0, confidence=0.5)
    assert row(scripted, window(quality=edge)).shape == (3, 128, 128)


def test_abstains_on_a_window_of_another_kind(scripted: FaceFrame) -> None:
    quality = AudioQuality(speech_ratio=1, speech_s=4, snr_db=20, clipping_ratio=0, concealed_ratio=0)
    voice = AudioWindow(KEY, 0.0, 4.0, np.zeros(64_000, np.float32), quality)
    assert scripted.prepare(voice) == Abstain("wrong_window")


def test_model_refuses_a_batch_of_another_size(shipped: FaceFrame) -> None:
    with pytest.raises(ModelError, match="face_frame wants"):
        llrs(shipped, np.zeros((1, 3, 64, 64), np.float32))


def test_the_table_builds_it_for_its_signal() -> None:
    (entry,) = [entry for entry in DETECTORS if entry.signal is Signal.FACE_FRAME]
    assert entry.model == "face_frame"
    assert entry.load(load_card(models_dir() / entry.model)).signal is Signal.FACE_FRAME


@pytest.mark.parametrize("wrong", [{"max_yaw_deg": 0.0}, {"max_yaw_deg": 91.0}, {"min_luma": -1.0}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FaceLimits(**wrong)
