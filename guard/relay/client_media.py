"""What a scripted client sends and keeps, beneath aiortc's codecs.

aiortc encodes what a track yields unless it is already encoded, and decodes all it
receives. A client that drives demos and benchmarks must do neither. Sending has a
supported way (a track may yield packets); receiving has none, so ``tap_receiver``
replaces the queue to aiortc's decoder thread. That and ``bind_addresses`` touch private
names, which ``tests/relay/test_client.py`` holds against the pinned version.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from aioice.ice import get_host_addresses
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket

from guard.clock import Clock
from guard.media.clip import Source
from guard.types import Kind

RTP_RATE_HZ = {Kind.AUDIO: 48000, Kind.VIDEO: 90000}
# how long a sleeping sender may overlook that the playlist was switched, or a live picture came
_LONGEST_SLEEP_S = 0.02
_LOOPBACK = "127.0.0.1"
_DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"

OnPacket = Callable[["ReceivedTrack", RtpPacket, float], None]


class OutgoingPacket:
    """What aiortc's sender packs: an encoded packet with the three things it asks of one."""

    __slots__ = ("_data", "pts", "time_base")

    def __init__(self, data: bytes, time_s: float, rate_hz: int) -> None:
        self._data = data
        self.pts = round(time_s * rate_hz)
        self.time_base = Fraction(1, rate_hz)

    def __bytes__(self) -> bytes:
        return self._data


class Player:
    """The moment a source began to play; audio and video of one client share it."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self.source = source
        self.clock = clock
        self.started_at: float | None = None

    def media_time_s(self) -> float:
        """Return the media time that plays now; 0 before the start."""
        return 0.0 if self.started_at is None else self.clock.now() - self.started_at

    def start(self) -> None:
        """Begin to play, unless it plays already."""
        if self.started_at is None:
            self.started_at = self.clock.now()


class ScriptedTrack(MediaStreamTrack):
    """One kind of a source's packets, each handed out when its media time has come."""

    def __init__(self, player: Player, kind: Kind) -> None:
        super().__init__()
        self.kind = kind.value
        self._player = player
        self._cursor = player.source.cursor(kind)
        self._rate_hz = RTP_RATE_HZ[kind]
        self.sent = 0

    async def recv(self) -> Any:  # aiortc's own annotation knows decoded frames only
        """Return the next due packet.

        Raises:
            MediaStreamError: the playlist has come to its end, or the track was stopped.
        """
        self._player.start()
        while self.readyState == "live":
            packet = self._cursor.peek()
            if packet is None:
                self.stop()
                break
            wait_s = packet.time_s - self._player.media_time_s()
            if wait_s <= 0:
                self._cursor.take()
                self.sent += 1
                return OutgoingPacket(packet.data, packet.time_s, self._rate_hz)
            await asyncio.sleep(min(wait_s, _LONGEST_SLEEP_S))
        raise MediaStreamError


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """One encoded frame as it came out of the jitter buffer."""

    data: bytes
    timestamp: int
    arrival_s: float


@dataclass(slots=True)
class ReceivedTrack:
    """What came in on one m-line.

    Args:
        kind: audio or video.
        mid: the m-line.
        codec: name of the frames' codec, lower case, once one came.
        packets: RTP packets, retransmitted ones included.
        frames: whole encoded frames.
        kept: the newest of them, as many as the client was told to keep.
    """

    kind: Kind
    mid: str
    kept: deque[ReceivedFrame]
    codec: str | None = None
    packets: int = 0
    frames: int = 0
    first_frame_s: float | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class _FrameSink(queue.Queue[Any]):
    """Stands where aiortc's decoder queue is; only the end mark reaches the decoder thread."""

    def __init__(self, track: ReceivedTrack, clock: Clock) -> None:
        super().__init__()
        self._track = track
        self._clock = clock

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Keep a frame, or pass the end mark on."""
        if item is None:
            super().put(None, block, timeout)
            return
        codec, frame = item
        now = self._clock.now()
        track = self._track
        track.codec = codec.name.lower()
        track.frames += 1
        track.first_frame_s = now if track.first_frame_s is None else track.first_frame_s
        track.kept.append(ReceivedFrame(bytes(frame.data), frame.timestamp, now))
        track.arrived.set()


def tap_receiver(
    receiver: RTCRtpReceiver, track: ReceivedTrack, clock: Clock, on_packet: OnPacket | None
) -> None:
    """Take a receiver's packets and frames before they are decoded.

    Call it before the receiver starts (from the connection's ``track`` event).

    Args:
        receiver: of one m-line.
        track: is filled.
        clock: stamps arrivals.
        on_packet: called with each RTP packet; aiortc's jitter buffer and feedback are
            then left out, because who counts packets wants the cheapest receiver there is.
    """
    setattr(receiver, _DECODER_QUEUE, _FrameSink(track, clock))
    forward = receiver._handle_rtp_packet

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        track.packets += 1
        if on_packet is None:
            await forward(packet, arrival_time_ms)
        else:
            track.arrived.set()
            on_packet(track, packet, clock.now())

    receiver._handle_rtp_packet = handle  # type: ignore[method-assign]


def bind_addresses(connection: RTCPeerConnection, addresses: tuple[str, ...]) -> None:
    """Offer these addresses of this host; aioice by itself never offers loopback.

    Call it before the local description is set. With none given: every address but
    loopback, and loopback alone on a host that has nothing else.
    """
    chosen = list(addresses) or get_host_addresses(use_ipv4=True, use_ipv6=True) or [_LOOPBACK]
    transports = [transceiver.receiver.transport for transceiver in connection.getTransceivers()]
    if connection.sctp is not None:
        transports.append(connection.sctp.transport)
    for ice in {transport.transport for transport in transports}:
        ice_connection = ice.iceGatherer._connection
        _replace_addresses(ice_connection, chosen)


def _replace_addresses(ice_connection: Any, chosen: list[str]) -> None:
    gather = ice_connection.get_component_candidates

    async def gather_chosen(component: int, addresses: list[str], *wait_s: int) -> Any:
        del addresses
        return await gather(component, chosen, *wait_s)

    ice_connection.get_component_candidates = gather_chosen
