"""Files of a face evaluation: damaged and hostile ones are named, and a small file asks for little memory."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guard.errors import ConfigError, MediaError
from guard.evaluation.face_data import Item, frames_of, read_manifest
from guard.types import VideoFrame


def picture(path: Path, width: int = 80, height: int = 60) -> bytes:
    Image.new("RGB", (width, height), "gray").save(path)
    return path.read_bytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claimed(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that says it is of this size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def code_of(path: Path, content: bytes) -> str | None:
    path.write_bytes(content)
    try:
        frames = list(frames_of(Item(path, False, "m", "", "")))
    except MediaError as error:
        assert str(path) in error.message
        return error.code
    assert [frame.time_s for frame in frames] == [0.0]
    return None


def test_a_picture_is_one_frame(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (frame,) = frames_of(Item(tmp_path / "a.png", False, "m", "", ""))
    assert isinstance(frame, VideoFrame)
    assert frame.image.shape == (60, 80, 3)
    assert frame.image.dtype == np.dtype("uint8")


@pytest.mark.parametrize(("width", "height"), [(7_000, 7_000), (13_000, 13_000), (60_000, 60_000)])
def test_a_picture_that_claims_too_many_pixels_is_not_decoded(
    tmp_path: Path, width: int, height: int
) -> None:
    assert code_of(tmp_path / "bomb.png", claimed(width, height)) == "clip_too_large"


def test_damaged_pictures_are_unreadable(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png")
    short_head = good[:8] + chunk(b"IHDR", b"\0\0\0\1") + good[33:]
    gif = io.BytesIO()
    Image.new("P", (8, 8)).save(gif, "GIF")
    for content in (b"", good[:60], short_head, claimed(80, 60), gif.getvalue()):
        assert code_of(tmp_path / "a.png", content) == "file_unreadable"
    assert code_of(tmp_path / "a.png", good) is None


@pytest.mark.parametrize("at", range(8, 60))
def test_a_changed_byte_never_crashes(tmp_path: Path, at: int) -> None:
    content = bytearray(picture(tmp_path / "good.png"))
    content[at] ^= 0x41
    assert code_of(tmp_path / "a.png", bytes(content)) in {None, "file_unreadable", "clip_too_large"}


@pytest.mark.parametrize("line", ["a.png", "a.png,real", ""])
def test_a_line_that_ends_early_ends_in_no_traceback(tmp_path: Path, line: str) -> None:
    (tmp_path / "manifest.csv").write_text(f"label,path,method,source\n,{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_manifest(tmp_path)
    assert error.value.code in {"manifest_invalid", "clip_outside"}


def test_columns_that_are_left_out_at_the_end_are_empty(tmp_path: Path) -> None:
    text = "path,label,method,source,video_id,pair\na.png,real\n"
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    (item,) = read_manifest(tmp_path)
    assert (item.method, item.video, item.pair) == ("unnamed", "", "")
