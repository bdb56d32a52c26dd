"""A photo that somebody sent: bytes nobody vouches for in, a picture out.

Only the three formats that browsers and scanners write are tried. The size a file claims is looked at before
anything is decoded, so that a small file cannot ask for gigabytes.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from guard.errors import MediaError
from guard.types import ImageArray

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 40_000_000
MIN_SIDE_PX = 64
# a face is found in a picture of this size as well as in a larger one
KEPT_SIDE_PX = 1600


def read_photo(content: bytes) -> ImageArray:
    """Return the picture as uint8 (H, W, 3) RGB, upright, its longer side at most 1600 px.

    Turned as its EXIF data say; what is transparent becomes white; of a moving picture the first is taken.

    Raises:
        MediaError: ``photo_unreadable``: not JPEG, PNG or WebP, or damaged, or smaller than 64 px;
            ``photo_too_large``: more than 40 million pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
            _check_size(*photo.size)
            photo.draft("RGB", (KEPT_SIDE_PX, KEPT_SIDE_PX))  # JPEG: decode no more than is kept
            upright = ImageOps.exif_transpose(photo)
            return np.array(_opaque(upright), np.uint8)
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:  # Pillow raises a dozen types of its own on damaged files
        raise _unreadable("it is no JPEG, PNG or WebP picture, or it is damaged") from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large()
    if min(width, height) < MIN_SIDE_PX:
        raise _unreadable(f"it is {width} x {height} pixels, {MIN_SIDE_PX} each way are the least")


def _opaque(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I"):  # 16-bit gray: Pillow would cut everything above 255 off, to white
        photo = Image.fromarray((np.asarray(photo, np.int32) >> 8).clip(0, 255).astype(np.uint8))
    photo.thumbnail((KEPT_SIDE_PX, KEPT_SIDE_PX), Image.Resampling.BOX)
    if not photo.has_transparency_data:
        return photo.convert("RGB")
    layer = photo.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def _too_large() -> MediaError:
    most = MAX_PIXELS // 1_000_000
    return MediaError("photo_too_large", f"the photo has more than {most} million pixels; send a smaller one")


def _unreadable(why: str) -> MediaError:
    return MediaError("photo_unreadable", f"the photo cannot be read: {why}; send an ordinary JPEG or PNG")
