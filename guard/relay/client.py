"""A real WebRTC peer that plays files and keeps what it receives; for demo, tests and benchmarks.

It runs outside the relay process (or beside it in tests), sends pre-encoded media
paced by media time and never decodes. One ``ScriptedClient`` is one peer connection;
``whip`` and ``whep`` in ``client_http.py`` join it to a running ``guard serve``.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from guard.clock import Clock, SystemClock
from guard.errors import PeerError
from guard.media.clip import Clip, Playlist, Source
from guard.relay.client_media import (
    OnPacket,
    Player,
    ReceivedTrack,
    ScriptedTrack,
    bind_addresses,
    tap_receiver,
)
from guard.types import Kind

CHANNEL = "guard"


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One JSON object from the ``guard`` data channel and when it arrived (monotonic)."""

    body: dict[str, Any]
    arrival_s: float


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How a client behaves.

    Args:
        receive: how many other participants it offers to receive (audio and video each).
        data_channel: offer ``m=application``, so that guard opens its channel.
        acknowledge: answer every alert at once with its acknowledgement.
        keep_frames: newest encoded frames to keep of each received track.
        h264: offer H.264 instead of VP8.
        addresses: the client's own addresses to offer; empty means every one but loopback,
            and loopback alone on a host that has nothing else.
    """

    receive: int = 0
    data_channel: bool = False
    acknowledge: bool = False
    keep_frames: int = 0
    h264: bool = False
    addresses: tuple[str, ...] = ()


@dataclass(slots=True)
class ClientCounters:
    """What happened besides media."""

    keyframe_requests: int = 0
    bad_messages: int = 0
    acknowledged: list[tuple[str, float]] = field(default_factory=list)


class ScriptedClient:
    """One peer connection that plays a source and keeps what arrives.

    Args:
        source: what it sends, a playlist or a live source; None sends nothing.
        config: see ClientConfig.
        clock: paces sending and stamps arrivals.
        on_packet: takes each received RTP packet instead of frames; see ``tap_receiver``.
        on_message: called with each message of the ``guard`` channel.
    """

    def __init__(
        self,
        source: Source | None = None,
        config: ClientConfig | None = None,
        *,
        clock: Clock | None = None,
        on_packet: OnPacket | None = None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
    ) -> None:
        self.config = config or ClientConfig()
        self.clock = clock or SystemClock()
        self.counters = ClientCounters()
        self.tracks: list[ReceivedTrack] = []
        self.messages: list[ReceivedMessage] = []
        self.channel: RTCDataChannel | None = None
        self.message_arrived = asyncio.Event()
        self._on_packet = on_packet
        self._on_message = on_message
        self._player = Player(source, self.clock) if source is not None else None
        self.senders: dict[Kind, RTCRtpSender] = {}
        self._state_changed = asyncio.Event()
        self.connection = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[],
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )
        self._listen()
        self._add_media()
        if self.config.data_channel:
            # aiortc's own switch for this puts the m-line first and then finds no bundle (1.16)
            self.connection.createDataChannel("offered")

    def _listen(self) -> None:
        self.connection.on("track", self._take_track)
        self.connection.on("datachannel", self._take_channel)
        self.connection.on("connectionstatechange", self._state_changed.set)

    def _add_media(self) -> None:
        if self._player is not None:
            for kind in Kind:
                if self._player.source.has(kind):
                    self._add_sender(kind, self._player)
        for _ in range(self.config.receive):
            for kind in Kind:
                self._prefer(self.connection.addTransceiver(kind.value, direction="recvonly"), kind)

    def _add_sender(self, kind: Kind, player: Player) -> None:
        transceiver = self.connection.addTransceiver(ScriptedTrack(player, kind), direction="sendonly")
        self._prefer(transceiver, kind)
        self.senders[kind] = transceiver.sender
        # nothing is encoded here: who encodes is asked
        transceiver.sender._send_keyframe = self._pass_on_keyframe_request  # type: ignore[method-assign]

    def _prefer(self, transceiver: Any, kind: Kind) -> None:
        wanted = "audio/opus" if kind is Kind.AUDIO else "video/h264" if self.config.h264 else "video/vp8"
        codecs = RTCRtpSender.getCapabilities(kind.value).codecs
        chosen = [c for c in codecs if c.mimeType.lower() in (wanted, "video/rtx")]
        transceiver.setCodecPreferences(chosen)

    def _pass_on_keyframe_request(self) -> None:
        self.counters.keyframe_requests += 1
        if self._player is not None:
            self._player.source.want_keyframe()

    async def negotiate(self, exchange: Callable[[str], Awaitable[str]]) -> None:
        """Offer, hand the offer to ``exchange`` and take the answer it returns.

        Raises:
            PeerError: ``bad_answer``, the answer does not fit the offer.
        """
        offer = await self.connection.createOffer()
        bind_addresses(self.connection, self.config.addresses)
        await self.connection.setLocalDescription(offer)
        answer = await exchange(self.connection.localDescription.sdp)
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except ValueError as error:
            raise PeerError("bad_answer", f"the answer cannot be used: {error}") from error

    async def answer(self, offer: str) -> str:
        """Take an offer and return the answer to it.

        Raises:
            PeerError: ``bad_offer``.
        """
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        except ValueError as error:
            raise PeerError("bad_offer", f"the offer cannot be used: {error}") from error
        answer = await self.connection.createAnswer()
        bind_addresses(self.connection, self.config.addresses)
        await self.connection.setLocalDescription(answer)
        return self.connection.localDescription.sdp

    async def connected(self, timeout_s: float = 10.0) -> None:
        """Wait until ICE and DTLS are up.

        Raises:
            PeerError: ``not_connected``, they failed or took longer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while (state := self.connection.connectionState) != "connected":
                    if state in ("failed", "closed"):
                        break
                    self._state_changed.clear()
                    await self._state_changed.wait()
        except TimeoutError:
            pass
        if self.connection.connectionState != "connected":
            raise PeerError(
                "not_connected",
                f"no connection within {timeout_s:g} s; it is {self.connection.connectionState}",
            )

    @property
    def playing(self) -> bool:
        """Whether sending has begun."""
        return self._player is not None and self._player.started_at is not None

    def media_time_s(self) -> float:
        """Return the media time that is being sent now."""
        return self._player.media_time_s() if self._player is not None else 0.0

    def switch_source(self, clip: Clip) -> float:
        """Send another clip from now on, from its first keyframe, with continuous timestamps.

        Returns:
            Monotonic seconds at which its first packet is due.

        Raises:
            ValueError: the client plays no playlist, has not begun, or the video codec differs.
        """
        if self._player is None or self._player.started_at is None:
            raise ValueError("the client does not play yet; wait for connected()")
        if not isinstance(self._player.source, Playlist):
            raise ValueError("only a playlist can be switched")
        start_s = self._player.source.switch(clip, self._player.media_time_s())
        return self._player.started_at + start_s

    def received(self, kind: Kind) -> list[ReceivedTrack]:
        """Return the tracks of one kind, in order of their m-lines."""
        return [track for track in self.tracks if track.kind is kind]

    def say(self, message: Mapping[str, Any]) -> None:
        """Send guard a message of docs/signalling.md on the data channel.

        Raises:
            PeerError: ``no_channel``, guard has opened no channel.
        """
        if self.channel is None or self.channel.readyState != "open":
            raise PeerError("no_channel", "guard has opened no data channel to answer on")
        self.channel.send(json.dumps(message))

    def acknowledge(self, alert_id: str) -> None:
        """Tell guard that the person saw an alert.

        Raises:
            PeerError: ``no_channel``, guard has opened no channel.
        """
        self.say({"v": 1, "type": "ack", "id": alert_id})
        self.counters.acknowledged.append((alert_id, self.clock.now()))

    async def close(self) -> None:
        """Hang up."""
        await self.connection.close()

    def _take_track(self, media: MediaStreamTrack) -> None:
        transceiver = next(t for t in self.connection.getTransceivers() if t.receiver.track is media)
        kept: deque[Any] = deque(maxlen=self.config.keep_frames)
        track = ReceivedTrack(Kind(media.kind), str(transceiver.mid), kept)
        self.tracks.append(track)
        tap_receiver(transceiver.receiver, track, self.clock, self._on_packet)

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == CHANNEL:
            self.channel = channel
            channel.on("message", self._take_message)

    def _take_message(self, data: str | bytes) -> None:
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self.counters.bad_messages += 1
            return
        message = ReceivedMessage(body, self.clock.now())
        self.messages.append(message)
        self.message_arrived.set()
        if self.config.acknowledge and body.get("type") == "alert":
            self.acknowledge(str(body["id"]))
        if self._on_message is not None:
            self._on_message(message)
