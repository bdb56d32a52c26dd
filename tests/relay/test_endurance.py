"""Coming and going leaves nothing behind; real aiortc clients work too."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from guard.relay.client_media import bind_addresses
from guard.relay.events import ChannelMessage, PeerClosed, TrackEnded, TrackPublished
from tests.relay.conftest import House
from tests.relay.raw_client import RawClient, audio, until

ROUNDS = 200


def footprint() -> tuple[int, int, int]:
    """Open files, threads, tasks."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(asyncio.all_tasks())


@pytest.mark.slow
async def test_two_hundred_rounds_leave_nothing_behind(house: House) -> None:
    async def one_round(number: int) -> None:
        client = RawClient(house.relay, f"p{number}")
        await client.join([audio("0", "sendonly", 9)], channel=True)
        await client.connected()
        client.send_audio(9, 1)
        await until(lambda: house.relay.tracks("s"))
        if number % 2:
            await client.close()
            await until(lambda: house.relay.stats().peers == 0)
        else:
            await house.relay.close(client.name)
            await client.close()

    for number in range(10):
        await one_round(number)
    await until(lambda: len(asyncio.all_tasks()) == 2)
    before = footprint()
    objects_before = len(gc.get_objects())
    for number in range(10, 10 + ROUNDS):
        await one_round(number)
        house.events.clear()
    await until(lambda: len(asyncio.all_tasks()) == 2)
    assert footprint() == before
    # a connection is made of hundreds of objects: keeping even one of each would show
    assert len(gc.get_objects()) - objects_before < ROUNDS


async def test_two_aiortc_clients_talk_through_the_relay(house: House) -> None:
    heard: dict[str, int] = {"a": 0, "b": 0}
    texts: list[str] = []
    connections: list[RTCPeerConnection] = []
    listeners: list[asyncio.Task[None]] = []

    async def listen(name: str, connection: RTCPeerConnection) -> None:
        track = connection.getReceivers()[0].track
        while True:
            await track.recv()
            heard[name] += 1

    async def join(name: str, other: str) -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.append(connection)
        connection.createDataChannel("page")

        @connection.on("datachannel")
        def on_datachannel(channel: RTCDataChannel) -> None:
            assert channel.label == "guard"
            channel.on("message", texts.append)
            channel.send(f"from {name}")

        connection.addTrack(AudioStreamTrack())
        bind_addresses(connection, ("127.0.0.1",))
        await connection.setLocalDescription(await connection.createOffer())
        (transceiver,) = connection.getTransceivers()
        assert transceiver.mid is not None
        answer = await house.relay.negotiate(
            name,
            session="s",
            participant=name,
            sdp=connection.localDescription.sdp,
            publish=True,
            subscriptions={transceiver.mid: other},
        )
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        listeners.append(asyncio.ensure_future(listen(name, connection)))

    await join("a", "b")
    await join("b", "a")
    await until(lambda: heard["a"] > 5 and heard["b"] > 5)
    await until(lambda: len(house.of(ChannelMessage)) == 2)
    assert house.relay.send("s", "a", "hello")
    await until(lambda: texts == ["hello"])
    assert len(house.of(TrackPublished)) == 2
    for task in listeners:
        task.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    for connection in connections:
        await connection.close()
    await until(lambda: len(house.of(PeerClosed)) == 2)
    assert len(house.of(TrackEnded)) == 2
