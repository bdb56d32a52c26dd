"""VP8 over RTP (RFC 7741): payload descriptor, keyframes, packets in and out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from guard.errors import PeerError
from guard.media.assembly import FrameAssembler, Piece

PICTURE_ID_BITS = 15
_KEYFRAME_HEADER_BYTES = 10
_START_CODE = b"\x9d\x01\x2a"


@dataclass(frozen=True, slots=True)
class Vp8Descriptor:
    """The payload descriptor of one packet (RFC 7741 section 4.2).

    Args:
        start: S bit, the packet opens a partition.
        partition: index of that partition; 0 opens the frame.
        non_reference: N bit, no later frame leans on this one.
        picture_id: frame number, 7 or 15 bits, where present.
        picture_id_bits: 7, 15, or 0 where there is none.
        tl0_index: running number of base-layer frames, where present.
        temporal_id: temporal layer, where present.
        size: bytes the descriptor takes.
    """

    start: bool
    partition: int
    non_reference: bool
    picture_id: int | None
    picture_id_bits: int
    tl0_index: int | None
    temporal_id: int | None
    size: int

    @property
    def starts_frame(self) -> bool:
        """Whether the packet is the first of its frame."""
        return self.start and self.partition == 0


def parse_descriptor(payload: bytes) -> Vp8Descriptor:
    """Read the payload descriptor.

    Raises:
        PeerError: ``vp8_truncated``, the payload ends within or right behind it.
    """
    try:
        return _parse(payload)
    except IndexError:
        raise PeerError("vp8_truncated", "VP8 payload ends within its descriptor; packet dropped") from None


def _parse(payload: bytes) -> Vp8Descriptor:
    first = payload[0]
    size = 1
    picture_id = tl0_index = temporal_id = None
    bits = 0
    if first & 0x80:
        present = payload[1]
        size = 2
        if present & 0x80:
            bits = 15 if payload[size] & 0x80 else 7
            width = bits // 7
            picture_id = int.from_bytes(payload[size : size + width], "big") & ((1 << bits) - 1)
            size += width
        if present & 0x40:
            tl0_index = payload[size]
            size += 1
        if present & 0x30:
            temporal_id = payload[size] >> 6 if present & 0x20 else None
            size += 1
    _ = payload[size]  # a descriptor without a byte of VP8 behind it is no packet
    return Vp8Descriptor(
        start=bool(first & 0x10),
        partition=first & 0x07,
        non_reference=bool(first & 0x20),
        picture_id=picture_id,
        picture_id_bits=bits,
        tl0_index=tl0_index,
        temporal_id=temporal_id,
        size=size,
    )


def is_keyframe(payload: bytes) -> bool:
    """Whether this RTP payload opens a keyframe; false for what does not parse."""
    try:
        descriptor = parse_descriptor(payload)
    except PeerError:
        return False
    return descriptor.starts_frame and frame_is_keyframe(payload[descriptor.size :])


def starts_frame(payload: bytes) -> bool:
    """Whether this RTP payload is the first of a frame; false for what does not parse."""
    try:
        return parse_descriptor(payload).starts_frame
    except PeerError:
        return False


def frame_is_keyframe(frame: bytes) -> bool:
    """Whether an encoded VP8 frame is a keyframe (RFC 6386 section 9.1: P bit clear)."""
    return bool(frame) and not frame[0] & 0x01


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) in pixels from a keyframe's header, None for other frames."""
    if len(frame) < _KEYFRAME_HEADER_BYTES or not frame_is_keyframe(frame) or frame[3:6] != _START_CODE:
        return None
    width = int.from_bytes(frame[6:8], "little") & 0x3FFF
    height = int.from_bytes(frame[8:10], "little") & 0x3FFF
    return width, height


def packetize(frame: bytes, *, picture_id: int, tl0_index: int | None = None, mtu: int = 1200) -> list[bytes]:
    """Cut one encoded frame into RTP payloads of about equal size.

    Args:
        frame: one encoded VP8 frame.
        picture_id: its 15-bit number; the next frame's is one higher, modulo 2**15.
        tl0_index: written (with temporal layer 0) where the stream carries one.
        mtu: largest payload in bytes, descriptor included.

    Returns:
        The payloads in order; the last one goes out with the marker bit.
    """
    tail = bytes([0x80 | (picture_id >> 8 & 0x7F), picture_id & 0xFF])
    present = 0x80
    if tl0_index is not None:
        present |= 0x60  # TL0PICIDX needs the TID octet with it (RFC 7741 section 4.2)
        tail += bytes([tl0_index & 0xFF, 0])
    room = mtu - 2 - len(tail)
    if room <= 0:
        raise ValueError(f"mtu {mtu} leaves no room behind the VP8 descriptor")
    count = max(1, -(-len(frame) // room))
    share, longer = divmod(len(frame), count)
    payloads = []
    position = 0
    for index in range(count):
        length = share + (1 if index < longer else 0)
        head = bytes([0x90 if index == 0 else 0x80, present])
        payloads.append(head + tail + frame[position : position + length])
        position += length
    return payloads


def rewrite_numbers(payload: bytes, *, picture_id: int | None, tl0_index: int | None) -> bytes:
    """Return the payload with other running numbers, in the width it already has.

    A number the payload does not carry is not added; None leaves one as it is. The
    relay uses it so that numbers stay continuous when the source of a stream changes.

    Raises:
        PeerError: ``vp8_truncated``.
    """
    descriptor = parse_descriptor(payload)
    if descriptor.size == 1:
        return payload
    out = bytearray(payload)
    position = 2
    if descriptor.picture_id_bits == 15:
        if picture_id is not None:
            out[2:4] = bytes([0x80 | (picture_id >> 8 & 0x7F), picture_id & 0xFF])
        position = 4
    elif descriptor.picture_id_bits == 7:
        if picture_id is not None:
            out[2] = picture_id & 0x7F
        position = 3
    if descriptor.tl0_index is not None and tl0_index is not None:
        out[position] = tl0_index & 0xFF
    return bytes(out)


def _read(payload: bytes) -> Piece:
    descriptor = parse_descriptor(payload)
    data = payload[descriptor.size :]
    return Piece(
        data=data,
        starts_frame=descriptor.starts_frame,
        keyframe=descriptor.starts_frame and frame_is_keyframe(data),
        picture_id=descriptor.picture_id,
        picture_id_bits=descriptor.picture_id_bits,
    )


class Vp8Assembler(FrameAssembler):
    """RTP payloads of one VP8 track in, whole encoded frames out."""

    def __init__(self) -> None:
        super().__init__(_read)
