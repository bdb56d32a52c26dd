"""Decodes a suspect's video, lays the warning over every picture and encodes it again. Sans-IO.

Runs in the banner process, never in the relay. Timestamps are the source's own, so lip
sync stays; the relay gives the frames its own sequence numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np

from guard.codec.encode import VideoEncoder
from guard.codec.video import PictureDecoder
from guard.errors import MediaError
from guard.media.banner import Banner, BannerText
from guard.media.h264 import H264Assembler
from guard.media.reorder import ReorderBuffer
from guard.media.vp8 import Vp8Assembler
from guard.types import ImageArray, TapPacket

SMALLEST_SIDE_PX = 64
REORDER_PACKETS = 256


@dataclass(frozen=True, slots=True)
class BannerConfig:
    """What the banner's video may cost.

    Args:
        max_pixels: larger pictures are scaled down.
        bits_per_pixel: encoded bits per pixel and picture, at 30 pictures a second.
        min_bit_rate: bits per second for small pictures.
        max_bit_rate: bits per second for large pictures.
        reorder_s: how long a missing packet of the source is waited for.
    """

    max_pixels: int = 1280 * 720
    bits_per_pixel: float = 0.08
    min_bit_rate: int = 250_000
    max_bit_rate: int = 1_500_000
    reorder_s: float = 0.15


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One picture with the banner in it: data, the source's RTP timestamp, whether decoding can start."""

    data: bytes
    timestamp: int
    keyframe: bool


@dataclass(slots=True)
class BannerCounts:
    """Pictures decoded, given out, left out because the process was behind, and frames no decoder took."""

    decoded: int = 0
    encoded: int = 0
    skipped: int = 0
    broken: int = 0


class BannerEncoder:
    """One source track's packets in, encoded pictures with the banner out.

    Args:
        codec: the source's, ``vp8`` or ``h264``; the output's is the same.
        text: what the banner says.
        config: see BannerConfig.

    Raises:
        MediaError: ``codec_unsupported``.
    """

    def __init__(self, codec: str, text: BannerText, config: BannerConfig | None = None) -> None:
        self._codec = codec
        self._text = text
        self._config = config or BannerConfig()
        self._decoder = PictureDecoder(codec)
        self._buffer: ReorderBuffer[TapPacket] = ReorderBuffer(
            max_packets=REORDER_PACKETS, max_wait_s=self._config.reorder_s
        )
        self._assembler = self._new_assembler()
        self._encoder: VideoEncoder | None = None
        self._banner: Banner | None = None
        self._lost = True
        self._keyframe_due = True
        self.counts = BannerCounts()

    def _new_assembler(self) -> Vp8Assembler | H264Assembler:
        return Vp8Assembler() if self._codec == "vp8" else H264Assembler()

    @property
    def wants_keyframe(self) -> bool:
        """Whether no picture can come out before the source sends a keyframe."""
        return self._lost or self._assembler.awaiting_keyframe

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe: a recipient joined or lost its place."""
        self._keyframe_due = True

    def change_text(self, text: BannerText) -> None:
        """Say something else from the next picture on."""
        if text != self._text:
            self._text = text
            self._banner = None

    def push(self, packet: TapPacket, *, behind: bool = False) -> list[EncodedFrame]:
        """Take one packet of the source.

        Args:
            packet: of the source's video track.
            behind: decode only; the caller is late and the picture would be too.

        Returns:
            The pictures that are now ready, usually none or one.
        """
        out = []
        for released in self._buffer.push(packet.sequence & 0xFFFF, packet, packet.arrival_s):
            if released.restarted:
                self._assembler = self._new_assembler()
            ready = released.item
            encoded = self._assembler.push(
                ready.payload, sequence=ready.sequence, timestamp=ready.timestamp, marker=ready.marker
            )
            if encoded is not None:
                out += self._picture(encoded, ready.timestamp, behind)
        return out

    def _picture(self, encoded: bytes, timestamp: int, behind: bool) -> list[EncodedFrame]:
        if self._lost and not self._assembler.last_was_keyframe:
            return []
        try:
            picture = self._decoder.decode(encoded)
        except MediaError:
            self.counts.broken += 1
            self._decoder.reset()
            self._lost = True
            return []
        self._lost = False
        # who asks the source for a keyframe has lost its place in this stream, too
        self._keyframe_due = self._keyframe_due or self._assembler.last_was_keyframe
        if picture is None:
            return []
        self.counts.decoded += 1
        if behind:
            self.counts.skipped += 1
            return []
        return self._encode(self._fitted(picture), timestamp)

    def _fitted(self, picture: av.VideoFrame) -> ImageArray:
        """Return the picture as planar YUV 4:2:0 of a size that can carry the banner."""
        scale = min(1.0, (self._config.max_pixels / (picture.width * picture.height)) ** 0.5)
        scale = max(scale, SMALLEST_SIDE_PX / min(picture.width, picture.height))
        width, height = (
            max(SMALLEST_SIDE_PX, round(side * scale / 2) * 2) for side in (picture.width, picture.height)
        )
        fitted = picture.reformat(width=width, height=height, format="yuv420p")
        return np.array(fitted.to_ndarray(), np.uint8)

    def _encode(self, picture: ImageArray, timestamp: int) -> list[EncodedFrame]:
        height, width = picture.shape[0] * 2 // 3, picture.shape[1]
        if self._banner is None or (self._banner.width, self._banner.height) != (width, height):
            self._banner = Banner(self._text, width, height)
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (width, height):
            self._encoder = VideoEncoder(self._codec, width, height, bit_rate=self._bit_rate(width * height))
        self._banner.draw_yuv420(picture)
        data, keyframe = self._encoder.encode(picture, keyframe=self._keyframe_due)
        if not data:
            self.counts.skipped += 1
            return []
        self._keyframe_due = self._keyframe_due and not keyframe
        self.counts.encoded += 1
        return [EncodedFrame(data, timestamp, keyframe)]

    def _bit_rate(self, pixels: int) -> int:
        wanted = round(pixels * 30 * self._config.bits_per_pixel)
        return min(self._config.max_bit_rate, max(self._config.min_bit_rate, wanted))
