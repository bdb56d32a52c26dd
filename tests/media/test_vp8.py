from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import PeerError
from guard.media import vp8

KEY = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01"
FRAMES = st.binary(min_size=1, max_size=9000)


def test_descriptor_of_each_form() -> None:
    short = vp8.parse_descriptor(b"\x10\x00")
    assert (short.size, short.starts_frame, short.picture_id) == (1, True, None)
    long = vp8.parse_descriptor(b"\xb0\xe0\x92\x34\x07\x60\x00")
    assert (long.picture_id, long.picture_id_bits, long.tl0_index, long.temporal_id) == (0x1234, 15, 7, 1)
    assert long.non_reference
    assert long.size == 6
    seven = vp8.parse_descriptor(b"\x80\x80\x12\x00")
    assert (seven.picture_id, seven.picture_id_bits, seven.starts_frame) == (0x12, 7, False)


@pytest.mark.parametrize(
    "payload", [b"", b"\x90", b"\x90\x80", b"\x90\x80\x81", b"\x90\x80\x81\x02", b"\x10"]
)
def test_truncated_descriptor_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        vp8.parse_descriptor(payload)
    assert caught.value.code == "vp8_truncated"


@given(st.binary(max_size=40))
def test_any_bytes_parse_or_are_refused(payload: bytes) -> None:
    assert isinstance(vp8.is_keyframe(payload), bool)
    try:
        descriptor = vp8.parse_descriptor(payload)
    except PeerError:
        return
    assert 0 < descriptor.size < len(payload)


@given(FRAMES, st.integers(0, 0x7FFF), st.integers(100, 1400), st.none() | st.integers(0, 255))
def test_packets_hold_the_frame_within_the_mtu(frame: bytes, number: int, mtu: int, tl0: int | None) -> None:
    payloads = vp8.packetize(frame, picture_id=number, tl0_index=tl0, mtu=mtu)
    descriptors = [vp8.parse_descriptor(p) for p in payloads]
    assert max(map(len, payloads)) <= mtu
    assert [d.starts_frame for d in descriptors] == [True] + [False] * (len(payloads) - 1)
    assert {(d.picture_id, d.tl0_index) for d in descriptors} == {(number, tl0)}
    assert b"".join(p[d.size :] for p, d in zip(payloads, descriptors, strict=True)) == frame


def test_keyframe_is_told_by_the_first_packet_only() -> None:
    frame = KEY + bytes(3000)
    payloads = vp8.packetize(frame, picture_id=1)
    assert [vp8.is_keyframe(p) for p in payloads] == [True] + [False] * (len(payloads) - 1)
    assert vp8.frame_is_keyframe(frame)
    assert vp8.frame_size(frame) == (640, 360)
    assert vp8.frame_size(b"\x11" + frame[1:]) is None
    assert not vp8.is_keyframe(vp8.packetize(b"\x11abc", picture_id=1)[0])


@given(st.integers(0, 0x7FFF), st.integers(0, 255))
def test_numbers_are_rewritten_in_place(number: int, tl0: int) -> None:
    before = vp8.packetize(KEY, picture_id=5, tl0_index=9)[0]
    after = vp8.rewrite_numbers(before, picture_id=number, tl0_index=tl0)
    descriptor = vp8.parse_descriptor(after)
    assert (descriptor.picture_id, descriptor.tl0_index) == (number, tl0)
    assert after[descriptor.size :] == KEY
    seven = vp8.parse_descriptor(vp8.rewrite_numbers(b"\x90\x80\x12\x00", picture_id=number, tl0_index=None))
    assert seven.picture_id == number & 0x7F
    assert vp8.rewrite_numbers(b"\x10\x00", picture_id=number, tl0_index=tl0) == b"\x10\x00"


@given(st.binary(max_size=20))
def test_rewriting_never_changes_the_length(payload: bytes) -> None:
    try:
        assert len(vp8.rewrite_numbers(payload, picture_id=7, tl0_index=7)) == len(payload)
    except PeerError as error:
        assert error.code == "vp8_truncated"


def test_mtu_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="mtu"):
        vp8.packetize(KEY, picture_id=0, mtu=4)
