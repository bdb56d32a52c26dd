"""H.264 over RTP (RFC 6184, packetization modes 0 and 1). Pure.

Frames are access units in Annex B form: NAL units behind four-byte start codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guard.errors import PeerError
from guard.media.assembly import FrameAssembler, Piece

NAL_IDR = 5
NAL_SPS = 7
NAL_DELIMITER = 9
_STAP_A = 24
_FU_A = 28
_START_CODE = b"\x00\x00\x00\x01"
_START_CODES = re.compile(rb"\x00\x00\x01")
_OPENERS = frozenset({NAL_SPS, NAL_DELIMITER})


def _truncated() -> PeerError:
    return PeerError("h264_truncated", "H.264 payload ends within a NAL unit; packet dropped")


def _aggregated(payload: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a STAP-A (RFC 6184 section 5.7.1)."""
    position = 1
    while position < len(payload):
        size = int.from_bytes(payload[position : position + 2], "big")
        position += 2
        if size == 0 or position + size > len(payload):
            raise _truncated()
        yield payload[position : position + size]
        position += size


def _nal_types(payload: bytes) -> list[int]:
    """Return the types of NAL units that begin in this payload."""
    if not payload:
        raise _truncated()
    kind = payload[0] & 0x1F
    if kind == _STAP_A:
        types = [nal[0] & 0x1F for nal in _aggregated(payload)]
        if not types:
            raise _truncated()
        return types
    if kind == _FU_A:
        if len(payload) < 3:
            raise _truncated()
        return [payload[1] & 0x1F] if payload[1] & 0x80 else []
    if 1 <= kind <= 23:
        return [kind]
    raise PeerError("h264_unsupported", f"H.264 packet type {kind} is not used by WebRTC; packet dropped")


def is_keyframe(payload: bytes) -> bool:
    """Whether a keyframe begins in this RTP payload: its SPS, or an IDR slice.

    False for what does not parse.
    """
    try:
        types = _nal_types(payload)
    except PeerError:
        return False
    return NAL_SPS in types or NAL_IDR in types


def split_nal_units(frame: bytes) -> list[bytes]:
    """Return the NAL units of an access unit in Annex B form, without start codes."""
    starts = [match.start() for match in _START_CODES.finditer(frame)]
    ends = [*starts, len(frame)][1:]
    units = (frame[a + 3 : b] for a, b in zip(starts, ends, strict=True))
    # a NAL unit never ends in a zero byte (ITU-T H.264 section 7.4.1): those belong to the next start code
    return [unit for unit in (unit.rstrip(b"\x00") for unit in units) if unit]


def frame_is_keyframe(frame: bytes) -> bool:
    """Whether an access unit holds an IDR picture."""
    return any(unit[0] & 0x1F == NAL_IDR for unit in split_nal_units(frame))


def packetize(frame: bytes, *, mtu: int = 1200) -> list[bytes]:
    """Cut one access unit into RTP payloads: STAP-A, single NAL units and FU-A (mode 1).

    Args:
        frame: access unit in Annex B form.
        mtu: largest payload in bytes.

    Returns:
        The payloads in order; the last one goes out with the marker bit.
    """
    if mtu < 8:
        raise ValueError(f"mtu {mtu} leaves no room behind the H.264 headers")
    payloads: list[bytes] = []
    group: list[bytes] = []
    for unit in split_nal_units(frame):
        if len(unit) > mtu:
            payloads += _grouped(group)
            group = []
            payloads += _fragments(unit, mtu)
        elif 1 + sum(2 + len(member) for member in (*group, unit)) > mtu:
            payloads += _grouped(group)
            group = [unit]
        else:
            group.append(unit)
    return payloads + _grouped(group)


def _grouped(units: list[bytes]) -> list[bytes]:
    if len(units) < 2:
        return units
    # the aggregate carries the highest NRI and any forbidden bit of its members (RFC 6184 section 5.7)
    header = max(unit[0] & 0x60 for unit in units) | max(unit[0] & 0x80 for unit in units) | _STAP_A
    body = b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    return [bytes([header]) + body]


def _fragments(unit: bytes, mtu: int) -> list[bytes]:
    indicator = (unit[0] & 0xE0) | _FU_A
    kind = unit[0] & 0x1F
    body = unit[1:]
    count = -(-len(body) // (mtu - 2))
    share, longer = divmod(len(body), count)
    payloads = []
    position = 0
    for index in range(count):
        length = share + (1 if index < longer else 0)
        flags = (0x80 if index == 0 else 0) | (0x40 if index == count - 1 else 0)
        payloads.append(bytes([indicator, flags | kind]) + body[position : position + length])
        position += length
    return payloads


def _read(payload: bytes) -> Piece:
    types = _nal_types(payload)
    kind = payload[0] & 0x1F
    if kind == _STAP_A:
        data = b"".join(_START_CODE + nal for nal in _aggregated(payload))
    elif kind == _FU_A:
        header = bytes([(payload[0] & 0xE0) | (payload[1] & 0x1F)])
        data = (_START_CODE + header if types else b"") + payload[2:]
    else:
        data = _START_CODE + payload
    return Piece(
        data=data,
        starts_frame=bool(types) and types[0] in _OPENERS,
        keyframe=NAL_SPS in types or NAL_IDR in types,
    )


class H264Assembler(FrameAssembler):
    """RTP payloads of one H.264 track in, whole access units (Annex B) out."""

    def __init__(self) -> None:
        super().__init__(_read)
