"""What is remembered of one face for the temporal signal, and the numbers its model is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from guard.detectors.temporal_flicker import Change, Look, change, look
from guard.detectors.temporal_points import FOLLOWED, Jitter, jitter
from guard.detectors.temporal_video import MAX_KEPT, Feed, Run, repeated
from guard.types import FaceWindow, FloatArray

# the last seconds that are judged
RUN_S = 4.0
# looks further apart than this are not compared
_MAX_LOOK_S = 0.45
_MAX_LOOKS = 40
_MAX_POINTS = 120
# the points whose path is compared with the past: eyes, mouth, nose, chin and crown
_PATH = [FOLLOWED.index(index) for index in (33, 133, 362, 263, 61, 291, 17, 13, 4, 168, 152, 10)]
# variance above which there is motion: of the thumbnail's levels, of the points' places in pixels
_MOTION_LEVEL, _MOTION_PATH = 1.0, 1.0
# parts of a run that a repetition leaves over: surely one, surely none
_REPEATED, _UNLIKE = 0.01, 0.03
_SEARCH_EVERY_S = 0.95
_CUT_LASTS_S = 8.0
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class TemporalReadings:
    """The model's input by name; what each is: docs/face-signals/temporal.md.

    All but the last four are natural logarithms of one part of the same picture over another, so that a
    noisy camera or a poor line, which touch both, say little. ``frozen``, ``repeated`` and ``cut`` are 0 for
    none and 1 for practically certain.
    """

    inside_against_around: float
    edge_against_both: float
    edge_burst: float
    longer: float
    light: float
    colour: float
    jitter_inner: float
    jitter_moving: float
    jitter_burst: float
    jitter_place: float
    still_ratio: float
    frozen: float
    repeated: float
    cut: float

    def row(self) -> FloatArray:
        """Return float32 (14,), each number in a range no genuine call leaves."""
        return np.clip(np.array(astuple(self), np.float32), -12.0, 12.0)


SIZE = len(TemporalReadings.__slots__)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Changes between one look and the one before it (and the one before that)."""

    time_s: float
    zones: tuple[Change, Change, Change]
    longer: tuple[Change, Change] | None


