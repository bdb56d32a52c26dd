"""Sender reports through the analysis process: a known skew is found, nonsense changes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from guard.app.analysis import AnalysisWorker, verdict_message
from guard.app.call_messages import read_verdict
from guard.app.check_runner import CheckTools
from guard.app.parts import Models, load_models, settings_config, thresholds_of
from guard.challenge.draw import Drawing
from guard.challenge.light_code import draw_light
from guard.challenge.outputs import CheckConfig
from guard.challenge.words import draw_words
from guard.clock import ManualClock, SystemClock
from guard.codec.encode import VideoEncoder
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.media import vp8
from guard.media.clip import Clip, EncodedPacket, Playlist
from guard.relay.client import ClientConfig, ScriptedClient
from guard.relay.config import RelayConfig
from guard.relay.relay import Relay
from guard.relay.tap import Tap
from guard.resources import models_dir
from guard.types import Kind, SenderClock, Signal, SignalState, State, TapPacket, TrackKey, Verdict

VOICE, CAMERA = TrackKey("s", "p", Kind.AUDIO), TrackKey("s", "p", Kind.VIDEO)
# 20 ms of nothing (RFC 6716: CELT, fullband, one frame of silence)
OPUS_SILENCE = b"\xf8\xff\xfe"
SECONDS, LATE_S = 6, 0.24
# both begin shortly before their 32 bits are full
FIRST = {Kind.AUDIO: 2**32 - 100_000, Kind.VIDEO: 2**32 - 200_000}
RATE_HZ = {Kind.AUDIO: 48_000, Kind.VIDEO: 90_000}
STARTED_NTP = 0xEE000000_12345678


def stamp(kind: Kind, captured_s: float) -> int:
    return round(FIRST[kind] + captured_s * RATE_HZ[kind]) % 2**32


def report(kind: Kind, captured_s: float) -> SenderClock:
    """What an honest sender says: the moment by its clock and by the stream's timestamps."""
    return SenderClock(STARTED_NTP + round(captured_s * 2**32), stamp(kind, captured_s))


def sound() -> Iterator[TapPacket]:
    for n in range(SECONDS * 50):
        captured_s = n / 50
        clock = report(Kind.AUDIO, int(captured_s)) if captured_s >= 1 else None
        stamped = stamp(Kind.AUDIO, captured_s)
        yield TapPacket(VOICE, "opus", n, stamped, False, 100 + captured_s, OPUS_SILENCE, clock)


@cache
def encoded() -> tuple[bytes, ...]:
    """Ten small pictures a second, the first of each second a keyframe."""
    encoder = VideoEncoder("vp8", 64, 48)
    drawn = [np.full((72, 64), 60 + n, np.uint8) for n in range(SECONDS * 10)]
    return tuple(encoder.encode(picture, keyframe=n % 10 == 0)[0] for n, picture in enumerate(drawn))


def pictures(late_s: float = LATE_S, first: int = 0) -> list[TapPacket]:
    """Pictures that are under way for longer than the sound, by ``late_s``."""
    out: list[TapPacket] = []
    for n, data in enumerate(encoded()):
        captured_s = n / 10
        clock = report(Kind.VIDEO, int(captured_s)) if captured_s >= 1 else None
        stamped, arrival_s = stamp(Kind.VIDEO, captured_s), 100 + captured_s + late_s
        (payload,) = vp8.packetize(data, picture_id=n)
        out.append(TapPacket(CAMERA, "vp8", first + n, stamped, True, arrival_s, payload, clock))
    return out


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(models_dir())


def worker_of(models: Models) -> AnalysisWorker:
    return AnalysisWorker(
        ManualClock(106.0),
        models,
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=CheckTools(
            Drawing(limit_s={}, words=draw_words, light=draw_light), {}, None, CheckConfig(), random.Random(1)
        ),
    )


async def skew_s(models: Models, packets: list[TapPacket], now_s: float = 106.0) -> float | None:
    worker = worker_of(models)
    try:
        for packet in sorted(packets, key=lambda packet: packet.arrival_s):
            worker.receive(packet)
        return worker._senders.skew_s("s", "p", now_s)
    finally:
        for lane in worker._lanes:
            lane.close()


async def test_a_known_skew_is_found_across_the_wrap_of_the_timestamps(models: Models) -> None:
    found = await skew_s(models, [*sound(), *pictures()])
    assert found == pytest.approx(-LATE_S, abs=0.005)


