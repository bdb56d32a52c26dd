"""Photos that somebody sent: three formats, turned upright, and nothing else gets in."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guard.errors import MediaError
from guard.media.photo import KEPT_SIDE_PX, MAX_PIXELS, read_photo


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Red on the left, blue on the right, a white stripe at the top."""
    array = np.zeros((height, width, 3), np.uint8)
    array[:, : width // 2, 0] = 200
    array[:, width // 2 :, 2] = 200
    array[: height // 8] = 255
    return Image.fromarray(array)


def saved(image: Image.Image, kind: str = "JPEG", **more: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def code_of(content: bytes) -> str:
    with pytest.raises(MediaError) as refused:
        read_photo(content)
    return refused.value.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_give_the_picture(kind: str) -> None:
    found = read_photo(saved(picture(), kind))
    assert found.shape == (64, 96, 3) and found.dtype == np.uint8
    assert np.abs(found[40, 20].astype(int) - (200, 0, 0)).max() < 20
    assert np.abs(found[40, 80].astype(int) - (0, 0, 200)).max() < 20


@pytest.mark.parametrize(("orientation", "stripe"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")])
def test_a_photo_is_turned_as_its_exif_data_say(orientation: int, stripe: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_photo(saved(picture(), "JPEG", exif=exif.tobytes()))
    assert found.shape == ((64, 96, 3) if orientation in (1, 3) else (96, 64, 3))
    edges = {"top": found[0], "bottom": found[-1], "left": found[:, 0], "right": found[:, -1]}
    assert max(edges, key=lambda name: float(edges[name].min(axis=1).mean())) == stripe


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "RGBA", "1", "I;16"])
def test_other_kinds_of_pixels_become_rgb(mode: str) -> None:
    image = (
        Image.fromarray(np.full((80, 80), 60000, np.uint16)) if mode == "I;16" else picture().convert(mode)
    )
    found = read_photo(saved(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert found.shape[2] == 3 and found.dtype == np.uint8


def test_a_gray_photo_of_16_bits_keeps_its_shades() -> None:
    shades = np.linspace(0, 65535, 96).astype(np.uint16)
    found = read_photo(saved(Image.fromarray(np.tile(shades, (80, 1))), "PNG"))
    assert np.abs(found[40, :, 0].astype(int) - (shades >> 8)).max() <= 1


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    assert (read_photo(saved(clear, "PNG")) == 255).all()


def test_a_large_photo_is_made_smaller_in_its_own_shape() -> None:
    found = read_photo(saved(picture(4000, 3000)))
    assert max(found.shape) <= KEPT_SIDE_PX
    assert found.shape[1] / found.shape[0] == pytest.approx(4 / 3, abs=0.01)


def test_a_small_file_that_claims_many_pixels_is_refused_before_it_is_decoded() -> None:
    content = bytearray(saved(picture(), "PNG"))
    side = int(MAX_PIXELS**0.5) + 1
    for claimed in (side, 30_000, 2**31 - 1):
        content[16:24] = struct.pack("!II", claimed, claimed)
        content[29:33] = struct.pack("!I", zlib.crc32(content[12:29]))
        assert code_of(bytes(content)) == "photo_too_large"


def test_a_picture_of_a_few_pixels_is_refused() -> None:
    assert code_of(saved(picture(96, 32))) == "photo_unreadable"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/hostname'/></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\nshowpage\n",
        saved(picture(), "GIF"),
        saved(picture(), "BMP"),
        saved(picture(), "TIFF"),
        saved(picture(), "PNG")[:200],
        saved(picture())[:300],
        bytes(np.random.default_rng(1).integers(0, 256, 20_000, dtype=np.uint8)),
    ],
)
def test_bytes_that_are_no_photo_are_refused(content: bytes) -> None:
    assert code_of(content) == "photo_unreadable"


PHOTOS = [saved(picture(), kind) for kind in ("JPEG", "PNG", "WEBP")]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PHOTOS), st.floats(0, 1), st.binary(min_size=1, max_size=40))
def test_a_damaged_photo_gives_a_picture_or_is_refused(content: bytes, at: float, rubbish: bytes) -> None:
    place = int(at * len(content))
    try:
        found = read_photo(content[:place] + rubbish + content[place + len(rubbish) :])
    except MediaError as error:
        assert error.code in ("photo_unreadable", "photo_too_large")
    else:
        assert found.shape[2] == 3 and found.dtype == np.uint8
        assert max(found.shape) <= KEPT_SIDE_PX
