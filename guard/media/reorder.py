"""A reorder buffer for one RTP stream: packets in as they come, out in sequence. Pure.

Bounded twice: by packets and by the time a hole may be waited for. Time is the
arrival time of the packets themselves, so equal input gives equal output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# RFC 3550 appendix A.1 names 3000 and 100; retransmissions come later than its
# plain misordering, so the backward limit is wider here.
MAX_DROPOUT = 3000
MAX_MISORDER = 1000


@dataclass(frozen=True, slots=True)
class Released(Generic[T]):
    """One packet in order.

    Args:
        item: what was pushed.
        lost: packets missing directly before it.
        restarted: the source began a new sequence here; nothing is known of what lies between.
    """

    item: T
    lost: int
    restarted: bool


@dataclass(slots=True)
class ReorderCounts:
    """``late`` came after their place was given up, ``repeated`` twice, ``wild`` far outside the sequence."""

    late: int = 0
    repeated: int = 0
    wild: int = 0
    lost: int = 0
    restarts: int = 0


class ReorderBuffer(Generic[T]):
    """Puts packets in sequence order, waiting for a missing one within bounds.

    A packet far outside the sequence is dropped; when the next one follows it, the
    source has started anew (RFC 3550 appendix A.1) and the buffer goes along.

    Args:
        max_packets: packets held behind a hole before it is given up.
        max_wait_s: seconds the packet held longest waits for a hole to be filled.
    """

    def __init__(self, *, max_packets: int, max_wait_s: float) -> None:
        self._max_packets = max_packets
        self._max_wait_s = max_wait_s
        self._next: int | None = None
        self._held: dict[int, tuple[T, float]] = {}
        self._wild_next: int | None = None
        self._restarted = False
        self.counts = ReorderCounts()

    def __len__(self) -> int:
        return len(self._held)

    def push(self, sequence: int, item: T, arrival_s: float) -> list[Released[T]]:
        """Take one packet; return those that are now in order.

        Args:
            sequence: 16-bit RTP sequence number.
            item: the packet.
            arrival_s: monotonic seconds.
        """
        out: list[Released[T]] = []
        if self._next is None:
            self._next = sequence
        # the value nearest to the one expected: numbers go on where 16 bits wrap
        number = self._next + (sequence - self._next + 0x8000) % 0x10000 - 0x8000
        if not -MAX_MISORDER <= number - self._next <= MAX_DROPOUT:
            if sequence != self._wild_next:
                self._wild_next = (sequence + 1) & 0xFFFF
                self.counts.wild += 1
                return []
            out = self.flush()
            self._next = number = sequence
            self._restarted = True
            self.counts.restarts += 1
        self._wild_next = None
        if number < self._next:
            self.counts.late += 1
        elif number in self._held:
            self.counts.repeated += 1
        else:
            self._held[number] = (item, arrival_s)
        return out + self._release(arrival_s)

    def flush(self) -> list[Released[T]]:
        """Give up all holes and return what is held."""
        return self._release(float("inf"))

    def _release(self, now_s: float) -> list[Released[T]]:
        """Return what is in order, over every hole that has been waited for long enough."""
        out: list[Released[T]] = []
        while self._held:
            assert self._next is not None
            lost = 0
            if self._next not in self._held:
                if not self._gives_up(now_s):
                    break
                lost = min(self._held) - self._next
            self._next += lost
            item, _ = self._held.pop(self._next)
            self._next += 1
            self.counts.lost += lost
            out.append(Released(item, lost, self._restarted))
            self._restarted = False
        return out

    def _gives_up(self, now_s: float) -> bool:
        if len(self._held) > self._max_packets:
            return True
        # insertion order is arrival order: the first one held has waited longest
        return now_s - next(iter(self._held.values()))[1] >= self._max_wait_s
