"""The temporal signal's measures on drawn ground truth: known trembling, flicker, standstill, loop, cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from guard.detectors.temporal_flicker import Change, change, look
from guard.detectors.temporal_points import FOLLOWED, OUTLINE, jitter
from guard.detectors.temporal_video import LAGS_S, Feed, Run, _to_segments, repeated
from guard.media.likeness import likeness
from guard.types import FloatArray
from tests.detectors.temporal_scenes import MESH, STEP_S, glimpse, little, moved_little, path, texture

POINTS = MESH[list(FOLLOWED)]
EYES_PX = float(np.hypot(*(MESH[[362, 263]].mean(axis=0) - MESH[[33, 133]].mean(axis=0))))


def trembling(inner: float, outline: float, count: int = 600, way: FloatArray | None = None) -> FloatArray:
    """Return (T, K, 2): points that tremble by known spreads, in eye distances."""
    rng = np.random.default_rng(3)
    spread = np.where(np.arange(len(FOLLOWED)) < len(OUTLINE), outline, inner) * EYES_PX
    noise = rng.normal(0, 1, (count, len(FOLLOWED), 2)) * spread[:, None]
    return (POINTS + noise + (0 if way is None else way[:, None])).astype(np.float32)


def test_trembling_of_the_inside_is_told_from_that_of_the_outline() -> None:
    times = np.arange(600) * STEP_S
    found = jitter(times, trembling(0.02, 0.005))
    assert found is not None
    # the similarity takes off a little of every point's own noise
    assert found.log_inner == pytest.approx(np.log(4), abs=0.25)
    assert np.exp(found.log_outline) == pytest.approx(0.005 * np.sqrt(2), rel=0.25)
    even = jitter(times, trembling(0.01, 0.01))
    assert even is not None
    assert abs(even.log_inner) < 0.15


def test_head_motion_and_uneven_steps_leave_trembling_as_it_is() -> None:
    times = np.cumsum(np.random.default_rng(1).choice([0.04, 0.08], 600))
    still = jitter(times, trembling(0.01, 0.01))
    moving = jitter(times, trembling(0.01, 0.01, way=path(times)))
    assert still is not None
    assert moving is not None
    assert moving.log_inner == pytest.approx(still.log_inner, abs=0.02)
    assert moving.log_outline == pytest.approx(still.log_outline, abs=0.02)
    assert moving.speed > 5 * still.speed or moving.speed > 0.5


def test_pictures_too_far_apart_and_points_in_one_place_have_no_trembling() -> None:
    assert jitter(np.arange(20) * 0.3, trembling(0.01, 0.01, 20)) is None
    assert jitter(np.arange(20) * STEP_S, np.ones((20, len(FOLLOWED), 2), np.float32)) is None


def test_repeated_pictures_are_counted() -> None:
    points = np.repeat(trembling(0.01, 0.01, 30), 2, axis=0)
    found = jitter(np.arange(60) * STEP_S, points)
    assert found is not None
    assert found.still_ratio == pytest.approx(0.5, abs=0.02)


def changes(before: np.ndarray, after: np.ndarray) -> tuple[Change, Change, Change]:
    a, b = look(0.0, before, MESH), look(0.2, after, MESH)
    inside, edge, around = (change(a, b, zone) for zone in range(3))
    assert inside is not None
    assert edge is not None
    assert around is not None
    return inside, edge, around


def test_a_small_motion_and_a_change_of_light_are_not_flicker() -> None:
    base = texture()
    moved = np.roll(base, 1, axis=1)
    brighter = np.clip(moved * 1.06 + 4, 0, 255).astype(np.uint8)
    noise = np.random.default_rng(2).normal(0, 6, base.shape[:2])[..., None]
    noisy = np.clip(moved + noise, 0, 255).astype(np.uint8)
    for zone in range(3):
        assert changes(base, brighter)[zone].rest < 0.1 * changes(base, noisy)[zone].rest


def test_brightness_of_the_inside_alone_is_measured() -> None:
    base = texture()
    zones = look(0.0, base, MESH).zones
    inside = np.kron(zones[0], np.ones((2, 2), bool))[..., None]
    flickered = np.clip(np.where(inside, base * 1.05, base), 0, 255).astype(np.uint8)
    found = changes(base, flickered)
    assert found[0].bias == pytest.approx(0.05, abs=0.01)
    assert abs(found[2].bias) < 0.005


@pytest.mark.parametrize("zone", [0, 1, 2])
def test_detail_made_anew_in_one_zone_raises_that_zone_only(zone: int) -> None:
    base = texture()
    mask = np.kron(look(0.0, base, MESH).zones[zone], np.ones((2, 2), bool))[..., None]
    noise = np.random.default_rng(4).normal(0, 8, base.shape[:2])[..., None]
    found = changes(base, np.clip(base + noise * mask, 0, 255).astype(np.uint8))
    levels = [part.log_flicker for part in found]
    assert max(range(3), key=levels.__getitem__) == zone
    assert levels[zone] > sorted(levels)[1] + 1.0


def test_a_zone_outside_the_picture_is_not_compared() -> None:
    black = look(0.0, np.zeros((224, 224, 3), np.uint8), MESH)
    assert change(black, black, 0) is None


def feed(seconds: float, moving: bool = True, step_s: float = STEP_S, start: Feed | None = None) -> Feed:
    out = start or Feed()
    times = np.arange(0, seconds, step_s)
    way = path(times) * (1.0 if moving else 0.0)
    begin = 0.0 if start is None else start.last_s + step_s
    for at, time_s in enumerate(times):
        out.add(glimpse(begin + float(time_s), None, moved_little(little(), way[at])), POINTS + way[at])
    return out


def test_a_picture_that_stands_still_is_counted_from_when_it_stopped() -> None:
    seen = feed(3.0)
    assert seen.frozen_s < 0.5
    last = seen._last
    assert last is not None
    for at in range(1, 61):
        time_s = 3.0 + at * STEP_S
        seen.add(glimpse(time_s, None, last[0].thumbnail), POINTS)
    assert seen.frozen_s == pytest.approx(59 * STEP_S, abs=0.01)


def test_a_network_that_stops_is_no_frozen_picture() -> None:
    seen = feed(2.0, moving=False)
    before_s = seen.frozen_s
    seen.add(glimpse(seen.last_s + 6.0, None, moved_little(little(), np.zeros(2, np.float32))), POINTS)
    assert before_s > 1.5
    assert seen.frozen_s == 0.0


def test_a_face_that_moves_before_a_still_wall_is_not_frozen() -> None:
    seen = Feed()
    for at in range(90):
        sway = np.float32(0.05 * EYES_PX * np.sin(at / 4))
        seen.add(glimpse(at * STEP_S, None, little()), POINTS + sway)
    assert seen.frozen_s < 1.0


def runs(way: FloatArray, times: NDArray[np.floating[Any]]) -> tuple[Run, Run]:
    pictures, points = Run(700), Run(700)
    rng = np.random.default_rng(9)
    for at, time_s in enumerate(times):
        row = moved_little(little(), way[at]).astype(np.float32).ravel() + rng.normal(0, 0.3, 576)
        pictures.add(float(time_s), row.astype(np.float32))
        points.add(float(time_s), (POINTS[:12] + way[at]).ravel() + rng.normal(0, 0.1, 24).astype(np.float32))
    return pictures, points


def rest(way: FloatArray, times: NDArray[np.floating[Any]]) -> float:
    pictures, points = runs(way, times)
    return repeated(pictures.rest_of(1.0), points.rest_of(1.0))


def test_a_loop_is_found_and_its_length_too() -> None:
    times = np.arange(0, 25, STEP_S)
    period_s = 6.4
    way = path(times % period_s)
    assert rest(way, times) < 0.02
    pictures, points = runs(way, times)
    best = LAGS_S[np.maximum(pictures.rest_of(1.0), points.rest_of(1.0)).argmin()]
    assert min(best % period_s, period_s - best % period_s) < 0.11


def test_motion_that_never_repeats_is_no_loop() -> None:
    times = np.arange(0, 40, STEP_S)
    for seed in range(4):
        assert rest(path(times, seed), times) > 0.04


def test_footage_run_forth_and_back_is_no_loop() -> None:
    """The demo's customer: every stretch comes again, but backwards, or not for long enough."""
    times = np.arange(0, 30, STEP_S)
    turning = np.cumsum(np.random.default_rng(3).uniform(1.4, 2.4, 30))
    place = np.array([turning.searchsorted(t) % 2 for t in times])
    start = np.array([turning[max(0, turning.searchsorted(t) - 1)] for t in times])
    phase = np.where(place, 2.4 - (times - start), times - start)
    assert rest(path(phase), times) > 0.04


