"""One still picture of a face as calls show it: other light, turned, far away, through a codec, half hidden.

Stills of nameless people (UTKFace) are all there is, so the "same person" of a pair is the same picture
made again by what is written here. Nothing here makes somebody smile, age, or put on glasses: real pairs are
harder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from guard.codec.call_video import CallVideo
from guard.windows.face_models import FaceModels, Mesh

WIDTH, HEIGHT = 640, 360
# middle to middle of the eyes in a 200 px chip of UTKFace
CHIP_EYES_PX = 81.0
NEAR_PX, FAR_PX = 60.0, 36.0
Scene = Callable[[Image.Image, np.random.Generator], Image.Image]


def place(chip: Image.Image, eyes_px: float, rng: np.random.Generator | None = None) -> Image.Image:
    """Return a picture with the chip at a given size, over its own colours; moved and tilted by ``rng``."""
    colours = chip.resize((4, 3), Image.Resampling.BOX)
    picture = colours.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    side = round(chip.width * eyes_px / CHIP_EYES_PX)
    x, y, turn = (WIDTH - side) / 2, (HEIGHT - side) / 2, 0.0
    if rng is not None:
        x, y = x + float(rng.uniform(-60, 60)), y + float(rng.uniform(-20, 20))
        turn = float(rng.uniform(-8, 8))
    small = chip.resize((side, side), Image.Resampling.BOX if side < chip.width else Image.Resampling.BICUBIC)
    mask = Image.new("L", small.size, 255).rotate(turn, Image.Resampling.BILINEAR)
    picture.paste(small.rotate(turn, Image.Resampling.BICUBIC), (round(x), round(y)), mask)
    return picture


def near(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The face at an ordinary distance, elsewhere in the picture, tilted by up to 8 degrees."""
    return place(chip, NEAR_PX * float(rng.uniform(0.9, 1.1)), rng)


def far(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """36 px between the eyes."""
    return place(chip, FAR_PX, rng)


def half_size(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Sent at half the size and made large again."""
    picture = near(chip, rng)
    return picture.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BOX).resize((WIDTH, HEIGHT))


def low_light(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A third of the light, with a sensor's noise."""
    dark = np.asarray(near(chip, rng), np.float32) / 255 * float(rng.uniform(0.3, 0.45))
    noise = rng.normal(0, 0.02, dark.shape) + rng.normal(0, 0.06, dark.shape) * np.sqrt(dark) * 0.5
    return _picture(dark + noise)


def side_light(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A lamp from one side, and another white balance."""
    slope = np.linspace(0.35, 1.4, chip.width)[:: 1 if rng.random() < 0.5 else -1]
    lit = np.asarray(chip, np.float32) / 255 * slope[None, :, None] * rng.uniform(0.85, 1.15, 3)
    return near(_picture(lit), rng)


def soft(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Out of focus, or smoothed by a beauty filter."""
    return near(chip, rng).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.8, 1.8))))


def hand(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A hand in the colour of the cheek over mouth and chin, or over one cheek."""
    pixels = np.asarray(chip, np.float32) / 255
    y, x = np.mgrid[0 : chip.height, 0 : chip.width] / chip.height
    middle = (0.5, 0.86) if rng.random() < 0.5 else (0.5 + float(rng.choice([-0.3, 0.3])), 0.62)
    inside = ((x - middle[0]) / 0.3) ** 2 + ((y - middle[1]) / 0.2) ** 2
    mask = np.clip((1.15 - inside) / 0.3, 0, 1)[..., None]
    skin = np.median(pixels[100:125, 45:60].reshape(-1, 3), axis=0) * float(rng.uniform(0.8, 1.05))
    shade = 1 + 0.08 * np.sin(x * 40)[..., None]
    return near(_picture(pixels * (1 - mask) + skin * shade * mask), rng)


def through(codec: str, bit_rate: int) -> Scene:
    """Return a scene of a moving face sent through a codec."""

    def scene(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
        video, picture = CallVideo(codec, bit_rate=bit_rate, fps=15), near(chip, rng)
        arrived = None
        for step in range(8):
            moved = picture.transform(
                picture.size, Image.Transform.AFFINE, (1, 0, 3 - step, 0, 1, 0.5 * step)
            )
            arrived = video.push(np.asarray(moved))
        assert arrived is not None
        return Image.fromarray(arrived)

    return scene


def turned(models: FaceModels, degrees: float) -> Scene:
    """Return a scene of a head turned to one side; the depth is FaceMesh's, what was hidden stays unseen."""

    def scene(chip: Image.Image, rng: np.random.Generator) -> Image.Image:
        still = np.asarray(place(chip, CHIP_EYES_PX))
        found = models.find(still)
        if not found:
            return Image.fromarray(still)
        mesh = models.mesh(still, found[0].region())
        angle = np.deg2rad(degrees) * (1 if rng.random() < 0.5 else -1)
        picture = Image.fromarray(_turn(still, mesh, angle))
        shrunk = picture.resize((480, 270), Image.Resampling.BOX)
        out = Image.new("RGB", (WIDTH, HEIGHT), tuple(still[5, 5].tolist()))
        out.paste(shrunk, (int(rng.integers(40, 120)), int(rng.integers(30, 60))))
        return out

    return scene


def _turn(image: np.ndarray, mesh: Mesh, angle: float) -> np.ndarray:
    """Return the picture with the face turned about its upright axis.

    Every pixel moves as the mesh points near it (Gaussian weights, 8 px); far from the face nothing moves.
    """
    x, y, z = mesh.points.T.astype(np.float64)
    middle, back = (x.min() + x.max()) / 2, z.max()
    moved_x = middle + (x - middle) * np.cos(angle) + (z - back) * np.sin(angle)
    rows, columns = np.mgrid[4:HEIGHT:8, 4:WIDTH:8]
    near2 = (columns.ravel()[:, None] - moved_x) ** 2 + (rows.ravel()[:, None] - y) ** 2
    weights = np.exp(-near2 / (2 * 8.0**2))
    ground = 1e-3  # pulls to no movement where no point is near
    shift = (weights @ (x - moved_x)) / (weights.sum(axis=1) + ground)
    field = Image.fromarray(shift.reshape(rows.shape).astype(np.float32))
    wide = np.asarray(field.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    source = np.clip(np.arange(WIDTH) + wide, 0, WIDTH - 1.001)
    left = source.astype(int)
    share = (source - left)[..., None]
    row = np.arange(HEIGHT)[:, None]
    return (image[row, left] * (1 - share) + image[row, left + 1] * share).astype(np.uint8)


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def scenes(models: FaceModels) -> dict[str, Scene]:
    """Return every condition by its name; the first is the least change."""
    return {
        "near": near,
        "vp8_500": through("vp8", 500_000),
        "vp8_150": through("vp8", 150_000),
        "h264_500": through("h264", 500_000),
        "half_size": half_size,
        "low_light": low_light,
        "side_light": side_light,
        "soft": soft,
        "far": far,
        "turned_15": turned(models, 15.0),
        "turned_25": turned(models, 25.0),
        "hand": hand,
    }
