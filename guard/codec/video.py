"""VP8 and H.264 frames to pictures, within a bound on their size."""

from __future__ import annotations

import av
import numpy as np
from av.codec.context import Flags

from guard.codec.audio import DECODE_ERRORS
from guard.errors import MediaError
from guard.types import ImageArray

# 4096x2304: more is no camera in a call, and a header alone must not claim gigabytes
MAX_PIXELS = 4096 * 2304
_DECODERS = {"vp8": "vp8", "h264": "h264"}


class PictureDecoder:
    """Decodes one VP8 or H.264 stream, one whole encoded frame at a time.

    Every frame must be pushed, because the next one leans on it; the conversion to
    RGB is asked for separately, for the pictures that are wanted.

    Args:
        codec: ``vp8`` or ``h264``.
    """

    def __init__(self, codec: str) -> None:
        if codec not in _DECODERS:
            raise MediaError("codec_unsupported", f"no decoder for {codec}; use one of {sorted(_DECODERS)}")
        self._codec = codec
        self._context = _video_context(codec)

    def decode(self, frame: bytes) -> av.VideoFrame | None:
        """Return the picture of an encoded frame; None where it shows none.

        Raises:
            MediaError: ``video_broken``; call ``reset`` and go on at a keyframe.
        """
        try:
            pictures = self._context.decode(av.Packet(frame))
        except DECODE_ERRORS as error:
            raise MediaError("video_broken", f"a {self._codec} frame cannot be decoded: {error}") from error
        if any(picture.is_corrupt for picture in pictures):
            raise MediaError("video_broken", f"a {self._codec} frame was decoded only in part")
        return pictures[-1] if pictures else None

    def reset(self) -> None:
        """Forget everything decoded so far."""
        self._context = _video_context(self._codec)


def _video_context(codec: str) -> av.VideoCodecContext:
    context = av.CodecContext.create(_DECODERS[codec], "r")
    assert isinstance(context, av.VideoCodecContext)  # for the type checker
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.flags |= Flags.low_delay
    return context


def rgb(picture: av.VideoFrame) -> ImageArray:
    """Return the picture upright, uint8 (H, W, 3) RGB.

    Raises:
        MediaError: ``video_broken``, its format or size cannot be converted.
    """
    try:
        image = picture.to_ndarray(format="rgb24")
        quarter_turns = round(picture.rotation / 90)
    except DECODE_ERRORS as error:
        raise MediaError("video_broken", f"a picture cannot be converted to RGB: {error}") from error
    # phones store portrait pictures lying down, with a note how to turn them
    upright = np.rot90(image, quarter_turns) if quarter_turns else image
    return np.ascontiguousarray(upright, dtype=np.uint8)
