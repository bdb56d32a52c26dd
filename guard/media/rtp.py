"""RTP packets as bytes and as values (RFC 3550 section 5.1, RFC 8285, RFC 4588).

Pure and stateless but for :class:`Unwrapper`. Everything that reads bytes from
the network raises :class:`PeerError` with one of the codes below and nothing else.

    rtp_truncated   shorter than its header says
    rtp_version     not RTP version 2
    rtp_extension   the header extension does not fit its own length
    rtp_padding     the padding count does not fit the packet
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from guard.errors import PeerError

HEADER_BYTES = 12

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
_TWO_BYTE_MASK = 0xFFF0
_STOP_ID = 15  # RFC 8285 section 4.2: reserved, ends the processing of a one-byte block

Extension = tuple[int, bytes]

_HEADER = struct.Struct("!BBHII")
_BLOCK = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet, decrypted.

    Args:
        payload_type: 0 to 127.
        marker: the marker bit.
        sequence: 16 bits, not unwrapped.
        timestamp: 32 bits, not unwrapped.
        ssrc: 32 bits.
        csrcs: contributing sources, at most 15.
        extensions: header extension elements in wire order, as (id, data).
        payload: payload without padding.
    """

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    csrcs: tuple[int, ...] = ()
    extensions: tuple[Extension, ...] = ()
    payload: bytes = b""

    def extension(self, identifier: int) -> bytes | None:
        """Return the first element with that id, or None."""
        for found, data in self.extensions:
            if found == identifier:
                return data
        return None


def parse_rtp(data: bytes) -> RtpPacket:
    """Read one RTP packet.

    Raises:
        PeerError: the bytes are no RTP packet; the codes are in the module's docstring.
    """
    if len(data) < HEADER_BYTES:
        raise PeerError("rtp_truncated", f"RTP packet of {len(data)} bytes; the header alone takes 12")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise PeerError("rtp_version", f"RTP version {first >> 6}; only version 2 exists")
    start = HEADER_BYTES
    csrcs: tuple[int, ...] = ()
    if first & 0x0F:
        count = first & 0x0F
        start += 4 * count
        if start > len(data):
            raise PeerError("rtp_truncated", f"RTP packet ends within its {count} CSRCs")
        csrcs = struct.unpack_from(f"!{count}I", data, HEADER_BYTES)
    extensions: tuple[Extension, ...] = ()
    if first & 0x10:
        extensions, start = _parse_extension_block(data, start)
    end = len(data) - _padding(data, start) if first & 0x20 else len(data)
    return RtpPacket(
        second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, csrcs, extensions, data[start:end]
    )


def _padding(data: bytes, start: int) -> int:
    """Return the number of padding bytes, which the last byte gives (RFC 3550 section 5.1)."""
    if start >= len(data):
        raise PeerError("rtp_padding", "the padding bit is set on an RTP packet without payload")
    count = data[-1]
    if not 0 < count <= len(data) - start:
        raise PeerError("rtp_padding", f"{count} bytes of padding in {len(data) - start} bytes of payload")
    return count


def _parse_extension_block(data: bytes, start: int) -> tuple[tuple[Extension, ...], int]:
    """Return the elements of the header extension and where the payload starts."""
    if start + 4 > len(data):
        raise PeerError("rtp_extension", "RTP packet ends before its header extension")
    profile, words = _BLOCK.unpack_from(data, start)
    begin = start + 4
    end = begin + 4 * words
    if end > len(data):
        raise PeerError("rtp_extension", f"header extension of {4 * words} bytes overruns the packet")
    if profile == ONE_BYTE_PROFILE:
        return _one_byte_elements(data, begin, end), end
    if profile & _TWO_BYTE_MASK == TWO_BYTE_PROFILE:
        return _two_byte_elements(data, begin, end), end
    return (), end  # another profile's extension: legal, and none of our business


def _one_byte_elements(data: bytes, at: int, end: int) -> tuple[Extension, ...]:
    """Read RFC 8285 section 4.2 elements."""
    elements: list[Extension] = []
    while at < end:
        head = data[at]
        at += 1
        identifier = head >> 4
        if identifier == 0:
            # a zero byte is padding; an id of 0 with a length is to be ignored together with its data
            at += (head & 0x0F) + 1 if head else 0
            continue
        if identifier == _STOP_ID:
            break
        stop = at + (head & 0x0F) + 1
        if stop > end:
            raise PeerError("rtp_extension", f"extension element {identifier} overruns its block")
        elements.append((identifier, data[at:stop]))
        at = stop
    return tuple(elements)


