"""What a call does to pictures: scaled down, coded at a bit rate in real time, decoded again."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation

from guard.codec.audio import DECODE_ERRORS
from guard.codec.encode import RTP_VIDEO_HZ
from guard.codec.video import PictureDecoder, rgb
from guard.errors import MediaError
from guard.types import ImageArray

_ENCODERS = {"vp8": "libvpx", "h264": "libx264"}
_LEAST_PX = 16


class CallVideo:
    """Codes the pictures of one stream as a sender in a call would, and gives out what arrives.

    Constant bit rate, no look-ahead, one picture in and one picture out; nothing is lost on the way.

    Args:
        codec: ``vp8`` or ``h264`` (constrained baseline, as browsers send it).
        bit_rate: bits per second.
        fps: pictures a second the rate control reckons with.
    """

    def __init__(self, codec: str, *, bit_rate: int, fps: float) -> None:
        self.bytes = 0
        self._codec, self._bit_rate = codec, bit_rate
        self._fps = Fraction(max(1.0, min(60.0, fps))).limit_denominator(100)
        self._size = (0, 0)
        self._coded = 0
        self._encoder: VideoCodecContext | None = None
        self._decoder = PictureDecoder(codec)

    def push(self, image: ImageArray) -> ImageArray | None:
        """Return the picture as it arrives, uint8 (H, W, 3) with even sides; None where none does.

        Args:
            image: uint8 (H, W, 3), RGB, at least 16 px each way; an odd last row or column is cut off.

        Raises:
            MediaError: ``video_broken``, the codec failed, or the picture is too small for it.
        """
        packet = self.send(image)
        picture = self._decoder.decode(packet) if packet else None
        return None if picture is None else rgb(picture)

    def send(self, image: ImageArray) -> bytes:
        """Return the picture as it is sent, for a receiver of one's own; empty where the coder leaves it out.

        The arguments and what is raised are those of ``push``.
        """
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if min(height, width) < _LEAST_PX:
            raise MediaError("video_broken", f"a picture of {width}x{height} is too small to be coded")
        if (width, height) != self._size:
            self._encoder, self._size = self._made(width, height), (width, height)
            self._decoder = PictureDecoder(self._codec)
        assert self._encoder is not None
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        planar = frame.reformat(format="yuv420p")
        planar.pts = round(self._coded * RTP_VIDEO_HZ / self._fps)
        planar.time_base = Fraction(1, RTP_VIDEO_HZ)
        self._coded += 1
        try:
            packet = b"".join(bytes(p) for p in self._encoder.encode(planar))
        except DECODE_ERRORS as error:
            raise MediaError(
                "video_broken", f"a picture cannot be coded as {self._codec}: {error}"
            ) from error
        self.bytes += len(packet)
        return packet

    def _made(self, width: int, height: int) -> VideoCodecContext:
        encoder = cast(VideoCodecContext, av.CodecContext.create(_ENCODERS[self._codec], "w"))
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = Fraction(1, RTP_VIDEO_HZ)
        encoder.framerate = self._fps
        encoder.bit_rate = self._bit_rate
        encoder.gop_size = 3000
        encoder.thread_count = 1
        encoder.options = _options(self._codec, self._bit_rate)
        return encoder


def fit_in(image: ImageArray, long_px: int, short_px: int) -> ImageArray:
    """Return the picture scaled down by area until it fits; one that fits already is returned as it is.

    Args:
        image: uint8 (H, W, 3), RGB, upright or lying.
        long_px: the most its longer side may have.
        short_px: the most its shorter side may have.
    """
    height, width = image.shape[:2]
    ratio = min(1.0, long_px / max(height, width), short_px / min(height, width))
    return image if ratio == 1.0 else scaled(image, ratio)


def scaled(image: ImageArray, ratio: float) -> ImageArray:
    """Return the picture with sides ``ratio`` (at most 1) times as long, to the next even number."""
    sides = [max(_LEAST_PX, 2 * round(side * ratio / 2)) for side in image.shape[:2]]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    small = frame.reformat(width=sides[1], height=sides[0], interpolation=Interpolation.AREA)
    return np.ascontiguousarray(small.to_ndarray(), dtype=np.uint8)


def _options(codec: str, bit_rate: int) -> dict[str, str]:
    # one second of buffer: a keyframe may be larger than its share, the second as a whole may not
    rate = {"maxrate": str(bit_rate), "bufsize": str(bit_rate)}
    if codec == "h264":
        return {"preset": "superfast", "tune": "zerolatency", "profile": "baseline", **rate}
    # a positive speed would follow the clock: slow machines would send worse pictures
    return {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "minrate": str(bit_rate), **rate}
