"""Who has sent nothing for so long that what was heard and seen of them counts no longer."""

from __future__ import annotations

Who = tuple[str, str]


class Quiet:
    """Watches the arrival of packets, by session and participant; no clock.

    Media time stands still when nothing arrives, so nothing else would make the evidence lapse of a
    participant who turns off microphone and camera at once.

    Args:
        after_s: silence of all tracks together after which a participant is named.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._arrived_s: dict[Who, float] = {}

    def heard(self, who: Who, arrival_s: float) -> None:
        """Take note of a packet."""
        self._arrived_s[who] = arrival_s

    def due(self, now: float) -> list[Who]:
        """Return who has been silent for that long, each once until they are heard again."""
        found = [who for who, arrival_s in self._arrived_s.items() if now - arrival_s >= self._after_s]
        for who in found:
            del self._arrived_s[who]
        return found

    def forget(self, who: Who) -> None:
        """Drop a participant who left."""
        self._arrived_s.pop(who, None)
