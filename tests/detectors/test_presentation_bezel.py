"""The frame of a screen around a face: drawn phones, against what stands behind a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from guard.detectors.onnx import Batch
from guard.detectors.presentation import MAX_FACES, Presentation
from guard.detectors.presentation_bezel import FrameMemory, Standing, find_frame
from guard.fusion.calibration import Logistic
from guard.inference.lanes import Remembering, run_detector
from guard.media.surroundings import OUTSIDE, SHAPE, surroundings
from guard.types import FaceQuality, FaceWindow, FloatArray, Glimpse, ImageArray, Kind, TrackKey
from guard.windows.glimpses import thumbnail

EYES_PX = 40.0
GOOD = FaceQuality(60.0, 100.0, 0.0, 120.0, 0.99)
SIZE = (360, 640)
Draw = Callable[[ImageArray, float, float], None]


def points(x: float, y: float) -> FloatArray:
    """FaceMesh points of which only the corners of the eyes are read."""
    out = np.zeros((468, 2), np.float32)
    for index, across in ((33, -0.7), (133, -0.3), (362, 0.3), (263, 0.7)):
        out[index] = (x + across * EYES_PX, y)
    return out


def box(image: ImageArray, edges: tuple[float, float, float, float], level: int) -> None:
    left, top, right, bottom = (max(round(v), 0) for v in edges)
    image[top:bottom, left:right] = level


def person(image: ImageArray, x: float, y: float) -> None:
    """A head and shoulders, cut off by the picture's lower edge."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    across, down = (columns - x) / EYES_PX, (rows - y) / EYES_PX
    body = (down > 2.0) & (np.abs(across) < np.minimum(0.8 + 2.6 * (down - 2.0), 3.4))
    head = (across / 1.15) ** 2 + ((down - 0.35) / 1.65) ** 2 < 1
    image[body] = 70
    image[head] = 175


@cache
def grain() -> FloatArray:
    """A wall's unevenness and a sensor's noise."""
    slope = np.linspace(-15, 15, SIZE[1])[None, :, None]
    return np.asarray(slope + np.random.default_rng(3).normal(0, 2, (*SIZE, 3)), np.float32)


def room(shade: int = 150) -> ImageArray:
    return np.clip(shade + grain(), 1, 255).astype(np.uint8)


def nothing(image: ImageArray, x: float, y: float) -> None:
    del image, x, y


def door(image: ImageArray, x: float, y: float) -> None:
    half = 2.4 * EYES_PX
    box(image, (x - half - 12, y - 5 * EYES_PX, x + half + 12, SIZE[0]), 90)
    box(image, (x - half, y - 5 * EYES_PX + 12, x + half, SIZE[0]), 210)


def window_behind(image: ImageArray, x: float, y: float) -> None:
    half = 2.8 * EYES_PX
    box(image, (x - half, y - 4 * EYES_PX, x + half, y + 1.5 * EYES_PX), 60)
    box(image, (x - half + 10, y - 4 * EYES_PX + 10, x + half - 10, y + 1.5 * EYES_PX - 10), 235)
    box(image, (x - 4, y - 4 * EYES_PX, x + 4, y + 1.5 * EYES_PX), 60)


def picture_on_the_wall(image: ImageArray, x: float, y: float) -> None:
    box(image, (x - 2 * EYES_PX, y - 3 * EYES_PX, x + 2 * EYES_PX, y + 0.5 * EYES_PX), 40)


def shelf(image: ImageArray, x: float, y: float) -> None:
    rng = np.random.default_rng(2)
    for top in np.arange(y - 5 * EYES_PX, y + 5 * EYES_PX, 2 * EYES_PX):
        left = x - 6 * EYES_PX
        while left < x + 6 * EYES_PX:
            wide = rng.uniform(6, 18)
            box(image, (left, top + rng.uniform(0, 20), left + wide, top + 75), int(rng.integers(20, 230)))
            left += wide


BEHIND = [nothing, door, window_behind, picture_on_the_wall, shelf]


