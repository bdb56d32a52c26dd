from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from itertools import pairwise

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver, codecs
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from guard.clock import ManualClock
from guard.errors import PeerError
from guard.media.clip import Clip, EncodedPacket, Playlist
from guard.relay.client import ClientConfig, ReceivedMessage, ScriptedClient
from guard.relay.client_http import join
from guard.relay.client_media import OutgoingPacket, Player, ScriptedTrack
from guard.types import Kind

LOOPBACK = ("127.0.0.1",)


def make_clip(name: str, seconds: float = 0.4) -> Clip:
    """Frames that look like VP8 by their first byte and say who they are."""
    audio = tuple(EncodedPacket(i * 0.02, f"{name}a{i:04}".encode() * 8) for i in range(round(seconds * 50)))
    video = tuple(
        EncodedPacket(
            i / 30, bytes([0x10 if i % 6 == 0 else 0x11]) + f"{name}v{i:04}".encode() * 400, i % 6 == 0
        )
        for i in range(round(seconds * 30))
    )
    return Clip(audio, video, "vp8", seconds)


async def until(condition: Callable[[], bool], event: asyncio.Event, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            event.clear()
            await event.wait()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[ScriptedClient, ScriptedClient]]:
    sender = ScriptedClient(
        Playlist(make_clip("x")), ClientConfig(addresses=LOOPBACK, data_channel=True, acknowledge=True)
    )
    receiver = ScriptedClient(config=ClientConfig(addresses=LOOPBACK, keep_frames=1000))
    await sender.negotiate(receiver.answer)
    await asyncio.gather(sender.connected(), receiver.connected())
    yield sender, receiver
    await asyncio.gather(sender.close(), receiver.close())


async def test_frames_arrive_byte_for_byte_and_a_switch_is_seamless(
    pair: tuple[ScriptedClient, ScriptedClient],
) -> None:
    sender, receiver = pair
    (track,) = receiver.received(Kind.VIDEO)
    (audio,) = receiver.received(Kind.AUDIO)
    await until(lambda: track.frames >= 15, track.arrived)
    assert sender.playing
    sender.switch_source(make_clip("y"))
    await until(lambda: any(b"yv0002" in f.data for f in track.kept), track.arrived)
    await until(lambda: any(b"ya0002" in f.data for f in audio.kept), audio.arrived)
    x, y = make_clip("x"), make_clip("y")
    known = [p.data for p in x.video]
    frames = list(track.kept)
    switch = next(i for i, f in enumerate(frames) if f.data[1:2] == b"y")
    first = known.index(frames[0].data)
    assert [f.data for f in frames[:switch]] == [known[(first + i) % len(known)] for i in range(switch)]
    assert [f.data for f in frames[switch : switch + 3]] == [p.data for p in y.video[:3]]
    times = [f.timestamp for f in frames]
    steps = [b - a for a, b in pairwise(times)]
    assert max(steps) <= 6100
    assert min(steps) > 0
    assert track.codec == "vp8"
    assert all(f.data in {p.data for p in (*x.audio, *y.audio)} for f in audio.kept)


async def test_alert_is_kept_with_its_time_and_acknowledged(
    pair: tuple[ScriptedClient, ScriptedClient],
) -> None:
    sender, receiver = pair
    answers: list[str] = []
    channel = receiver.connection.createDataChannel("guard")
    answered = asyncio.Event()

    @channel.on("message")
    def keep(data: str) -> None:
        answers.append(data)
        answered.set()

    opened = asyncio.Event()
    channel.on("open", opened.set)
    await asyncio.wait_for(opened.wait(), 5)
    channel.send("not json")
    channel.send("[1]")
    channel.send(json.dumps({"v": 1, "type": "alert", "id": "a1"}))
    await until(lambda: bool(answers), answered)
    assert [m.body["id"] for m in sender.messages] == ["a1"]
    assert json.loads(answers[0]) == {"v": 1, "type": "ack", "id": "a1"}
    assert sender.counters.bad_messages == 2
    assert sender.counters.acknowledged[0][1] >= sender.messages[0].arrival_s


