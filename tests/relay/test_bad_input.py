"""What a hostile client sends is counted and dropped; nobody else in the call notices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.clock import ManualClock
from guard.errors import PeerError
from guard.media.rtp import RtpPacket, serialise_rtp
from guard.relay import rtcp
from guard.relay.codecs import Codec
from guard.relay.events import ChannelMessage, ChannelOpen, PeerClosed
from guard.relay.peer import Peer
from guard.relay.publication import Publication
from guard.relay.relay import Relay
from guard.relay.tap import Tap
from guard.types import Kind, TrackKey
from tests.relay.conftest import House
from tests.relay.raw_client import IDENTITY, LOOPBACK, Line, RawClient, audio, until, video

DCEP, STRING, BINARY = 50, 51, 53


@dataclass
class Call:
    """A call of two that must go on, and somebody who misbehaves."""

    house: House
    speaker: RawClient
    listener: RawClient
    eve: RawClient

    async def still_works(self) -> None:
        before = len(self.listener.received)
        self.speaker.send_audio(1001, before + 1)
        await until(lambda: len(self.listener.received) == before + 1)
        assert not [e for e in self.house.of(PeerClosed) if isinstance(e, PeerClosed) and e.peer != "eve"]

    def dropped(self, reason: str) -> int:
        return self.house.relay.stats().dropped.get(reason, 0)


@pytest.fixture
async def call(house: House) -> AsyncIterator[Call]:
    made = Call(house, house.client("a"), house.client("b"), house.client("eve"))
    await made.speaker.join([audio("0", "sendonly", 1001)])
    await made.listener.join([audio("0", "recvonly")], publish=False, subscriptions={"0": "a"})
    await made.eve.join([audio("0", "sendonly", 5), video("1", "sendonly", 6, 7)], channel=True)
    for client in (made.speaker, made.listener, made.eve):
        await client.connected()
    yield made
    await made.still_works()


def sealed_by(client: RawClient) -> list[tuple[bytes, tuple[str, int]]]:
    """Record every datagram the client's socket sends from now on."""
    pair = client.transport._connection._nominated[1]
    sent: list[tuple[bytes, tuple[str, int]]] = []
    transport = pair.protocol.transport

    class Recorder:
        def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
            sent.append((data, addr))
            transport.sendto(data, addr)

        def __getattr__(self, name: str) -> object:
            return getattr(transport, name)

    pair.protocol.transport = Recorder()  # type: ignore[assignment]
    return sent


async def test_replayed_and_tampered_srtp_is_counted(call: Call) -> None:
    sent = sealed_by(call.speaker)
    await call.still_works()
    media = [item for item in sent if item[0][0] >> 6 == 2 and not 192 <= item[0][1] <= 223]
    data, addr = media[-1]
    socket = call.speaker.transport._connection._nominated[1].protocol.transport
    socket.sendto(data, addr)
    # libsrtp looks at the sequence number before it checks the tag, so what is forged must be new
    newer = data[:2] + (int.from_bytes(data[2:4], "big") + 1).to_bytes(2, "big")
    socket.sendto(newer + data[4:], addr)
    socket.sendto(newer + data[4:20], addr)
    socket.sendto(b"\x80\xc8" + bytes(30), addr)
    socket.sendto(b"\x80\x60" + bytes(1600), addr)
    await until(lambda: call.house.relay.stats().srtp_replayed == 1)
    await until(lambda: call.house.relay.stats().srtp_failed >= 3 and call.dropped("srtp_oversized") == 1)


@pytest.mark.parametrize(
    ("pp_id", "data", "reason"),
    [
        (BINARY, b"\x00\x01", "channel_binary"),
        (STRING, b"\xff\xfe\xfd", "channel_malformed"),
        (STRING, b"x" * 20000, "channel_oversized"),
        (DCEP, b"\x03" + bytes(11), "channel_malformed"),
    ],
)
async def test_data_channel_garbage_is_counted_and_the_channel_lives(
    call: Call, pp_id: int, data: bytes, reason: str
) -> None:
    await until(lambda: call.house.of(ChannelOpen) and call.eve.channel_open)
    sctp = call.eve.transport._sctp
    assert sctp is not None
    stream = call.eve.transport._channel
    assert stream is not None and stream.id is not None
    await sctp._send(stream.id, pp_id, data)
    await until(lambda: call.dropped(reason) == 1)
    assert call.eve.transport.send_text("fine")
    await until(lambda: call.house.of(ChannelMessage))
    assert call.house.of(ChannelMessage) == [ChannelMessage("s", "eve", "fine")]


