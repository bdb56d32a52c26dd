from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from guard.media import assembly, h264, vp8


@dataclass(frozen=True)
class Packet:
    frame: int
    payload: bytes
    sequence: int
    timestamp: int
    marker: bool


def vp8_frame(index: int, size: int, keyframe: bool) -> bytes:
    return bytes([0x10 if keyframe else 0x11]) + index.to_bytes(4, "big") + bytes(size)


def h264_frame(index: int, size: int, keyframe: bool) -> bytes:
    head = b"\x00\x00\x00\x01\x67\x42\x00\x1f\x80" if keyframe else b""
    slice_unit = bytes([0x65 if keyframe else 0x41]) + f"{index:04}".encode() + bytes([7]) * size
    return head + b"\x00\x00\x00\x01" + slice_unit


def stream(frames: list[bytes], codec: str, first_sequence: int) -> list[Packet]:
    packets = []
    sequence = first_sequence
    for index, frame in enumerate(frames):
        payloads = (
            vp8.packetize(frame, picture_id=(32760 + index) % 32768, mtu=300)
            if codec == "vp8"
            else h264.packetize(frame, mtu=300)
        )
        for number, payload in enumerate(payloads):
            last = number == len(payloads) - 1
            packets.append(
                Packet(index, payload, sequence & 0xFFFF, (index * 3000 + 2**32 - 9000) % 2**32, last)
            )
            sequence += 1
    return packets


def assembler_for(codec: str) -> assembly.FrameAssembler:
    return vp8.Vp8Assembler() if codec == "vp8" else h264.H264Assembler()


def push_all(assembler: assembly.FrameAssembler, packets: list[Packet]) -> list[bytes]:
    out = []
    for packet in packets:
        frame = assembler.push(
            packet.payload, sequence=packet.sequence, timestamp=packet.timestamp, marker=packet.marker
        )
        if frame is not None:
            out.append(frame)
    return out


SIZES = st.lists(st.integers(0, 1500), min_size=1, max_size=30)
CODECS = st.sampled_from(["vp8", "h264"])


@given(SIZES, CODECS, st.integers(0, 65535))
def test_without_loss_every_frame_comes_out_in_order_across_every_wrap(
    sizes: list[int], codec: str, first: int
) -> None:
    make = vp8_frame if codec == "vp8" else h264_frame
    frames = [make(i, size, i % 7 == 0) for i, size in enumerate(sizes)]
    assembler = assembler_for(codec)
    assert push_all(assembler, stream(frames, codec, first)) == frames
    assert assembler.counts.delivered == len(frames)


@given(SIZES, CODECS, st.integers(0, 65535), st.data())
def test_with_loss_only_whole_frames_with_whole_references_come_out(
    sizes: list[int], codec: str, first: int, data: st.DataObject
) -> None:
    make = vp8_frame if codec == "vp8" else h264_frame
    frames = [make(i, size, i % 7 == 0) for i, size in enumerate(sizes)]
    packets = stream(frames, codec, first)
    lost = data.draw(st.sets(st.integers(0, len(packets) - 1), max_size=10))
    kept = [p for i, p in enumerate(packets) if i not in lost]
    hurt = {packets[i].frame for i in lost}
    expected, ok = [], False
    for index, frame in enumerate(frames):
        ok = index not in hurt and (ok or index % 7 == 0)
        if ok:
            expected.append(frame)
    assembler = assembler_for(codec)
    assert push_all(assembler, kept) == expected
    counts = assembler.counts
    assert counts.delivered == len(expected)
    assert counts.delivered + counts.withheld + counts.dropped <= len(frames)


def test_late_and_repeated_packets_change_nothing() -> None:
    frames = [vp8_frame(i, 900, i == 0) for i in range(4)]
    packets = stream(frames, "vp8", 100)
    assembler = assembler_for("vp8")
    doubled = [p for packet in packets for p in (packet, packet)]
    assert push_all(assembler, doubled) == frames
    assert assembler.counts.late == len(packets)


def test_padding_between_frames_is_no_loss_and_missing_padding_is_told_by_picture_ids() -> None:
    frames = [vp8_frame(i, 10, i == 0) for i in range(3)]
    a, b, c = stream(frames, "vp8", 100)
    assembler = assembler_for("vp8")
    assert push_all(assembler, [a]) == [frames[0]]
    assert assembler.push(b"", sequence=101, timestamp=a.timestamp, marker=False) is None
    moved = Packet(1, b.payload, 102, b.timestamp, True)
    # 103 and 104 were padding and got lost: the picture id goes on, so nothing is missing
    last = Packet(2, c.payload, 105, c.timestamp, True)
    assert push_all(assembler, [moved, last]) == frames[1:]


def test_publisher_that_starts_over_is_followed_again() -> None:
    assembler = assembler_for("vp8")
    push_all(assembler, stream([vp8_frame(0, 10, True)], "vp8", 40000))
    frames = [vp8_frame(i, 10, True) for i in range(assembly.RESYNC_AFTER_LATE + 10)]
    assert len(push_all(assembler, stream(frames, "vp8", 30000))) == 11


def test_frame_beyond_the_bound_is_dropped() -> None:
    assembler = assembler_for("vp8")
    frames = [vp8_frame(0, assembly.MAX_FRAME_BYTES, True), vp8_frame(1, 1, True)]
    assert push_all(assembler, stream(frames, "vp8", 0)) == frames[1:]
    assert assembler.counts.dropped == 1