def test_a_still_picture_repeats_nothing() -> None:
    times = np.arange(0, 20, STEP_S)
    assert rest(np.zeros((len(times), 2), np.float32), times) == float("inf")


def test_a_run_that_lost_pictures_is_compared_by_what_came() -> None:
    times = np.arange(0, 25, STEP_S)
    came = np.random.default_rng(1).random(len(times)) > 0.15
    assert rest(path(times % 6.4)[came], times[came]) < 0.03


def jump(*, other: int = 77, shift: float = 60.0, gap_s: float = STEP_S) -> Feed:
    seen = feed(2.0, moving=False)
    begin = seen.last_s + gap_s
    for at in range(12):
        seen.add(glimpse(begin + at * STEP_S, None, little(other)), POINTS + np.float32(shift))
    return seen


def test_another_feed_from_one_picture_to_the_next_is_a_cut() -> None:
    seen = jump()
    assert seen.cut_s == pytest.approx(2.0, abs=STEP_S)


def test_a_jump_over_lost_pictures_is_no_cut() -> None:
    assert jump(gap_s=0.8).cut_s is None


def test_another_background_behind_the_same_face_is_no_cut() -> None:
    assert jump(shift=1.0).cut_s is None


def test_a_light_that_goes_on_is_no_cut() -> None:
    seen = feed(2.0, moving=False)
    lit = np.clip(moved_little(little(), np.zeros(2, np.float32)) * 0.6 + 60, 0, 255).astype(np.uint8)
    begin = seen.last_s
    for at in range(1, 12):
        seen.add(glimpse(begin + at * STEP_S, None, lit), POINTS + 60)
    assert seen.cut_s is None


