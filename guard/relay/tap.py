"""The bounded copy of the encoded media for analysis.

Forwarding never waits for it: when nobody drains, the oldest packets go, and are counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from guard.errors import ConfigError
from guard.types import TapPacket


@dataclass(frozen=True, slots=True)
class TapCounters:
    """Totals since the start: packets offered, and of them dropped because nobody drained in time."""

    offered: int
    dropped: int


class Tap:
    """A ring of packets between the relay and whoever carries them to analysis.

    Args:
        capacity: packets held at most; ten two-party calls bring about 2500 a second.
        on_ready: called when the first packet lies in an empty tap; not again until it was drained.

    Raises:
        ConfigError: ``tap_capacity``, the capacity is not positive.
    """

    def __init__(self, capacity: int = 4096, on_ready: Callable[[], None] | None = None) -> None:
        if capacity <= 0:
            raise ConfigError("tap_capacity", f"tap capacity is {capacity}; it must be at least 1")
        self._packets: deque[TapPacket] = deque(maxlen=capacity)
        self._capacity = capacity
        self._on_ready = on_ready
        self._offered = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def counters(self) -> TapCounters:
        """What was offered and dropped so far."""
        return TapCounters(self._offered, self._dropped)

    def push(self, packet: TapPacket) -> None:
        """Take a packet; never blocks, drops the oldest when full."""
        self._offered += 1
        waiting = len(self._packets)
        if waiting == self._capacity:
            self._dropped += 1
        self._packets.append(packet)
        if not waiting and self._on_ready is not None:
            self._on_ready()

    def drain(self, max_items: int) -> list[TapPacket]:
        """Remove and return the oldest packets, at most that many.

        What stays behind does not call ``on_ready`` again: drain until empty.
        """
        return [self._packets.popleft() for _ in range(min(max_items, len(self._packets)))]
