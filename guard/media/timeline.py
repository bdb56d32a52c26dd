"""RTP counters to media time, and the thinning of pictures. Pure; time is an argument."""

from __future__ import annotations

from collections import deque


class TimestampUnwrapper:
    """Turns a counter that wraps at ``2**bits`` into one that does not.

    Each value is taken as the one nearest to the value before it (RFC 3550 appendix
    A.1 does the same for sequence numbers), so late values come out lower, not a
    whole turn higher.
    """

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """Return the continuous value; the first one is returned as it is."""
        self._last = self.near(value)
        return self._last

    def near(self, value: int) -> int:
        """Return what ``unwrap`` would; nothing is remembered of the value."""
        if self._last is None:
            return value % self._modulus
        half = self._modulus // 2
        return self._last + (value - self._last + half) % self._modulus - half


class TrackClock:
    """Media position of a track from its RTP timestamps.

    A publisher may restart its timestamps at any value (new source, replaced track) or
    send nonsense. The clock therefore watches the arrival times: where the two
    disagree by more than ``max_disagreement_s``, or a timestamp falls back behind the
    one before it, the timestamps are anchored anew at the position that the arrival
    time gives. No sender can take media time further ahead than that, however often it
    jumps: evidence must not be made to look old.

    Args:
        rate_hz: RTP clock rate; 48,000 for Opus (RFC 7587), 90,000 for video.
        max_disagreement_s: how far timestamps may leave the arrival times.
        max_step_back_s: how far a timestamp may lie behind the highest one before it.
    """

    def __init__(
        self, rate_hz: int, *, max_disagreement_s: float = 10.0, max_step_back_s: float = 0.5
    ) -> None:
        self._rate_hz = rate_hz
        self._limit = round(max_disagreement_s * rate_hz)
        self._limit_back = round(max_step_back_s * rate_hz)
        self._unwrapper = TimestampUnwrapper(32)
        self._origin = 0
        self._first_arrival_s: float | None = None
        self._highest = 0
        self._restart = False
        self.restarts = 0

    def restart(self) -> None:
        """Anchor anew at the next packet: the source is known to have started again."""
        self._restart = self._first_arrival_s is not None

    def locate(self, timestamp: int, arrival_s: float) -> int:
        """Return the position in clock units since the track's start.

        Args:
            timestamp: 32-bit RTP timestamp.
            arrival_s: monotonic seconds at which the packet came.
        """
        value = self._unwrapper.unwrap(timestamp)
        if self._first_arrival_s is None:
            self._origin = value
            self._first_arrival_s = arrival_s
            return 0
        position = value - self._origin
        by_arrival = round((arrival_s - self._first_arrival_s) * self._rate_hz)
        wrong = abs(position - by_arrival) > self._limit or position < self._highest - self._limit_back
        if wrong or self._restart:
            self.restarts += 1
            self._restart = False
            position = max(by_arrival, self._highest)
            self._origin = value - position
        self._highest = max(self._highest, position)
        return position

    def position(self, timestamp: int) -> int | None:
        """Return where a timestamp lies that came with no packet; None before the first packet.

        Nothing is remembered of it: it may have been made up.
        """
        if self._first_arrival_s is None:
            return None
        return self._unwrapper.near(timestamp) - self._origin


# pictures left out in a row whose times are remembered
_MAX_SKIPPED = 60


class Thinner:
    """Chooses which pictures of a track to keep so that at most ``max_fps`` remain.

    Keeps the mean rate right where the source's rate is no multiple: 24 fps thinned to
    5 gives 5, not 4.8. The times of those left out are handed over with the next one kept.

    Args:
        max_fps: pictures a second of media time to keep; None keeps all.
    """

    def __init__(self, max_fps: float | None) -> None:
        if max_fps is not None and not max_fps > 0:
            raise ValueError(f"max_fps must be above 0, not {max_fps}")
        self._period_s = 0.0 if max_fps is None else 1.0 / max_fps
        self._due_s: float | None = None
        self._skipped_s: deque[float] = deque(maxlen=_MAX_SKIPPED)

    def skipped_s(self) -> tuple[float, ...]:
        """Return the media times of the pictures left out since this was last asked, oldest first."""
        skipped_s = tuple(self._skipped_s)
        self._skipped_s.clear()
        return skipped_s

    def keep(self, time_s: float) -> bool:
        """Return whether the picture at this media time is to be kept."""
        due_s = time_s if self._due_s is None else self._due_s
        # half a millisecond of grace: containers round times to milliseconds
        if time_s + 0.0005 < due_s:
            self._skipped_s.append(time_s)
            return False
        following_s = due_s + self._period_s
        self._due_s = following_s if following_s > time_s else time_s + self._period_s
        return True
