"""Encodes: PCM to Opus packets, pictures to VP8 or H.264, any media file to a call's form."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from guard.codec.files import probe
from guard.codec.packets import read_clip
from guard.errors import MediaError
from guard.media.clip import Clip
from guard.types import FloatArray, ImageArray

OPUS_RATE_HZ = 48000
OPUS_PACKET_SAMPLES = 960
RTP_VIDEO_HZ = 90000
_VIDEO_BASE = Fraction(1, RTP_VIDEO_HZ)
_AUDIO_BASE = Fraction(1, OPUS_RATE_HZ)


def encode_opus(samples: FloatArray, *, bit_rate: int = 24000) -> list[bytes]:
    """Encode speech or tones to Opus packets of 20 ms.

    Args:
        samples: float32 (N,), mono 48 kHz in [-1, 1]; the last packet is filled up with silence.
        bit_rate: bits per second.

    Returns:
        The packets in order. Opus needs no state to start, so they may replace those of
        another stream from any packet on (RFC 6716 section 2: a decoder adapts within one).
    """
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = OPUS_RATE_HZ
    encoder.layout = "mono"
    encoder.format = "flt"
    encoder.bit_rate = bit_rate
    encoder.time_base = _AUDIO_BASE
    encoder.options = {"application": "voip", "frame_duration": "20"}
    count = -(-len(samples) // OPUS_PACKET_SAMPLES)
    padded = np.zeros(count * OPUS_PACKET_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    packets: list[bytes] = []
    for index, block in enumerate(padded.reshape(count, OPUS_PACKET_SAMPLES)):
        frame = av.AudioFrame.from_ndarray(block[None, :], format="flt", layout="mono")
        frame.sample_rate = OPUS_RATE_HZ
        frame.pts = index * OPUS_PACKET_SAMPLES
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return packets[:count]


class VideoEncoder:
    """A cheap real-time encoder of one picture size; one frame in, one frame out.

    Args:
        codec: ``vp8`` or ``h264`` (constrained baseline).
        width: picture width in pixels, even.
        height: picture height in pixels, even.
        bit_rate: bits per second.
        keyframe_every: frames between keyframes when nobody asks for one.
    """

    def __init__(
        self, codec: str, width: int, height: int, *, bit_rate: int = 600_000, keyframe_every: int = 300
    ) -> None:
        self.width = width
        self.height = height
        name = {"vp8": "libvpx", "h264": "libx264"}[codec]
        encoder = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
        encoder.width = width
        encoder.height = height
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = _VIDEO_BASE
        encoder.framerate = Fraction(30)
        encoder.bit_rate = bit_rate
        encoder.gop_size = keyframe_every
        encoder.thread_count = 1
        encoder.options = _options(codec, bit_rate)
        self._encoder = encoder
        self._next_pts = 0

    def encode(self, picture: ImageArray, *, keyframe: bool = False) -> tuple[bytes, bool]:
        """Encode one picture.

        Args:
            picture: uint8 (height * 3 // 2, width), planar YUV 4:2:0.
            keyframe: make this one a keyframe.

        Returns:
            The encoded frame and whether it is a keyframe. The rate control thinks in 30
            pictures a second; the caller keeps the real timestamps. No bytes where the
            encoder left the frame out.
        """
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = self._next_pts
        frame.time_base = _VIDEO_BASE
        self._next_pts += RTP_VIDEO_HZ // 30
        if keyframe:
            frame.pict_type = PictureType.I
        packets = self._encoder.encode(frame)
        return b"".join(bytes(p) for p in packets), any(p.is_keyframe for p in packets)


def _options(codec: str, bit_rate: int) -> dict[str, str]:
    if codec == "h264":
        return {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1"}
    return {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "error-resilient": "0",
        "minrate": str(bit_rate),
        "maxrate": str(bit_rate),
        "bufsize": str(bit_rate),
        "undershoot-pct": "95",
        "static-thresh": "100",
        "noise-sensitivity": "0",
    }


def prepare_clip(path: Path, cache: Path) -> Clip:
    """Return any media file as a clip, converted once where it is not VP8 or H.264 with Opus.

    Args:
        path: audio or video file.
        cache: folder for the converted copy, named by the file's content.

    Raises:
        MediaError: the file cannot be read.
    """
    probe(path)  # refuses what is no plain media file: a playlist could name addresses to fetch
    try:
        return read_clip(path)
    except MediaError as error:
        if error.code != "media_codec":
            raise
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:24]
    target = cache / f"{digest}.webm"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part.webm")
        transcode(path, part)
        part.replace(target)
    return read_clip(target)


def transcode(
    source: Path, target: Path, *, size: tuple[int, int] = (640, 360), fps: int = 30, keyframe_every: int = 30
) -> None:
    """Write a file as WebM with VP8 and Opus.

    Args:
        source: any file FFmpeg reads.
        target: the ``.webm`` to write.
        size: (width, height) in pixels of the picture; the source is fitted in, bars black.
        fps: pictures a second, by repeating or leaving out.
        keyframe_every: pictures between keyframes, so that a receiver can start within one span.

    Raises:
        MediaError: ``media_unreadable``.
    """
    try:
        with av.open(str(source)) as reader, av.open(str(target), "w", format="webm") as writer:
            _transcode(reader, writer, source, (*size, fps, keyframe_every))
    except (av.FFmpegError, OSError) as error:
        raise MediaError("media_unreadable", f"{source.name} cannot be converted: {error}") from error


def _transcode(
    reader: InputContainer, writer: OutputContainer, source: Path, picture: tuple[int, int, int, int]
) -> None:
    wanted = [s[0] for s in (reader.streams.audio, reader.streams.video) if s]
    if not wanted:
        raise MediaError("media_unreadable", f"{source.name} has neither audio nor video")
    video = _VideoWriter(writer, *picture) if reader.streams.video else None
    audio = _AudioWriter(writer) if reader.streams.audio else None
    for frame in reader.decode(*wanted):
        if isinstance(frame, av.VideoFrame) and video is not None:
            video.push(frame)
        elif isinstance(frame, av.AudioFrame) and audio is not None:
            audio.push(frame)
    for part in (video, audio):
        if part is not None:
            part.close()


class _VideoWriter:
    """Fits pictures into one size and an even rate."""

    def __init__(
        self, writer: OutputContainer, width: int, height: int, fps: int, keyframe_every: int
    ) -> None:
        stream = writer.add_stream("libvpx", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 700_000
        stream.gop_size = keyframe_every
        stream.codec_context.thread_count = 1
        # keyframes at fixed places, no alt-ref frames: every packet is one picture to show
        stream.options = {
            "deadline": "good",
            "cpu-used": "4",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "keyint_min": str(keyframe_every),
        }
        self._writer = writer
        self._stream = stream
        self._fps = fps
        self._start_s: float | None = None
        self._written = 0

    def push(self, frame: av.VideoFrame) -> None:
        """Write a picture as often as its time asks for."""
        if frame.time is None:
            return
        if self._start_s is None:
            self._start_s = frame.time
        due = round((frame.time - self._start_s) * self._fps) + 1
        if due <= self._written:
            return
        fitted = self._fit(frame)
        while self._written < due:
            picture = av.VideoFrame.from_ndarray(fitted, format="rgb24")
            picture.pts = self._written
            picture.time_base = Fraction(1, self._fps)
            self._writer.mux(self._stream.encode(picture))
            self._written += 1

    def _fit(self, frame: av.VideoFrame) -> ImageArray:
        width, height = self._stream.width, self._stream.height
        scale = min(width / frame.width, height / frame.height)
        inner_w, inner_h = round(frame.width * scale), round(frame.height * scale)
        small = frame.reformat(width=inner_w, height=inner_h, format="rgb24").to_ndarray()
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - inner_h) // 2, (width - inner_w) // 2
        canvas[top : top + inner_h, left : left + inner_w] = small
        return canvas

    def close(self) -> None:
        """Write what the encoder still holds."""
        self._writer.mux(self._stream.encode(None))


class _AudioWriter:
    """Resamples to what Opus takes."""

    def __init__(self, writer: OutputContainer) -> None:
        self._writer = writer
        self._stream = writer.add_stream("libopus", rate=OPUS_RATE_HZ, layout="mono")
        self._stream.bit_rate = 32_000
        self._stream.options = {"application": "voip", "frame_duration": "20"}
        self._resampler = av.AudioResampler("flt", "mono", OPUS_RATE_HZ, frame_size=OPUS_PACKET_SAMPLES)

    def push(self, frame: av.AudioFrame) -> None:
        """Write decoded audio."""
        for part in self._resampler.resample(frame):
            self._writer.mux(self._stream.encode(part))

    def close(self) -> None:
        """Write what resampler and encoder still hold."""
        for part in self._resampler.resample(None):
            self._writer.mux(self._stream.encode(part))
        self._writer.mux(self._stream.encode(None))
