"""What is known of a stream that arrives: loss, jitter, what to ask for again. Pure; time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

from guard.media.rtp import Unwrapper
from guard.relay.rtcp import Report

MAX_GAP_PACKETS = 500
_SEQUENCE_CYCLE = 1 << 16


class ReceiveStatistics:
    """Counts one SSRC for receiver reports (RFC 3550 appendices A.3 and A.8).

    Args:
        ssrc: of the stream.
        clock_rate_hz: of its timestamps.
    """

    def __init__(self, ssrc: int, clock_rate_hz: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self._clock_rate_hz = clock_rate_hz
        self._base: int | None = None
        self._highest = 0
        self._expected_before = 0
        self._received_before = 0
        self._transit: float | None = None
        self._last_timestamp: int | None = None
        self._timestamps = Unwrapper(32)
        self._jitter = 0.0
        self._sender_ntp: int | None = None
        self._sender_at = 0.0

    @property
    def jitter(self) -> float:
        """Interarrival jitter in timestamp units."""
        return self._jitter

    @property
    def expected(self) -> int:
        """Packets the sequence numbers say were sent."""
        return 0 if self._base is None else self._highest - self._base + 1

    def push(self, sequence: int, timestamp: int, now: float) -> None:
        """Count one packet; ``sequence`` is extended."""
        self.received += 1
        if self._base is None:
            self._base = self._highest = sequence
        self._base = min(self._base, sequence)
        self._highest = max(self._highest, sequence)
        if timestamp == self._last_timestamp:
            return  # packets of one picture leave together; only the first says anything of the network
        self._last_timestamp = timestamp
        transit = now * self._clock_rate_hz - self._timestamps.push(timestamp)
        if self._transit is not None:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16
        self._transit = transit

    def on_sender_report(self, ntp: int, now: float) -> None:
        """Remember the sender's clock, which the next report gives back."""
        self._sender_ntp = ntp
        self._sender_at = now

    def report(self, now: float) -> Report | None:
        """Return the block of the time since the last one; None before the first packet."""
        if self._base is None:
            return None
        expected, received = self.expected, self.received
        expected_now = expected - self._expected_before
        lost_now = expected_now - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        fraction = 0 if expected_now <= 0 or lost_now <= 0 else min(255, (lost_now << 8) // expected_now)
        last = delay = 0
        if self._sender_ntp is not None:
            last = self._sender_ntp >> 16 & 0xFFFFFFFF
            delay = int((now - self._sender_at) * 65536)
        highest = self._highest % (_SEQUENCE_CYCLE * _SEQUENCE_CYCLE)
        return Report(self.ssrc, fraction, expected - received, highest, int(self._jitter), last, delay)


@dataclass(slots=True)
class _Missing:
    """One packet not here yet."""

    since: float
    due: float
    asked: int = 0
    asked_at: float = 0.0


@dataclass(slots=True)
class MissingPackets:
    """Packets that did not arrive, and when to ask for each again.

    Args:
        patience_s: wait before the first NACK, for packets that only swapped places.
        first_rtt_s: round trip assumed until a retransmission shows it.
        give_up_s: a packet missing for longer is lost.

    Whether anybody is asked is the caller's choice: ``due`` may simply not be called.
    """

    patience_s: float = 0.01
    first_rtt_s: float = 0.06
    give_up_s: float = 1.2
    lost: int = 0
    recovered: int = 0
    highest: int | None = None
    _missing: dict[int, _Missing] = field(default_factory=dict)
    _rtt_s: float | None = None

    def __len__(self) -> int:
        return len(self._missing)

    @property
    def repeat_s(self) -> float:
        """Time between two NACKs for one packet: a round trip and a half, within bounds."""
        return min(0.5, max(0.03, 1.5 * (self.first_rtt_s if self._rtt_s is None else self._rtt_s)))

    def push(self, sequence: int, now: float) -> bool:
        """Note an arrival (extended sequence number); false for one that is not wanted any more.

        A jump by more than 500 packets is taken as a restart: nothing in between is asked for.
        """
        if self.highest is None:
            self.highest = sequence
            return True
        if sequence > self.highest:
            if sequence - self.highest <= MAX_GAP_PACKETS:
                for number in range(self.highest + 1, sequence):
                    self._missing[number] = _Missing(now, now + self.patience_s)
            else:
                self.lost += len(self._missing) + sequence - self.highest - 1
                self._missing.clear()
            self.highest = sequence
            return True
        found = self._missing.pop(sequence, None)
        if found is None:
            return False
        if found.asked:
            self.recovered += 1
        if found.asked == 1:
            sample = now - found.asked_at
            self._rtt_s = sample if self._rtt_s is None else 0.8 * self._rtt_s + 0.2 * sample
        return True

    def due(self, now: float) -> list[int]:
        """Return the sequence numbers to ask for now, rising; gives up on the oldest."""
        asked = []
        for sequence, missing in self._missing.items():
            if missing.due <= now < missing.since + self.give_up_s:
                missing.asked += 1
                missing.asked_at = now
                missing.due = now + self.repeat_s
                asked.append(sequence)
        self.expire(now)
        return asked

    def expire(self, now: float) -> int:
        """Give up on what is missing for too long; return how many."""
        late = [s for s, missing in self._missing.items() if now >= missing.since + self.give_up_s]
        for sequence in late:
            del self._missing[sequence]
        self.lost += len(late)
        return len(late)
