"""Video that is made while it plays."""

from __future__ import annotations

import math

import pytest

from guard.media.clip import Clip, EncodedPacket
from guard.media.live import MOST_WAITING, LiveSource
from guard.types import Kind

SOUND = Clip(tuple(EncodedPacket(i * 0.02, bytes([i])) for i in range(3)), (), None, 0.06)


def picture(index: int, *, keyframe: bool = False) -> EncodedPacket:
    return EncodedPacket(index / 15, bytes([index]), keyframe)


def drained(source: LiveSource) -> list[int]:
    reader, out = source.cursor(Kind.VIDEO), []
    while (packet := reader.peek()) is not None and packet.time_s < math.inf:
        out.append(packet.data[0])
        reader.take()
    return out


def test_pictures_come_out_in_the_order_they_were_made() -> None:
    source = LiveSource(None)
    for index in range(4):
        source.offer(picture(index, keyframe=index == 0))
    assert drained(source) == [0, 1, 2, 3]
    source.offer(picture(4))
    assert drained(source) == [4]


def test_it_never_ends_while_nothing_waits() -> None:
    packet = LiveSource(None).cursor(Kind.VIDEO).peek()
    assert packet is not None
    assert packet.time_s == math.inf


def test_sound_loops_and_has_no_video_beside_it() -> None:
    source = LiveSource(SOUND)
    reader = source.cursor(Kind.AUDIO)
    times = []
    for _ in range(5):
        packet = reader.peek()
        assert packet is not None
        times.append(round(packet.time_s, 6))
        reader.take()
    assert times == [0.0, 0.02, 0.04, 0.06, 0.08]
    assert source.has(Kind.AUDIO)
    assert source.has(Kind.VIDEO)


def test_without_sound_there_is_none_to_read() -> None:
    source = LiveSource(None)
    assert not source.has(Kind.AUDIO)
    with pytest.raises(ValueError, match="no sound"):
        source.cursor(Kind.AUDIO)


def test_a_keyframe_is_asked_for_once_at_the_start_and_on_request() -> None:
    source = LiveSource(None)
    assert [source.keyframe_wanted(), source.keyframe_wanted()] == [True, False]
    source.want_keyframe()
    assert [source.keyframe_wanted(), source.keyframe_wanted()] == [True, False]


def test_what_nobody_fetches_is_dropped_up_to_the_next_keyframe() -> None:
    source = LiveSource(None)
    source.keyframe_wanted()
    for index in range(MOST_WAITING + 2):
        source.offer(picture(index, keyframe=index == 0))
    assert drained(source) == []
    assert source.dropped == MOST_WAITING + 2
    assert source.keyframe_wanted()
    source.offer(picture(40, keyframe=True))
    source.offer(picture(41))
    assert drained(source) == [40, 41]
