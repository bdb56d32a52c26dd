from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from guard.media.quality import (
    SOFT_BELOW,
    eyes_of,
    face_bin,
    face_quality,
    laplacian_variance,
    outside_ratio,
    yaw_deg,
)
from guard.types import FaceQuality, FloatArray

# a head looking at the camera: places in pixels, depth grows away from the camera
HEAD = {
    33: (-30, 0, 5),
    133: (-12, 0, 2),
    362: (12, 0, 2),
    263: (30, 0, 5),
    234: (-55, 10, 40),
    454: (55, 10, 40),
    127: (-55, -5, 38),
    356: (55, -5, 38),
    93: (-54, 25, 38),
    323: (54, 25, 38),
    132: (-50, 40, 36),
    361: (50, 40, 36),
}


def head(turn_deg: float = 0.0, roll_deg: float = 0.0, scale: float = 1.0) -> FloatArray:
    points = np.zeros((468, 3))
    for index, place in HEAD.items():
        points[index] = place
    t, r = np.deg2rad(turn_deg), np.deg2rad(roll_deg)
    # toward image right: the side of the face at image right goes away from the camera
    turn = np.array([[np.cos(t), 0, -np.sin(t)], [0, 1, 0], [np.sin(t), 0, np.cos(t)]])
    roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    turned: FloatArray = (scale * points @ turn.T @ roll.T).astype(np.float32)
    return turned


@given(turn=st.floats(-60, 60), roll=st.floats(-60, 60), scale=st.floats(0.2, 5))
def test_the_turn_of_a_head_is_read_whatever_its_roll_and_size(
    turn: float, roll: float, scale: float
) -> None:
    assert yaw_deg(head(turn, roll, scale)) == pytest.approx(turn, abs=0.1)


@given(roll=st.floats(-60, 60), scale=st.floats(0.2, 5))
def test_the_eye_distance_does_not_depend_on_roll(roll: float, scale: float) -> None:
    assert eyes_of(head(0, roll, scale))[2] == pytest.approx(42 * scale, rel=1e-3)


def surface() -> NDArray[np.float32]:
    """A surface as of skin: every octave of detail holds about as much, as in natural pictures."""
    spectrum = np.fft.rfft2(np.random.default_rng(5).normal(size=(224, 224)))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(224), np.fft.rfftfreq(224), indexing="ij"))
    grey = np.fft.irfft2(spectrum / np.maximum(radius, 1 / 224), s=(224, 224))
    return np.asarray(128 + 30 * grey / grey.std(), np.float32)


def sharpness(picture: Image.Image) -> float:
    return face_quality(np.asarray(picture.convert("RGB")), head(), 1.0).sharpness


def test_sharpness_falls_as_blur_grows() -> None:
    picture = Image.fromarray(surface().clip(0, 255).astype(np.uint8))
    values = [sharpness(picture.filter(ImageFilter.GaussianBlur(r))) for r in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[2]


@given(contrast=st.floats(0.4, 1.6))
def test_sharpness_does_not_follow_contrast(contrast: float) -> None:
    grey = 128 + (surface() - 128) * 0.5
    plain, other = (
        sharpness(Image.fromarray((128 + (grey - 128) * gain).astype(np.uint8))) for gain in (1.0, contrast)
    )
    assert other == pytest.approx(plain, rel=0.1)


def test_the_block_edges_of_a_codec_do_not_make_a_blurred_picture_sharp() -> None:
    picture = Image.fromarray(surface().clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))
    coded = io.BytesIO()
    picture.save(coded, "JPEG", quality=15)
    assert sharpness(Image.open(coded)) < SOFT_BELOW


def test_the_bin_of_a_face_follows_its_sharpness() -> None:
    soft = FaceQuality(
        eye_distance_px=60.0, sharpness=SOFT_BELOW - 0.1, yaw_deg=0.0, luma=90.0, confidence=1.0
    )
    assert face_bin(soft) == "soft"
    assert face_bin(replace(soft, sharpness=SOFT_BELOW)) == "default"


def test_the_laplacian_of_a_flat_or_evenly_rising_picture_is_nothing() -> None:
    ramp = np.add.outer(np.arange(20.0), 3 * np.arange(30.0)).astype(np.float32)
    assert laplacian_variance(ramp) == pytest.approx(0, abs=1e-6)


def test_the_laplacian_of_a_single_bright_dot() -> None:
    dot = np.zeros((7, 7), dtype=np.float32)
    dot[3, 3] = 10
    inner = np.array([-40.0, 10, 10, 10, 10, *[0.0] * 20])
    assert laplacian_variance(dot) == pytest.approx(inner.var(), rel=1e-5)


def test_only_the_face_counts_not_what_is_around_it() -> None:
    crop = np.full((224, 224, 3), 100, dtype=np.uint8)
    crop[:60] = crop[-60:] = 255
    crop[:, :55] = crop[:, -55:] = 0
    quality = face_quality(crop, head(), 0.75)
    assert quality.luma == pytest.approx(100, abs=0.1)
    assert quality.sharpness == pytest.approx(0, abs=1e-3)
    assert quality.confidence == 0.75


def test_luma_weighs_green_most() -> None:
    means = []
    for channel in range(3):
        crop = np.zeros((224, 224, 3), dtype=np.uint8)
        crop[:, :, channel] = 200
        means.append(face_quality(crop, head(), 1.0).luma)
    assert means == pytest.approx([59.8, 117.4, 22.8], abs=0.1)


def test_points_on_the_edge_are_inside() -> None:
    points = np.array([[0, 0], [640, 360], [-0.1, 5], [5, 360.1]], dtype=np.float32)
    assert outside_ratio(points, 640, 360) == 0.5
