"""RTCP packets the relay reads and writes (RFC 3550 section 6, RFC 4585, RFC 5104, REMB). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from guard.errors import PeerError

_SR, _RR, _SDES, _BYE, _RTPFB, _PSFB = 200, 201, 202, 203, 205, 206
_NACK_FMT, _PLI_FMT, _FIR_FMT, _AFB_FMT = 1, 1, 4, 15
_HEAD = struct.Struct("!BBH")
_REPORT = struct.Struct("!IIIIII")
_SENDER_INFO = struct.Struct("!IQIII")
_PAIR = struct.Struct("!II")
_NACK_ITEM = struct.Struct("!HH")
MAX_LOST = 0x7FFFFF


@dataclass(frozen=True, slots=True)
class Report:
    """One report block (RFC 3550 section 6.4.1): loss, highest sequence, jitter in timestamp units."""

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a sender says of its clock: NTP time (32.32 fixed point) and RTP timestamp of one moment."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a receiver got of each stream."""

    ssrc: int
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers a receiver misses of one stream."""

    media_ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI or FIR: the receiver cannot go on without a keyframe of that stream."""

    media_ssrc: int


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """REMB: bits per second the receiver can take, all those streams together."""

    bitrate_bps: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bye:
    """Streams that end."""

    ssrcs: tuple[int, ...]


RtcpPacket = SenderReport | ReceiverReport | Nack | KeyframeRequest | Bandwidth | Bye


def _malformed(what: str) -> PeerError:
    return PeerError("rtcp_malformed", f"RTCP packet dropped: {what}")


def parse_rtcp(data: bytes) -> list[RtcpPacket]:
    """Read a compound packet; kinds the relay has no use for are left out.

    Raises:
        PeerError: ``rtcp_malformed``; nothing of the compound is to be trusted then.
    """
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise _malformed("it ends within a header")
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2:
            raise _malformed(f"version {first >> 6}")
        if end > len(data):
            raise _malformed("it is shorter than its length field")
        body = data[at + 4 : end]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                raise _malformed("padding does not fit")
            body = body[: len(body) - body[-1]]
        try:
            packets.extend(_parse_one(kind, first & 0x1F, body))
        except struct.error:
            raise _malformed(f"type {kind} is truncated") from None
        at = end
    return packets


def _parse_one(kind: int, count: int, body: bytes) -> Iterator[RtcpPacket]:
    if kind == _SR:
        ssrc, ntp, timestamp, packets, octets = _SENDER_INFO.unpack_from(body)
        yield SenderReport(ssrc, ntp, timestamp, packets, octets, _reports(body, 24, count))
    elif kind == _RR:
        (ssrc,) = struct.unpack_from("!I", body)
        yield ReceiverReport(ssrc, _reports(body, 4, count))
    elif kind == _BYE:
        yield Bye(struct.unpack_from(f"!{count}I", body))
    elif kind == _RTPFB and count == _NACK_FMT:
        _, media = _PAIR.unpack_from(body)
        yield Nack(media, tuple(_nacked(body[8:])))
    elif kind == _PSFB:
        yield from _payload_feedback(count, body)


def _reports(body: bytes, at: int, count: int) -> tuple[Report, ...]:
    reports = []
    for index in range(count):
        ssrc, loss, highest, jitter, last, delay = _REPORT.unpack_from(body, at + 24 * index)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 1 << 24
        reports.append(Report(ssrc, loss >> 24, lost, highest, jitter, last, delay))
    return tuple(reports)


def _nacked(items: bytes) -> Iterator[int]:
    """Yield sequence numbers of generic NACK items (RFC 4585 section 6.2.1)."""
    for pid, mask in _NACK_ITEM.iter_unpack(items):
        yield pid
        for bit in range(16):
            if mask >> bit & 1:
                yield (pid + bit + 1) & 0xFFFF


