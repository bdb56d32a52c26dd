from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guard.detectors.card import load_card
from guard.detectors.face_limits import FaceLimits
from guard.detectors.onnx import Batch, OnnxModel
from guard.detectors.presentation import Presentation
from guard.detectors.presentation_features import (
    CROP_EYES_PX,
    LEFT_PX,
    NAMES,
    SIDE_PX,
    TOP_PX,
    features,
)
from guard.fusion.calibration import Logistic
from guard.inference.lanes import run_detector
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    FloatArray,
    ImageArray,
    Kind,
    Signal,
    TrackKey,
)

GOOD = FaceQuality(60.0, 80.0, 5.0, 120.0, 0.99)


def skin(seed: int = 1) -> FloatArray:
    """A picture whose spectrum falls as that of a photograph does: float32 (128, 128, 3) in [0, 1]."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE_PX), np.fft.fftfreq(SIDE_PX)))
    fall = 1 / np.maximum(frequency, 0.01) ** 1.3
    plane = np.fft.ifft2(np.fft.fft2(rng.normal(0, 1, (SIDE_PX, SIDE_PX))) * fall).real
    plane = 0.5 + 0.12 * plane / plane.std()
    grain = rng.normal(0, 0.01, (SIDE_PX, SIDE_PX, 3))
    colour = np.array([1.15, 0.95, 0.8])
    return np.asarray(np.clip(plane[..., None] * colour + grain, 0, 1), np.float32)


def shown(picture: FloatArray) -> ImageArray:
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def wave(across: float, down: float, shift: float = 0.0) -> FloatArray:
    """A wave of so many periods a pixel across and down: float32 (128, 128)."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    return np.asarray(np.cos(2 * np.pi * (across * x + down * y) + shift), np.float32)


def numbers(picture: FloatArray, eyes_px: float = 60.0) -> dict[str, float]:
    return dict(zip(NAMES, features(shown(picture), eyes_px).tolist(), strict=True))


def gained(changed: FloatArray, name: str, eyes_px: float = 60.0) -> float:
    """By how much a number grew against the untouched picture."""
    return numbers(changed, eyes_px)[name] - numbers(skin(), eyes_px)[name]


def test_lines_across_the_picture_stand_out_and_the_stronger_the_more() -> None:
    weak, strong = (skin() + amount * wave(0.17, 0.11)[..., None] for amount in (0.02, 0.06))
    assert 1.0 < gained(weak, "luma_peak") < gained(strong, "luma_peak")
    assert gained(strong, "luma_peaks") > 0.3


def test_lines_along_an_axis_are_told_from_those_of_the_coders_blocks() -> None:
    own = skin() + 0.05 * wave(0.19, 0.0)[..., None]
    blocks = skin() + 0.05 * wave(0.25, 0.0)[..., None]
    assert gained(own, "axis_peak") > 1.0
    assert abs(gained(blocks, "axis_peak")) < 0.5
    assert abs(gained(own, "luma_peak")) < 1.0


def test_what_lies_above_the_pictures_own_limit_is_not_looked_at() -> None:
    lines = skin() + 0.06 * wave(0.3, 0.25)[..., None]
    assert gained(lines, "luma_peak", eyes_px=60.0) > 2.0
    assert gained(lines, "luma_peak", eyes_px=34.0) == pytest.approx(0.0, abs=0.3)


def fringes(across: float, down: float) -> FloatArray:
    """Lines whose three colours lie a third of a period apart."""
    picture = skin()
    for channel in range(3):
        picture[..., channel] += 0.05 * wave(across, down, 2 * np.pi * channel / 3)
    return picture


def test_coloured_fringes_show_in_colour_and_set_red_against_blue() -> None:
    assert gained(fringes(0.13, 0.05), "chroma_peak") > 2.0
    assert gained(fringes(0.13, 0.05), "chroma_peaks") > 0.5
    fine, lines = numbers(fringes(0.25, 0.05)), numbers(skin() + 0.05 * wave(0.25, 0.05)[..., None])
    assert fine["red_blue"] < lines["red_blue"] - 0.5
    assert fine["red_green"] < lines["red_green"] - 0.5
    assert fine["fringe"] > lines["fringe"] + 0.3


def test_glare_is_the_share_of_what_is_bright_and_without_colour() -> None:
    lamp = skin()
    lamp[10:42, 20:52] = 1.0
    assert numbers(lamp)["glare"] == pytest.approx(32 * 32 / SIDE_PX**2, abs=1e-3)
    coloured = skin()
    coloured[10:42, 20:52] = (1.0, 0.9, 0.2)
    assert numbers(coloured)["glare"] == pytest.approx(0.0, abs=1e-3)


def test_a_lifted_black_and_paler_colours_are_measured() -> None:
    dark = skin() * 0.6
    lifted = 0.15 + 0.85 * dark
    assert numbers(lifted)["black"] == pytest.approx(0.15 + 0.85 * numbers(dark)["black"], abs=0.01)
    grey = dark.mean(axis=-1, keepdims=True)
    assert numbers(grey + 0.5 * (dark - grey))["colour_mean"] == pytest.approx(
        0.5 * numbers(dark)["colour_mean"], rel=0.1
    )


