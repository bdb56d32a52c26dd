"""From the scores of one participant to a verdict.

Rules, all in this file (the codes of their reasons: ``guard.fusion.grounds``):

1. Signals of one kind of track (voice, face) are added with non-negative weights; a
   signal without evidence adds 0. One that may only support (``SUPPORT_ONLY``) adds
   where the others of its kind point to spoof already, and never takes away; one of
   weight 0 is reported and changes nothing.
2. Kinds are alternatives: a cloned voice over a genuine face is still an attack. The
   fused likelihood ratio is the mean of those of the attacks "voice", "face" and "both"
   (a mixture over attacks with equal prior), so a genuine voice does not excuse a fake
   face. With one kind of track it is that kind's.
3. The llr does not depend on the thresholds; the state does.
4. State machine:

       from \\ when       llr >= red   llr >= amber   below          check failed   acknowledged
       undecided          SPOOF        SUSPECT        2              SUSPECT, held  -
       bona_fide          SPOOF        SUSPECT        2              SUSPECT, held  -
       suspect            SPOOF        SUSPECT        1, then 2      SUSPECT, held  undecided, restarted
       spoof              SPOOF        SPOOF          SPOOF          SPOOF          undecided, restarted

   1: SUSPECT until the llr has been below half of amber for ``amber_clear_s``.
   2: BONA_FIDE with enough good evidence and the llr low enough, else UNDECIDED. A
      participant whose face was judged once is never BONA_FIDE on the voice alone: whoever turns
      the camera off keeps no good mark. Nor is anybody BONA_FIDE whose picture certainly stood still,
      repeated or jumped within the last minute, or could not be searched for faces, whatever voice and
      face look like: that is no live camera's picture, or nobody knows, and no accusation either.
5. The negative result of an active check is its own outcome: it is no llr that quiet passive signals
   could outweigh, and only a person takes it back. A pass speaks for nothing: a swap that runs live
   follows commands, too.
6. A face that is not that of the enrolled photo is its own outcome, too (``guard.fusion.mismatch``), and so
   is one that became another's without leaving the picture: no llr of synthetic media, SUSPECT for as long
   as it lasts, and until ``amber_clear_s`` after it.
"""

from __future__ import annotations

import copy
from bisect import insort
from dataclasses import dataclass
from enum import StrEnum

from guard.fusion.config import FusionConfig
from guard.fusion.grounds import Grounds, other_person, withheld
from guard.fusion.kinds import Readings, by_kind, fuse
from guard.fusion.signal import Reading, SignalEvidence
from guard.types import Kind, Score, Signal, State, Verdict

_KEPT_SCORES = 64


class CheckResult(StrEnum):
    """How a whole active check ended, repeats included."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the signals of one kind of track say, for ``guard analyze``.

    Args:
        state: as if this kind were alone, without hysteresis.
        llr: weighted sum of its signals, None without evidence.
        scored_s: seconds of the track covered by scored windows of its best-covered signal.
        windows: good windows of that signal.
        coverage: scored seconds / seconds of the stream.
    """

    state: State
    llr: float | None
    scored_s: float
    windows: int
    coverage: float