def genuine(behind: Draw, x: float = 320.0, y: float = 140.0, at: float | None = None) -> ImageArray:
    """A person in front of something that stands around ``at``, where they sit unless told otherwise."""
    image = room()
    behind(image, x if at is None else at, y)
    person(image, x, y)
    return image


def phone(
    behind: Draw, x: float = 320.0, y: float = 140.0, *, tilt: float = 0.0, level: int = 25, half: float = 2.6
) -> ImageArray:
    """A phone that shows a person in a room, before another room; ``tilt`` leans it, in pixels a row."""
    shown = genuine(behind, x, y)
    wide, edge = half * EYES_PX, 0.2 * EYES_PX
    out = room(110)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    across = np.abs(columns - x - tilt * (rows - y))
    tall = rows > y - 4.5 * EYES_PX
    out[(across < wide + edge) & (rows > y - 4.5 * EYES_PX - edge)] = level
    inner = (across < wide) & tall
    out[inner] = shown[inner]
    return out


def strength(image: ImageArray, x: float = 320.0, y: float = 140.0) -> float:
    around = surroundings(image, points(x, y))
    assert around is not None
    frame = find_frame(around)
    assert frame is not None
    return frame.strength


@pytest.mark.parametrize("tilt", [-0.2, 0.0, 0.13])
@pytest.mark.parametrize("level", [25, 235])
def test_the_frame_of_a_phone_is_found_where_it_is(tilt: float, level: int) -> None:
    around = surroundings(phone(nothing, tilt=tilt, level=level), points(320, 140))
    assert around is not None
    frame = find_frame(around)
    assert frame is not None
    assert frame.strength > 0.45
    for edge, sign in ((frame.left, -1), (frame.right, 1)):
        assert edge.at == pytest.approx(sign * 2.7, abs=0.25)
        assert edge.slope == pytest.approx(tilt, abs=0.06)


@pytest.mark.parametrize("behind", BEHIND)
def test_what_stands_behind_a_person_is_less_of_a_frame_than_the_phone_that_shows_it(behind: Draw) -> None:
    of_room, of_phone = strength(genuine(behind)), strength(phone(behind))
    assert of_phone > max(0.6, of_room + 0.1)
    assert of_room < 0.1 or behind is shelf
    # shelves beyond the shoulders look most like a frame: nothing is claimed of them without movement
    assert Standing(of_room, None).llr() < 0
    assert Standing(of_room, with_face=False).llr() < 0


def test_bars_around_a_picture_of_another_shape_are_no_frame() -> None:
    image = genuine(nothing)
    image[:, : 320 - 110] = image[:, 320 + 110 :] = 1
    assert _frame_or_none(image) is None
    brighter = image.copy()
    brighter[:, : 320 - 110] = brighter[:, 320 + 110 :] = 200
    assert strength(brighter) > 0.45  # a sender's bars are dark: this is somebody's frame


def _frame_or_none(image: ImageArray) -> object:
    around = surroundings(image, points(320, 140))
    assert around is not None
    return find_frame(around)


def test_where_the_shoulders_are_not_in_the_picture_nothing_is_told() -> None:
    assert _frame_or_none(phone(nothing)[:250]) is None
    assert _frame_or_none(np.full((360, 640, 3), 100, np.uint8)) is not None


def test_surroundings_keep_their_scale_and_mark_what_lies_beyond_the_picture() -> None:
    image = np.full((360, 640, 3), 100, np.uint8)
    image[:, 320:] = 180
    around = surroundings(image, points(320, 140))
    assert around is not None and around.shape == SHAPE
    assert (around[40:100, 20:58] == 100).all() and (around[40:100, 62:100] == 180).all()
    assert (around[:24] == OUTSIDE).all() and (around[28:110] != OUTSIDE).all()
    black = surroundings(np.zeros_like(image), points(320, 140))
    assert black is not None and (black[40:100] != OUTSIDE).all()
    assert surroundings(image, np.zeros((468, 2), np.float32)) is None
    assert surroundings(image, np.full((468, 2), np.nan, np.float32)) is None
    away = surroundings(image, points(5000, 140))
    assert away is not None and (away == OUTSIDE).all()


