"""What a puppet is made of: one frontal picture taken apart into room, person, depth and skin.

Everything here is computed once, from one frame and its FaceMesh points, without a file of its own.
Lengths are pixels of that frame; depth grows toward the camera and is 0 at the ears, where a head turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from guard.codec.files import read_file
from guard.errors import MediaError
from guard.resources import clips_dir
from guard.types import FloatArray, ImageArray, VideoFrame
from guard.windows.face_models import FaceModels

CLIP = "customer_genuine.webm"
# eyes open, mouth shut, looking ahead
_NEUTRAL_S = 0.3
_FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_EARS, _CHIN = (234, 454), 152
_GRID_PX = 8
# hair is darker than this, of 255; skin is redder than this share, the white door and its shadows are not
_HAIR_LUMA, _SKIN_REDNESS, _NECK_REDNESS = 75, 0.28, 0.22


@dataclass(frozen=True, slots=True)
class Frontal:
    """One picture of a person who looks ahead, with FaceMesh points float32 (468, 3)."""

    image: ImageArray
    points: FloatArray


@dataclass(frozen=True, slots=True)
class Head:
    """A frontal picture taken apart.

    Args:
        image: uint8 (H, W, 3), the picture itself.
        room: uint8 (H, W, 3), the picture with the person painted out.
        matte: uint8 (H, W), 255 where the person is.
        points: float32 (468, 3), FaceMesh points; the third is depth toward the camera, 0 at the ears.
        depth: float32 (H, W), the same for every pixel.
        rounded: float32 (H, W), ``depth`` brought down to 0 at the head's outline: that side of a head which
            turns toward the camera has more skin than a frontal picture shows, so the skin there stretches.
        rigid: float32 (H, W) in [0, 1]: how far a pixel goes with the skull; 0 on the shoulders.
        facing: float32 (H, W) in [0, 1]: cosine between skin and camera, 0 off the person.
        centre: x and y about which the head turns.
        neck: x and y about which it leans to a side.
        face_width_px: ear to ear.
    """

    image: ImageArray
    room: ImageArray
    matte: ImageArray
    points: FloatArray
    depth: FloatArray
    rounded: FloatArray
    rigid: FloatArray
    facing: FloatArray
    centre: tuple[float, float]
    neck: tuple[float, float]
    face_width_px: float


def bundled_frontal(models: FaceModels) -> Frontal:
    """Return the neutral picture of the bundled customer (``guard/demo/clips/SOURCES.toml``).

    Raises:
        MediaError: ``media_unreadable``, the clip is damaged or shows no face there.
    """
    frames = (f for f in read_file(clips_dir() / CLIP, max_fps=None) if isinstance(f, VideoFrame))
    image = next((frame.image for frame in frames if frame.time_s >= _NEUTRAL_S), None)
    found = [] if image is None else models.find(image)
    if image is None or not found:
        raise MediaError("media_unreadable", f"{CLIP} shows no face at {_NEUTRAL_S} s")
    near = models.mesh(image, found[0].region())
    return Frontal(image, models.mesh(image, near.region()).points)


def take_apart(frontal: Frontal) -> Head:
    """Return what a puppet needs of a frontal picture."""
    points = frontal.points.astype(np.float32).copy()
    points[:, 2] = points[list(_EARS), 2].mean() - points[:, 2]
    left, right = points[list(_EARS), :2]
    width_px = float(np.hypot(*(right - left)))
    centre = ((left + right) / 2).astype(float)
    chin = points[_CHIN]
    matte = _matte(frontal.image, points)
    depth = _depth(frontal.image.shape[:2], points, width_px)
    return Head(
        image=frontal.image,
        room=_painted_out(frontal.image, matte),
        matte=matte,
        points=points,
        depth=depth,
        rounded=np.asarray(depth * _inside(matte, width_px), np.float32),
        rigid=_rigid(frontal.image.shape[:2], (float(centre[0]), float(chin[1])), width_px),
        facing=np.asarray(_facing(depth) * matte / 255, np.float32),
        centre=(float(centre[0]), float(centre[1])),
        neck=(float(centre[0]), float(chin[1] + 0.1 * width_px)),
        face_width_px=width_px,
    )


def smooth_step(x: FloatArray) -> FloatArray:
    """Return 0 below 0, 1 above 1 and a soft slope between."""
    t = np.clip(x, 0.0, 1.0)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _matte(image: ImageArray, points: FloatArray) -> ImageArray:
    """Tell the person from the room: the face's oval, and around it what is hair, skin or dark cloth."""
    height, width = image.shape[:2]
    oval = Image.new("L", (width, height))
    ImageDraw.Draw(oval).polygon([(float(x), float(y)) for x, y in points[list(_FACE_OVAL), :2]], fill=255)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    ear_x, ear_y = points[list(_EARS), :2].mean(axis=0)
    reach = points[_EARS[1], 0] - points[_EARS[0], 0]
    near = np.hypot((x - ear_x) / (0.68 * reach), (y - ear_y) / (1.2 * reach)) < 1
    near &= y < ear_y + 0.25 * reach
    body = (y > points[_CHIN, 1] - 0.2 * reach) & (np.abs(x - ear_x) < 1.7 * reach)
    colour = image.astype(np.float32)
    brightest = colour.max(axis=2)
    red = (colour[..., 0] - colour[..., 2]) / np.maximum(brightest, 1)
    person = (near & ((brightest < _HAIR_LUMA) | (red > _SKIN_REDNESS))) | (body & (brightest < _HAIR_LUMA))
    neck = (np.abs(x - ear_x) < 0.42 * reach) & (y > points[_CHIN, 1] - 0.1 * reach) & (red > _NECK_REDNESS)
    mask = Image.fromarray(np.where(person | neck | (np.asarray(oval) > 0), 255, 0).astype(np.uint8))
    closed = mask.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))
    opened = closed.filter(ImageFilter.MinFilter(9)).filter(ImageFilter.MaxFilter(9))
    return np.asarray(opened.filter(ImageFilter.GaussianBlur(1.0)))


