"""Encoded media in memory and on a call's timeline, without encoding or decoding. Pure.

A ``Clip`` is a file's packets; a ``Playlist`` says which clip plays when, loops it and
switches to another one mid-call; a ``Cursor`` hands one kind of track its packets in
order with continuous media time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from guard.types import Kind

OPUS_PACKET_S = 0.02


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One Opus packet or one encoded video frame.

    Args:
        time_s: media time at which it starts.
        data: the encoded bytes; H.264 in Annex B form.
        keyframe: whether decoding can start here; true for every Opus packet.
    """

    time_s: float
    data: bytes
    keyframe: bool = True


@dataclass(frozen=True, slots=True)
class Clip:
    """The encoded packets of one file, in time order, from media time 0.

    Args:
        audio: Opus packets of 20 ms; empty where the file has no audio.
        video: frames, the first of them a keyframe; empty where the file has no video.
        video_codec: ``vp8`` or ``h264``; None without video.
        duration_s: end of the last packet of either kind.
    """

    audio: tuple[EncodedPacket, ...]
    video: tuple[EncodedPacket, ...]
    video_codec: str | None
    duration_s: float

    def __post_init__(self) -> None:
        if not self.audio and not self.video:
            raise ValueError("a clip needs audio or video packets")
        if self.video and not self.video[0].keyframe:
            raise ValueError("a clip's video must start with a keyframe")

    def packets(self, kind: Kind) -> tuple[EncodedPacket, ...]:
        """Return the packets of one kind."""
        return self.audio if kind is Kind.AUDIO else self.video


class PacketReader(Protocol):
    """One kind's packets, in order, with media time of the call."""

    def peek(self) -> EncodedPacket | None:
        """Return the next packet without taking it; None where nothing is left to play."""

    def take(self) -> None:
        """Move past the packet that ``peek`` returned."""


class Source(Protocol):
    """What a client sends: a ``Playlist``, or ``guard.media.live.LiveSource``."""

    def has(self, kind: Kind) -> bool:
        """Tell whether packets of a kind are sent."""

    def cursor(self, kind: Kind) -> PacketReader:
        """Return a reader of one kind's packets, from media time 0 on."""

    def want_keyframe(self) -> None:
        """Somebody who receives it cannot decode without a keyframe."""


@dataclass(frozen=True, slots=True)
class _Segment:
    start_s: float
    clip: Clip


@dataclass(slots=True)
class Playlist:
    """Which clip plays when on a call's timeline.

    Args:
        clip: what plays from media time 0 on.
        loop: start the playing clip again at its end; otherwise it ends there.
    """

    clip: Clip
    loop: bool = True
    _segments: list[_Segment] = field(init=False)

    def __post_init__(self) -> None:
        self._segments = [_Segment(0.0, self.clip)]

    @property
    def version(self) -> int:
        """Grows with every switch."""
        return len(self._segments)

    def switch(self, clip: Clip, at_s: float) -> float:
        """Play another clip from ``at_s`` on, rounded up to the next Opus packet.

        Returns:
            Media time of its first packet.

        Raises:
            ValueError: that moment lies before the last switch, or the video codec differs.
        """
        start_s = -(-round(at_s / OPUS_PACKET_S, 6) // 1) * OPUS_PACKET_S
        last = self._segments[-1]
        if start_s < last.start_s:
            raise ValueError(f"switch at {start_s:.2f} s lies before the last one at {last.start_s:.2f} s")
        if clip.video and last.clip.video and clip.video_codec != last.clip.video_codec:
            raise ValueError(f"cannot switch from {last.clip.video_codec} to {clip.video_codec} mid-call")
        self._segments.append(_Segment(start_s, clip))
        return start_s

    def has(self, kind: Kind) -> bool:
        """Tell whether packets of a kind are sent."""
        return bool(self.clip.packets(kind))

    def want_keyframe(self) -> None:
        """Do nothing: encoded media has its keyframes where they are."""

    def cursor(self, kind: Kind) -> Cursor:
        """Return a reader of one kind's packets, from media time 0 on."""
        return Cursor(self, kind)

    def next_start_s(self, index: int) -> float:
        """Return where the segment behind this one starts; infinity where there is none."""
        return self._segments[index + 1].start_s if index + 1 < len(self._segments) else float("inf")

    def segment(self, index: int) -> _Segment:
        """Return one stretch of the timeline."""
        return self._segments[index]


class Cursor:
    """One kind's packets of a playlist, in order, with media time of the call."""

    def __init__(self, playlist: Playlist, kind: Kind) -> None:
        self._playlist = playlist
        self._kind = kind
        self._segment = 0
        self._round = 0
        self._index = 0

    def peek(self) -> EncodedPacket | None:
        """Return the next packet without taking it; None where nothing is left to play.

        A switch may change the answer: ask again before sending.
        """
        while True:
            packet = self._candidate()
            if packet is not None and packet.time_s < self._playlist.next_start_s(self._segment) - 1e-9:
                return packet
            if self._segment + 1 >= self._playlist.version:
                return None
            self._segment += 1
            self._round = 0
            self._index = 0

    def take(self) -> None:
        """Move past the packet that ``peek`` returned."""
        self._index += 1

    def _candidate(self) -> EncodedPacket | None:
        segment = self._playlist.segment(self._segment)
        packets = segment.clip.packets(self._kind)
        if not packets:
            return None
        if self._index >= len(packets):
            if not self._playlist.loop:
                return None
            self._round += 1
            self._index = 0
        packet = packets[self._index]
        base_s = segment.start_s + self._round * segment.clip.duration_s
        return EncodedPacket(base_s + packet.time_s, packet.data, packet.keyframe)
