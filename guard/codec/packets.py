"""Reads a media file's encoded packets without decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from guard.errors import MediaError
from guard.media.clip import OPUS_PACKET_S, Clip, EncodedPacket

VIDEO_CODECS = {"vp8": "vp8", "libvpx": "vp8", "h264": "h264"}
MAX_CLIP_BYTES = 256 * 1024 * 1024


def read_clip(path: Path) -> Clip:
    """Load a file whose audio is Opus in 20 ms packets and whose video is VP8 or H.264.

    Raises:
        MediaError: ``media_unreadable``, the file cannot be opened or is broken;
            ``media_codec``, its codecs are others (``guard.codec.encode.prepare_clip``
            converts it); ``media_too_long``, it does not belong in memory.
    """
    try:
        with av.open(str(path)) as container:
            return _read(container, path)
    except (av.FFmpegError, OSError) as error:
        raise MediaError("media_unreadable", f"{path.name} cannot be read as media: {error}") from error


def _read(container: InputContainer, path: Path) -> Clip:
    audio_stream = container.streams.audio[0] if container.streams.audio else None
    video_stream = container.streams.video[0] if container.streams.video else None
    codec = _checked_codec(audio_stream, video_stream, path)
    audio: list[EncodedPacket] = []
    video: list[EncodedPacket] = []
    size = 0
    wanted = [s for s in (audio_stream, video_stream) if s is not None]
    annex_b = _AnnexB(video_stream) if codec == "h264" and video_stream is not None else None
    for packet in container.demux(wanted):
        size += packet.size
        if size > MAX_CLIP_BYTES:
            raise MediaError("media_too_long", f"{path.name} holds more than {MAX_CLIP_BYTES} bytes of media")
        if packet.stream is audio_stream:
            audio += _encoded(packet)
        else:
            video += annex_b.push(packet) if annex_b is not None else _encoded(packet)
    return _aligned(audio, video, codec, path)


def _checked_codec(audio: Stream | None, video: Stream | None, path: Path) -> str | None:
    found = [s.codec_context.name for s in (audio, video) if s is not None]
    codec = VIDEO_CODECS.get(video.codec_context.name) if video is not None else None
    if not found:
        raise MediaError("media_codec", f"{path.name} has neither audio nor video")
    if audio is not None and audio.codec_context.name not in ("opus", "libopus"):
        raise MediaError("media_codec", f"{path.name}: audio is {audio.codec_context.name}, not Opus")
    if video is not None and codec is None:
        raise MediaError("media_codec", f"{path.name}: video is {found[-1]}, neither VP8 nor H.264")
    return codec


def _encoded(packet: Packet[Any]) -> Iterator[EncodedPacket]:
    if packet.size and packet.pts is not None and packet.time_base is not None:
        yield EncodedPacket(float(packet.pts * packet.time_base), bytes(packet), packet.is_keyframe)


class _AnnexB:
    """Start codes instead of MP4's length fields, and parameter sets in every keyframe."""

    def __init__(self, stream: Stream) -> None:
        self._filter = BitStreamFilterContext("h264_mp4toannexb", stream)

    def push(self, packet: Packet[Any]) -> list[EncodedPacket]:
        """Return what one packet of the file becomes."""
        return [p for out in self._filter.filter(packet) for p in _encoded(out)]


def _aligned(audio: list[EncodedPacket], video: list[EncodedPacket], codec: str | None, path: Path) -> Clip:
    """Start both at media time 0, video at its first keyframe, and space audio evenly.

    Opus packets in files carry rounded times (WebM: whole milliseconds); RTP wants them
    exactly 20 ms apart.
    """
    first = next((i for i, p in enumerate(video) if p.keyframe), None)
    if video and first is None:
        raise MediaError("media_unreadable", f"{path.name} has no keyframe")
    video = video[first:] if first is not None else []
    start_s = video[0].time_s if video else audio[0].time_s if audio else 0.0
    heard = [p for p in audio if p.time_s > start_s - OPUS_PACKET_S / 2]
    if len(heard) > 1:
        spacing_s = (heard[-1].time_s - heard[0].time_s) / (len(heard) - 1)
        if abs(spacing_s - OPUS_PACKET_S) > OPUS_PACKET_S / 10:
            raise MediaError(
                "media_codec", f"{path.name}: Opus packets are {spacing_s * 1000:.0f} ms, not 20 ms"
            )
    shift_s = round(max(0.0, heard[0].time_s - start_s) / OPUS_PACKET_S) * OPUS_PACKET_S if heard else 0.0
    spaced = tuple(EncodedPacket(shift_s + i * OPUS_PACKET_S, p.data) for i, p in enumerate(heard))
    shown = tuple(EncodedPacket(p.time_s - start_s, p.data, p.keyframe) for p in video)
    if not spaced and not shown:
        raise MediaError("media_unreadable", f"{path.name} holds no media packets")
    ends = [spaced[-1].time_s + OPUS_PACKET_S] if spaced else []
    if shown:
        frame_s = shown[-1].time_s / (len(shown) - 1) if len(shown) > 1 else 0.04
        ends.append(shown[-1].time_s + frame_s)
    # whole Opus packets, so that a loop keeps their grid
    duration_s = -(-round(max(ends) / OPUS_PACKET_S, 6) // 1) * OPUS_PACKET_S
    return Clip(spaced, shown, codec, duration_s)
