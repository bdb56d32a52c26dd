"""Stillness on drawn ground truth: grain is no motion; sway, a blink, a jerk and a breath are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.detectors.temporal_points import FOLLOWED, eye_distance
from guard.detectors.temporal_still import MAX_GAP_S, MAX_KEPT, STRETCH_S, Still, Stillness
from guard.types import FloatArray, ImageArray
from tests.detectors.temporal_scenes import MESH, glimpse, little

POINTS = MESH[list(FOLLOWED)]
EYES_PX = eye_distance(POINTS)
LIDS = [FOLLOWED.index(index) for index in (159, 386)]


def seen(
    points: list[FloatArray], cells: list[ImageArray] | None = None, step_s: float = 1 / 15
) -> Stillness | None:
    still = Still()
    for at, one in enumerate(points):
        still.add(glimpse(at * step_s, None, little() if cells is None else cells[at]), one)
    return still.measure()


def grainy(count: int, spread: float, seed: int) -> tuple[list[FloatArray], list[ImageArray]]:
    """Return what is found in pictures of one and the same scene: points tremble, cells flicker."""
    rng = np.random.default_rng(seed)
    together = rng.normal(0, spread, (count, 1, 2))
    points = POINTS + EYES_PX * (rng.normal(0, spread / 3, (count, *POINTS.shape)) + together)
    cells = np.clip(little() + rng.normal(0, 100 * spread, (count, 18, 32)), 0, 255)
    return list(points.astype(np.float32)), list(cells.astype(np.uint8))


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.005), st.floats(3, 30))
@settings(max_examples=30)
def test_one_picture_under_any_grain_at_any_rate_stands_still(seed: int, spread: float, rate: float) -> None:
    points, cells = grainy(int(8 * rate), spread if rate > 10 else spread / 2, seed)
    found = seen(points, cells, 1 / rate)
    assert found is not None
    assert found.frozen, found


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.3), st.floats(0.07, 0.4), st.floats(3, 30))
@settings(max_examples=30)
def test_a_head_that_sways_by_a_millimetre_and_a_half_does_not(
    phase: int, size: float, hertz: float, rate: float
) -> None:
    """From 0.07 Hz (0.56 of a sway in 8 s) and 1.3 mm to either side; slower, at its turn, it stands."""
    times = np.arange(0, 8, 1 / rate)
    way = EYES_PX * size * np.sin(2 * np.pi * (hertz * (times - 5) + phase / 2**33))
    found = seen([POINTS + np.float32(one) for one in way], step_s=1 / rate)
    assert found is not None
    assert not found.frozen, found


def test_a_blink_is_no_standstill_until_it_is_out_of_sight() -> None:
    shut = POINTS.copy()
    shut[LIDS, 1] += 0.08 * EYES_PX
    after = [POINTS] * 60 + [shut] * 3
    found = seen(after + [POINTS] * 60)
    assert found is not None
    assert found.blink == pytest.approx(0.08, abs=0.005)
    assert not found.frozen
    later = seen(after + [POINTS] * 100)
    assert later is not None
    assert later.frozen


def test_a_jerk_in_one_picture_and_shoulders_that_breathe_are_no_standstill() -> None:
    jerked = [POINTS] * 60 + [POINTS + np.float32(0.08 * EYES_PX)] + [POINTS] * 60
    found = seen(jerked)
    assert found is not None
    assert found.jerk > 0.05 and not found.frozen
    shoulders = np.zeros((18, 32), np.float32)
    shoulders[14:, 4:28] = 1.0
    breath = [
        (little() + 6 * shoulders * np.sin(2 * np.pi * at / 60)).clip(0, 255).astype(np.uint8)
        for at in range(120)
    ]
    found = seen([POINTS] * 120, breath)
    assert found is not None
    assert found.levels > 2.2 and not found.frozen


def test_what_was_not_seen_for_long_enough_or_seldom_is_not_said() -> None:
    assert seen([POINTS] * 80) is None
    assert seen([POINTS] * 20, step_s=0.7) is None
    found = seen([POINTS] * 14, step_s=0.5)
    assert found is not None
    assert found.frozen


def test_a_gap_begins_anew_and_pictures_without_the_face_say_nothing() -> None:
    still = Still()
    for at in range(120):
        still.add(glimpse(at / 15, None, little()), POINTS)
    still.add(glimpse(9.0, None, little()), None)
    assert still.measure() is not None
    still.add(glimpse(9.1, None, little()), POINTS)
    assert still.measure() is None
    for at in range(60):
        still.add(glimpse(9.2 + at / 15, None, little()), POINTS)
    assert still.measure() is None
    assert STRETCH_S == 6.0


def test_memory_is_bounded_whatever_the_rate() -> None:
    still = Still()
    for at in range(5000):
        still.add(glimpse(at / 500, None, little()), POINTS)
    assert len(still) == MAX_KEPT
    for at in range(500):
        still.add(glimpse(20 + at / 15, None, little()), POINTS)
    assert len(still) <= 15 * (STRETCH_S + MAX_GAP_S) + 2
