"""The media of the relay benchmark: the demo's genuine clip, with every picture's number painted in.

A relay that re-encodes changes every byte, so its delay can only be read from the pictures.
The number is sixteen black or white squares in the top left corner (one of them parity).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from guard.codec.encode import VideoEncoder
from guard.codec.packets import read_clip
from guard.media import vp8
from guard.media.clip import Clip, EncodedPacket
from guard.resources import clips_dir
from guard.types import ImageArray

WIDTH, HEIGHT, FPS = 640, 360, 30
BIT_RATE = 500_000
SQUARE_PX = 24
BITS = 15
SECONDS = 8.0
_HEADER = struct.Struct("!BBHII")


def paint_number(luma: ImageArray, number: int) -> None:
    """Paint a picture's number into its luma plane."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    for position, bit in enumerate([*bits, sum(bits) & 1]):
        left = position * SQUARE_PX
        luma[:SQUARE_PX, left : left + SQUARE_PX] = 225 if bit else 30


def read_number(luma: ImageArray) -> int | None:
    """Return the number painted in, None where it cannot be read."""
    inner = slice(SQUARE_PX // 4, -SQUARE_PX // 4)
    squares = luma[:SQUARE_PX, : SQUARE_PX * (BITS + 1)].reshape(SQUARE_PX, BITS + 1, SQUARE_PX)
    levels = squares[inner, :, inner].mean(axis=(0, 2))
    if np.abs(levels - 128).min() < 25:
        return None
    bits = [int(level > 128) for level in levels]
    return sum(bit << n for n, bit in enumerate(bits[:BITS])) if sum(bits[:BITS]) & 1 == bits[BITS] else None


def _pictures(path: Path) -> Iterator[ImageArray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.array(
                frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p").to_ndarray(), np.uint8
            )


def make_clip(path: Path | None = None) -> Clip:
    """Return ``SECONDS`` of VP8 640x360 at 30 fps and 500 kbit/s with numbers, and the clip's own Opus."""
    source = path or clips_dir() / "customer_genuine.webm"
    audio = read_clip(source).audio[: round(SECONDS * 50)]
    encoder = VideoEncoder("vp8", WIDTH, HEIGHT, bit_rate=BIT_RATE)
    video = []
    for index, picture in enumerate(_pictures(source)):
        if index == round(SECONDS * FPS):
            break
        paint_number(picture[:HEIGHT], index)
        data, keyframe = encoder.encode(picture, keyframe=index % FPS == 0)
        video.append(EncodedPacket(index / FPS, data, keyframe))
    return Clip(tuple(audio), tuple(video), "vp8", SECONDS)


def payload_hash(payload: bytes, video: bool) -> int:
    """Return what identifies a packet end to end: its payload without the VP8 descriptor a relay rewrites."""
    data = payload[4:] if video else payload
    return zlib.crc32(data) | (len(data) & 0xFFF) << 32


@dataclass(frozen=True, slots=True)
class Shot:
    """One RTP packet of the clip, ready to be numbered and sent."""

    time_s: float
    video: bool
    marker: bool
    payload: bytes
    hash: int
    frame: int


def shots(clip: Clip) -> list[Shot]:
    """Return the clip's packets in order of time; the VP8 picture id is filled in when sending."""
    out = [Shot(p.time_s, False, False, p.data, payload_hash(p.data, False), -1) for p in clip.audio]
    for index, frame in enumerate(clip.video):
        payloads = vp8.packetize(frame.data, picture_id=0)
        for number, payload in enumerate(payloads):
            last = number == len(payloads) - 1
            out.append(Shot(frame.time_s, True, last, payload, payload_hash(payload, True), index))
    return sorted(out, key=lambda shot: shot.time_s)


class ShotSender:
    """Numbers and times one publisher's packets, looping the clip from a phase of its own."""

    def __init__(
        self, clip_shots: list[Shot], duration_s: float, ssrcs: tuple[int, int], phase_s: float
    ) -> None:
        self._shots = clip_shots
        self._duration_s = duration_s
        self._ssrcs = ssrcs
        self._sequences = [1000, 2000]
        self._round_s = 0.0
        self._index = next(i for i, shot in enumerate(clip_shots) if shot.time_s >= phase_s)
        self._picture = 0

    @property
    def due_s(self) -> float:
        """Media time of the next packet."""
        return self._round_s + self._shots[self._index].time_s

    def take(self) -> tuple[Shot, bytes]:
        """Return the next packet, as clip knows it and as RTP bytes."""
        shot = self._shots[self._index]
        kind = int(shot.video)
        rate, pt = (90000, 96) if shot.video else (48000, 111)
        timestamp = round(self.due_s * rate) & 0xFFFFFFFF
        second = pt | (0x80 if shot.marker else 0)
        head = _HEADER.pack(0x80, second, self._sequences[kind], timestamp, self._ssrcs[kind])
        payload = shot.payload
        if shot.video:
            payload = payload[:2] + bytes([0x80 | self._picture >> 8, self._picture & 0xFF]) + payload[4:]
            self._picture = (self._picture + shot.marker) & 0x7FFF
        self._sequences[kind] = (self._sequences[kind] + 1) & 0xFFFF
        self._index += 1
        if self._index == len(self._shots):
            self._index = 0
            self._round_s += self._duration_s
        return shot, head + payload
