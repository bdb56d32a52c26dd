"""The load: a WebRTC peer that costs as little as possible, on guard's own ICE, DTLS and SRTP.

It sends and receives RTP packets as bytes; no jitter buffer, no codec, no feedback. So one
core drives tens of calls, and what is measured is the relay, not its clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc import RTCDtlsParameters
from aiortc.sdp import MediaDescription, SessionDescription, candidate_to_sdp

from guard.relay.config import RelayConfig
from guard.relay.seam import Identity, Transport

LOOPBACK = ("127.0.0.1",)
AUDIO_PT, VIDEO_PT = 111, 96
_IDENTITY = Identity()


class WirePeer:
    """One peer connection with one audio and one video m-line.

    Set ``on_packet`` to be called with the bytes of every received RTP packet.

    Args:
        ssrcs: of its own audio and video, where it sends.
        addresses: of this host to offer.
    """

    def __init__(self, ssrcs: tuple[int, int] | None = None, addresses: tuple[str, ...] = LOOPBACK) -> None:
        self.on_packet: Callable[[bytes], None] | None = None
        self._ssrcs = ssrcs
        self._answer_mids: list[tuple[str, str]] = []
        self.state = "new"
        self.changed = asyncio.Event()
        self.transport = Transport(RelayConfig(addresses=addresses), _IDENTITY, self)
        self.audio_pt, self.video_pt = AUDIO_PT, VIDEO_PT

    def on_rtp(self, data: bytes) -> None:
        if self.on_packet is not None:
            self.on_packet(data)

    def on_rtcp(self, data: bytes) -> None:
        pass

    def on_state(self, state: str) -> None:
        self.state = state
        self.changed.set()

    def on_channel_open(self) -> None:
        pass

    def on_channel_message(self, message: str | bytes) -> None:
        pass

    async def offer(self) -> str:
        """Return an offer to send (with SSRCs) or to receive (without)."""
        self.transport._connection.ice_controlling = True
        await self.transport.gather()
        return self._describe([("audio", "0"), ("video", "1")], setup="actpass")

    def _describe(self, lines: list[tuple[str, str]], *, setup: str) -> str:
        direction = "sendonly" if self._ssrcs else "recvonly"
        bundle = " ".join(mid for _, mid in lines)
        text = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {bundle}"]
        text.append("a=msid-semantic: WMS *")
        for kind, mid in lines:
            text += self._section(kind, mid, direction, setup)
        return "\r\n".join(text) + "\r\n"

    def _section(self, kind: str, mid: str, direction: str, setup: str) -> list[str]:
        pt = self.audio_pt if kind == "audio" else self.video_pt
        codec = "opus/48000/2" if kind == "audio" else "VP8/90000"
        lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {pt}", "c=IN IP4 127.0.0.1", f"a=mid:{mid}", f"a={direction}"]
        lines += ["a=rtcp-mux", f"a=rtpmap:{pt} {codec}"]
        if kind == "video":
            lines += [f"a=rtcp-fb:{pt} nack", f"a=rtcp-fb:{pt} nack pli", f"a=rtcp-fb:{pt} goog-remb"]
        if self._ssrcs:
            ssrc = self._ssrcs[0 if kind == "audio" else 1]
            lines += [f"a=msid:bench {kind}", f"a=ssrc:{ssrc} cname:bench"]
        ice = self.transport.ice_parameters
        lines += [f"a=ice-ufrag:{ice.usernameFragment}", f"a=ice-pwd:{ice.password}", f"a=setup:{setup}"]
        lines += [f"a=fingerprint:{f.algorithm} {f.value}" for f in _IDENTITY.fingerprints()]
        return lines + [f"a=candidate:{candidate_to_sdp(c)}" for c in self.transport.candidates]

    async def take_answer(self, sdp: str) -> None:
        """Start to connect as the answer says."""
        await self._start(SessionDescription.parse(sdp).media, None)

    async def answer(self, offer: str) -> str:
        """Take an offer to receive, start to connect, and return the answer."""
        self.transport._connection.ice_controlling = False
        await self.transport.gather()
        media = SessionDescription.parse(offer).media
        for section in media:
            if section.kind == "audio":
                self.audio_pt = section.rtp.codecs[0].payloadType or AUDIO_PT
            elif section.kind == "video":
                self.video_pt = section.rtp.codecs[0].payloadType or VIDEO_PT
        text = self._describe([(s.kind, s.rtp.muxId) for s in media], setup="active")
        await self._start(media, "server")
        return text

    async def _start(self, media: list[MediaDescription], role: str | None) -> None:
        section = next(m for m in media if m.port)
        assert section.ice is not None
        assert section.dtls is not None
        for candidate in section.ice_candidates:
            await self.transport.add_candidate(candidate_to_sdp(candidate))
        dtls = RTCDtlsParameters(section.dtls.fingerprints, role or section.dtls.role)
        self.transport.start(section.ice, dtls)

    async def connected(self, timeout_s: float = 30.0) -> None:
        """Wait for DTLS.

        Raises:
            ConnectionError: it failed or took longer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self.state == "new":
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pass
        if self.state != "connected":
            raise ConnectionError(f"no connection: {self.state}")

    async def close(self) -> None:
        await self.transport.close()
