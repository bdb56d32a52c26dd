"""One outgoing stream: numbers, switches of source, resends; no network, virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import PeerError
from guard.media import vp8
from guard.media.rtp import RtpPacket, parse_rtp, unwrap_rtx
from guard.relay.codecs import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, MID_URI, Codec
from guard.relay.output import Output, OutputStream
from guard.types import Kind

SSRC, RTX_SSRC = 5, 6
VIDEO_STREAM = OutputStream(
    mid="v",
    kind=Kind.VIDEO,
    ssrc=SSRC,
    rtx_ssrc=RTX_SSRC,
    codecs={"vp8": Codec("vp8", 100, 101, nack=True), "h264": Codec("h264", 102, None, nack=True)},
    extensions={MID_URI: 4, ABS_SEND_TIME_URI: 5, AUDIO_LEVEL_URI: 6},
)
AUDIO_STREAM = OutputStream(
    mid="a",
    kind=Kind.AUDIO,
    ssrc=SSRC,
    rtx_ssrc=RTX_SSRC,
    codecs={"opus": Codec("opus", 109)},
    extensions={AUDIO_LEVEL_URI: 9},
)


class Wire:
    """An output and what it sent."""

    def __init__(self, stream: OutputStream = VIDEO_STREAM, codec: str = "vp8") -> None:
        self.sent: list[RtpPacket] = []
        self.output = Output("b", stream, lambda data: self.sent.append(parse_rtp(data)))
        self.output.attach(codec, {AUDIO_LEVEL_URI: 2})

    def video(
        self, sequence: int, *, key: bool = False, now: float = 0.0, picture: int | None = None
    ) -> None:
        (payload,) = vp8.packetize(
            bytes((0 if key else 1, 9)), picture_id=sequence if picture is None else picture
        )
        self.output.write(
            RtpPacket(96, True, sequence & 0xFFFF, sequence * 3000 & 0xFFFFFFFF, 1, payload=payload), now
        )

    @property
    def steps(self) -> list[int]:
        return [(p.sequence - self.sent[0].sequence) & 0xFFFF for p in self.sent]

    @property
    def pictures(self) -> list[int | None]:
        return [vp8.parse_descriptor(p.payload).picture_id for p in self.sent]


@given(st.integers(0, 70000), st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_gaps_stay_gaps_wherever_the_numbers_start(start: int, lost: list[int]) -> None:
    wire = Wire()
    expected = [0]
    wire.video(start, key=True)
    for i, gone in enumerate(lost, 1):
        if not gone:
            wire.video(start + i)
            expected.append(i)
    assert wire.steps == expected
    assert {p.ssrc for p in wire.sent} == {SSRC}
    assert {p.payload_type for p in wire.sent} == {100}


def test_late_packet_takes_its_own_place() -> None:
    wire = Wire()
    for sequence in (65534, 0x10000, 65535, 0x10001):
        wire.video(sequence, key=sequence == 65534)
    assert wire.steps == [0, 2, 1, 3]


def test_packets_from_before_the_start_are_left_out() -> None:
    wire = Wire()
    for sequence in (11, 10, 12):
        wire.video(sequence, key=sequence == 11)
    assert wire.steps == [0, 1]


def test_nothing_goes_out_before_a_keyframe_and_it_is_wanted() -> None:
    wire = Wire()
    wire.video(1)
    assert wire.sent == []
    assert wire.output.wants_keyframe
    wire.video(2, key=True)
    assert len(wire.sent) == 1
    assert not wire.output.wants_keyframe


def test_extensions_are_renumbered_and_send_time_is_new() -> None:
    wire = Wire()
    packet = RtpPacket(96, True, 1, 0, 1, (), ((2, b"\x01"), (7, b"zz")), b"\x10\x00\x09")
    wire.output.write(packet, now=65.5)
    assert dict(wire.sent[0].extensions) == {5: int(1.5 * (1 << 18)).to_bytes(3, "big"), 4: b"v", 6: b"\x01"}


@pytest.mark.parametrize("odd", [b"", b"x" * 17])
def test_elements_that_do_not_fit_the_one_byte_form_stay_behind(odd: bytes) -> None:
    wire = Wire()
    packet = RtpPacket(96, True, 1, 0, 1, (), ((2, odd),), b"\x10\x00\x09")
    wire.output.write(packet, now=1.0)
    assert wire.sent[0].extensions == ((5, (1 << 18).to_bytes(3, "big")), (4, b"v"))


def test_stream_without_extensions_has_none() -> None:
    wire = Wire(AUDIO_STREAM, "opus")
    wire.output.write(RtpPacket(111, False, 1, 0, 1, (), ((2, b"\x20"),), b"o"), 0.0)
    wire.output.write(RtpPacket(111, False, 2, 960, 1, (), (), b"o"), 0.0)
    assert [p.extensions for p in wire.sent] == [((9, b"\x20"),), ()]


def test_codec_the_subscriber_did_not_agree_to_is_refused() -> None:
    with pytest.raises(PeerError) as caught:
        Output("b", AUDIO_STREAM, lambda _: None).attach("vp8", {})
    assert caught.value.code == "codec_not_negotiated"


def test_nack_is_answered_by_rtx_once_per_interval_and_with_new_send_time() -> None:
    wire = Wire()
    for sequence in range(20):
        wire.video(sequence, key=sequence == 0)
    number = wire.sent[7].sequence
    for now in (1.0, 1.005, 1.02):
        wire.output.on_nack([number], now)
    again = wire.sent[20:]
    assert [(p.ssrc, p.payload_type, p.sequence) for p in again] == [(RTX_SSRC, 101, 1), (RTX_SSRC, 101, 2)]
    assert again[0].extension(5) == (1 << 18).to_bytes(3, "big")
    original = unwrap_rtx(again[0], payload_type=100, ssrc=SSRC)
    assert original is not None
    assert (original.sequence, original.payload, original.marker) == (number, wire.sent[7].payload, True)
    counters = wire.output.counters
    assert (counters.retransmitted, counters.nacks_received, counters.nacked_unavailable) == (2, 3, 0)


def test_without_rtx_the_packet_itself_is_sent_again() -> None:
    wire = Wire(codec="h264")
    wire.output.write(RtpPacket(96, True, 1, 5, 1, payload=b"\x65idr"), 0.0)
    wire.output.on_nack([wire.sent[0].sequence], 0.0)
    assert wire.sent[1] == wire.sent[0]


@pytest.mark.parametrize("asked", [0, 0xFFFF, 40000])
def test_nack_for_what_was_never_sent_is_counted(asked: int) -> None:
    wire = Wire()
    wire.video(1, key=True)
    wire.output.on_nack([asked], 0.0)
    assert len(wire.sent) == 1
    assert wire.output.counters.nacked_unavailable == 1


def test_history_forgets_the_oldest() -> None:
    wire = Wire()
    for sequence in range(600):
        wire.video(sequence, key=sequence == 0)
    first, last = wire.sent[0].sequence, wire.sent[-1].sequence
    wire.output.on_nack([first, last], 0.0)
    assert (wire.output.counters.retransmitted, wire.output.counters.nacked_unavailable) == (1, 1)


def test_injection_continues_the_stream_and_source_returns_at_a_keyframe() -> None:
    wire = Wire()
    for i in range(3):
        wire.video(65530 + i, key=i == 0, picture=0x7FFE + i & 0x7FFF)
    assert not wire.output.inject(b"\x10\x00x", timestamp=1, marker=True, now=0.0)
    wire.output.source_muted = True
    wire.video(65533)
    for i in range(3):
        (payload,) = vp8.packetize(b"\x00b", picture_id=500 + i)
        assert wire.output.inject(payload, timestamp=(65533 + i) * 3000, marker=True, now=0.0)
    wire.output.source_muted = False
    assert not wire.output.source_live
    assert wire.output.wants_keyframe
    wire.video(65536)
    assert wire.output.inject(payload, timestamp=65536 * 3000, marker=True, now=0.0)
    wire.video(65537, key=True, picture=3)
    wire.video(65536)
    wire.video(65538, picture=4)
    assert wire.output.source_live
    assert not wire.output.inject(payload, timestamp=1, marker=True, now=0.0)
    assert wire.steps == list(range(9))
    assert wire.pictures == [0x7FFE, 0x7FFF, 0, 1, 2, 3, 3, 4, 5]
    stamps = [(p.timestamp - wire.sent[0].timestamp) & 0xFFFFFFFF for p in wire.sent]
    assert stamps == [3000 * i for i in range(9)]
    assert wire.output.counters.injected == 4


def test_muting_for_longer_than_half_the_sequence_space_does_no_harm() -> None:
    wire = Wire()
    wire.video(0, key=True)
    wire.output.source_muted = True
    wire.output.source_muted = False
    wire.video(40000, key=True)
    wire.video(40001)
    assert wire.steps == [0, 1, 2]


def test_new_source_goes_on_in_time_and_number() -> None:
    wire = Wire()
    for i in range(3):
        wire.video(i, key=i == 0, now=i / 30)
    wire.output.attach("vp8", {})
    wire.video(50000, key=True, now=2 / 30 + 1.0, picture=7)
    wire.video(50001, now=2 / 30 + 1.1, picture=8)
    assert wire.steps == [0, 1, 2, 3, 4]
    assert wire.pictures == [0, 1, 2, 3, 4]
    assert [wire.sent[i].timestamp - wire.sent[2].timestamp for i in (3, 4)] == [90000, 93000]
    assert wire.output.shifted_timestamp(50001 * 3000) == wire.sent[4].timestamp


def test_detached_output_sends_nothing() -> None:
    wire = Wire()
    wire.video(1, key=True)
    wire.output.detach()
    wire.video(2, key=True)
    assert not wire.output.inject(b"x", timestamp=0, marker=False, now=0.0)
    assert len(wire.sent) == 1
    assert wire.output.shifted_timestamp(1) is None


@given(st.binary(max_size=40), st.booleans())
def test_any_payload_is_forwarded_unchanged_by_a_live_source(payload: bytes, marker: bool) -> None:
    wire = Wire()
    wire.video(1, key=True)
    wire.output.write(RtpPacket(96, marker, 2, 6000, 1, payload=payload), 0.0)
    assert (wire.sent[1].payload, wire.sent[1].marker) == (payload, marker)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_hostile_descriptors_survive_a_switch(first: bytes, second: bytes) -> None:
    wire = Wire()
    wire.video(1, key=True)
    wire.output.write(RtpPacket(96, True, 2, 6000, 1, payload=first), 0.0)
    wire.output.source_muted = True
    wire.output.inject(second, timestamp=9000, marker=True, now=0.0)
    assert len(wire.sent[2].payload) == len(second)
