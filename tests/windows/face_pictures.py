"""Pictures of a real face at a known place, for the tests of faces."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from guard.media.warp import invert, transform_points
from guard.types import FloatArray, ImageArray, Kind, TrackKey, VideoFrame

KEY = TrackKey("session", "customer", Kind.VIDEO)
WIDTH, HEIGHT = 640, 360

# pupils, tip of the nose and mouth corners of the portrait, read off by eye
PUPILS = np.array([[203.3, 100.9], [247.1, 103.1]], dtype=np.float32)
NOSE = np.array([[223.8, 126.3]], dtype=np.float32)
MOUTH = np.array([[202.8, 139.6], [246.5, 140.0]], dtype=np.float32)
FACE_CENTRE = np.array([[224.5, 122.0]], dtype=np.float32)
EYE_DISTANCE_PX = 43.9


@cache
def portrait() -> Image.Image:
    path = Path(__file__).parent.parent / "fixtures" / "astronaut.jpg"
    return Image.open(path).convert("RGB")


def placed(x: float, y: float, *, scale: float = 1.0, angle_deg: float = 0.0) -> FloatArray:
    """Return the matrix that brings the portrait's face centre to (x, y), turned clockwise."""
    angle = np.deg2rad(angle_deg)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0]], dtype=np.float32)
    shift = np.array([x, y]) - transform_points(FACE_CENTRE, turn)[0]
    turn[:, 2] = shift
    return turn


def scene(*faces: FloatArray, width: int = WIDTH, height: int = HEIGHT) -> ImageArray:
    """Return a plain room with the head of the portrait at each of the places."""
    room = np.full((height, width, 3), (96, 104, 112), dtype=np.uint8)
    picture = Image.fromarray(room)
    head = Image.new("L", portrait().size, 0)
    head.paste(255, (120, 0, 330, 230))
    for matrix in faces:
        back = tuple(float(v) for v in invert(matrix).ravel())
        size, affine = (width, height), Image.Transform.AFFINE
        smaller = portrait().transform(size, affine, back, Image.Resampling.BICUBIC)
        picture.paste(smaller, mask=head.transform(size, affine, back, Image.Resampling.BILINEAR))
    return np.asarray(picture)


def frame(image: ImageArray, time_s: float) -> VideoFrame:
    return VideoFrame(KEY, time_s, image)