def _payload_feedback(fmt: int, body: bytes) -> Iterator[RtcpPacket]:
    _, media = _PAIR.unpack_from(body)
    if fmt == _PLI_FMT:
        yield KeyframeRequest(media)
    elif fmt == _FIR_FMT:
        for ssrc, _ in _PAIR.iter_unpack(body[8:]):
            yield KeyframeRequest(ssrc)
    elif fmt == _AFB_FMT and body[8:12] == b"REMB":
        count, high, low = struct.unpack_from("!BBH", body, 12)
        mantissa = (high & 0x03) << 16 | low
        yield Bandwidth(mantissa << (high >> 2), struct.unpack_from(f"!{count}I", body, 16))


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def _report_bytes(reports: Sequence[Report]) -> bytes:
    return b"".join(
        _REPORT.pack(
            r.ssrc,
            r.fraction_lost << 24 | (max(-MAX_LOST - 1, min(MAX_LOST, r.packets_lost)) & 0xFFFFFF),
            r.highest_sequence & 0xFFFFFFFF,
            r.jitter & 0xFFFFFFFF,
            r.last_report,
            r.delay & 0xFFFFFFFF,
        )
        for r in reports
    )


def receiver_report(ssrc: int, reports: Sequence[Report] = ()) -> bytes:
    """Return a receiver report with at most 31 blocks."""
    return _packet(_RR, len(reports), struct.pack("!I", ssrc) + _report_bytes(reports))


def sender_report(report: SenderReport) -> bytes:
    """Return a sender report."""
    info = _SENDER_INFO.pack(
        report.ssrc, report.ntp, report.timestamp, report.packets & 0xFFFFFFFF, report.octets & 0xFFFFFFFF
    )
    return _packet(_SR, len(report.reports), info + _report_bytes(report.reports))


def source_description(ssrc: int, cname: str) -> bytes:
    """Return an SDES packet with the CNAME, which ties a participant's audio and video together."""
    name = cname.encode()[:255]
    chunk = struct.pack("!I", ssrc) + bytes((1, len(name))) + name
    return _packet(_SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def nack(ssrc: int, media_ssrc: int, sequences: Iterable[int]) -> bytes:
    """Return a generic NACK of extended or 16-bit sequence numbers, given in rising order."""
    items: list[tuple[int, int]] = []
    base = 0
    for sequence in sequences:
        if items and 0 < sequence - base <= 16:
            pid, mask = items[-1]
            items[-1] = (pid, mask | 1 << (sequence - base - 1))
        else:
            base = sequence
            items.append((sequence & 0xFFFF, 0))
    body = _PAIR.pack(ssrc, media_ssrc) + b"".join(_NACK_ITEM.pack(*item) for item in items)
    return _packet(_RTPFB, _NACK_FMT, body)


def picture_loss(ssrc: int, media_ssrc: int) -> bytes:
    """Return a picture loss indication."""
    return _packet(_PSFB, _PLI_FMT, _PAIR.pack(ssrc, media_ssrc))


def full_intra_request(ssrc: int, media_ssrc: int, number: int) -> bytes:
    """Return a full intra request; ``number`` rises with every new one (RFC 5104 section 4.3.1)."""
    return _packet(_PSFB, _FIR_FMT, _PAIR.pack(ssrc, 0) + _PAIR.pack(media_ssrc, (number & 0xFF) << 24))


def bandwidth(ssrc: int, bitrate_bps: int, ssrcs: Sequence[int]) -> bytes:
    """Return a REMB (draft-alvestrand-rmcat-remb-03): an 18-bit mantissa and 6-bit exponent."""
    exponent = max(0, bitrate_bps.bit_length() - 18)
    mantissa = bitrate_bps >> exponent
    head = _PAIR.pack(ssrc, 0) + b"REMB"
    head += struct.pack("!BBH", len(ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
    return _packet(_PSFB, _AFB_FMT, head + struct.pack(f"!{len(ssrcs)}I", *ssrcs))