class Fusion:
    """Sequential evidence about one participant; bounded memory, no clock.

    Args:
        session: goes into the verdict.
        participant: goes into the verdict.
        config: thresholds, weights and horizons.
    """

    def __init__(self, session: str, participant: str, config: FusionConfig | None = None) -> None:
        self._session = session
        self._participant = participant
        self._config = config or FusionConfig()
        self._signals: dict[Signal, SignalEvidence] = {}
        self._scores: list[Score] = []
        self._state = State.UNDECIDED
        self._low_since_s: float | None = None
        self._check_failed = False
        self._face_judged = False
        self._at_s = 0.0

    def push(self, score: Score) -> None:
        """Take one score or abstention; the order within a minute does not matter."""
        if score.signal not in self._signals:
            self._signals[score.signal] = SignalEvidence(score.signal, self._config)
        self._signals[score.signal].push(score)
        if score.llr is not None:
            insort(self._scores, score, key=_when)
            del self._scores[:-_KEPT_SCORES]

    def fork(self, participant: str) -> Fusion:
        """Return an engine about ``participant`` that has taken the same scores and goes its own way."""
        other = copy.deepcopy(self)
        other._participant = participant
        return other

    def note_check(self, result: CheckResult, at_s: float) -> None:
        """Take the result of a whole active check, not of one attempt.

        A negative one holds the state at SUSPECT or above until a person acknowledges; a pass and an
        inconclusive check change nothing, and neither takes an earlier negative one back.

        Args:
            at_s: media time of the participant at which it ended.
        """
        self._at_s = max(self._at_s, at_s)
        self._check_failed = self._check_failed or result is CheckResult.FAIL

    def lapse(self) -> None:
        """Nothing comes from the participant any more: what was heard and seen counts no longer.

        Latches stay, and so does amber, which clears by media time only.
        """
        for evidence in self._signals.values():
            evidence.lapse()

    def acknowledge(self, at_s: float) -> None:
        """A person has acted: release the latches and start the evidence afresh."""
        self._at_s = max(self._at_s, at_s)
        self._state = State.UNDECIDED
        self._check_failed = False
        self._low_since_s = None
        self._scores.clear()
        for evidence in self._signals.values():
            evidence.settle()

    def verdict(self, at_s: float) -> Verdict:
        """Return what the evidence up to ``at_s`` makes of the participant.

        Args:
            at_s: media time; one earlier than a previous call counts as that one.
        """
        self._at_s = max(self._at_s, at_s)
        readings = self._read()
        kinds = by_kind(readings, self._config)
        llr = fuse(kinds)
        self._face_judged = self._face_judged or Kind.VIDEO in kinds
        self._state = self._next(kinds, readings)
        signals = {s: e.state(readings[s].llr, self._at_s) for s, e in self._signals.items()}
        return Verdict(
            session=self._session,
            participant=self._participant,
            at_s=self._at_s,
            state=self._state,
            llr=llr,
            signals=signals,
            reasons=self._grounds(kinds, readings).codes(),
            evidence=tuple(self._scores),
        )

    def standing(self, kind: Kind, at_s: float) -> Standing | None:
        """Return what one kind of track says by itself; None if it was never asked."""
        mine = {s: e for s, e in self._signals.items() if s.kind is kind}
        if not mine:
            return None
        readings = {s: r for s, r in self._read().items() if s.kind is kind}
        best = max(mine, key=lambda s: (self._config.decides(s), mine[s].scored_s))
        kinds = by_kind(readings, self._config)
        level = self._level(kinds, readings)
        if level is State.BONA_FIDE and withheld(readings):
            level = State.UNDECIDED
        return Standing(
            state=level,
            llr=kinds.get(kind),
            scored_s=mine[best].scored_s,
            windows=readings[best].windows,
            coverage=mine[best].state(None, at_s).coverage,
        )

    def _read(self) -> dict[Signal, Reading]:
        for evidence in self._signals.values():
            evidence.expire(self._at_s)
        return {signal: evidence.reading() for signal, evidence in self._signals.items()}

    def _next(self, kinds: dict[Kind, float], readings: Readings) -> State:
        level = self._level(kinds, readings)
        if level is State.BONA_FIDE and (withheld(readings) or self._face_lapsed(readings)):
            level = State.UNDECIDED
        if State.SPOOF in (self._state, level):
            self._low_since_s = None
            return State.SPOOF
        if self._check_failed:
            self._low_since_s = None
            return State.SUSPECT
        if level is State.SUSPECT or self._state is not State.SUSPECT:
            self._low_since_s = None
            return level
        llr = fuse(kinds)
        if llr is not None and llr >= self._config.thresholds.amber_llr / 2:
            self._low_since_s = None
            return State.SUSPECT
        if self._low_since_s is None:
            self._low_since_s = self._at_s
        if self._at_s - self._low_since_s < self._config.amber_clear_s:
            return State.SUSPECT
        self._low_since_s = None
        return level

    def _level(self, kinds: dict[Kind, float], readings: Readings) -> State:
        """Return the state the evidence alone asks for, without hysteresis."""
        thresholds = self._config.thresholds
        llr = fuse(kinds)
        if llr is None:
            return State.UNDECIDED
        if self._red_llr(kinds) >= thresholds.red_llr:
            return State.SPOOF
        if llr >= thresholds.amber_llr or other_person(readings, self._config):
            return State.SUSPECT
        deciding = [r for s, r in readings.items() if self._config.decides(s)]
        carried = any(r.enough and r.llr is not None and r.llr < 0 for r in deciding)
        if carried and llr <= thresholds.bona_fide_llr:
            return State.BONA_FIDE
        return State.UNDECIDED

    def _grounds(self, kinds: dict[Kind, float], readings: Readings) -> Grounds:
        return Grounds(
            config=self._config,
            signals=self._signals,
            readings=readings,
            kinds=kinds,
            level=self._level(kinds, readings),
            state=self._state,
            at_s=self._at_s,
            check_failed=self._check_failed,
            face_lapsed=self._face_lapsed(readings),
        )

    def _face_lapsed(self, readings: Readings) -> bool:
        """Tell whether a face was judged in this call and none is any more."""
        faces = [r for s, r in readings.items() if s.kind is Kind.VIDEO and self._config.decides(s)]
        oldest_s = self._at_s - self._config.face_fresh_s
        return self._face_judged and not any(r.llr is not None and r.last_s >= oldest_s for r in faces)

    def _red_llr(self, kinds: dict[Kind, float]) -> float:
        thresholds = self._config.thresholds
        capped = dict(kinds)
        if not thresholds.voice_alone_red and Kind.AUDIO in capped:
            most = thresholds.red_llr - thresholds.voice_support_llr
            capped[Kind.AUDIO] = min(capped[Kind.AUDIO], most)
        llr = fuse(capped)
        return float("-inf") if llr is None else llr


def _when(score: Score) -> tuple[float, Signal, int]:
    return score.end_s, score.signal, score.face or 0