async def test_packet_mode_counts_without_jitter_buffer() -> None:
    seen: list[int] = []
    sender = ScriptedClient(Playlist(make_clip("x")), ClientConfig(addresses=LOOPBACK))
    receiver = ScriptedClient(
        config=ClientConfig(addresses=LOOPBACK),
        on_packet=lambda track, packet, now: seen.append(packet.timestamp),
    )
    try:
        await sender.negotiate(receiver.answer)
        await receiver.connected()
        (track,) = receiver.received(Kind.VIDEO)
        await until(lambda: track.packets >= 20, track.arrived)
    finally:
        await asyncio.gather(sender.close(), receiver.close())
    assert len(seen) >= 20
    assert track.frames == 0


async def test_closed_client_says_that_it_has_no_connection() -> None:
    client = ScriptedClient(config=ClientConfig(receive=1, addresses=LOOPBACK))
    await client.close()
    with pytest.raises(PeerError) as caught:
        await client.connected()
    assert caught.value.code == "not_connected"
    with pytest.raises(PeerError, match="no data channel"):
        client.acknowledge("a1")
    with pytest.raises(ValueError, match="does not play"):
        client.switch_source(make_clip("y"))


async def test_nonsense_answer_is_refused() -> None:
    client = ScriptedClient(config=ClientConfig(receive=1, addresses=LOOPBACK))

    async def nonsense(offer: str) -> str:
        return "v=0\r\n"

    with pytest.raises(PeerError) as caught:
        await client.negotiate(nonsense)
    assert caught.value.code == "bad_answer"
    await client.close()


async def test_track_waits_for_media_time_and_ends_with_its_playlist() -> None:
    clock = ManualClock(50.0)
    player = Player(Playlist(make_clip("x", 0.04), loop=False), clock)
    track = ScriptedTrack(player, Kind.AUDIO)
    first = await track.recv()
    assert (bytes(first)[:6], first.pts) == (b"xa0000", 0)
    second = asyncio.ensure_future(track.recv())
    await asyncio.sleep(0)
    assert not second.done()
    clock.advance(0.02)
    assert (await second).pts == 960
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert track.readyState == "ended"


async def test_whip_join_and_refusal() -> None:
    remote = ScriptedClient(config=ClientConfig(addresses=LOOPBACK))
    deleted: list[str] = []

    async def serve(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        if request.method == "DELETE":
            deleted.append(request.url.path)
            return httpx.Response(200)
        if request.url.path != "/whip/s1":
            return httpx.Response(404, text='{"code":"no_session"}')
        assert request.headers["Content-Type"] == "application/sdp"
        answer = await remote.answer(request.content.decode())
        return httpx.Response(201, text=answer, headers={"Location": "/whip/s1/r1"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        client = ScriptedClient(Playlist(make_clip("x")), ClientConfig(addresses=LOOPBACK))
        other = ScriptedClient(config=ClientConfig(receive=1, addresses=LOOPBACK))
        try:
            joined = await join(client, http, "https://guard.test/whip/s1", "secret")
            await client.connected()
            await joined.leave()
            assert deleted == ["/whip/s1/r1"]
            with pytest.raises(PeerError, match="no_session"):
                await join(other, http, "https://guard.test/whip/gone", "secret")
        finally:
            await asyncio.gather(client.close(), other.close(), remote.close())


def test_aiortc_still_has_the_private_names_the_client_uses() -> None:
    assert hasattr(RTCRtpReceiver, "_handle_rtp_packet")
    encoder = codecs.get_encoder(RTCRtpCodecParameters("video/VP8", 90000, payloadType=96))
    payloads, timestamp = encoder.pack(OutgoingPacket(b"\x10abc", 1.0, 90000))  # type: ignore[arg-type]
    assert payloads[0].endswith(b"\x10abc")
    assert timestamp == 90000
    assert OutgoingPacket(b"", 0.5, 48000).time_base == Fraction(1, 48000)


async def test_receiver_still_keeps_its_decoder_queue_where_the_client_replaces_it() -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video").receiver
    assert hasattr(receiver, "_RTCRtpReceiver__decoder_queue")
    await connection.close()


def test_message_carries_its_arrival() -> None:
    assert ReceivedMessage({"v": 1}, 2.5).arrival_s == 2.5
