"""The grid of blocks inside a face and around it, on pictures whose grid is known."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from guard.resources import models_dir
from tests.detectors.recipes import recipe_script

WIDTH, HEIGHT = 400, 360
MIDDLE, HALF = np.array([200, 180]), np.array([70, 92])
Picture = NDArray[np.uint8]
Phases = tuple[int, int]


@pytest.fixture(scope="module")
def grid() -> Iterator[ModuleType]:
    yield recipe_script(models_dir() / "face" / "recipe" / "block_grid.py")


def oval(scale: float = 1.0, middle: NDArray[Any] = MIDDLE) -> NDArray[np.float32]:
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = middle + np.stack([np.cos(turn), np.sin(turn)], axis=1) * HALF * scale
    return np.asarray(points, np.float32)


def inside() -> NDArray[np.bool_]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.asarray(((x - MIDDLE[0]) / HALF[0]) ** 2 + ((y - MIDDLE[1]) / HALF[1]) ** 2 < 1)


def blocks(period_px: int, phases: Phases, rng: np.random.Generator) -> NDArray[np.float64]:
    """Levels that are the same within each block of a grid whose lines lie at ``phases`` (x, y)."""
    coarse = rng.normal(0, 4, (HEIGHT // period_px + 2, WIDTH // period_px + 2))
    whole = np.repeat(np.repeat(coarse, period_px, 0), period_px, 1)
    left, top = (period_px - phase for phase in phases)
    return whole[top : top + HEIGHT, left : left + WIDTH]


def picture(face: Phases | None, room: Phases | None, period_px: int = 8, seed: int = 0) -> Picture:
    """A grainy slope with a grid of blocks in the face, in the room, or in neither."""
    rng = np.random.default_rng(seed)
    plane = 110 + np.linspace(-30, 30, WIDTH) + rng.normal(0, 2, (HEIGHT, WIDTH))
    if face is not None and face == room:
        plane += blocks(period_px, face, rng)
    else:
        for phases, where in ((face, inside()), (room, ~inside())):
            if phases is not None:
                plane += blocks(period_px, phases, rng) * where
    return np.repeat(np.clip(plane, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def found(grid: ModuleType, image: Picture) -> dict[str, float]:
    profiles = grid.measure_profiles(image, oval())
    assert profiles is not None
    return dict(zip(grid.NAMES, grid.differences(profiles.inside, profiles.ring).tolist(), strict=True))


@pytest.mark.parametrize("period_px", [4, 8, 16])
@pytest.mark.parametrize("phases", [(0, 0), (3, 2)])
def test_a_grid_in_the_room_alone_is_missing_in_the_face(
    grid: ModuleType, period_px: int, phases: Phases
) -> None:
    seen = found(grid, picture(None, phases, period_px))
    assert seen[f"missing_{period_px}"] > 0.25
    assert seen[f"own_{period_px}"] < 0.1


@pytest.mark.parametrize("period_px", [4, 8, 16])
def test_a_grid_in_the_face_alone_is_the_faces_own(grid: ModuleType, period_px: int) -> None:
    seen = found(grid, picture((3, 2), None, period_px))
    assert seen[f"own_{period_px}"] > 0.25
    assert seen[f"missing_{period_px}"] < 0.1


def test_one_grid_all_over_the_picture_is_no_difference(grid: ModuleType) -> None:
    seen = found(grid, picture((0, 0), (0, 0)))
    assert abs(seen["missing_8"]) < 0.1
    assert abs(seen["own_8"]) < 0.1
    assert seen["apart_8"] == 0


def test_a_displaced_grid_is_missing_and_own_and_apart(grid: ModuleType) -> None:
    seen = found(grid, picture((5, 2), (0, 0)))
    assert seen["missing_8"] > 0.25
    assert seen["own_8"] > 0.25
    assert seen["apart_8"] == 1


def test_without_any_grid_nothing_stands_out(grid: ModuleType) -> None:
    seen = [found(grid, picture(None, None, seed=seed)) for seed in range(3)]
    assert all(abs(one[name]) < 0.12 for one in seen for name in ("missing_8", "own_8", "missing_earlier"))


def test_an_earlier_grid_shows_beside_that_of_the_call(grid: ModuleType) -> None:
    call = picture((0, 0), (0, 0))
    earlier = np.where(~inside(), blocks(8, (3, 5), np.random.default_rng(1)), 0)
    both = np.clip(call + np.round(earlier)[..., None], 0, 255).astype(np.uint8)
    assert found(grid, call)["missing_earlier"] < 0.1
    assert found(grid, both)["missing_earlier"] > 0.15


def test_the_phase_is_told_for_each_direction(grid: ModuleType) -> None:
    profiles = grid.measure_profiles(picture((3, 6), (3, 6)), oval())
    assert grid.strengths(profiles.ring, 8).argmax(axis=1).tolist() == [3, 6]
    assert grid.strengths(profiles.inside, 8).argmax(axis=1).tolist() == [3, 6]


def test_a_face_pasted_into_a_jpeg_has_lost_its_grid(grid: ModuleType) -> None:
    rng = np.random.default_rng(5)
    plain = np.clip(picture(None, None) + rng.normal(0, 8, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(plain).save(file, "JPEG", quality=60)
    coded = np.asarray(Image.open(file))
    pasted = np.where(inside()[..., None], np.roll(coded, (3, 5), (0, 1)), coded)
    assert abs(found(grid, coded)["missing_8"]) < 0.12
    assert found(grid, pasted)["missing_8"] > 0.25
    assert found(grid, pasted)["own_8"] > 0.25


def test_brightness_is_that_of_the_luma_plane(grid: ModuleType) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert np.abs(grid.luma_of(colours) - np.array([[76, 149, 29, 255]])).max() <= 1


def test_nothing_is_measured_where_too_little_is_seen(grid: ModuleType) -> None:
    image = picture((0, 0), (0, 0))
    assert grid.measure_profiles(image, oval()) is not None
    assert grid.measure_profiles(image, oval(0.3)) is None  # a small face
    assert grid.measure_profiles(image, oval(middle=MIDDLE + 900)) is None  # outside the picture
    assert grid.measure_profiles(image, oval(2.5)) is None  # no ring in the picture
    assert grid.measure_profiles(np.full_like(image, 5), oval()) is None  # black
    assert grid.measure_profiles(np.full_like(image, 250), oval()) is None  # burnt out


def test_a_flat_picture_is_measured_and_shows_no_grid(grid: ModuleType) -> None:
    seen = found(grid, np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    assert all(value == 0 for value in seen.values())
