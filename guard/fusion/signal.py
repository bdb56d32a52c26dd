"""Evidence of one signal of one participant: every face apart, the highest llr counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from guard import reasons
from guard.fusion.config import EvidenceConfig, FusionConfig
from guard.fusion.coverage import Coverage
from guard.fusion.evidence import Windows
from guard.fusion.mismatch import Mismatch
from guard.types import Details, Kind, Score, Signal, SignalState

_FACE_UNSEEN_S = 15.0
# so much of the evidence must be a rise for the call to be said to have been switched
_SWITCHED_LLR = 1.0
# so much of a track must have gone by before its gaps are spoken of
_TELLING_S = 20.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one signal says now.

    Args:
        llr: evidence in [-cap, cap]; None below the least number of windows.
        changed: whether the evidence turned mid-call.
        enough: whether there is so much of it that it may carry bona_fide.
        last_s: media time up to which it reaches.
        windows: good windows since the evidence was (re)started.
        withheld: why nothing of this kind of track may carry bona_fide, codes of
            ``reasons.WITHHOLDING`` of the last minute, graver first; empty where nothing speaks against it.
        others: how a face is another person's, codes, graver first; see ``guard.fusion.mismatch``.
    """

    llr: float | None
    changed: bool = False
    enough: bool = False
    windows: int = 0
    last_s: float = float("-inf")
    withheld: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class SignalEvidence:
    """Takes the scores of one signal; memory is bounded by faces times windows."""

    def __init__(self, signal: Signal, config: FusionConfig) -> None:
        self._signal = signal
        self._fusion = config
        self._config: EvidenceConfig = config.evidence(signal)
        self._tracks: dict[int, Windows] = {}
        self._coverage = Coverage(config.horizons_s[-1])
        self._answered = Coverage(config.horizons_s[-1])
        self._first_s: float | None = None
        self._covered_at_restart_s = 0.0
        self._reason: str | None = None
        self._reason_at_s = float("-inf")
        self._not_live: tuple[float, str] | None = None
        self._failed_s = float("-inf")
        self._mismatch = self._compared(config.photo_mismatch_llr, all_faces=True)
        self._replaced = self._compared(config.face_replaced_llr, all_faces=False)
        self._last_s = 0.0
        self._details: Details = {}
        self._details_at_s = float("-inf")

    @property
    def scored_s(self) -> float:
        """Seconds of the track covered by scored windows since the call began."""
        return self._coverage.seconds

    @property
    def last_s(self) -> float:
        """Media time up to which this signal was asked."""
        return self._last_s

    def push(self, score: Score) -> None:
        """Take one score or one abstention."""
        self._last_s = max(self._last_s, score.end_s)
        self._first_s = score.start_s if self._first_s is None else min(self._first_s, score.start_s)
        gap = self._config.max_gap_s
        self._answered.add(max(score.start_s, score.end_s - gap), score.end_s)
        if score.llr is None or math.isnan(score.llr):
            # what is no number is no evidence either way: cut off at the clip, it would count as one
            why = score.reason if score.llr is None else reasons.DETECTOR_FAILED
            if score.end_s >= self._reason_at_s:
                self._reason, self._reason_at_s = why, score.end_s
            if why in reasons.NOT_LIVE:
                found = (score.end_s, why)
                self._not_live = found if self._not_live is None else max(self._not_live, found)
            elif why == reasons.FACE_FAILED:
                self._failed_s = max(self._failed_s, score.end_s)
            return
        if score.end_s >= self._details_at_s:
            self._details, self._details_at_s = score.details, score.end_s
        face = -1 if score.face is None else score.face
        self._mismatch.push(face, score.end_s, score.other_person_llr)
        self._replaced.push(face, score.end_s, score.replaced_llr)
        if face not in self._tracks:
            self._make_room()
            self._tracks[face] = Windows(self._config, self._fusion, self._fusion.change_of(self._signal))
        self._tracks[face].add(score.start_s, score.end_s, score.llr)
        self._coverage.add(max(score.start_s, score.end_s - gap), score.end_s)

    def expire(self, at_s: float) -> None:
        """Forget old windows, and faces that have left the picture."""
        newest_s = max((w.last_s for w in self._tracks.values()), default=at_s)
        for face, windows in list(self._tracks.items()):
            windows.expire(at_s)
            if not len(windows) or windows.last_s < newest_s - _FACE_UNSEEN_S:
                del self._tracks[face]
        oldest_s = at_s - self._fusion.horizons_s[-1]
        if self._not_live is not None and self._not_live[0] <= oldest_s:
            self._not_live = None
        if self._failed_s <= oldest_s:
            self._failed_s = float("-inf")
        self._mismatch.expire(at_s)
        self._replaced.expire(at_s)
        if not self._tracks:
            self._covered_at_restart_s = self.scored_s

    def answered(self, at_s: float) -> float | None:
        """Return which share of the last minute before ``at_s`` was scored or abstained from.

        What is missing was never looked at: shed under overload, or between pictures that came too
        seldom. None while too little of the track has gone by to tell.
        """
        begin_s = at_s - self._fusion.horizons_s[-1]
        if self._first_s is not None:
            begin_s = max(begin_s, self._first_s)
        if at_s - begin_s < _TELLING_S:
            return None
        return self._answered.within(begin_s, at_s) / (at_s - begin_s)

    def lapse(self) -> None:
        """Nothing comes of the track any more: the evidence is gone, and that is its reason."""
        self.restart()
        self._reason = reasons.LAPSED

    def restart(self) -> None:
        """Forget the evidence; what was covered stays reported."""
        self._tracks.clear()
        self._not_live, self._failed_s = None, float("-inf")
        self._mismatch.restart()
        self._replaced.restart()
        self._covered_at_restart_s = self.scored_s

    def settle(self) -> None:
        """A person has acted: begin afresh, and say no more of a face that became the one there now."""
        self._replaced.settle()
        self.restart()

    def reading(self) -> Reading:
        """Return what the face (or the voice) with the highest llr says."""
        readings = [self._read(windows) for windows in self._tracks.values()]
        given = [r for r in readings if r.llr is not None]
        highest = max(given, key=lambda r: r.llr or 0.0) if given else Reading(None)
        return replace(highest, withheld=self._withheld, others=self._others)

    def state(self, llr: float | None, at_s: float) -> SignalState:
        """Return the signal's line of the verdict; ``at_s`` is the track's length so far."""
        length_s = max(at_s, self._last_s)
        coverage = min(1.0, self.scored_s / length_s) if length_s > 0 else 0.0
        if llr is None:
            return SignalState(None, coverage, self._picture or self._why(at_s))
        why = next(iter(self._others), self._picture)
        return SignalState(llr, coverage, why, self._details)

    @property
    def _picture(self) -> str | None:
        """What was found instead of a live picture."""
        return None if self._not_live is None else self._not_live[1]

    @property
    def _withheld(self) -> tuple[str, ...]:
        failed = (reasons.FACE_FAILED,) if math.isfinite(self._failed_s) else ()
        return failed if self._picture is None else (self._picture, *failed)

    @property
    def _others(self) -> tuple[str, ...]:
        """Return how the face is another person's, which no llr says; graver first."""
        compared = {reasons.FACE_REPLACED: self._replaced, reasons.PHOTO_MISMATCH: self._mismatch}
        return tuple(code for code in reasons.OTHER_PERSON if compared[code].found)

    def _why(self, at_s: float) -> str:
        if self._tracks:
            return reasons.TOO_LITTLE_EVIDENCE
        if at_s - self._last_s >= self._fusion.horizons_s[-1]:
            return reasons.LAPSED
        return self._reason or reasons.NO_EVIDENCE

    def _read(self, windows: Windows) -> Reading:
        config = self._config
        if windows.count < config.min_windows:
            return Reading(None)
        heard = windows.heard()
        if heard is None:
            return Reading(None)
        scored_s = self.scored_s - self._covered_at_restart_s
        enough = windows.count >= config.bona_fide_windows and scored_s >= config.bona_fide_s - 1e-6
        capped = max(-config.cap_llr, min(config.cap_llr, heard.llr))
        changed = heard.turned_s is not None or heard.rise_llr >= _SWITCHED_LLR
        return Reading(capped, changed, enough, windows.count, windows.last_s)

    def _compared(self, llr: float, *, all_faces: bool) -> Mismatch:
        return Mismatch(
            llr,
            all_faces=all_faces,
            recent_s=self._fusion.horizons_s[0],
            memory_s=self._fusion.horizons_s[-1],
            min_looks=self._config.min_windows,
            max_faces=self._fusion.max_faces,
        )

    def _make_room(self) -> None:
        limit = 1 if self._signal.kind is Kind.AUDIO else self._fusion.max_faces
        while len(self._tracks) >= limit:
            del self._tracks[min(self._tracks, key=lambda face: self._tracks[face].last_s)]
