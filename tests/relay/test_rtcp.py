"""RTCP: what is written reads back, and any bytes are packets or one PeerError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import PeerError
from guard.relay import rtcp

u8, u16, u32 = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
reports = st.builds(
    rtcp.Report, u32, u8, st.integers(-0x800000, 0x7FFFFF), u32, u32, u32, u32
)  # fmt: skip
blocks = st.lists(reports, max_size=31).map(tuple)


@given(u32, st.integers(0, 2**64 - 1), u32, u32, u32, blocks)
def test_sender_report_reads_back(
    ssrc: int, ntp: int, timestamp: int, packets: int, octets: int, found: tuple[rtcp.Report, ...]
) -> None:
    report = rtcp.SenderReport(ssrc, ntp, timestamp, packets, octets, found)
    assert rtcp.parse_rtcp(rtcp.sender_report(report) + rtcp.source_description(ssrc, "who")) == [report]


@given(u32, blocks)
def test_receiver_report_reads_back(ssrc: int, found: tuple[rtcp.Report, ...]) -> None:
    assert rtcp.parse_rtcp(rtcp.receiver_report(ssrc, found)) == [rtcp.ReceiverReport(ssrc, found)]


@given(st.sets(st.integers(60000, 70000), min_size=1, max_size=80))
def test_nack_names_exactly_the_missing_across_the_wrap(missing: set[int]) -> None:
    (found,) = rtcp.parse_rtcp(rtcp.nack(1, 2, sorted(missing)))
    assert isinstance(found, rtcp.Nack)
    assert found.media_ssrc == 2
    assert sorted(found.sequences) == sorted(s & 0xFFFF for s in missing)


@given(st.integers(0, 2**40), st.lists(u32, max_size=5))
def test_bandwidth_reads_back_to_18_bits(bitrate: int, ssrcs: list[int]) -> None:
    (found,) = rtcp.parse_rtcp(rtcp.bandwidth(1, bitrate, ssrcs))
    assert isinstance(found, rtcp.Bandwidth)
    assert found.ssrcs == tuple(ssrcs)
    assert found.bitrate_bps <= bitrate <= found.bitrate_bps + (bitrate >> 17) + 1


def test_keyframe_requests_read_back() -> None:
    data = rtcp.picture_loss(1, 2) + rtcp.full_intra_request(1, 3, 300)
    assert rtcp.parse_rtcp(data) == [rtcp.KeyframeRequest(2), rtcp.KeyframeRequest(3)]


def test_bye_reads_back_and_unknown_kinds_are_left_out() -> None:
    assert rtcp.parse_rtcp(b"\x81\xcb\x00\x01\x00\x00\x00\x07") == [rtcp.Bye((7,))]
    assert rtcp.parse_rtcp(b"\x80\xcc\x00\x02\x00\x00\x00\x07name") == []
    assert rtcp.parse_rtcp(rtcp.source_description(1, "é" * 300)) == []


@given(st.binary(max_size=120))
def test_any_bytes_are_packets_or_one_error(data: bytes) -> None:
    try:
        rtcp.parse_rtcp(data)
    except PeerError as error:
        assert error.code == "rtcp_malformed"


@given(blocks, st.integers(0, 400), u8)
def test_one_changed_byte_never_escapes_the_error_tree(
    found: tuple[rtcp.Report, ...], at: int, value: int
) -> None:
    data = bytearray(rtcp.receiver_report(1, found) + rtcp.nack(1, 2, [3, 9]) + rtcp.bandwidth(1, 2, [3]))
    data[at % len(data)] = value
    try:
        rtcp.parse_rtcp(bytes(data))
    except PeerError as error:
        assert error.code == "rtcp_malformed"


@pytest.mark.parametrize("cut", [1, 3, 5, 7])
def test_truncated_compound_is_refused(cut: int) -> None:
    with pytest.raises(PeerError):
        rtcp.parse_rtcp(rtcp.receiver_report(1)[:-cut])
