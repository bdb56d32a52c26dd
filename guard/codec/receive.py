"""RTP packets of one track, as the tap gives them, to decoded frames.

Order of things: reorder buffer, then Opus decoding or frame assembly and picture
decoding, then media time. Nothing that arrives raises out of ``push``: what is broken is
counted and treated as lost, and the decoder starts afresh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guard.codec.audio import OPUS_RATE_HZ, OpusDecoder
from guard.codec.video import PictureDecoder, rgb
from guard.errors import MediaError
from guard.media.assembly import FrameAssembler
from guard.media.h264 import H264Assembler
from guard.media.reorder import Released, ReorderBuffer
from guard.media.timeline import Thinner, TrackClock
from guard.media.vp8 import Vp8Assembler
from guard.types import AudioFrame, FloatArray, TapPacket, TrackKey, VideoFrame

VIDEO_RATE_HZ = 90_000
_ASSEMBLERS = {"vp8": Vp8Assembler, "h264": H264Assembler}
CODECS = frozenset({"opus", *_ASSEMBLERS})


@dataclass(frozen=True, slots=True)
class ReceiveConfig:
    """Bounds of the analysis side's reception of one track.

    Args:
        audio_wait_s: how long a missing audio packet is waited for.
        video_wait_s: the same for video, whose packets are sent again on request.
        max_packets: packets held behind a hole.
        max_concealed_s: longest loss that is bridged; a longer one stays a gap in media time.
        max_silence_s: longest pause without loss (DTX) that is filled with silence.
        max_fps: pictures a second to give out; None gives all.
    """

    audio_wait_s: float = 0.2
    video_wait_s: float = 0.5
    max_packets: int = 1024
    max_concealed_s: float = 1.0
    max_silence_s: float = 1.0
    max_fps: float | None = 15.0

    def __post_init__(self) -> None:
        durations = (self.audio_wait_s, self.video_wait_s, self.max_concealed_s, self.max_silence_s)
        if min(durations) < 0:
            raise ValueError("the durations of a ReceiveConfig must not be negative")
        if self.max_packets < 1:
            raise ValueError(f"max_packets must be at least 1, not {self.max_packets}")
        if self.max_fps is not None and not self.max_fps > 0:
            raise ValueError(f"max_fps must be above 0, not {self.max_fps}")


@dataclass(slots=True)
class ReceiveStats:
    """What happened to one track so far; counts of packets unless the name says otherwise.

    ``broken`` are packets or frames no decoder took; ``frames_lost`` video frames of which
    a part came, or that lean on a lost one; those of which nothing came are in ``lost``.
    """

    packets: int = 0
    lost: int = 0
    late: int = 0
    repeated: int = 0
    wild: int = 0
    broken: int = 0
    restarts: int = 0
    decoded_s: float = 0.0
    concealed_s: float = 0.0
    silence_s: float = 0.0
    gap_s: float = 0.0
    frames_decoded: int = 0
    frames_lost: int = 0
    frames_emitted: int = 0


class TrackReceiver:
    """One track's packets in, frames out; no clock, the packets bring the time.

    Args:
        key: the track.
        codec: ``opus``, ``vp8`` or ``h264``; a video track may change between the two.
        config: see ReceiveConfig.

    Raises:
        MediaError: ``codec_unsupported``.
    """

    def __init__(self, key: TrackKey, codec: str, config: ReceiveConfig | None = None) -> None:
        if codec not in CODECS:
            raise MediaError("codec_unsupported", f"no decoder for {codec}; use one of {sorted(CODECS)}")
        config = config or ReceiveConfig()
        audio = codec == "opus"
        self.stats = ReceiveStats()
        self._rate_hz = OPUS_RATE_HZ if audio else VIDEO_RATE_HZ
        self._buffer: ReorderBuffer[TapPacket] = ReorderBuffer(
            max_packets=config.max_packets,
            max_wait_s=config.audio_wait_s if audio else config.video_wait_s,
        )
        self._decode: _OpusTrack | _VideoTrack = (
            _OpusTrack(key, config, self.stats) if audio else _VideoTrack(key, codec, config, self.stats)
        )

    @property
    def wants_keyframe(self) -> bool:
        """Whether no picture can come out before the publisher sends a keyframe."""
        return self._decode.wants_keyframe

    def media_s(self, timestamp: int) -> float | None:
        """Return the media time of an RTP timestamp that came with no packet; None before the first."""
        position = self._decode.clock.position(timestamp)
        return None if position is None else position / self._rate_hz

    def push(self, packet: TapPacket) -> list[AudioFrame | VideoFrame]:
        """Take one packet; return the frames that are now ready, in order of media time."""
        self.stats.packets += 1
        return self._take(self._buffer.push(packet.sequence & 0xFFFF, packet, packet.arrival_s))

    def flush(self) -> list[AudioFrame | VideoFrame]:
        """Give up what is missing (end of track, silence of the tap); return what is left."""
        return self._take(self._buffer.flush())

    def _take(self, released: list[Released[TapPacket]]) -> list[AudioFrame | VideoFrame]:
        out: list[AudioFrame | VideoFrame] = []
        for one in released:
            out += self._decode.take(one)
        counts, stats = self._buffer.counts, self.stats
        stats.lost, stats.late, stats.repeated = counts.lost, counts.late, counts.repeated
        stats.wild, stats.restarts = counts.wild, self._decode.clock.restarts
        return out


class _OpusTrack:
    """Opus packets in order to frames without holes, as far as that is honest."""

    wants_keyframe = False

    def __init__(self, key: TrackKey, config: ReceiveConfig, stats: ReceiveStats) -> None:
        self._key = key
        self._config = config
        self._stats = stats
        self._decoder = OpusDecoder()
        self.clock = TrackClock(OPUS_RATE_HZ)
        self._end = 0
        self._hole = False

    def take(self, released: Released[TapPacket]) -> list[AudioFrame]:
        packet = released.item
        self._hole = self._hole or released.lost > 0 or released.restarted
        if released.restarted:
            self.clock.restart()
        if not packet.payload:
            return []  # padding only: it has a number but no time of its own
        if packet.codec != "opus":
            self._stats.broken += 1
            self._hole = True
            return []
        position = self.clock.locate(packet.timestamp, packet.arrival_s)
        out = self._bridge(position)
        try:
            samples = self._decoder.decode(packet.payload)
        except MediaError:
            self._stats.broken += 1
            self._decoder.reset()
            self._hole = True
            return out
        self._hole = False
        # where the publisher's times overlap, what is already out stays
        fresh = samples[max(0, self._end - position) :]
        if len(fresh):
            out.append(self._frame(fresh))
            self._stats.decoded_s += len(fresh) / OPUS_RATE_HZ
        return out

    def _bridge(self, position: int) -> list[AudioFrame]:
        """Fill the time from the end of the last frame to the position, or leave a gap."""
        missing = position - self._end
        if missing <= 0:
            return []
        missing_s = missing / OPUS_RATE_HZ
        limit_s = self._config.max_concealed_s if self._hole else self._config.max_silence_s
        if missing_s > limit_s:
            self._stats.gap_s += missing_s
            self._end = position
            return []
        if self._hole:
            self._stats.concealed_s += missing_s
            return [self._frame(self._decoder.conceal(missing), concealed=True)]
        self._stats.silence_s += missing_s
        return [self._frame(np.zeros(missing, np.float32))]

    def _frame(self, samples: FloatArray, *, concealed: bool = False) -> AudioFrame:
        time_s = self._end / OPUS_RATE_HZ
        self._end += len(samples)
        return AudioFrame(self._key, time_s, samples, OPUS_RATE_HZ, concealed)


class _VideoTrack:
    """Video packets in order to pictures; after a loss none until the next keyframe."""

    def __init__(self, key: TrackKey, codec: str, config: ReceiveConfig, stats: ReceiveStats) -> None:
        self._key = key
        self._stats = stats
        self._codec = codec
        self._assembler: FrameAssembler = _ASSEMBLERS[codec]()
        self._decoder = PictureDecoder(codec)
        self._thinner = Thinner(config.max_fps)
        self.clock = TrackClock(VIDEO_RATE_HZ)
        self._lost_before = 0
        self._decoder_lost = False
        self._last_s = -1.0

    @property
    def wants_keyframe(self) -> bool:
        return self._decoder_lost or self._assembler.awaiting_keyframe

    def take(self, released: Released[TapPacket]) -> list[VideoFrame]:
        packet = released.item
        if packet.codec not in _ASSEMBLERS:
            self._stats.broken += 1
            return []
        if released.restarted:
            self.clock.restart()
        if released.restarted or packet.codec != self._codec:
            self._begin(packet.codec)
        encoded = self._assembler.push(
            packet.payload, sequence=packet.sequence, timestamp=packet.timestamp, marker=packet.marker
        )
        self._stats.frames_lost = self._lost_before + self._lost()
        if encoded is None or (self._decoder_lost and not self._assembler.last_was_keyframe):
            return []
        time_s = self.clock.locate(packet.timestamp, packet.arrival_s) / VIDEO_RATE_HZ
        try:
            return self._picture(encoded, time_s)
        except MediaError:
            self._stats.broken += 1
            self._decoder.reset()
            self._decoder_lost = True
            return []

    def _begin(self, codec: str) -> None:
        """Start anew, where the source did: with a new sequence, or with the other codec."""
        self._lost_before += self._lost()
        self._codec = codec
        self._assembler = _ASSEMBLERS[codec]()
        self._decoder = PictureDecoder(codec)

    def _lost(self) -> int:
        return self._assembler.counts.dropped + self._assembler.counts.withheld

    def _picture(self, encoded: bytes, time_s: float) -> list[VideoFrame]:
        picture = self._decoder.decode(encoded)
        if picture is None:
            return []
        self._decoder_lost = False
        self._stats.frames_decoded += 1
        # media time never runs back, whatever the timestamps claim
        if time_s <= self._last_s or not self._thinner.keep(time_s):
            return []
        self._last_s = time_s
        self._stats.frames_emitted += 1
        return [VideoFrame(self._key, time_s, rgb(picture), self._thinner.skipped_s())]
