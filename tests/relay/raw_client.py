"""A WebRTC client whose every RTP and RTCP byte the test chooses.

ICE, DTLS and SRTP are real; the media is scripted. ``lose_out`` and ``lose_in`` are the
scripted boundary: a packet for which they return true never crosses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiortc import RTCDtlsParameters
from aiortc.sdp import SessionDescription, candidate_to_sdp

from guard.media import vp8
from guard.media.rtp import RtpPacket, parse_rtp, serialise_rtp
from guard.relay.codecs import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, MID_URI
from guard.relay.config import RelayConfig
from guard.relay.relay import Relay
from guard.relay.rtcp import RtcpPacket, parse_rtcp
from guard.relay.seam import Identity, Transport
from guard.types import Kind

LOOPBACK = RelayConfig(addresses=("127.0.0.1",))
IDENTITY = Identity()
H264_FMTP = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
VP8_LINES = {96: "VP8/90000", 97: "rtx/90000 apt=96"}
H264_LINES = {102: "H264/90000", 103: "rtx/90000 apt=102"}
OPUS_LINES = {111: "opus/48000/2"}


@dataclass(frozen=True)
class Line:
    """One m-line of an offer; ``codecs`` maps payload types to rtpmap texts."""

    mid: str
    kind: Kind
    direction: str = "sendrecv"
    codecs: Mapping[int, str] = field(default_factory=dict)
    extensions: Mapping[int, str] = field(default_factory=dict)
    ssrcs: Sequence[int] = ()

    def text(self) -> list[str]:
        codecs = self.codecs or (VP8_LINES if self.kind is Kind.VIDEO else OPUS_LINES)
        lines = [f"m={self.kind.value} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, codecs))}", "c=IN IP4 0.0.0.0"]
        lines += [f"a=mid:{self.mid}", f"a={self.direction}", "a=rtcp-mux"]
        lines += [f"a=extmap:{number} {uri}" for number, uri in self.extensions.items()]
        for number, text in codecs.items():
            name, _, fmtp = text.partition(" ")
            lines.append(f"a=rtpmap:{number} {name}")
            if name.startswith("H264"):
                fmtp = H264_FMTP
            if fmtp:
                lines.append(f"a=fmtp:{number} {fmtp}")
            elif self.kind is Kind.VIDEO:
                lines += [f"a=rtcp-fb:{number} {fb}" for fb in ("nack", "nack pli", "goog-remb")]
        if len(self.ssrcs) == 2:
            lines.append(f"a=ssrc-group:FID {self.ssrcs[0]} {self.ssrcs[1]}")
        return lines + [f"a=ssrc:{ssrc} cname:x" for ssrc in self.ssrcs]


def audio(mid: str, direction: str = "sendrecv", *ssrcs: int, **changes: object) -> Line:
    extensions = {1: MID_URI, 2: AUDIO_LEVEL_URI}
    return Line(mid, Kind.AUDIO, direction, **{"extensions": extensions, "ssrcs": ssrcs, **changes})  # type: ignore[arg-type]


def video(mid: str, direction: str = "sendrecv", *ssrcs: int, **changes: object) -> Line:
    extensions = {1: MID_URI, 3: ABS_SEND_TIME_URI}
    return Line(mid, Kind.VIDEO, direction, **{"extensions": extensions, "ssrcs": ssrcs, **changes})  # type: ignore[arg-type]


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait for a condition, by looking again and again until a deadline."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - conditions are of many objects
            await asyncio.sleep(0.002)


class RawClient:
    """One scripted peer."""

    def __init__(self, relay: Relay, name: str, session: str = "s", connection: str | None = None) -> None:
        self.relay = relay
        self.name = name
        self.session = session
        self.connection = connection or name
        self.received: list[RtpPacket] = []
        self.control: list[RtcpPacket] = []
        self.texts: list[str | bytes] = []
        self.state = "new"
        self.channel_open = False
        self.lose_out: Callable[[RtpPacket], bool] = lambda _: False
        self.lose_in: Callable[[RtpPacket], bool] = lambda _: False
        self.answer = SessionDescription()
        self.transport = Transport(LOOPBACK, IDENTITY, self)
        self.transport._connection.ice_controlling = True
        self._gathered = False
        self._channel = False

    # TransportHandler

    def on_rtp(self, data: bytes) -> None:
        packet = parse_rtp(data)
        if not self.lose_in(packet):
            self.received.append(packet)

    def on_rtcp(self, data: bytes) -> None:
        self.control += parse_rtcp(data)

    def on_state(self, state: str) -> None:
        self.state = state
        if state == "connected" and self._channel:
            self.transport.open_channel(5000, 65536)

    def on_channel_open(self) -> None:
        self.channel_open = True

    def on_channel_message(self, message: str | bytes) -> None:
        self.texts.append(message)

    # negotiation

    async def offer(self, lines: Sequence[Line], channel: bool = False) -> str:
        if not self._gathered:
            self._gathered = True
            await self.transport.gather()
        self._channel = channel
        ice = self.transport.ice_parameters
        transport = [f"a=ice-ufrag:{ice.usernameFragment}", f"a=ice-pwd:{ice.password}", "a=setup:actpass"]
        transport += [f"a=fingerprint:{f.algorithm} {f.value}" for f in IDENTITY.fingerprints()]
        transport += [f"a=candidate:{candidate_to_sdp(c)}" for c in self.transport.candidates]
        mids = [line.mid for line in lines] + (["data"] if channel else [])
        text = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
        for line in lines:
            text += line.text() + transport
        if channel:
            text += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:data"]
            text += ["a=sctp-port:5000", *transport]
        return "\r\n".join(text) + "\r\n"

    async def join(
        self,
        lines: Sequence[Line],
        *,
        publish: bool = True,
        subscriptions: Mapping[str, str] | None = None,
        channel: bool = False,
    ) -> None:
        """Offer, take the answer and, the first time, start to connect."""
        answer = await self.relay.negotiate(
            self.connection,
            session=self.session,
            participant=self.name,
            sdp=await self.offer(lines, channel),
            publish=publish,
            subscriptions=subscriptions or {},
        )
        first = not self.answer.media
        self.answer = SessionDescription.parse(answer)
        if first:
            section = next(m for m in self.answer.media if m.port)
            assert section.ice is not None and section.dtls is not None
            for candidate in section.ice_candidates:
                await self.transport.add_candidate(candidate_to_sdp(candidate))
            self.transport.start(section.ice, RTCDtlsParameters(section.dtls.fingerprints, section.dtls.role))

    async def connected(self) -> None:
        """Wait until both ends have finished the handshake: either may be first by a moment."""
        await until(lambda: self.state == "connected")
        await until(lambda: self.relay.stats().peer[self.connection].state == "connected")

    def ssrcs(self, mid: str) -> list[int]:
        """The SSRCs guard announced on that m-line: media, then retransmissions."""
        (section,) = (m for m in self.answer.media if m.rtp.muxId == mid)
        return [s.ssrc for s in section.ssrc]

    def on_line(self, mid: str) -> list[RtpPacket]:
        """The media packets received on that m-line so far."""
        return [p for p in self.received if p.ssrc == self.ssrcs(mid)[0]]

    # media

    def send(self, packet: RtpPacket) -> None:
        if not self.lose_out(packet):
            assert self.transport.send_rtp(serialise_rtp(packet))

    def send_video(self, ssrc: int, sequence: int, *, key: bool = False, picture: int | None = None) -> bytes:
        """Send a frame of one packet and return its payload."""
        frame = bytes((0 if key else 1,)) + sequence.to_bytes(4, "big") * 20
        (payload,) = vp8.packetize(frame, picture_id=sequence if picture is None else picture)
        self.send(RtpPacket(96, True, sequence & 0xFFFF, sequence * 3000 & 0xFFFFFFFF, ssrc, payload=payload))
        return payload

    def send_audio(self, ssrc: int, sequence: int, level: int = 10) -> bytes:
        payload = b"opus" + sequence.to_bytes(4, "big")
        timestamp = sequence * 960 & 0xFFFFFFFF
        extensions = ((2, bytes((level,))),)
        self.send(RtpPacket(111, False, sequence & 0xFFFF, timestamp, ssrc, (), extensions, payload))
        return payload

    def send_control(self, *packets: bytes) -> None:
        assert self.transport.send_rtcp(b"".join(packets))

    async def close(self) -> None:
        await self.transport.close()