class FaceMemory:
    """One face of one track over the last seconds; a gap in its looks begins it anew."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque(maxlen=2)
        self._pairs: deque[_Pair] = deque(maxlen=_MAX_LOOKS)
        self._points: deque[tuple[float, FloatArray]] = deque(maxlen=_MAX_POINTS)
        self._path = Run(MAX_KEPT)
        self._searched_s = float("-inf")
        self._rest = float("inf")
        self._frozen = False

    def add(self, window: FaceWindow, feed: Feed) -> None:
        """Take the next look at the face; its glimpses go to the track's feed as well."""
        for glimpse in window.glimpses:
            points = None
            if glimpse.points is not None:
                # in pixels of a picture 640 wide, so that a change of resolution moves nothing
                points = glimpse.points[list(FOLLOWED)] * np.float32(640 / glimpse.size[0])
            feed.add(glimpse, points)
            if points is not None and (not self._points or glimpse.time_s > self._points[-1][0]):
                self._points.append((glimpse.time_s, points))
                self._path.add(glimpse.time_s, points[_PATH].reshape(-1))
        self._compare(look(window.end_s, window.crop, window.landmarks))
        self._search(feed)

    def pairs(self, now_s: float) -> int:
        """Return how many pairs of looks the last ``RUN_S`` holds."""
        return sum(pair.time_s > now_s - RUN_S for pair in self._pairs)

    def jitter(self, now_s: float) -> Jitter | None:
        """Return the trembling of the points over the last ``RUN_S``; None where too few stand together."""
        kept = [(time_s, points) for time_s, points in self._points if time_s > now_s - RUN_S]
        if len(kept) < 3:
            return None
        return jitter(np.array([time_s for time_s, _ in kept]), np.stack([points for _, points in kept]))

    def readings(self, now_s: float, feed: Feed, trembling: Jitter) -> TemporalReadings:
        """Return the numbers of the last ``RUN_S``; ``pairs`` must not be 0."""
        pairs = [pair for pair in self._pairs if pair.time_s > now_s - RUN_S]
        inside, edge, around = (np.array([p.zones[zone].log_flicker for p in pairs]) for zone in range(3))
        longer = [p for p in pairs if p.longer is not None]
        light, light_around = (np.array([p.zones[zone].bias for p in pairs]) for zone in (0, 2))
        colour, colour_around = (np.array([p.zones[zone].colour for p in pairs]) for zone in (0, 2))
        cut_s = feed.cut_s
        return TemporalReadings(
            inside_against_around=float(np.median(inside - around)),
            edge_against_both=float(np.median(edge - (inside + around) / 2)),
            edge_burst=float(np.quantile(edge, 0.9) - np.median(edge)),
            longer=_longer(longer, 0) - _longer(longer, 1),
            light=_log_spread(light - light_around) - _log_spread(light_around),
            colour=_log_spread(colour) - _log_spread(colour_around),
            jitter_inner=trembling.log_inner,
            jitter_moving=trembling.log_moving,
            jitter_burst=trembling.log_burst,
            jitter_place=trembling.log_place - trembling.log_outline,
            still_ratio=trembling.still_ratio,
            frozen=float(np.clip((feed.frozen_s - 1.0) / 3.0, 0, 1)),
            repeated=float(np.clip((_UNLIKE - self._rest) / (_UNLIKE - _REPEATED), 0, 1)),
            cut=float(cut_s is not None and 0 <= now_s - cut_s <= _CUT_LASTS_S),
        )

    def not_live(self, feed: Feed) -> str | None:
        """Return what the picture certainly is instead of live (docs/reasons.md), or None."""
        if self._frozen:
            return "video_frozen"
        if self._rest <= _REPEATED:
            return "video_repeats"
        if feed.cut_s is not None and 0 <= feed.last_s - feed.cut_s <= RUN_S:
            return "video_cut"
        return None

    def _compare(self, new: Look) -> None:
        if self._looks and not 0 < new.time_s - self._looks[-1].time_s <= _MAX_LOOK_S:
            self._looks.clear()
        if self._looks:
            last = self._looks[-1]
            zones = [change(last, new, zone) for zone in range(3)]
            longer = self._longer(new)
            if zones[0] is not None and zones[1] is not None and zones[2] is not None:
                self._pairs.append(_Pair(new.time_s, (zones[0], zones[1], zones[2]), longer))
        self._looks.append(new)

    def _longer(self, new: Look) -> tuple[Change, Change] | None:
        """Return the changes inside and around since the look before the last."""
        if len(self._looks) < 2:
            return None
        inside, around = (change(self._looks[0], new, zone) for zone in (0, 2))
        return None if inside is None or around is None else (inside, around)

    def _search(self, feed: Feed) -> None:
        """Look for a standstill and a repetition about once a second: it takes milliseconds."""
        if feed.last_s - self._searched_s >= _SEARCH_EVERY_S:
            self._searched_s = feed.last_s
            still = feed.still.measure()
            self._frozen = still is not None and still.frozen
            self._rest = repeated(feed.pictures.rest_of(_MOTION_LEVEL), self._path.rest_of(_MOTION_PATH))


def _longer(pairs: Sequence[_Pair], which: int) -> float:
    """Return how much more a zone changed over two steps than over one, as a logarithm; 0 where unknown."""
    found = [
        np.log((pair.longer[which].rest + _FLOOR) / (pair.zones[2 * which].rest + _FLOOR))
        for pair in pairs
        if pair.longer is not None
    ]
    return float(np.median(found)) if found else 0.0


def _log_spread(values: FloatArray) -> float:
    return float(np.log(np.sqrt(np.mean(np.square(values))) + _FLOOR))
