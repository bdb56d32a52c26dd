"""The puppet's hand: four fingers and a palm in the person's own skin colour, drawn once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from guard.demo.puppet_head import Head
from guard.types import FloatArray

if TYPE_CHECKING:
    from guard.demo.puppet import Pose, Puppet

_SIZE_PX = 400
# the forearm goes on below the hand, so that it never ends within the picture
_TALL = 2.6
# room to both sides for leaning about the palm, in hands; counter-clockwise degrees
_WIDE = 3
_LEAN_DEG = {"mouth": 0.0, "left_eye": 32.0, "right_eye": -32.0}
# the palm, which lies on what is covered: from the top, in widths of the hand's picture
_PALM = 0.6
# width of the hand's picture in face widths, nearer to the camera where it covers the mouth
_MOUTH_SIZE, _EYE_SIZE = 1.0, 0.85
# the way it comes, in face widths from below
_WAY = (0.25, 2.3)
_FINGERS = (((0.24, 0.62), (0.22, 0.28)), ((0.40, 0.58), (0.40, 0.14)), ((0.56, 0.58), (0.58, 0.13)))
_LAST_FINGERS = (((0.71, 0.62), (0.75, 0.24)), ((0.76, 0.84), (0.91, 0.6)))
_EYE_POINTS = {"left_eye": (362, 263), "right_eye": (33, 133)}
_CHEEK = (50, 101, 118, 205, 280, 330, 347, 425)
_MOUTH_POINT = 13


def hand_pictures(head: Head) -> dict[str, Image.Image]:
    """Return the hand as RGBA for each place it covers, in the colour of the person's cheeks.

    Over an eye the arm comes from outside, so that it leaves the rest of the face free.
    """
    hand = _upright(head)
    wide = Image.new("RGBA", (_WIDE * _SIZE_PX, hand.height))
    wide.paste(hand, ((_WIDE - 1) * _SIZE_PX // 2, 0))
    middle = (_WIDE * _SIZE_PX / 2, _PALM * _SIZE_PX)
    return {
        place: wide.rotate(lean, Image.Resampling.BICUBIC, center=middle) for place, lean in _LEAN_DEG.items()
    }


def _upright(head: Head) -> Image.Image:
    colour = _skin_colour(head)
    size = _SIZE_PX, round(_SIZE_PX * _TALL)
    light, matte = Image.new("L", size), Image.new("L", size)
    for thickness, brightness in ((0.165, 165), (0.13, 205), (0.07, 230)):
        _draw(light, matte, thickness, brightness)
    shade = np.asarray(light.filter(ImageFilter.GaussianBlur(7)), np.float32) / 215
    grain = np.random.default_rng(1).normal(0, 0.02, (size[1] // 8, size[0] // 8))
    soft = Image.fromarray(grain.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.clip(colour * (shade + np.asarray(soft))[..., None], 0, 255).astype(np.uint8)
    edge = np.asarray(matte.filter(ImageFilter.GaussianBlur(2)))
    return Image.fromarray(np.dstack([pixels, edge]))


def hand_place(puppet: Puppet, pose: Pose) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the upper left corner of the hand in the picture and its width and height, in pixels."""
    face = puppet.head.face_width_px * pose.closer
    points = puppet.head.points
    if pose.hand == "mouth":
        target, ratio = points[_MOUTH_POINT, :2], _MOUTH_SIZE
    else:
        assert pose.hand is not None
        target, ratio = points[list(_EYE_POINTS[pose.hand]), :2].mean(axis=0), _EYE_SIZE
    x, y = puppet.at_picture((float(target[0]), float(target[1])), pose)
    side = round(ratio * face)
    away = 1 - pose.cover
    left = x - _WIDE / 2 * side + away * _WAY[0] * face
    top = y - _PALM * side + away * _WAY[1] * face
    return (round(left), round(top)), (_WIDE * side, round(side * _TALL))


def _draw(light: Image.Image, matte: Image.Image, thickness: float, brightness: int) -> None:
    """Draw fingers and palm, thinner and brighter each time, which rounds them."""
    width = round(thickness * _SIZE_PX)
    for picture, fill in ((light, brightness), (matte, 255)):
        draw = ImageDraw.Draw(picture)
        for start, end in (*_FINGERS, *_LAST_FINGERS):
            ends = [(round(x * _SIZE_PX), round(y * _SIZE_PX)) for x, y in (start, end)]
            draw.line(ends, fill=fill, width=width)
            for x, y in ends:
                draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=fill)
        inset = (0.165 - thickness) * _SIZE_PX / 2
        left, top, right, bottom = (edge * _SIZE_PX for edge in (0.15, 0.5, 0.82, 1.1))
        box = (left + inset, top + inset, right - inset, bottom)
        draw.rounded_rectangle(box, radius=0.16 * _SIZE_PX, fill=fill)
        wrist = [
            (left + 0.1 * _SIZE_PX + inset, 0.95 * _SIZE_PX),
            (right - 0.12 * _SIZE_PX - inset, 0.95 * _SIZE_PX),
        ]
        arm = [(right - inset, _TALL * _SIZE_PX), (left - 0.15 * _SIZE_PX + inset, _TALL * _SIZE_PX)]
        draw.polygon([*wrist, *arm], fill=fill)


def _skin_colour(head: Head) -> FloatArray:
    cheeks = head.points[list(_CHEEK), :2].astype(int)
    return np.asarray(np.median(head.image[cheeks[:, 1], cheeks[:, 0]], axis=0), dtype=np.float32)
