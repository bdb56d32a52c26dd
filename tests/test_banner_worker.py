from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest

from guard.banner_worker import KEYFRAME_EVERY_S, BannerWorker, run_banner_worker
from guard.clock import ManualClock, SystemClock
from guard.codec.encode import VideoEncoder
from guard.media import vp8
from guard.types import Kind, TapPacket, TrackKey
from guard.workers.wire import Decoder, EncodedPicture, Message, Record, encode_message, encode_tap

KEY = TrackKey("s1", "suspect", Kind.VIDEO)
START: Message = {
    "type": "banner_start",
    "session": "s1",
    "participant": "suspect",
    "title": "Warning",
    "advice": "Hold the call.",
    "state": "spoof",
}


def packets(count: int, arrival_s: float = 0.0, key: TrackKey = KEY) -> list[TapPacket]:
    encoder = VideoEncoder("vp8", 160, 96)
    picture = np.full((144, 160), 128, np.uint8)
    out: list[TapPacket] = []
    for index in range(count):
        picture[:96] = 50 + 5 * index % 150
        data, _ = encoder.encode(picture, keyframe=index == 0)
        payloads = vp8.packetize(data, picture_id=index)
        for number, payload in enumerate(payloads):
            last = number == len(payloads) - 1
            out.append(TapPacket(key, "vp8", len(out), index * 3000, last, arrival_s, payload))
    return out


class Sent:
    """What the worker sent, read back."""

    def __init__(self, room: bool = True) -> None:
        self.records: list[Record] = []
        self.room = room
        self._decoder = Decoder()

    def __call__(self, data: bytes) -> bool:
        if self.room:
            self.records += self._decoder.feed(data)
        return self.room

    def pictures(self) -> list[EncodedPicture]:
        return [r for r in self.records if isinstance(r, EncodedPicture)]

    def messages(self, kind: str) -> list[Message]:
        return [r for r in self.records if isinstance(r, dict) and r["type"] == kind]


def test_nothing_is_encoded_before_start_and_after_stop() -> None:
    sent = Sent()
    worker = BannerWorker(sent, ManualClock())
    media = packets(6)
    worker.receive(media[0])
    assert not sent.records
    worker.receive(START)
    for packet in media:
        worker.receive(packet)
    assert [p.timestamp for p in sent.pictures()] == [i * 3000 for i in range(6)]
    assert sent.pictures()[0].keyframe
    assert worker.heartbeat()["banners"] == 1
    worker.receive({**START, "type": "banner_stop"})
    worker.receive(media[-1])
    assert len(sent.pictures()) == 6
    assert worker.heartbeat()["banners"] == 0


def test_source_keyframe_is_asked_for_at_start_and_not_too_often() -> None:
    sent = Sent()
    clock = ManualClock()
    worker = BannerWorker(sent, clock)
    worker.receive(START)
    middle = packets(8)[2:]
    for packet in middle:
        worker.receive(packet)
    assert len(sent.messages("keyframe")) == 1
    clock.advance(KEYFRAME_EVERY_S)
    worker.receive(middle[-1])
    assert len(sent.messages("keyframe")) == 2
    assert sent.messages("keyframe")[0]["participant"] == "suspect"


def test_keyframe_request_and_new_words_give_a_keyframe() -> None:
    sent = Sent()
    worker = BannerWorker(sent, ManualClock())
    worker.receive(START)
    for index, packet in enumerate(packets(9)):
        if index == 3:
            worker.receive({**START, "type": "banner_keyframe"})
        if index == 6:
            worker.receive({**START, "title": "Внимание"})
        worker.receive(packet)
    assert [i for i, p in enumerate(sent.pictures()) if p.keyframe] == [0, 3, 6]


def test_late_packets_give_no_pictures() -> None:
    sent = Sent()
    clock = ManualClock(10.0)
    worker = BannerWorker(sent, clock)
    worker.receive(START)
    for packet in packets(4, arrival_s=1.0):
        worker.receive(packet)
    assert not sent.pictures()
    assert worker.heartbeat()["skipped"] == 4


def test_without_room_pictures_are_dropped_and_a_keyframe_follows() -> None:
    sent = Sent()
    worker = BannerWorker(sent, ManualClock())
    worker.receive(START)
    for index, packet in enumerate(packets(6)):
        sent.room = index not in (2, 3)
        worker.receive(packet)
    assert [p.keyframe for p in sent.pictures()] == [True, False, True, False]
    assert worker.heartbeat()["dropped"] == 2


def test_audio_of_the_suspect_is_left_alone() -> None:
    sent = Sent()
    worker = BannerWorker(sent, ManualClock())
    worker.receive(START)
    worker.receive(TapPacket(TrackKey("s1", "suspect", Kind.AUDIO), "opus", 0, 0, True, 0.0, b"x"))
    assert not sent.pictures()


async def test_process_serves_its_socket_until_the_other_end_closes() -> None:
    ours, theirs = socket.socketpair()
    served = asyncio.create_task(run_banner_worker(theirs, SystemClock()))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    now = SystemClock().now()
    writer.write(encode_message(START) + b"".join(encode_tap(p) for p in packets(3, arrival_s=now)))
    decoder = Decoder()
    records: list[Record] = []
    async with asyncio.timeout(10):
        while sum(isinstance(r, EncodedPicture) for r in records) < 3:
            records += decoder.feed(await reader.read(65536))
    assert any(isinstance(r, dict) and r["type"] == "heartbeat" for r in records)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(served, 5)


@pytest.mark.parametrize("field", ["title", "advice", "state"])
def test_start_without_its_words_is_an_error_of_the_parent(field: str) -> None:
    worker = BannerWorker(Sent(), ManualClock())
    with pytest.raises(KeyError, match=field):
        worker.receive({k: v for k, v in START.items() if k != field})