def look(image: ImageArray, time_s: float, x: float) -> FaceWindow:
    marks = points(x, 140)
    glimpse = Glimpse(time_s, marks, thumbnail(image), (SIZE[1], SIZE[0]))
    crop = np.full((224, 224, 3), 90, np.uint8)
    key = TrackKey("s", "p", Kind.VIDEO)
    return FaceWindow(key, 0, time_s, time_s, crop, marks, GOOD, (glimpse,), surroundings(image, marks))


def moved(draw: Callable[[float], ImageArray], reach: float = 0.8, looks: int = 10) -> Standing | None:
    """What is made of a face that moves to and fro by ``reach`` distances of its eyes."""
    memory = FrameMemory()
    for number in range(looks):
        x = 320 + reach * EYES_PX * float(np.sin(number))
        memory.see(look(draw(x), number * 0.5, x))
    return memory.standing()


def test_a_phone_that_is_held_moves_with_the_face_it_shows() -> None:
    held = moved(lambda x: phone(picture_on_the_wall, x))
    assert held is not None and held.with_face is True
    still = moved(lambda x: phone(picture_on_the_wall, x), reach=0.1)
    assert still is not None and still.with_face is None
    assert held.llr() > still.llr()


def test_a_door_stays_while_the_person_moves() -> None:
    found = moved(lambda x: genuine(door, x, at=320))
    assert found is not None and found.with_face is not True
    assert found.llr() < 0


def test_a_camera_that_moves_shows_nothing_about_what_moves_with_the_face() -> None:
    def shaken(x: float) -> ImageArray:
        scene = genuine(shelf)
        return np.roll(scene, round(x - 320), axis=1)

    found = moved(shaken)
    assert found is not None and found.with_face is None


def test_a_few_looks_are_too_few_and_looks_in_quick_succession_count_once() -> None:
    assert moved(lambda x: phone(nothing, x), looks=4) is None
    memory, image = FrameMemory(), phone(nothing)
    for number in range(40):
        memory.see(look(image, number * 0.01, 320))
    assert memory.standing() is None
    for number in range(60):
        memory.see(look(image, 1 + number * 0.4, 320))
    assert memory.standing() is not None
    assert len(memory._looks) <= 24


class Nothing:
    """A model that finds no trace of a display."""

    def raw(self, batch: Batch) -> FloatArray:
        return np.full(len(batch), -3.0, np.float32)


def detector() -> Presentation:
    return Presentation(Nothing(), Logistic(1.0, 0.0, 0.5))


def test_a_frame_that_moves_with_the_face_is_claimed_and_told_and_no_more_than_one_may() -> None:
    scores = []
    spoofs, persons = detector(), detector()
    for number in range(12):
        x = 320 + 0.8 * EYES_PX * float(np.sin(number))
        scores += run_detector(spoofs, [look(phone(nothing, x), number * 0.5, x)])
        quiet = run_detector(persons, [look(genuine(door, x, at=320), number * 0.5, x)])
        assert quiet[0].llr == 0.0
    assert scores[0].llr == 0.0 and scores[0].details == {}
    assert scores[-1].llr is not None and 0.1 < scores[-1].llr <= 0.5
    assert scores[-1].details["bezel_with_face"] is True
    assert 0.45 < scores[-1].details["bezel"] <= 1


def test_what_is_kept_is_bounded_and_forgotten_with_the_participant() -> None:
    own = detector()
    assert isinstance(own, Remembering)
    one = replace(look(phone(nothing), 1.0, 320), around=None)
    for face in range(MAX_FACES + 5):
        run_detector(own, [replace(one, face=face)])
    assert len(own._frames) == MAX_FACES
    run_detector(own, [replace(one, key=TrackKey("s", "q", Kind.VIDEO))])
    own.forget("s", "p")
    assert [key.participant for key, _ in own._frames] == ["q"]


@pytest.mark.parametrize("level", [255, None])
def test_any_picture_gives_a_strength_between_none_and_all(level: int | None) -> None:
    noise = np.random.default_rng(4).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    assert 0 <= strength(noise if level is None else np.full_like(noise, level)) < 0.2
    assert _frame_or_none(np.zeros_like(noise)) is None
