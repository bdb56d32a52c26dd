from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import PeerError
from guard.media import h264

START = b"\x00\x00\x00\x01"
SPS = b"\x67\x42\xe0\x1f\xaa"
PPS = b"\x68\xce\x3c\x80"


def unit(kind: int, size: int, fill: int = 0x5A) -> bytes:
    return bytes([0x60 | kind]) + bytes([fill]) * size


UNITS = st.lists(
    st.builds(unit, st.sampled_from([1, 5, 6, 7, 8]), st.integers(1, 4000), st.integers(1, 255)),
    min_size=1,
    max_size=6,
)


@given(UNITS, st.integers(64, 1400))
def test_access_unit_survives_packets(units: list[bytes], mtu: int) -> None:
    frame = b"".join(START + u for u in units)
    payloads = h264.packetize(frame, mtu=mtu)
    assert max(map(len, payloads)) <= mtu
    assembler = h264.H264Assembler()
    first = START + SPS + START + PPS + START + unit(5, 10)
    packets = [*h264.packetize(first), *payloads]
    out = []
    opening = len(packets) - len(payloads)
    for index, payload in enumerate(packets):
        frame_number = 0 if index < opening else 1
        marker = index in (opening - 1, len(packets) - 1)
        done = assembler.push(payload, sequence=index, timestamp=frame_number * 3000, marker=marker)
        out += [done] if done is not None else []
    assert out == [first, frame]


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_dropped(payload: bytes) -> None:
    assert isinstance(h264.is_keyframe(payload), bool)
    assembler = h264.H264Assembler()
    assembler.push(payload, sequence=1, timestamp=1, marker=True)
    counts = assembler.counts
    assert counts.delivered + counts.dropped + counts.withheld <= 1


@pytest.mark.parametrize(
    "payload", [b"\x7c", b"\x7c\x85", b"\x78", b"\x78\x00", b"\x78\x00\x09a", b"\x78\x00\x00"]
)
def test_truncated_payloads_are_counted(payload: bytes) -> None:
    assembler = h264.H264Assembler()
    assert assembler.push(payload, sequence=1, timestamp=1, marker=True) is None
    assert assembler.counts.malformed == 1


def test_unknown_packet_type_is_no_keyframe() -> None:
    assert not h264.is_keyframe(b"\x7d\x00\x00")
    with pytest.raises(PeerError, match="type 29"):
        h264._nal_types(b"\x7d\x00\x00")


def test_keyframe_is_told_from_every_packet_form() -> None:
    key = START + SPS + START + PPS + START + unit(5, 3000)
    payloads = h264.packetize(key)
    assert h264.is_keyframe(payloads[0])
    assert h264.is_keyframe(payloads[1])
    assert not h264.is_keyframe(payloads[2])
    assert h264.frame_is_keyframe(key)
    delta = START + unit(1, 3000)
    assert not any(map(h264.is_keyframe, h264.packetize(delta)))
    assert not h264.frame_is_keyframe(delta)


def test_short_start_codes_are_understood() -> None:
    assert h264.split_nal_units(b"\x00\x00\x01" + SPS + b"\x00\x00\x00\x01" + PPS) == [SPS, PPS]
    assert h264.split_nal_units(b"no start code") == []


def test_keyframe_behind_a_delimiter_is_one() -> None:
    assembler = h264.H264Assembler()
    for index, payload in enumerate([b"\x09\x10", SPS, PPS, unit(5, 20)]):
        frame = assembler.push(payload, sequence=index, timestamp=9, marker=index == 3)
    assert frame is not None
    assert assembler.last_was_keyframe
