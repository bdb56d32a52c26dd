"""RTP parsing: round trips, wrap-around, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import PeerError
from guard.media.rtp import (
    RtpPacket,
    Unwrapper,
    extension_block,
    is_rtcp,
    parse_rtp,
    serialise_rtp,
    unwrap_rtx,
    wrap_rtx,
)

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
one_byte = st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16))
two_byte = st.tuples(st.integers(1, 255), st.binary(max_size=255))
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    marker=st.booleans(),
    sequence=u16,
    timestamp=u32,
    ssrc=u32,
    csrcs=st.lists(u32, max_size=15).map(tuple),
    extensions=st.one_of(st.lists(one_byte, max_size=6), st.lists(two_byte, max_size=4)).map(tuple),
    payload=st.binary(max_size=200),
)
PLAIN = RtpPacket(96, True, 65535, 0xFFFFFFFF, 7, (), ((1, b"0"), (3, b"\1\2\3")), b"payload")


@given(packets)
def test_parse_reads_back_what_serialise_wrote(packet: RtpPacket) -> None:
    assert parse_rtp(serialise_rtp(packet)) == packet


@given(st.binary(max_size=80))
def test_any_bytes_give_a_packet_or_a_peer_error(data: bytes) -> None:
    try:
        packet = parse_rtp(data)
    except PeerError as error:
        assert error.code in {"rtp_truncated", "rtp_version", "rtp_extension", "rtp_padding"}
    else:
        assert parse_rtp(serialise_rtp(packet)).payload == packet.payload


@given(packets, st.integers(0, 60), st.integers(0, 255))
def test_one_changed_byte_never_escapes_the_error_tree(packet: RtpPacket, at: int, value: int) -> None:
    data = bytearray(serialise_rtp(packet))
    data[at % len(data)] = value
    try:
        parse_rtp(bytes(data))
    except PeerError as error:
        assert error.code.startswith("rtp_")


@given(packets)
def test_truncation_is_an_error_or_a_shorter_payload(packet: RtpPacket) -> None:
    data = serialise_rtp(packet)
    head = len(data) - len(packet.payload)
    for size in range(head):
        with pytest.raises(PeerError):
            parse_rtp(data[:size])


def test_padding_is_removed_and_checked() -> None:
    data = bytearray(serialise_rtp(PLAIN))
    data[0] |= 0x20
    assert parse_rtp(bytes(data) + b"\0\0\3").payload == PLAIN.payload
    for bad in (0, 200):
        with pytest.raises(PeerError) as caught:
            parse_rtp(bytes(data) + bytes((bad,)))
        assert caught.value.code == "rtp_padding"


def test_extension_longer_than_packet_is_refused() -> None:
    data = bytearray(serialise_rtp(PLAIN))
    data[15] = 200
    with pytest.raises(PeerError) as caught:
        parse_rtp(bytes(data))
    assert caught.value.code == "rtp_extension"


def test_element_longer_than_its_block_is_refused() -> None:
    block = b"\xbe\xde\x00\x01" + bytes((1 << 4 | 9, 1, 2, 3))
    data = bytes((0x90, 96)) + bytes(10) + block + b"x"
    with pytest.raises(PeerError) as caught:
        parse_rtp(data)
    assert caught.value.code == "rtp_extension"


def test_element_id_15_stops_and_padding_is_skipped() -> None:
    block = b"\xbe\xde\x00\x02" + bytes((0, 1 << 4, 42, 0, 15 << 4, 1, 2, 3))
    packet = parse_rtp(bytes((0x90, 96)) + bytes(10) + block + b"x")
    assert packet.extensions == ((1, b"\x2a"),)
    assert packet.payload == b"x"


def test_unknown_profile_is_skipped() -> None:
    packet = parse_rtp(bytes((0x90, 96)) + bytes(10) + b"\x12\x34\x00\x01abcd" + b"x")
    assert packet.extensions == ()
    assert packet.payload == b"x"


def test_extension_id_zero_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="padding"):
        extension_block(((0, b"a"),))


@given(packets.filter(lambda p: len(p.payload) > 0))
def test_rtx_carries_the_original(packet: RtpPacket) -> None:
    sent = wrap_rtx(packet, payload_type=97, sequence=5, ssrc=9)
    assert (sent.payload_type, sent.sequence, sent.ssrc) == (97, 5, 9)
    assert unwrap_rtx(sent, payload_type=packet.payload_type, ssrc=packet.ssrc) == packet


def test_empty_rtx_is_a_probe() -> None:
    assert unwrap_rtx(RtpPacket(97, False, 1, 2, 3), payload_type=96, ssrc=4) is None


def test_rtcp_is_told_from_rtp() -> None:
    assert is_rtcp(b"\x80\xc8")
    assert not is_rtcp(b"\x80\x60")
    assert not is_rtcp(b"\x80\xe0")
    assert not is_rtcp(b"")


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-1000, 1000), max_size=60))
def test_unwrapper_keeps_every_step_across_the_wrap(start: int, steps: list[int]) -> None:
    unwrapper = Unwrapper(16)
    true = start
    highest = start
    assert unwrapper.push(start) == start
    for step in steps:
        true = highest + step
        highest = max(highest, true)
        assert unwrapper.push(true & 0xFFFF) == true
    assert unwrapper.highest == highest


def test_unwrapper_takes_32_bits_too() -> None:
    unwrapper = Unwrapper(32)
    assert [unwrapper.push(v) for v in (0xFFFFFF00, 0x10, 0xFFFFFF80)] == [
        0xFFFFFF00,
        0x100000010,
        0xFFFFFF80,
    ]