def test_a_softer_picture_falls_faster() -> None:
    picture = skin()
    soft = sum(np.roll(picture, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
    assert gained(np.asarray(soft, np.float32), "band_top") < -1.0


@pytest.mark.parametrize("eyes_px", [20.0, CROP_EYES_PX, 300.0])
@pytest.mark.parametrize("level", [0, 255, None])
def test_black_white_and_noise_give_numbers(level: int | None, eyes_px: float) -> None:
    rng = np.random.default_rng(3)
    face = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    found = features(face if level is None else np.full_like(face, level), eyes_px)
    assert found.shape == (len(NAMES),) and found.dtype == np.float32
    assert np.isfinite(found).all()


class Summed:
    """A model that adds up the numbers."""

    def raw(self, batch: Batch) -> FloatArray:
        return np.asarray(batch.sum(axis=1), np.float32)


def window(picture: FloatArray | None = None, quality: FaceQuality = GOOD) -> FaceWindow:
    crop = np.full((224, 224, 3), 90, np.uint8)
    face = skin() if picture is None else picture
    crop[TOP_PX : TOP_PX + SIDE_PX, LEFT_PX : LEFT_PX + SIDE_PX] = shown(face)
    key = TrackKey("s", "p", Kind.VIDEO)
    return FaceWindow(key, 0, 0.8, 1.0, crop, np.zeros((468, 2), np.float32), quality)


def detector() -> Presentation:
    return Presentation(Summed(), Logistic(1.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eye_distance_px": 31.9}, "face_too_small"),
        ({"luma": 29.0}, "face_dark"),
        ({"yaw_deg": -36.0}, "face_turned"),
        ({"sharpness": 4.9}, "face_blurred"),
    ],
)
def test_each_gate_says_why(change: dict[str, float], reason: str) -> None:
    assert detector().prepare(window(quality=replace(GOOD, **change))) == Abstain(reason)


def test_the_limits_themselves_are_scored() -> None:
    limits = FaceLimits()
    edge = replace(GOOD, eye_distance_px=32.0, luma=30.0, yaw_deg=35.0, sharpness=5.0)
    assert limits.reason_against(edge) is None


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        FaceLimits(min_luma=-1.0)
    with pytest.raises(ValueError, match="max_yaw_deg"):
        FaceLimits(max_yaw_deg=0.0)


def test_a_window_of_another_kind_or_size_is_refused() -> None:
    quality = AudioQuality(1.0, 4.0, None, 0.0, 0.0)
    voice = AudioWindow(TrackKey("s", "p", Kind.AUDIO), 0, 4, np.zeros(64000, np.float32), quality)
    assert detector().prepare(voice) == Abstain("wrong_window")
    small = replace(window(), crop=np.zeros((100, 100, 3), np.uint8))
    assert detector().prepare(small) == Abstain("wrong_window")


def test_only_the_middle_of_the_crop_counts() -> None:
    one = window()
    other = replace(one, crop=one.crop.copy())
    other.crop[:TOP_PX] = 255
    np.testing.assert_array_equal(detector().prepare(one), detector().prepare(other))


class Scripted:
    """A model that always gives one score."""

    def __init__(self, raw: float) -> None:
        self._raw = raw

    def raw(self, batch: Batch) -> FloatArray:
        return np.full(len(batch), self._raw, np.float32)


@pytest.mark.parametrize(("raw", "llr"), [(-3.0, 0.0), (0.25, 0.25), (3.0, 1.0)])
def test_no_trace_of_a_display_never_speaks_for_bona_fide(raw: float, llr: float) -> None:
    found = run_detector(Presentation(Scripted(raw), Logistic(1.0, 0.0, 1.0)), [window()])
    assert found[0].llr == pytest.approx(llr)


@pytest.fixture(scope="module")
def shipped() -> Presentation:
    return Presentation.from_card(load_card(models_dir() / "presentation"))


def test_the_shipped_model_scores_a_batch_as_its_rows(shipped: Presentation) -> None:
    windows = [window(skin(seed)) for seed in range(4)]
    together = run_detector(shipped, windows)
    assert together == [run_detector(shipped, [one])[0] for one in windows]
    assert all(score.signal is Signal.PRESENTATION and score.llr is not None for score in together)


def test_the_shipped_model_never_claims_more_than_an_advisory_signal_may(shipped: Presentation) -> None:
    assert load_card(models_dir() / "presentation").calibration.limit_llr <= 0.5
    wild = [
        window(np.random.default_rng(seed).random((SIDE_PX, SIDE_PX, 3), np.float32)) for seed in range(3)
    ]
    for score in run_detector(shipped, wild):
        assert score.llr is not None
        assert 0.0 <= score.llr <= 0.5


def test_the_sign_of_the_shipped_model_on_a_display_and_without() -> None:
    """Stripes of three colours that beat with the sensor, over a lifted black, against the same picture.

    The raw scores: noise is no skin, so both may lie beyond the limit of the llr.
    """
    model = OnnxModel(load_card(models_dir() / "presentation"))
    for seed in range(5):
        stripes = 0.85 * skin(seed) + 0.06
        for channel in range(3):
            stripes[..., channel] *= 1 + 0.12 * wave(0.14, 0.02, 2 * np.pi * channel / 3)
        filmed, person = model.raw(np.stack([features(shown(p), 60.0) for p in (stripes, skin(seed))]))
        assert filmed > person + 0.5
