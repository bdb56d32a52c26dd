"""The skew between a participant's sound and pictures, from the clocks in their sender reports. Pure.

A sender report names one moment twice: by the sender's clock and by the RTP timestamp of the stream (RFC 3550
section 6.4.1). guard places each track in media time by its first arrival; where both tracks have told their
clocks, how far that placing is off is known. What a sender claims is never proven and may be nonsense, so
only clocks that run like clocks are believed, and only skews that a network can cause.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from guard.types import Kind, SenderClock, TrackKey

_NTP_SECOND = 1 << 32
_NTP_CYCLE = 1 << 64


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """What is believed of sender reports.

    Args:
        kept: newest reports of a track whose median counts: senders stamp them some milliseconds apart.
        min_reports: of a track, that agree with each other, before they count.
        min_apart_s: a report sooner after the one before is not looked at, however many come.
        max_away_s: how far a report may lie from the packet that follows it.
        max_disagreement_s: between clock and timestamps, from one report to the next.
        max_drift_ratio: by which, besides, the two may run apart.
        max_age_s: without a new report for longer, a clock is unknown.
        max_skew_s: a larger one is not what a network does, and is not believed.
    """

    kept: int = 8
    min_reports: int = 2
    min_apart_s: float = 0.2
    max_away_s: float = 10.0
    max_disagreement_s: float = 0.1
    max_drift_ratio: float = 0.001
    max_age_s: float = 30.0
    max_skew_s: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_reports <= self.kept:
            raise ValueError("needs 1 <= min_reports <= kept")
        limits = (self.min_apart_s, self.max_away_s, self.max_disagreement_s, self.max_age_s, self.max_skew_s)
        if min(*limits, self.max_drift_ratio) <= 0:
            raise ValueError("the limits of a SyncConfig must be above 0")


def ntp_between_s(later: int, earlier: int) -> float:
    """Return the seconds between two 64-bit NTP times, also across the end of an era (2036)."""
    half = _NTP_CYCLE // 2
    return ((later - earlier + half) % _NTP_CYCLE - half) / _NTP_SECOND


@dataclass(frozen=True, slots=True)
class _Told:
    """One believed report: the sender's clock, and where in media time its timestamp lies."""

    ntp: int
    media_s: float


class _TrackClocks:
    """The newest reports of one track that agree with each other."""

    def __init__(self, config: SyncConfig) -> None:
        self._config = config
        self._last: SenderClock | None = None
        self._epoch = 0
        self.arrival_s = float("-inf")
        self.told: deque[_Told] = deque(maxlen=config.kept)

    def news(self, clock: SenderClock | None, epoch: int) -> bool:
        """Return whether there is a report to look at; one that is gone, or of another epoch, ends all."""
        if clock is None or epoch != self._epoch:
            self.told.clear()
            self._epoch = epoch
        if clock == self._last:
            return False
        self._last = clock
        return clock is not None

    def take(self, clock: SenderClock, media_s: float, packet_s: float, arrival_s: float) -> None:
        """Keep a report, unless it is nonsense; one that contradicts those before begins anew."""
        c = self._config
        if arrival_s - self.arrival_s < c.min_apart_s or abs(media_s - packet_s) > c.max_away_s:
            return
        if self.told:
            last = self.told[-1]
            passed_s, media_passed_s = ntp_between_s(clock.ntp, last.ntp), media_s - last.media_s
            allowed_s = c.max_disagreement_s + c.max_drift_ratio * abs(passed_s)
            if passed_s <= 0 or abs(passed_s - media_passed_s) > allowed_s:
                self.told.clear()
        self.arrival_s = arrival_s
        self.told.append(_Told(clock.ntp, media_s))

    def offset_s(self, origin: int, now_s: float) -> float | None:
        """Return by how much the sender's clock, counted from ``origin``, is ahead of media time."""
        c = self._config
        if len(self.told) < c.min_reports or now_s - self.arrival_s > c.max_age_s:
            return None
        return median(ntp_between_s(told.ntp, origin) - told.media_s for told in self.told)


class SenderClocks:
    """What the senders' clocks say of each participant's tracks; some reports of each track."""

    def __init__(self, config: SyncConfig | None = None) -> None:
        self._config = config or SyncConfig()
        self._tracks: dict[TrackKey, _TrackClocks] = {}

    def news(self, key: TrackKey, clock: SenderClock | None, epoch: int) -> bool:
        """Take what came with a packet; true where its report is new and ``take`` is to be called.

        Args:
            key: the track.
            clock: of the newest report about the packet's stream; None where there is none (any more).
            epoch: changes where the track's timestamps begin anew in media time.
        """
        track = self._tracks.get(key)
        if track is None:
            if clock is None:
                return False
            track = self._tracks[key] = _TrackClocks(self._config)
        return track.news(clock, epoch)

    def take(
        self, key: TrackKey, clock: SenderClock, media_s: float, packet_s: float, arrival_s: float
    ) -> None:
        """Take a new report.

        Args:
            key: the track.
            clock: the report.
            media_s: media time of the report's timestamp.
            packet_s: media time of the packet it came with.
            arrival_s: monotonic seconds at which that packet came.
        """
        self._tracks[key].take(clock, media_s, packet_s, arrival_s)

    def skew_s(self, session: str, participant: str, now_s: float) -> float | None:
        """Return by how much later sound stands in media time than the pictures of the same moment.

        None where a track told no clock lately, or none that can be believed.
        """
        sound, pictures = (self._tracks.get(TrackKey(session, participant, kind)) for kind in Kind)
        if sound is None or pictures is None or not sound.told:
            return None
        origin = sound.told[-1].ntp
        ahead_s, pictures_ahead_s = sound.offset_s(origin, now_s), pictures.offset_s(origin, now_s)
        if ahead_s is None or pictures_ahead_s is None:
            return None
        skew_s = pictures_ahead_s - ahead_s
        return skew_s if abs(skew_s) <= self._config.max_skew_s else None

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant who left."""
        for kind in Kind:
            self._tracks.pop(TrackKey(session, participant, kind), None)
