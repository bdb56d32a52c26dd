"""One client's connection: what it publishes, what it is sent, and its RTCP both ways."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from guard.clock import Clock
from guard.errors import PeerError
from guard.media.rtp import RtpPacket, parse_rtp
from guard.relay import rtcp
from guard.relay.answer import token
from guard.relay.bandwidth import BandwidthCombiner
from guard.relay.codecs import MID_URI
from guard.relay.config import RelayConfig
from guard.relay.output import Output
from guard.relay.publication import Publication
from guard.relay.seam import Identity, Transport
from guard.types import Kind, TrackKey

# an authenticated client could otherwise fill memory by sending under ever new SSRCs
_MAX_ROUTES = 64
REPORT_INTERVAL_S = 1.0
MESSAGES_PER_S = 50


class PeerOwner(Protocol):
    """What a peer asks of the relay."""

    def forward(self, publication: Publication, packet: RtpPacket, now: float) -> None:
        """Send a packet to the track's subscribers and to the tap."""

    def on_sender_report(self, publication: Publication, report: rtcp.SenderReport) -> None:
        """Pass the publisher's clock on to the track's subscribers."""

    def send_clocks(self, peer: Peer) -> None:
        """Tell the peer the clocks of what it is newly sent."""

    def on_keyframe_wanted(self, key: TrackKey) -> None:
        """A subscriber cannot decode that track any more."""

    def on_bandwidth(self, key: TrackKey, ssrc: int, bitrate_bps: int) -> None:
        """A subscriber tells how much it can take of that track."""

    def on_peer_state(self, peer: Peer, state: str) -> None:
        """The connection's state changed."""

    def on_channel_open(self, peer: Peer) -> None:
        """The data channel is open."""

    def on_channel_message(self, peer: Peer, text: str) -> None:
        """The client sent text."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One m-line that carries somebody's track to this client."""

    key: TrackKey
    output: Output


