"""One track as its publisher sends it: repaired, counted, and told when to send a keyframe. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from guard.media.rtp import RtpPacket, Unwrapper, unwrap_rtx
from guard.relay import rtcp
from guard.relay.codecs import Codec, opens_keyframe
from guard.relay.output import Output
from guard.relay.receive import MissingPackets, ReceiveStatistics
from guard.types import Kind, SenderClock, TrackKey


@dataclass(slots=True)
class KeyframeRequests:
    """Combines everybody's wish for a keyframe into few requests to the publisher.

    Args:
        interval_s: at least this long between two requests.
        patience_s: a request not answered by a keyframe is repeated after this long.
    """

    interval_s: float = 0.5
    patience_s: float = 1.0
    _wanted: bool = False
    _sent_at: float | None = None

    @property
    def pending(self) -> bool:
        """Whether a keyframe is still awaited."""
        return self._wanted

    def want(self, now: float) -> bool:
        """Somebody needs a keyframe; true where a request must go out now."""
        self._wanted = True
        return self._send(now, self.interval_s)

    def poll(self, now: float) -> bool:
        """Return whether an unanswered request must be repeated."""
        return self._wanted and self._send(now, self.patience_s)

    def _send(self, now: float, interval_s: float) -> bool:
        if self._sent_at is not None and now - self._sent_at < interval_s:
            return False
        self._sent_at = now
        return True

    def on_keyframe(self) -> None:
        """A keyframe arrived."""
        self._wanted = False


class Publication:
    """One published track.

    Args:
        key: whose track it is.
        mid: the publisher's m-line.
        codec: as the publisher numbered it.
        extensions: header extension ids by URI, as the publisher numbered them.
        rtcp_ssrc: what guard calls itself in feedback.
    """

    def __init__(
        self, key: TrackKey, mid: str, codec: Codec, *, extensions: Mapping[str, int], rtcp_ssrc: int
    ) -> None:
        self.key = key
        self.mid = mid
        self.codec = codec
        self.extensions = extensions
        self.outputs: list[Output] = []
        self.tapped = False
        self.announced = False
        self.counters: Counter[str] = Counter()
        self.missing = MissingPackets()
        self.keyframes = KeyframeRequests()
        self.statistics: ReceiveStatistics | None = None
        self.sender_report: rtcp.SenderReport | None = None
        self.clock: SenderClock | None = None
        self._rtcp_ssrc = rtcp_ssrc
        self._sequences = Unwrapper(16)
        self._fir_number = 0
        self._lost_before = 0
        self._recovered_before = 0

    @property
    def ssrc(self) -> int | None:
        """The SSRC media arrives on, None before the first packet."""
        return None if self.statistics is None else self.statistics.ssrc

    @property
    def published(self) -> bool:
        """Whether any media arrived."""
        return self.statistics is not None

    @property
    def packets_lost(self) -> int:
        """Packets given up for good."""
        return self._lost_before + self.missing.lost

    @property
    def packets_recovered(self) -> int:
        """Lost packets that a retransmission brought after all."""
        return self._recovered_before + self.missing.recovered

    def take_sender_report(self, report: rtcp.SenderReport, now: float) -> bool:
        """Keep what the sender says of its clock; false where it is not about the stream that arrives."""
        if self.statistics is None or self.statistics.ssrc != report.ssrc:
            return False
        self.statistics.on_sender_report(report.ntp, now)
        self.sender_report = report
        # RFC 3550 section 6.4.1: a sender that has no clock says 0
        self.clock = SenderClock(report.ntp, report.timestamp) if report.ntp else None
        return True

    def receive(self, packet: RtpPacket, now: float) -> RtpPacket | None:
        """Take a packet of one of the track's streams; return what is to be forwarded, if anything."""
        if packet.payload_type == self.codec.payload_type:
            return self._receive_media(packet, now)
        if packet.payload_type == self.codec.rtx_payload_type:
            return self._receive_rtx(packet, now)
        self.counters["rtp_payload_type"] += 1
        return None

    def _receive_media(self, packet: RtpPacket, now: float) -> RtpPacket | None:
        statistics = self.statistics
        if statistics is None or statistics.ssrc != packet.ssrc:
            statistics = self._start_stream(packet.ssrc)
        sequence = self._sequences.push(packet.sequence)
        statistics.push(sequence, packet.timestamp, now)
        return self._fresh(packet, sequence, now)

    def _receive_rtx(self, packet: RtpPacket, now: float) -> RtpPacket | None:
        if self.statistics is None:
            self.counters["rtx_early"] += 1
            return None
        original = unwrap_rtx(packet, payload_type=self.codec.payload_type, ssrc=self.statistics.ssrc)
        if original is None:
            return None
        return self._fresh(original, self._sequences.push(original.sequence), now)

    def _fresh(self, packet: RtpPacket, sequence: int, now: float) -> RtpPacket | None:
        if not self.missing.push(sequence, now):
            self.counters["rtp_duplicate"] += 1
            return None
        if self.keyframes.pending and opens_keyframe(self.codec.name, packet.payload):
            self.keyframes.on_keyframe()
        return packet

    def _start_stream(self, ssrc: int) -> ReceiveStatistics:
        """Begin a stream: the first one, or another after the publisher's sender was replaced."""
        restarted = self.statistics is not None
        self._lost_before += self.missing.lost
        self._recovered_before += self.missing.recovered
        self.missing = MissingPackets()
        self._sequences = Unwrapper(16)
        self.sender_report = self.clock = None
        self.statistics = ReceiveStatistics(ssrc, self.codec.clock_rate_hz)
        if restarted:
            for output in self.outputs:
                output.attach(self.codec.name, self.extensions)
        return self.statistics

    def request_keyframe(self, now: float) -> list[bytes]:
        """Return the RTCP packets to send because somebody needs a keyframe."""
        if self.key.kind is Kind.AUDIO or self.ssrc is None or not self.keyframes.want(now):
            return []
        return self._keyframe_request()

    def _keyframe_request(self) -> list[bytes]:
        if self.ssrc is None:
            return []
        self.counters["pli_sent"] += 1
        if self.codec.pli:
            return [rtcp.picture_loss(self._rtcp_ssrc, self.ssrc)]
        self._fir_number += 1
        return [rtcp.full_intra_request(self._rtcp_ssrc, self.ssrc, self._fir_number)]

    def poll(self, now: float) -> list[bytes]:
        """Return the feedback that is due: NACKs, and requests for a keyframe."""
        packets: list[bytes] = []
        if len(self.missing):
            packets += self._ask_again(now)
        if self.key.kind is Kind.VIDEO:
            if any(output.wants_keyframe for output in self.outputs):
                packets += self.request_keyframe(now)
            if self.keyframes.poll(now):
                packets += self._keyframe_request()
        return packets

    def _ask_again(self, now: float) -> list[bytes]:
        if not self.codec.nack or self.ssrc is None:
            self.missing.expire(now)
            return []
        lost = self.missing.lost
        asked = self.missing.due(now)
        packets = [rtcp.nack(self._rtcp_ssrc, self.ssrc, asked)] if asked else []
        self.counters["nacks_sent"] += len(packets)
        if self.missing.lost > lost:
            # subscribers cannot decode past a hole that will never be filled
            packets += self.request_keyframe(now)
        return packets
