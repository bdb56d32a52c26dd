"""One time axis for the tracks of a participant, and when their media arrived.

Only the sender knows when a picture was taken, and what a sender says of its clock decides nothing here: by
its timestamps it could make every picture older than it is, and so a late answer to a command quick. So
media is dated by the quickest media of its track, which is what takes the network's jitter away; what comes
more than ``MAX_LATE_S`` after it is ``late``, and passes no check (``guard.challenge.late``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from guard.types import AudioFrame, Score, TrackKey, VideoFrame

# how fast the delay of the quickest media may be taken to grow: clocks differ by far less
DRIFT_RATIO = 0.002
# jitter that is taken away at most: it is also what a sender's clock can make an answer quicker by
MAX_LATE_S = 0.5
# media that has been late for so long is late no more: the connection became slow, or the clock was wrong
LATE_FOR_S = 4.0


@dataclass(slots=True)
class _Track:
    """Times of one track; a base is the arrival less the media time on the axis, both in seconds.

    ``base_s`` is that of the quickest media, ``newest_s`` that of the newest; ``late_since_s`` is when the
    media that is late now began to be, and ``late_base_s`` the quickest of it.
    """

    offset_s: float
    base_s: float
    newest_s: float
    arrival_s: float
    late_since_s: float | None = None
    late_base_s: float = 0.0

    @property
    def late(self) -> bool:
        return self.newest_s - self.base_s > MAX_LATE_S

    def take(self, base_s: float, arrival_s: float) -> None:
        grown_s = self.base_s + DRIFT_RATIO * max(arrival_s - self.arrival_s, 0.0)
        self.newest_s, self.arrival_s = base_s, arrival_s
        self.base_s = min(base_s, grown_s)
        if not self.late:
            self.late_since_s = None
            return
        if self.late_since_s is None:
            self.late_since_s, self.late_base_s = arrival_s, base_s
        self.late_base_s = min(self.late_base_s, base_s)
        if arrival_s - self.late_since_s >= LATE_FOR_S:
            self.base_s, self.late_since_s = self.late_base_s, None


class ParticipantClock:
    """Lays the tracks of one participant on one time axis, zero at their first packet."""

    def __init__(self) -> None:
        self._first_s: dict[tuple[str, str], float] = {}
        self._tracks: dict[TrackKey, _Track] = {}

    def place(self, frame: AudioFrame | VideoFrame, arrival_s: float) -> AudioFrame | VideoFrame:
        """Return the frame with its time moved onto the participant's axis."""
        key = frame.key
        first_s = self._first_s.setdefault((key.session, key.participant), arrival_s)
        track = self._tracks.get(key)
        if track is None:
            offset_s = max(arrival_s - first_s - frame.time_s, 0.0)
            base_s = arrival_s - offset_s - frame.time_s
            track = self._tracks[key] = _Track(offset_s, base_s, base_s, arrival_s)
        track.take(arrival_s - track.offset_s - frame.time_s, arrival_s)
        return replace(frame, time_s=frame.time_s + track.offset_s)

    def on_axis_s(self, key: TrackKey, time_s: float) -> float | None:
        """Return a track's media time on the participant's axis; None before its first frame."""
        track = self._tracks.get(key)
        return None if track is None else time_s + track.offset_s

    def latency_s(self, score: Score, now: float) -> float | None:
        """Return how long ago the last media of the scored window arrived."""
        track = self._tracks.get(score.key)
        return None if track is None else max(now - track.newest_s - score.end_s, 0.0)

    def arrived_s(self, key: TrackKey, time_s: float) -> float:
        """Return when media of this time arrived, monotonic seconds, were all as quick as the quickest.

        What is late is late for the network's reasons; a clock that drifts is followed.
        """
        track = self._tracks.get(key)
        return time_s if track is None else track.base_s + time_s

    def late(self, key: TrackKey) -> bool:
        """Tell whether the newest media of the track came too late for ``arrived_s`` to be believed."""
        track = self._tracks.get(key)
        return track is not None and track.late

    def forget(self, session: str, participant: str) -> None:
        """Drop what is kept of a participant who left."""
        self._first_s.pop((session, participant), None)
        for key in [k for k in self._tracks if (k.session, k.participant) == (session, participant)]:
            del self._tracks[key]
