"""The banner over a real call: two WebRTC clients, the relay between them, the banner worker on its tap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from guard.banner_worker import BannerWorker
from guard.clock import SystemClock
from guard.codec.encode import VideoEncoder, encode_opus
from guard.codec.video import PictureDecoder, rgb
from guard.media.clip import Clip, EncodedPacket, Playlist
from guard.relay.client import ClientConfig, ScriptedClient
from guard.relay.client_media import ReceivedFrame, ReceivedTrack
from guard.relay.config import RelayConfig
from guard.relay.inject import Announcement, BannerSwitch
from guard.relay.relay import Relay
from guard.relay.tap import Tap
from guard.types import ImageArray, Kind, TrackKey
from guard.workers.wire import Decoder, EncodedPicture, Message

LOOPBACK = ("127.0.0.1",)
WIDTH, HEIGHT = 320, 180
VIDEO = TrackKey("s", "suspect", Kind.VIDEO)
AUDIO = TrackKey("s", "suspect", Kind.AUDIO)
START: Message = {
    "type": "banner_start",
    "session": "s",
    "participant": "suspect",
    "title": "Warning: voice or face may be fake",
    "advice": "Hold the call.",
    "state": "spoof",
}


def make_clip() -> Clip:
    """Two seconds of bright moving bars with a keyframe every half second, and a quiet hum."""
    encoder = VideoEncoder("vp8", WIDTH, HEIGHT)
    video = []
    for index in range(60):
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        picture[:HEIGHT] = 140 + (np.arange(WIDTH)[None, :] // 16 + index) % 60
        data, keyframe = encoder.encode(picture, keyframe=index % 15 == 0)
        video.append(EncodedPacket(index / 30, data, keyframe))
    hum = (0.05 * np.sin(np.arange(96000) / 30)).astype(np.float32)
    audio = tuple(EncodedPacket(i * 0.02, data) for i, data in enumerate(encode_opus(hum)))
    return Clip(audio, tuple(video), "vp8", 2.0)


@dataclass
class Call:
    """Suspect and agent in a call; the banner worker hears the suspect's video."""

    relay: Relay
    tap: Tap
    suspect: ScriptedClient
    agent: ScriptedClient
    worker: BannerWorker
    switch: BannerSwitch

    @property
    def video(self) -> ReceivedTrack:
        return self.agent.received(Kind.VIDEO)[0]

    @property
    def audio(self) -> ReceivedTrack:
        return self.agent.received(Kind.AUDIO)[0]

    async def until(self, track: ReceivedTrack, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                track.arrived.clear()
                await track.arrived.wait()


def void(_: object) -> None:
    """Make a callback of something that returns a handle."""


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    clock, loop = SystemClock(), asyncio.get_running_loop()
    tap = Tap(on_ready=lambda: void(loop.call_soon(pump)))
    relay = Relay(RelayConfig(addresses=LOOPBACK), clock=clock, tap=tap, on_event=lambda _: None)
    records = Decoder()

    def from_worker(data: bytes) -> bool:
        for record in records.feed(data):
            if isinstance(record, EncodedPicture):
                made.switch.picture(record, clock.now())
        return True

    def pump() -> None:
        for packet in tap.drain(len(tap)):
            made.worker.receive(packet)

    suspect = ScriptedClient(Playlist(make_clip()), ClientConfig(addresses=LOOPBACK))
    agent = ScriptedClient(None, ClientConfig(receive=1, addresses=LOOPBACK, keep_frames=2000))
    worker = BannerWorker(from_worker, clock)
    switch = BannerSwitch(relay, VIDEO, "vp8", lambda: worker.receive({**START, "type": "banner_keyframe"}))
    made = Call(relay, tap, suspect, agent, worker, switch)
    relay.tap_participant("s", "suspect")

    def joining(name: str, publish: bool) -> Callable[[str], object]:
        wanted = {} if publish else {"0": "suspect", "1": "suspect"}
        return lambda sdp: relay.negotiate(
            name, session="s", participant=name, sdp=sdp, publish=publish, subscriptions=wanted
        )

    try:
        await suspect.negotiate(joining("suspect", True))  # type: ignore[arg-type]
        await agent.negotiate(joining("agent", False))  # type: ignore[arg-type]
        await asyncio.gather(suspect.connected(), agent.connected())
        await made.until(made.video, lambda: made.video.frames > 10)
        yield made
    finally:
        await asyncio.gather(suspect.close(), agent.close())
        await relay.shutdown()


def pictures(frames: list[ReceivedFrame]) -> list[ImageArray]:
    """Decode everything with one decoder, as the agent's browser would."""
    decoder = PictureDecoder("vp8")
    decoded = [decoder.decode(frame.data) for frame in frames]
    return [rgb(picture) for picture in decoded if picture is not None]


def has_band(picture: ImageArray) -> bool:
    return bool(np.median(picture[HEIGHT - 40 : HEIGHT - 8, 20:-20]) < 70)


async def test_banner_comes_and_goes_without_renegotiation_or_a_broken_picture(
    call: Call,
) -> None:
    clock = SystemClock()
    descriptions = call.agent.connection.remoteDescription.sdp
    call.worker.receive(START)
    call.switch.show("agent")
    asked_at = clock.now()
    await call.until(call.video, lambda: call.switch.counters.pictures >= 10)
    call.switch.hide("agent")
    hidden = call.video.frames
    await call.until(call.video, lambda: call.switch.idle or poll(call))
    await call.until(call.video, lambda: call.video.frames > hidden + 40)
    frames = list(call.video.kept)
    shown = [has_band(picture) for picture in pictures(frames)]
    assert len(shown) == len(frames), "the decoder showed every frame"
    first = shown.index(True)
    last = len(shown) - 1 - shown[::-1].index(True)
    assert first > 5
    assert all(shown[first : last + 1]), "no picture without the band while it was on"
    assert not any(shown[last + 1 :])
    assert len(shown) - last > 20
    steps = [b.timestamp - a.timestamp for a, b in pairwise(frames)]
    assert min(steps) > 0
    assert call.agent.connection.remoteDescription.sdp == descriptions
    switch_ms = 1000 * (frames[first].arrival_s - asked_at)
    gaps = [b.arrival_s - a.arrival_s for a, b in pairwise(frames)]
    print(f"banner on after {switch_ms:.0f} ms, longest gap {1000 * max(gaps):.0f} ms")  # noqa: T201 - measured


def poll(call: Call) -> bool:
    call.switch.poll(SystemClock().now())
    return call.switch.idle


async def test_announcement_is_heard_in_place_of_the_voice_and_then_the_voice_again(call: Call) -> None:
    clock = SystemClock()
    packets = [f"own packet {index}".encode() for index in range(60)]
    playing = Announcement(call.relay, AUDIO, packets, ["agent"], clock.now())
    while (due := playing.deadline()) is not None:
        await asyncio.sleep(max(0.0, due - clock.now()))  # what drives it in guard serve: its own deadline
        playing.poll(clock.now())
    after = call.audio.frames
    await call.until(call.audio, lambda: call.audio.frames > after + 30)
    heard = [frame.data for frame in call.audio.kept]
    own = set(packets)
    places = [i for i, data in enumerate(heard) if data in own]
    order = [packets.index(heard[i]) for i in places]  # numbered: each one is told from the others
    # on a busy machine packets leave in bursts, and aiortc's jitter buffer then leaves some out
    assert len(order) > len(packets) / 2
    assert order == sorted(order)
    assert places == list(range(places[0], places[-1] + 1)), "nothing of the voice in between"
    assert heard[-1] not in own