async def test_flood_of_messages_is_cut(call: Call) -> None:
    await until(lambda: call.house.of(ChannelOpen) and call.eve.channel_open)
    for number in range(300):
        call.eve.transport.send_text(str(number))
    await until(lambda: call.dropped("channel_flood") + len(call.house.of(ChannelMessage)) == 300)
    assert call.dropped("channel_flood") >= 100


async def test_unknown_streams_and_broken_extensions_are_counted(call: Call) -> None:
    call.eve.send(RtpPacket(96, True, 1, 1, 99, payload=b"x"))
    call.eve.send(RtpPacket(33, True, 1, 1, 6, payload=b"x"))
    overrun = serialise_rtp(RtpPacket(96, True, 2, 1, 6, (), ((1, b"abc"),), b"x"))
    assert call.eve.transport.send_rtp(overrun.replace(b"\x12abc", b"\x1fabc"))
    await until(lambda: call.dropped("rtp_payload_type") and call.dropped("rtp_extension"))


async def test_endless_new_streams_take_bounded_memory(call: Call) -> None:
    for ssrc in range(200):
        call.eve.send(RtpPacket(111, False, 1, 1, 10_000 + ssrc, payload=b"x"))
    await until(lambda: call.dropped("rtp_unknown_ssrc") >= 130)


async def test_rtcp_about_others_changes_nothing(call: Call) -> None:
    stranger = call.listener.ssrcs("0")[0]
    call.eve.send_control(
        rtcp.nack(1, stranger, [1, 2]),
        rtcp.picture_loss(1, stranger),
        rtcp.bandwidth(1, 1000, [stranger]),
        rtcp.sender_report(rtcp.SenderReport(1001, 1, 1, 1, 1)),
    )
    call.eve.send_control(b"\x81\xc9\x00\x01" + bytes(4))
    await until(lambda: call.dropped("rtcp_malformed") == 1)
    assert call.house.relay.stats().nacks_received == 0
    assert call.speaker.control == [p for p in call.speaker.control if isinstance(p, rtcp.ReceiverReport)]
    assert not any(isinstance(p, rtcp.SenderReport) for p in call.listener.control)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (audio("0", codecs={0: "PCMU/8000"}), "codec_unsupported"),
        (video("0", codecs={45: "AV1/90000"}), "codec_unsupported"),
        (video("0", codecs={98: "VP9/90000"}), "codec_unsupported"),
    ],
)
async def test_codec_nobody_forwards_is_refused_by_name(house: House, line: Line, code: str) -> None:
    with pytest.raises(PeerError) as caught:
        await house.client("a").join([line])
    assert caught.value.code == code
    assert house.relay.stats().peers == 0


async def test_refused_renegotiation_leaves_the_call_as_it_was(call: Call) -> None:
    with pytest.raises(PeerError):
        await call.speaker.join([audio("0", codecs={0: "PCMU/8000"})])
    with pytest.raises(PeerError):
        await call.house.relay.negotiate(
            "a", session="s", participant="a", sdp="v=0", publish=True, subscriptions={}
        )
    await call.still_works()


def lonely_peer() -> Peer:
    """A peer with one audio and one video track and nobody else."""
    relay = Relay(LOOPBACK, clock=ManualClock(), tap=Tap(10), on_event=lambda _: None)
    relay.tap_participant("s", "a")
    peer = Peer("p", "s", "a", config=LOOPBACK, identity=IDENTITY, clock=ManualClock(), owner=relay)
    for kind, codec, ssrcs in (
        (Kind.AUDIO, Codec("opus", 111), [5]),
        (Kind.VIDEO, Codec("vp8", 96, 97, nack=True), [6, 7]),
    ):
        key = TrackKey("s", "a", kind)
        peer.set_publication(Publication(key, kind.value, codec, extensions={}, rtcp_ssrc=1), ssrcs)
    return peer


@pytest.fixture
async def peer() -> AsyncIterator[Callable[[], Peer]]:
    yield lonely_peer


rtp_like = st.builds(
    RtpPacket,
    payload_type=st.sampled_from([96, 97, 111, 0]),
    marker=st.booleans(),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.sampled_from([5, 6, 7, 8]),
    payload=st.binary(max_size=12),
).map(serialise_rtp)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.one_of(rtp_like, st.binary(max_size=60)), st.binary(max_size=60)), max_size=30))
async def test_any_decrypted_bytes_are_handled_or_counted(
    peer: Callable[[], Peer], data: list[tuple[bytes, bytes]]
) -> None:
    made = peer()
    for step, (media, control) in enumerate(data):
        made.on_rtp(media)
        made.on_rtcp(control)
        made.poll(step * 0.3)
    assert made.counters["packets_received"] == len(data)
