"""One outgoing RTP stream to one subscriber, whatever its source is at the moment.

The subscriber sees one SSRC with one unbroken sequence for the whole call. Behind it
the source may be nobody yet, a publisher, a publisher who came back on another
connection, or packets made here (the burnt-in banner, an announcement).

How a source is replaced for a while, for ``relay/inject.py``:

    output.source_muted = True          # the publisher's packets stop here, silently
    output.inject(payload, ...)         # own packets: same SSRC, next sequence numbers, source timestamps
    output.source_muted = False         # from the publisher's next keyframe on it is heard again;
                                        # keep injecting until ``source_live`` turns true
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from guard.errors import PeerError
from guard.media.rtp import Extension, RtpPacket, Unwrapper, extension_block
from guard.relay.codecs import ABS_SEND_TIME_URI, MID_URI, PASSED_ON, VP8, Codec, opens_keyframe
from guard.relay.picture_numbers import Vp8Numbers
from guard.types import Kind

VIDEO_HISTORY_PACKETS = 512
AUDIO_HISTORY_PACKETS = 64
RESEND_INTERVAL_S = 0.01
_HEADER = struct.Struct("!BBHII")
# abs-send-time is always the first element, so that a resent packet can be given its new one
_SEND_TIME_AT = 17
_MAX_ELEMENT_BYTES = 16  # longer ones would need the two-byte form, which moves the send time
_ABS_SEND_TIME_UNITS_PER_S = 1 << 18


@dataclass(frozen=True, slots=True)
class OutputStream:
    """What the subscriber agreed to for one of its m-lines.

    Args:
        mid: the m-line's identifier.
        kind: audio or video.
        ssrc: of the media.
        rtx_ssrc: of retransmissions.
        codecs: by codec name, as the subscriber numbered them.
        extensions: header extension ids by URI, as the subscriber numbered them.
    """

    mid: str
    kind: Kind
    ssrc: int
    rtx_ssrc: int
    codecs: Mapping[str, Codec]
    extensions: Mapping[str, int]


@dataclass(slots=True)
class OutputCounters:
    """Totals since the output was made; ``reported_lost`` is the subscriber's own count."""

    packets: int = 0
    octets: int = 0
    retransmitted: int = 0
    nacks_received: int = 0
    nacked_unavailable: int = 0
    injected: int = 0
    reported_lost: int = 0


@dataclass(slots=True)
class _Sent:
    """One sent packet, kept for retransmission; the payload is shared among subscribers."""

    sequence: int
    head: bytes
    payload: bytes
    resent_at: float = float("-inf")