def _painted_out(image: ImageArray, matte: ImageArray) -> ImageArray:
    """Fill the person's place from its surroundings: means over ever larger blocks where nothing is known."""
    grown = Image.fromarray(matte).filter(ImageFilter.MaxFilter(31))
    weight = (np.asarray(grown) < 8).astype(np.float32)
    filled = _pull_push(image.astype(np.float32) * weight[..., None], weight)
    soft = np.asarray(grown.filter(ImageFilter.GaussianBlur(3)), np.float32)[..., None] / 255
    return np.clip(np.round(image * (1 - soft) + filled * soft), 0, 255).astype(np.uint8)


def _pull_push(colour: FloatArray, weight: FloatArray) -> FloatArray:
    """Return colour (H, W, 3), premultiplied by weight (H, W), with the unknown filled in.

    Source: Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4.2 (pull-push).
    """
    height, width = weight.shape
    known = colour / np.maximum(weight, 1e-6)[..., None]
    if min(height, width) < 2:
        return known.astype(np.float32)
    even = ((0, height % 2), (0, width % 2))
    small_colour = _halved(np.pad(colour, (*even, (0, 0)), mode="edge"))
    small_weight = _halved(np.pad(weight, even, mode="edge"))
    scale = np.minimum(1.0, 1.0 / np.maximum(small_weight, 1e-6))
    coarse = _pull_push(small_colour * scale[..., None], small_weight * scale)
    channels = [_resized(coarse[..., c], (width, height)) for c in range(3)]
    full = np.clip(weight, 0, 1)[..., None]
    return (known * full + np.stack(channels, axis=2) * (1 - full)).astype(np.float32)


def _halved(values: NDArray[np.float32]) -> FloatArray:
    return (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]).astype(np.float32)


def _resized(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _depth(shape: tuple[int, int], points: FloatArray, width_px: float) -> FloatArray:
    """Return the depth of every pixel: a thin plate through the face's points and a ring around the skull.

    Source: Bookstein, Principal warps, IEEE TPAMI 11(6), 1989; a little stiffness keeps slopes low.
    """
    height, width = shape
    x0, y0 = points[list(_EARS), :2].mean(axis=0)
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    known = [points]
    for grow in (0.62, 0.9, 1.5):
        ring = np.stack([x0 + grow * width_px * np.cos(angle), y0 + 1.5 * grow * width_px * np.sin(angle)], 1)
        known.append(np.column_stack([ring, np.zeros(len(angle))]).astype(np.float32))
    anchors = np.concatenate(known).astype(np.float64)
    flat = anchors[:, :2] / width_px
    size = len(flat)
    system = np.zeros((size + 3, size + 3))
    system[:size, :size] = _plate(flat, flat) + 3e-4 * np.eye(size)
    system[:size, size:] = np.column_stack([np.ones(size), flat])
    system[size:, :size] = system[:size, size:].T
    solved = np.linalg.solve(system, np.append(anchors[:, 2], np.zeros(3)))
    columns, rows = -(-width // _GRID_PX), -(-height // _GRID_PX)
    grid = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), axis=2).reshape(-1, 2)
    grid *= _GRID_PX / width_px
    values = _plate(grid, flat) @ solved[:size] + solved[size] + grid @ solved[size + 1 :]
    coarse = np.maximum(values, 0).reshape(rows, columns).astype(np.float32)
    return _resized(coarse, (columns * _GRID_PX, rows * _GRID_PX))[:height, :width]


def _plate(at: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((at[:, None, :] - anchors[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-12)))


def _rigid(shape: tuple[int, int], chin: tuple[float, float], width_px: float) -> FloatArray:
    """Return what moves with the skull: all above a line that runs around the jaw; a soft end in the neck."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    beside = np.maximum(np.abs(x - chin[0]) - 0.28 * width_px, 0)
    line = chin[1] - 0.05 * width_px - 0.8 * np.minimum(beside, 0.4 * width_px)
    return 1 - smooth_step((y - line) / (0.38 * width_px))


def _inside(matte: ImageArray, width_px: float) -> FloatArray:
    """Return 0 outside the person, growing to 1 a fifth of the face's width inside."""
    reach = 0.2 * width_px
    core = Image.fromarray(matte).filter(ImageFilter.MinFilter(2 * round(reach / 2) + 1))
    soft = core.filter(ImageFilter.GaussianBlur(reach / 3))
    return smooth_step(np.asarray(np.asarray(soft) / 255, np.float32))


def _facing(depth: FloatArray) -> FloatArray:
    slope_y, slope_x = np.gradient(depth)
    return np.asarray(1 / np.sqrt(1 + slope_x**2 + slope_y**2), np.float32)
