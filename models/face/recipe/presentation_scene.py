"""Draws people in rooms, and screens that show people in rooms: for the frame of a screen (presentation).

Everything is a drawing but the heads, which are real faces cut out of their pictures. A person's shoulders
are in front of what stands behind; the frame of a screen is in front of the person it shows. That is what is
to be learned from it, and nothing finer.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from data import Face

SIZE = (640, 360)
# what stands behind a person, and what frames one; the latter halves are kept from calibration
ROOMS = ("plain", "door", "pictures", "curtain", "boxes")
HELD_ROOMS = ("window", "shelf", "monitor", "chair")
SCREENS = ("phone_dark", "phone_light", "tablet")
HELD_SCREENS = ("display", "print")
_EYES = ((33, 133), (263, 362))


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 (360, 640, 3), with the corners of both eyes in it: float32 (468, 2), the rest 0."""

    image: np.ndarray
    points: np.ndarray
    kind: str


def _colour(rng: np.random.Generator, low: float = 20, high: float = 235) -> np.ndarray:
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.normal(0, 18, 3), 0, 255)


def _wall(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    y, x = np.mgrid[:height, :width]
    slope = rng.normal(0, 0.06, 2)
    shade = (x - width / 2) * slope[0] + (y - height / 2) * slope[1]
    cloudy = cv2.resize(rng.normal(0, 5, (6, 9)), size, interpolation=cv2.INTER_CUBIC)
    return (_colour(rng, 50)[None, None] + (shade + cloudy)[..., None]).astype(np.float32)


def _box(image: np.ndarray, rng: np.random.Generator, corners: tuple[float, ...], frame: float) -> None:
    """Draw a rectangle, left, top, right, bottom, with a frame of another colour."""
    left, top, right, bottom = (round(v) for v in corners)
    cv2.rectangle(image, (left, top), (right, bottom), _colour(rng).tolist(), -1)
    inner = round(frame)
    if right - left > 2 * inner and bottom - top > 2 * inner:
        cv2.rectangle(
            image, (left + inner, top + inner), (right - inner, bottom - inner), _colour(rng).tolist(), -1
        )


def _behind(image: np.ndarray, kind: str, rng: np.random.Generator, head: tuple[float, float, float]) -> None:
    """Draw what stands behind the person; half of it right around the head, where it can mislead most."""
    height, width = image.shape[:2]
    x, y, eyes = head
    if rng.random() < 0.5:
        middle, half = x + rng.normal(0, 0.3) * eyes, rng.uniform(1.7, 5.0) * eyes
    else:
        middle, half = rng.uniform(0, width), rng.uniform(1.5, 6.0) * eyes
    top = y - rng.uniform(1.8, 6.0) * eyes
    if kind in ("door", "chair"):
        _box(image, rng, (middle - half, top, middle + half, height + 50), rng.uniform(2, 0.5 * eyes))
    elif kind in ("pictures", "monitor"):
        for _ in range(1 if kind == "monitor" else int(rng.integers(1, 5))):
            below = y + rng.uniform(-1.0, 5.0) * eyes
            _box(image, rng, (middle - half, top, middle + half, below), rng.uniform(2, 0.4 * eyes))
            middle, half, top = rng.uniform(0, width), rng.uniform(0.6, 3) * eyes, rng.uniform(0, height / 2)
    elif kind == "window":
        _box(image, rng, (middle - half, top, middle + half, y + rng.uniform(0, 7) * eyes), 0.3 * eyes)
        for share in np.linspace(-0.5, 0.5, int(rng.integers(1, 4))):
            at = round(middle + share * half)
            cv2.line(image, (at, 0), (at, height), _colour(rng).tolist(), max(1, round(0.15 * eyes)))
    elif kind == "shelf":
        for row in range(8):
            board, at = top + row * 2.2 * eyes, middle - half
            while at < middle + half:
                wide, tall = rng.uniform(0.12, 0.5) * eyes, rng.uniform(1.2, 2.0) * eyes
                _box(image, rng, (at, board - tall, at + wide, board), 0)
                at += wide
            cv2.rectangle(
                image,
                (round(middle - half), round(board)),
                (round(middle + half), round(board + 0.15 * eyes)),
                _colour(rng).tolist(),
                -1,
            )
    elif kind == "curtain":
        wave = rng.uniform(6, 40) * np.sin(
            np.arange(width) / (rng.uniform(0.08, 0.5) * eyes) + rng.uniform(0, 6)
        )
        image += wave[None, :, None]
    elif kind == "boxes":
        for _ in range(12):
            left, up = rng.uniform(-50, width), rng.uniform(-50, height)
            sides = rng.uniform(0.3, 5, 2) * eyes
            _box(image, rng, (left, up, left + sides[0], up + sides[1]), rng.uniform(0, 6))


def _torso(image: np.ndarray, rng: np.random.Generator, head: tuple[float, float, float]) -> None:
    """Draw neck, shoulders and upper arms, in cloth with or without stripes."""
    x, y, eyes = head
    height, width = image.shape[:2]
    lean = rng.normal(0, 0.25)
    slope, wide = rng.uniform(2.5, 3.1), rng.uniform(2.7, 3.8)
    side = [(0.75, 1.4), (0.85, 2.2), (0.6 * wide, slope - 0.3), (0.9 * wide, slope), (wide, slope + 0.7)]
    side.append((wide * rng.uniform(0.95, 1.15), 12.0))
    right = [(x + (a + lean) * eyes, y + b * eyes) for a, b in side]
    left = [(x - (a - lean) * eyes, y + b * eyes) for a, b in reversed(side)]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.array([*right, *left], np.int32)], 255, cv2.LINE_AA)
    cloth = np.broadcast_to(_colour(rng, 10).astype(np.float32), image.shape).copy()
    if rng.random() < 0.3:
        axis = np.arange(width)[None, :] if rng.random() < 0.5 else np.arange(height)[:, None]
        cloth += (rng.uniform(5, 40) * np.sign(np.sin(axis / (rng.uniform(0.05, 0.3) * eyes))))[..., None]
    cloth += cv2.resize(rng.normal(0, 14, (7, 9)), (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    share = mask[..., None] / np.float32(255)
    image[:] = image * (1 - share) + cloth * share


def _hair(image: np.ndarray, rng: np.random.Generator, head: tuple[float, float, float]) -> None:
    x, y, eyes = head
    colour, reach = _colour(rng, 10, 120).tolist(), rng.uniform(1.35, 1.8)
    for side in (-1, 1):
        shape = [(0.9, -1.0), (reach, -0.3), (reach + rng.normal(0, 0.1), rng.uniform(2.2, 4.0)), (0.9, 2.4)]
        cv2.fillPoly(
            image, [np.array([(x + side * a * eyes, y + b * eyes) for a, b in shape], np.int32)], colour
        )


def _head(image: np.ndarray, face: Face, indices: list[int], head: tuple[float, float, float]) -> np.ndarray:
    """Lay a real head on the picture; return the (468, 2) points with the corners of its eyes."""
    x, y, eyes = head
    corners = {i: face.points[indices.index(i)] for pair in _EYES for i in pair}
    left, right = (np.mean([corners[i] for i in pair], axis=0) for pair in _EYES)
    middle, own = (left + right) / 2, float(np.hypot(*(right - left)))
    scale = eyes / own
    matrix = np.array([[scale, 0, x - scale * middle[0]], [0, scale, y - scale * middle[1]]])
    size = image.shape[1], image.shape[0]
    laid = cv2.warpAffine(face.image.astype(np.float32), matrix, size, flags=cv2.INTER_AREA)
    mask = np.zeros((image.shape[0], image.shape[1]), np.float32)
    centre, radii = (round(x), round(y + 0.35 * eyes)), (round(1.15 * eyes), round(1.65 * eyes))
    cv2.ellipse(mask, centre, radii, 0, 0, 360, 1.0, -1)
    chip = cv2.warpAffine(np.ones(face.image.shape[:2], np.float32), matrix, size)
    mask = cv2.GaussianBlur(mask * chip, (0, 0), 0.08 * eyes)[..., None]
    image[:] = image * (1 - mask) + laid * mask
    points = np.zeros((468, 2), np.float32)
    for index, point in corners.items():
        points[index] = matrix @ (*point, 1.0)
    return points


@dataclass(frozen=True)
class Seat:
    """Where a person is in a picture of ``size``: the distance of their eyes, and their way, in it."""

    size: tuple[int, int]
    eyes: float
    moved: tuple[float, float] = (0.0, 0.0)


def _person(
    face: Face, indices: list[int], room: str, seed: int, seat: Seat
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a person in a room, float (H, W, 3), with the points; the seed names both."""
    rng = np.random.default_rng(seed)
    width, height = seat.size
    image = np.ascontiguousarray(_wall(rng, seat.size))
    x, y = width * rng.uniform(0.42, 0.58), height * rng.uniform(0.3, 0.45)
    _behind(image, room, rng, (x, y, seat.eyes))
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2.0))
    head = (x + seat.moved[0] * seat.eyes, y + seat.moved[1] * seat.eyes, seat.eyes)
    _torso(image, rng, head)
    if rng.random() < 0.2:
        _hair(image, rng, head)
    return image, _head(image, face, indices, head)


def _camera(image: np.ndarray, seed: int, noise: np.random.Generator) -> np.ndarray:
    """A lens, a sensor and a codec; the seed names the camera."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.3))
    grain = noise.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 5))
    image = image * np.float32(rng.uniform(0.6, 1.1)) + grain
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
    _, data = cv2.imencode(".jpg", np.clip(image[..., ::-1], 0, 255).astype(np.uint8), quality)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def _sway(rng: np.random.Generator, looks: int, most: float) -> np.ndarray:
    """Return how far something has moved in each look, x and y: float (looks, 2)."""
    reach = rng.uniform(0, most)
    phase = rng.uniform(0, 2 * np.pi, 2) + np.linspace(0, rng.uniform(2, 9), looks)[:, None]
    return reach * np.sin(phase) * (1.0, 0.3)


def person(face: Face, indices: list[int], room: str, seed: int, looks: int) -> list[Scene]:
    """Draw a person who sits, and sways, in front of ``room``; in one of five the camera moves as well."""
    rng = np.random.default_rng(seed)
    eyes, sway = rng.uniform(32, 62), _sway(rng, looks, 0.9)
    shaken = _sway(rng, looks, 0.9) * eyes if rng.random() < 0.2 else np.zeros((looks, 2))
    scenes = []
    for moved, by in zip(sway, shaken, strict=True):
        image, points = _person(face, indices, room, seed, Seat(SIZE, eyes, tuple(moved)))
        shift = np.array([[1, 0, by[0]], [0, 1, by[1]]])
        image = cv2.warpAffine(image, shift, SIZE, borderMode=cv2.BORDER_REPLICATE)
        points = np.where(points, points + by, 0).astype(np.float32)
        scenes.append(Scene(_camera(image, seed, rng), points, room))
    return scenes


def _shape(kind: str, rng: np.random.Generator) -> tuple[float, float, np.ndarray, tuple[float, float]]:
    """Return height over width, width of the frame in widths, its colour, and the width in eye distances."""
    if kind == "print":
        return rng.uniform(1.2, 1.5), rng.uniform(0.0, 0.06), _colour(rng, 200, 250), (3.6, 7.5)
    if kind in ("tablet", "display"):
        frame = rng.uniform(0.02, 0.07)
        return rng.uniform(0.65, 0.8), frame, _colour(rng, 8, 60), (5.5, 9.0)
    dark = kind == "phone_dark"
    colour = _colour(rng, 8, 50) if dark else _colour(rng, 190, 245)
    return rng.uniform(1.7, 2.2), rng.uniform(0.015, 0.06), colour, (3.4, 7.5)


def screen(face: Face, indices: list[int], kind: str, room: str, seed: int, looks: int) -> list[Scene]:
    """Draw a screen of ``kind`` with a person in front of ``room``: half of them held, half on a stand."""
    rng = np.random.default_rng(seed)
    tall, frame, colour, wide = _shape(kind, rng)
    eyes, held = rng.uniform(36, 80), rng.random() < 0.5
    width = int(eyes * rng.uniform(*wide))
    inner = (width, int(width * tall))
    sway, shake = _sway(rng, looks, 0.15 if held else 0.9), _sway(rng, looks, 0.9 if held else 0.0)
    fingers = kind.startswith("phone") and rng.random() < 0.5
    aim = np.array([SIZE[0] * rng.uniform(0.42, 0.58), SIZE[1] * rng.uniform(0.32, 0.45)])
    behind, behind_seed, hand_seed = str(rng.choice(ROOMS)), *rng.integers(2**32, size=2)
    outside = _outside(behind, int(behind_seed), (*aim, eyes))
    border = round(frame * width)
    askew, turn = 1 + rng.normal(0, 0.03, (4, 1)), rng.normal(0, 5)
    scenes = []
    for moved, by in zip(sway, shake, strict=True):
        shown, points = _person(face, indices, room, seed, Seat(inner, eyes, tuple(moved)))
        if not scenes:
            rest = points[[33, 263]].mean(axis=0) + border
        shown = cv2.copyMakeBorder(shown, *[border] * 4, cv2.BORDER_CONSTANT, value=colour.tolist())
        size = shown.shape[1], shown.shape[0]
        lean = turn + (rng.normal(0, 1.0) if held else 0.0)
        matrix = _laid(size, rest, aim + by * eyes, askew, lean)
        laid = cv2.warpPerspective(shown, matrix, SIZE, flags=cv2.INTER_AREA)
        mask = cv2.warpPerspective(np.ones(shown.shape[:2], np.float32), matrix, SIZE)[..., None]
        image = outside * (1 - mask) + laid * mask
        if fingers:
            _fingers(image, np.random.default_rng(int(hand_seed)), matrix, size)
        placed = cv2.perspectiveTransform((points + border)[None].astype(np.float64), matrix)[0]
        scenes.append(Scene(_camera(image, seed, rng), placed.astype(np.float32), kind))
    return scenes


def _outside(room: str, seed: int, head: tuple[float, float, float]) -> np.ndarray:
    """Draw the room in which a screen is filmed, out of focus."""
    rng = np.random.default_rng(seed)
    image = np.ascontiguousarray(_wall(rng, SIZE))
    _behind(image, room, rng, head)
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(1.0, 6.0))


def _laid(
    size: tuple[int, int], eyes: np.ndarray, aim: np.ndarray, askew: np.ndarray, turn_deg: float
) -> np.ndarray:
    """Return the homography of a device held a little askew, its face at ``aim``."""
    width, height = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    turn = np.deg2rad(turn_deg)
    spun = (corners - eyes) @ np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
    return cv2.getPerspectiveTransform(corners, (spun * askew + aim).astype(np.float32))


def _fingers(image: np.ndarray, rng: np.random.Generator, matrix: np.ndarray, size: tuple[int, int]) -> None:
    """Let fingers cover parts of the lower edges."""
    width, height = size
    skin = np.array([205, 160, 135]) * rng.uniform(0.5, 1.1)
    for side in (0, width):
        for share in rng.uniform(0.65, 1.0, int(rng.integers(1, 4))):
            at = cv2.perspectiveTransform(np.array([[[side, share * height]]], np.float64), matrix)[0, 0]
            radii = (round(rng.uniform(0.08, 0.16) * width), round(0.06 * width))
            cv2.ellipse(
                image, tuple(int(v) for v in at), radii, rng.uniform(-20, 20), 0, 360, skin.tolist(), -1
            )