class Output:
    """One outgoing RTP stream; see the module's docstring.

    Args:
        participant: who receives it.
        stream: what was negotiated.
        send: takes a finished, unencrypted RTP packet.
    """

    def __init__(self, participant: str, stream: OutputStream, send: Callable[[bytes], None]) -> None:
        self.participant = participant
        self.stream = stream
        self.counters = OutputCounters()
        self._send = send
        self.clock_sent = False
        self._codec: Codec | None = None
        self._passed_on: tuple[tuple[int, int], ...] = ()
        self._muted = False
        self._live = False
        self._unwrapper = Unwrapper(16)
        self._anchor = 0
        self._shift = 0
        self._next_sequence = 1
        self._timestamp_shift = 0
        self._last_timestamp: int | None = None
        self._last_sent_at = 0.0
        self._retime = False
        self._rtx_sequence = 0
        self._injected_last = False
        self._numbers = Vp8Numbers()
        size = VIDEO_HISTORY_PACKETS if stream.kind is Kind.VIDEO else AUDIO_HISTORY_PACKETS
        self._history: list[_Sent | None] = [None] * size
        self._fixed = self._fixed_extensions()
        self._timed = ABS_SEND_TIME_URI in stream.extensions

    def _fixed_extensions(self) -> tuple[Extension, ...]:
        """Return the elements every packet carries; send time first, see ``_SEND_TIME_AT``."""
        fixed: list[Extension] = []
        if (identifier := self.stream.extensions.get(ABS_SEND_TIME_URI)) is not None:
            fixed.append((identifier, bytes(3)))
        if (identifier := self.stream.extensions.get(MID_URI)) is not None and self.stream.mid:
            fixed.append((identifier, self.stream.mid.encode()))
        return tuple(fixed)

    @property
    def codec(self) -> Codec | None:
        """The codec in use, None while there is no source."""
        return self._codec

    @property
    def source_live(self) -> bool:
        """Whether the publisher's packets go out now (not muted, and past a keyframe)."""
        return self._live

    @property
    def wants_keyframe(self) -> bool:
        """Whether the publisher must send a keyframe before its packets can go out."""
        return self._codec is not None and not (self._live or self._muted) and self.stream.kind is Kind.VIDEO

    @property
    def source_muted(self) -> bool:
        """While true the publisher's packets are not forwarded; injected ones are."""
        return self._muted

    @source_muted.setter
    def source_muted(self, muted: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._live = False

    def attach(self, codec: str, extensions: Mapping[str, int]) -> None:
        """Take packets of a new source from its next keyframe on.

        Args:
            codec: the source's codec name.
            extensions: header extension ids by URI, as the source numbered them.

        Raises:
            PeerError: ``codec_not_negotiated``, this subscriber did not agree to that codec.
        """
        if codec not in self.stream.codecs:
            raise PeerError(
                "codec_not_negotiated",
                f"m-line {self.stream.mid} does not take {codec}; offer it to receive it",
            )
        self._codec = self.stream.codecs[codec]
        wanted = ((extensions.get(uri), self.stream.extensions.get(uri)) for uri in PASSED_ON)
        self._passed_on = tuple((a, b) for a, b in wanted if a is not None and b is not None)
        self._live = False
        self._retime = True
        self.clock_sent = False

    def detach(self) -> None:
        """Stop: there is no source any more."""
        self._codec = None
        self._live = False

    def write(self, packet: RtpPacket, now: float) -> None:
        """Forward one packet of the source; late ones from before a switch are left out."""
        if self._codec is None or self._muted:
            return
        if not self._live and not self._go_live(packet, now):
            return
        sequence = self._unwrapper.push(packet.sequence)
        if sequence < self._anchor:
            return
        extensions = self._fixed
        if self._passed_on:
            extensions += tuple(
                (ours, data)
                for theirs, ours in self._passed_on
                if (data := packet.extension(theirs)) and len(data) <= _MAX_ELEMENT_BYTES
            )
        timestamp = (packet.timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._emit(
            sequence + self._shift, timestamp, packet.marker, packet.payload, extensions=extensions, now=now
        )

    def _go_live(self, packet: RtpPacket, now: float) -> bool:
        """Line the source's counters up with what was sent so far, if a decoder can start here."""
        assert self._codec is not None
        if not opens_keyframe(self._codec.name, packet.payload):
            return False
        self._live = True
        self._unwrapper = Unwrapper(16)
        self._anchor = self._unwrapper.push(packet.sequence)
        self._shift = self._next_sequence - self._anchor
        self._injected_last = False
        self._numbers.switch()
        if self._retime:
            self._retime = False
            if self._last_timestamp is not None:
                ticks = round((now - self._last_sent_at) * self._codec.clock_rate_hz)
                self._timestamp_shift = self._last_timestamp + max(1, ticks) - packet.timestamp
        return True

    def inject(self, payload: bytes, *, timestamp: int, marker: bool, now: float) -> bool:
        """Send an own payload as the next packet of the stream.

        Args:
            payload: RTP payload in the source's codec, descriptor included.
            timestamp: in the source's own timestamps, 32 bits.
            marker: the marker bit.
            now: monotonic seconds.

        Returns:
            False where nothing was sent: there is no source, or its packets go out already.
        """
        if self._codec is None or self._live:
            return False
        self.counters.injected += 1
        if not self._injected_last:
            self._injected_last = True
            self._numbers.switch()
        shifted = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._emit(self._next_sequence, shifted, marker, payload, extensions=self._fixed, now=now)
        return True

    def _emit(
        self,
        sequence: int,
        timestamp: int,
        marker: bool,
        payload: bytes,
        *,
        extensions: tuple[Extension, ...],
        now: float,
    ) -> None:
        """Build, remember and send one packet; ``sequence`` is extended, not wrapped."""
        codec = self._codec
        assert codec is not None
        newest = sequence >= self._next_sequence
        if codec.name == VP8:
            payload = self._numbers.rewrite(payload, newest)
        if newest:
            self._next_sequence = sequence + 1
            self._last_timestamp = timestamp
            self._last_sent_at = now
        block = extension_block(extensions)
        first = 0x90 if block else 0x80
        second = codec.payload_type | (0x80 if marker else 0)
        head = _HEADER.pack(first, second, sequence & 0xFFFF, timestamp, self.stream.ssrc) + block
        if self._timed:
            head = _with_send_time(head, now)
        if codec.nack:
            self._history[sequence % len(self._history)] = _Sent(sequence & 0xFFFF, head, payload)
        self.counters.packets += 1
        self.counters.octets += len(payload)
        self._send(head + payload)

    def on_nack(self, sequences: Iterable[int], now: float) -> None:
        """Send again what is still remembered, as RTX where negotiated (RFC 4588)."""
        self.counters.nacks_received += 1
        for sequence in sequences:
            sent = self._find(sequence)
            if sent is None:
                self.counters.nacked_unavailable += 1
            elif now - sent.resent_at >= RESEND_INTERVAL_S:
                sent.resent_at = now
                self._resend(sent, now)

    def _find(self, sequence: int) -> _Sent | None:
        """Return the remembered packet with that 16-bit sequence number."""
        behind = (self._next_sequence - 1 - sequence) & 0xFFFF
        extended = self._next_sequence - 1 - behind
        sent = self._history[extended % len(self._history)]
        return sent if sent is not None and sent.sequence == sequence else None

    def _resend(self, sent: _Sent, now: float) -> None:
        head = _with_send_time(sent.head, now) if self._timed else sent.head
        payload = sent.payload
        if self._codec is not None and self._codec.rtx_payload_type is not None:
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
            second = self._codec.rtx_payload_type | (head[1] & 0x80)
            ssrc = self.stream.rtx_ssrc.to_bytes(4, "big")
            head = (
                bytes((head[0], second))
                + self._rtx_sequence.to_bytes(2, "big")
                + head[4:8]
                + ssrc
                + head[12:]
            )
            payload = sent.sequence.to_bytes(2, "big") + payload
        self.counters.retransmitted += 1
        self._send(head + payload)

    @property
    def newest_timestamp(self) -> int | None:
        """The newest timestamp sent, in the source's own timestamps; None before the first packet."""
        if self._last_timestamp is None:
            return None
        return (self._last_timestamp - self._timestamp_shift) & 0xFFFFFFFF

    def shifted_timestamp(self, timestamp: int) -> int | None:
        """Translate a source timestamp into this stream's; None before the source went live."""
        if not (self._live or self._injected_last):
            return None
        return (timestamp + self._timestamp_shift) & 0xFFFFFFFF


def _with_send_time(head: bytes, now: float) -> bytes:
    """Return the header with its abs-send-time set: seconds modulo 64 in 6.18 fixed point."""
    ticks = int(now * _ABS_SEND_TIME_UNITS_PER_S) & 0xFFFFFF
    return head[:_SEND_TIME_AT] + ticks.to_bytes(3, "big") + head[_SEND_TIME_AT + 3 :]