def test_of_a_black_picture_nothing_can_be_told() -> None:
    assert likeness(np.zeros(576, np.float32), little().astype(np.float32).ravel()) is None


def test_a_picture_that_goes_black_is_no_cut() -> None:
    seen = feed(2.0, moving=False)
    begin = seen.last_s
    for at in range(1, 12):
        seen.add(glimpse(begin + at * STEP_S, None, np.zeros_like(little())), POINTS + 60)
    assert seen.cut_s is None


def test_memory_of_a_feed_is_bounded_and_older_pictures_are_passed_over() -> None:
    seen = feed(100.0)
    last_s = seen.last_s
    seen.add(glimpse(1.0, None, little()), None)
    assert seen.last_s == last_s
    assert len(seen.pictures) <= 700


def test_little_movement_before_a_contrasty_room_is_measured_to_a_fiftieth() -> None:
    """What all pictures share must not cancel away what differs (``repeated`` asks for 1 % of it)."""
    rng = np.random.default_rng(4)
    room = rng.normal(0, 70, 576)
    track = (room + np.cumsum(rng.normal(0, 0.15, (500, 576)), axis=0)).astype(np.float32)
    rows = (track[-50:] + rng.normal(0, 0.4, (50, 576))).astype(np.float32)
    found = _to_segments(rows, track)
    a, b, p = (x.astype(np.float64) for x in (track[:-1], track[1:], rows))
    along = np.einsum("rnd,nd->rn", p[:, None] - a[None], b - a) / ((b - a) ** 2).sum(axis=1)
    nearest = a[None] + np.clip(along, 0, 1)[..., None] * (b - a)[None]
    exact = ((p[:, None] - nearest) ** 2).sum(axis=2)
    assert np.abs(found / exact - 1).max() < 0.02