async def test_one_stream_without_reports_leaves_everything_as_it_is(models: Models) -> None:
    silent = [replace(packet, clock=None) for packet in pictures()]
    assert await skew_s(models, [*sound(), *silent]) is None


async def test_another_stream_under_the_same_track_needs_reports_of_its_own(models: Models) -> None:
    """The publisher's sender is replaced after 3 s: another SSRC, other timestamps, no report yet."""
    before = [packet for packet in pictures() if packet.arrival_s < 103]
    later = [packet for packet in pictures(first=40_000) if packet.arrival_s >= 103]
    moved = [replace(p, timestamp=(p.timestamp + 777_777_777) % 2**32, clock=None) for p in later]
    assert await skew_s(models, [*sound(), *before, *moved]) is None
    told = [replace(p, clock=moved_clock(q.clock)) for p, q in zip(moved, later, strict=True)]
    found = await skew_s(models, [*sound(), *before, *told])
    # the new stream is placed by its arrival, which the reports say was late by as much as before
    assert found == pytest.approx(-LATE_S, abs=0.02)


def moved_clock(clock: SenderClock | None) -> SenderClock | None:
    return clock and replace(clock, timestamp=(clock.timestamp + 777_777_777) % 2**32)


async def test_garbled_reports_neither_stop_nor_misplace_anything(models: Models) -> None:
    rng = random.Random(5)
    wild = [
        replace(p, clock=SenderClock(rng.randrange(1, 2**64), rng.randrange(2**32)))
        for p in [*sound(), *pictures()]
    ]
    assert await skew_s(models, wild) is None


async def test_details_of_a_signal_reach_the_process_that_shows_them() -> None:
    said = {"rtcp_clocks": True, "av_skew_s": -0.24, "lag_s": 0.08}
    signals = {
        Signal.LIP_SYNC: SignalState(-0.5, 0.8, None, said),
        Signal.TEMPORAL: SignalState(0.1, 1.0, None),
    }
    verdict = Verdict("s", "p", 9.0, State.UNDECIDED, 0.0, signals)
    message = verdict_message(verdict, 1.0, None)
    assert message["signals"]["lip_sync"]["details"] == said
    assert "details" not in message["signals"]["temporal"]
    assert read_verdict(message).signals == signals


async def taken_from_a_call(until: Callable[[list[TapPacket]], bool]) -> list[TapPacket]:
    """What the tap copies of a call over ICE, DTLS and SRTP; the client is aiortc with its own reports."""
    arrived = asyncio.Event()
    tap = Tap(10_000, arrived.set)
    relay = Relay(
        RelayConfig(addresses=("127.0.0.1",)), clock=SystemClock(), tap=tap, on_event=lambda _: None
    )
    relay.tap_participant("s", "p")
    spoken = tuple(EncodedPacket(n / 50, OPUS_SILENCE) for n in range(500))
    shown = tuple(EncodedPacket(n / 10, data, n % 10 == 0) for n, data in enumerate(encoded()))
    config = ClientConfig(addresses=("127.0.0.1",))
    client = ScriptedClient(Playlist(Clip(spoken, shown, "vp8", 10.0)), config)

    async def negotiate(offer: str) -> str:
        return await relay.negotiate(
            "a", session="s", participant="p", sdp=offer, publish=True, subscriptions={}
        )

    packets: list[TapPacket] = []
    try:
        await client.negotiate(negotiate)
        await client.connected()
        async with asyncio.timeout(15):
            while not until(packets):
                await arrived.wait()
                arrived.clear()
                packets += tap.drain(10_000)
    finally:
        await client.close()
        await relay.shutdown()
    return packets


async def test_reports_of_a_real_peer_tell_how_long_its_pictures_were_under_way(models: Models) -> None:
    """aiortc stamps what it sends when it sends it, so nothing is off until the pictures come late here."""

    def told(packets: list[TapPacket]) -> bool:
        clocks = {(p.key, p.clock) for p in packets if p.clock is not None}
        return min(sum(key == k for key, _ in clocks) for k in (VOICE, CAMERA)) >= 3

    packets = await taken_from_a_call(told)
    at_s = packets[-1].arrival_s
    assert await skew_s(models, packets, at_s) == pytest.approx(0.0, abs=0.06)
    late = [replace(p, arrival_s=p.arrival_s + LATE_S) if p.key == CAMERA else p for p in packets]
    assert await skew_s(models, late, at_s) == pytest.approx(-LATE_S, abs=0.06)
