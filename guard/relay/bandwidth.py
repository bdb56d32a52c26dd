"""Combines what a publisher's subscribers can take into one REMB for the publisher. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

STALE_S = 10.0
FLOOR_BPS = 60_000
_REPEAT_S = 1.0
_DROP_RATIO = 0.95


@dataclass(slots=True)
class BandwidthCombiner:
    """The smallest estimate among the subscribers counts; old ones are forgotten after 10 s.

    A fall by more than 5 % is passed on at once, everything else once a second.
    """

    _estimates: dict[int, tuple[int, float]] = field(default_factory=dict)
    _sent_bps: int | None = None
    _sent_at: float = 0.0

    def update(self, ssrc: int, bitrate_bps: int, now: float) -> None:
        """Take one subscriber's estimate for its stream ``ssrc``."""
        self._estimates[ssrc] = (max(FLOOR_BPS, bitrate_bps), now)

    def remove(self, ssrc: int) -> None:
        """Forget a subscriber that left."""
        self._estimates.pop(ssrc, None)

    def poll(self, now: float) -> int | None:
        """Return the bit rate to send to the publisher now, None where nothing is due."""
        fresh = [bps for bps, at in self._estimates.values() if now - at < STALE_S]
        if not fresh:
            return None
        lowest = min(fresh)
        fell = self._sent_bps is not None and lowest < _DROP_RATIO * self._sent_bps
        if self._sent_bps is not None and not fell and now - self._sent_at < _REPEAT_S:
            return None
        self._sent_bps, self._sent_at = lowest, now
        return lowest