def _two_byte_elements(data: bytes, at: int, end: int) -> tuple[Extension, ...]:
    """Read RFC 8285 section 4.3 elements."""
    elements: list[Extension] = []
    while at < end:
        identifier = data[at]
        at += 1
        if identifier == 0:
            continue
        if at >= end:
            raise PeerError("rtp_extension", f"extension element {identifier} has no length")
        stop = at + 1 + data[at]
        if stop > end:
            raise PeerError("rtp_extension", f"extension element {identifier} overruns its block")
        elements.append((identifier, data[at + 1 : stop]))
        at = stop
    return tuple(elements)


def extension_block(extensions: tuple[Extension, ...]) -> bytes:
    """Return the header extension with its 4-byte head, or nothing where there are no elements.

    The one-byte form is used where every element fits it, the two-byte form otherwise.

    Raises:
        ValueError: an id is outside 1 to 255 or an element is longer than 255 bytes.
    """
    if not extensions:
        return b""
    if all(0 < identifier < _STOP_ID and 0 < len(data) <= 16 for identifier, data in extensions):
        profile = ONE_BYTE_PROFILE
        body = b"".join(bytes((i << 4 | len(data) - 1,)) + data for i, data in extensions)
    else:
        profile = TWO_BYTE_PROFILE
        if any(identifier == 0 for identifier, _ in extensions):
            raise ValueError("extension id 0 means padding")
        body = b"".join(bytes((i, len(data))) + data for i, data in extensions)
    words = (len(body) + 3) // 4
    return _BLOCK.pack(profile, words) + body.ljust(4 * words, b"\0")


def serialise_rtp(packet: RtpPacket) -> bytes:
    """Return the packet's bytes, without padding; ``parse_rtp`` reads them back equal."""
    block = extension_block(packet.extensions)
    first = 0x80 | (0x10 if block else 0) | len(packet.csrcs)
    head = _HEADER.pack(
        first, packet.marker << 7 | packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc
    )
    csrcs = struct.pack(f"!{len(packet.csrcs)}I", *packet.csrcs) if packet.csrcs else b""
    return head + csrcs + block + packet.payload


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on a shared port (RFC 5761 section 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def wrap_rtx(packet: RtpPacket, *, payload_type: int, sequence: int, ssrc: int) -> RtpPacket:
    """Return the packet as a retransmission on its own stream (RFC 4588 section 4)."""
    return replace(
        packet,
        payload_type=payload_type,
        sequence=sequence,
        ssrc=ssrc,
        payload=packet.sequence.to_bytes(2, "big") + packet.payload,
    )


def unwrap_rtx(packet: RtpPacket, *, payload_type: int, ssrc: int) -> RtpPacket | None:
    """Return the original packet of a retransmission.

    None where it carries nothing: browsers probe bandwidth with empty retransmissions.
    """
    if len(packet.payload) <= 2:
        return None
    return replace(
        packet,
        payload_type=payload_type,
        sequence=int.from_bytes(packet.payload[:2], "big"),
        ssrc=ssrc,
        payload=packet.payload[2:],
    )


class Unwrapper:
    """Extends wrapping counters: equal steps on the wire give equal steps here.

    The first value is taken as it is. A later one is placed where it is nearest to
    the highest so far, so late packets may come out lower (even below zero).

    Args:
        bits: width of the counter, 16 for sequence numbers, 32 for timestamps.
    """

    def __init__(self, bits: int = 16) -> None:
        self._half = 1 << (bits - 1)
        self._mask = (1 << bits) - 1
        self._highest: int | None = None

    @property
    def highest(self) -> int | None:
        """The highest extended value so far."""
        return self._highest

    def push(self, value: int) -> int:
        """Return the extended value."""
        if self._highest is None:
            self._highest = value
            return value
        step = (value - self._highest) & self._mask
        if step < self._half:
            self._highest += step
            return self._highest
        return self._highest + step - self._mask - 1