class Peer:
    """One client's connection.

    Args:
        name: identifies the connection.
        session: the call.
        participant: whose connection it is.
        config: of the relay.
        identity: the relay's certificate.
        clock: read once per received packet.
        owner: the relay.
    """

    def __init__(
        self,
        name: str,
        session: str,
        participant: str,
        *,
        config: RelayConfig,
        identity: Identity,
        clock: Clock,
        owner: PeerOwner,
    ) -> None:
        self.name = name
        self.session = session
        self.participant = participant
        self.rtcp_ssrc = secrets.randbits(32)
        self.transport = Transport(config, identity, self)
        self.lock = asyncio.Lock()
        self.state = "new"
        self.remote_ufrag: str | None = None
        self.channel_port: int | None = None
        self.channel_message_bytes = 0
        self.answers = 0
        self.publications: dict[Kind, Publication] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.counters: Counter[str] = Counter()
        self.bandwidth = BandwidthCombiner()
        self.created_at = clock.now()
        self.heard_at = self.created_at
        self._max_message_bytes = config.max_message_bytes
        self._clock = clock
        self._owner = owner
        self._routes: dict[int, Publication] = {}
        self._by_output_ssrc: dict[int, Subscription] = {}
        self._datagrams_seen = 0
        self._reported_at = self.created_at
        self._messages_allowed = MESSAGES_PER_S

    # what arrives

    def on_rtp(self, data: bytes) -> None:
        """Take one decrypted RTP packet."""
        now = self._clock.now()
        self.counters["packets_received"] += 1
        self.counters["bytes_received"] += len(data)
        try:
            packet = parse_rtp(data)
        except PeerError as error:
            self.counters[error.code] += 1
            return
        publication = self._routes.get(packet.ssrc) or self._bind(packet)
        if publication is None:
            self.counters["rtp_unknown_ssrc"] += 1
            return
        fresh = publication.receive(packet, now)
        if fresh is not None:
            self._owner.forward(publication, fresh, now)

    def _bind(self, packet: RtpPacket) -> Publication | None:
        """Find the track of a new SSRC by its MID, else by payload type (RFC 8843 section 9.2)."""
        if len(self._routes) >= _MAX_ROUTES:
            return None
        candidates = []
        for publication in self.publications.values():
            identifier = publication.extensions.get(MID_URI)
            mid = None if identifier is None else packet.extension(identifier)
            codec = publication.codec
            if packet.payload_type not in (codec.payload_type, codec.rtx_payload_type):
                continue
            if mid is None or mid == publication.mid.encode():
                candidates.append(publication)
        if len(candidates) != 1:
            return None
        self._routes[packet.ssrc] = candidates[0]
        return candidates[0]

    def on_rtcp(self, data: bytes) -> None:
        """Take one decrypted RTCP compound packet."""
        try:
            packets = rtcp.parse_rtcp(data)
        except PeerError as error:
            self.counters[error.code] += 1
            return
        now = self._clock.now()
        for packet in packets:
            self._on_rtcp(packet, now)

    def _on_rtcp(self, packet: rtcp.RtcpPacket, now: float) -> None:
        match packet:
            case rtcp.SenderReport(ssrc=ssrc, reports=reports):
                self._on_reports(reports)
                publication = self._routes.get(ssrc)
                if publication is not None and publication.take_sender_report(packet, now):
                    self._owner.on_sender_report(publication, packet)
            case rtcp.Nack(media_ssrc=ssrc, sequences=sequences):
                subscription = self._by_output_ssrc.get(ssrc)
                if subscription is not None:
                    subscription.output.on_nack(sequences, now)
            case rtcp.KeyframeRequest(media_ssrc=ssrc):
                subscription = self._by_output_ssrc.get(ssrc)
                if subscription is not None:
                    self.counters["pli_received"] += 1
                    self._owner.on_keyframe_wanted(subscription.key)
            case rtcp.Bandwidth(bitrate_bps=bitrate):
                self._share_bandwidth(bitrate)
            case rtcp.ReceiverReport(reports=reports):
                self._on_reports(reports)

    def _on_reports(self, reports: tuple[rtcp.Report, ...]) -> None:
        for report in reports:
            subscription = self._by_output_ssrc.get(report.ssrc)
            if subscription is not None:
                subscription.output.counters.reported_lost = report.packets_lost

    def _share_bandwidth(self, bitrate_bps: int) -> None:
        """Divide the client's estimate, which covers all it receives, among its video streams."""
        videos = [
            s for s in self.subscriptions.values() if s.key.kind is Kind.VIDEO and s.output.codec is not None
        ]
        for subscription in videos:
            share = bitrate_bps // len(videos)
            self._owner.on_bandwidth(subscription.key, subscription.output.stream.ssrc, share)

    def on_state(self, state: str) -> None:
        """The transport's state changed."""
        self.state = state
        if state == "connected":
            self.heard_at = self._clock.now()
            self.open_channel()
        self._owner.on_peer_state(self, state)

    def open_channel(self) -> None:
        """Open the data channel, if the client offered one and the connection stands."""
        if self.channel_port is not None and self.transport.connected:
            self.transport.open_channel(self.channel_port, self.channel_message_bytes)

    def on_channel_open(self) -> None:
        """The data channel is open."""
        self._owner.on_channel_open(self)

    def on_channel_message(self, message: str | bytes) -> None:
        """Take text; anything else, or too much of it, is counted and dropped."""
        self._messages_allowed -= 1
        if self._messages_allowed < 0:
            self.counters["channel_flood"] += 1
        elif not isinstance(message, str):
            self.counters["channel_binary"] += 1
        elif len(message.encode()) > self._max_message_bytes:
            self.counters["channel_oversized"] += 1
        else:
            self._owner.on_channel_message(self, message)

    # what leaves

    def send_rtp(self, data: bytes) -> None:
        """Send one RTP packet."""
        if self.transport.send_rtp(data):
            self.counters["packets_forwarded"] += 1
            self.counters["bytes_forwarded"] += len(data)

    def send_feedback(self, packets: list[bytes]) -> None:
        """Send RTCP packets as one compound, with the report every compound begins with."""
        if packets:
            self.transport.send_rtcp(rtcp.receiver_report(self.rtcp_ssrc) + b"".join(packets))

    def send_sender_report(self, output: Output, report: rtcp.SenderReport, participant: str) -> None:
        """Send the publisher's clock in the terms of one output (lip sync rests on it)."""
        timestamp = output.shifted_timestamp(report.timestamp)
        if timestamp is None:
            return
        output.clock_sent = True
        counters = output.counters
        ssrc = output.stream.ssrc
        own = rtcp.SenderReport(ssrc, report.ntp, timestamp, counters.packets, counters.octets)
        self.transport.send_rtcp(rtcp.sender_report(own) + rtcp.source_description(ssrc, token(participant)))

    def poll(self, now: float) -> None:
        """Send the feedback that is due."""
        packets: list[bytes] = []
        for publication in self.publications.values():
            packets += publication.poll(now)
        bitrate = self.bandwidth.poll(now)
        video = self.publications.get(Kind.VIDEO)
        if bitrate is not None and video is not None and video.ssrc is not None:
            packets.append(rtcp.bandwidth(self.rtcp_ssrc, bitrate, [video.ssrc]))
        if now - self._reported_at >= REPORT_INTERVAL_S:
            self._reported_at = now
            self._messages_allowed = MESSAGES_PER_S
            self._owner.send_clocks(self)
            statistics = [p.statistics for p in self.publications.values() if p.statistics is not None]
            reports = [r for s in statistics if (r := s.report(now)) is not None]
            if reports:
                self.transport.send_rtcp(rtcp.receiver_report(self.rtcp_ssrc, reports) + b"".join(packets))
                return
        self.send_feedback(packets)

    def silent_s(self, now: float) -> float:
        """Return for how long nothing authentic came from the client."""
        if self.transport.datagrams_received != self._datagrams_seen:
            self._datagrams_seen = self.transport.datagrams_received
            self.heard_at = now
        return now - self.heard_at

    # what was negotiated

    def set_publication(self, publication: Publication, ssrcs: list[int]) -> None:
        """Take media of that track, announced under these SSRCs."""
        self.publications[publication.key.kind] = publication
        for ssrc in ssrcs[:8]:
            self._routes[ssrc] = publication

    def drop_publication(self, publication: Publication) -> None:
        """Take no more media of that track."""
        if self.publications.get(publication.key.kind) is publication:
            del self.publications[publication.key.kind]
        self._routes = {ssrc: p for ssrc, p in self._routes.items() if p is not publication}

    def set_subscription(self, mid: str, subscription: Subscription) -> None:
        """Send that track on that m-line."""
        self.subscriptions[mid] = subscription
        self._by_output_ssrc[subscription.output.stream.ssrc] = subscription

    def drop_subscription(self, mid: str) -> None:
        """Send nothing on that m-line any more."""
        subscription = self.subscriptions.pop(mid)
        self._by_output_ssrc.pop(subscription.output.stream.ssrc, None)
