"""From the scores of one participant to a verdict.

Rules, all in this file:

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

       from \\ when       llr >= red   llr >= amber   below          acknowledged
       undecided          SPOOF        SUSPECT        2              -
       bona_fide          SPOOF        SUSPECT        2              -
       suspect            SPOOF        SUSPECT        1, then 2      undecided, restarted
       spoof              SPOOF        SPOOF          SPOOF          undecided, restarted

   1: SUSPECT until the llr has been below half of amber for ``amber_clear_s``.
   2: BONA_FIDE with enough good evidence and the llr low enough, else UNDECIDED.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from guard.fusion import reasons
from guard.fusion.config import SUPPORT_ONLY, FusionConfig
from guard.fusion.signal import Reading, SignalEvidence
from guard.types import Kind, Score, Signal, State, Verdict

_KEPT_SCORES = 64


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
        self._scores: deque[Score] = deque(maxlen=_KEPT_SCORES)
        self._state = State.UNDECIDED
        self._low_since_s: float | None = None
        self._at_s = 0.0

    def push(self, score: Score) -> None:
        """Take one score or abstention; the order within a minute does not matter."""
        if score.signal not in self._signals:
            self._signals[score.signal] = SignalEvidence(score.signal, self._config)
        self._signals[score.signal].push(score)
        if score.llr is not None:
            self._scores.append(score)

    def acknowledge(self, at_s: float) -> None:
        """A person has acted: release the latch and start the evidence afresh."""
        self._at_s = max(self._at_s, at_s)
        self._state = State.UNDECIDED
        self._low_since_s = None
        self._scores.clear()
        for evidence in self._signals.values():
            evidence.restart()

    def verdict(self, at_s: float) -> Verdict:
        """Return what the evidence up to ``at_s`` makes of the participant.

        Args:
            at_s: media time; one earlier than a previous call counts as that one.
        """
        self._at_s = max(self._at_s, at_s)
        readings = self._read()
        kinds = _by_kind(readings, self._config)
        llr = _fuse(kinds)
        self._state = self._next(kinds, readings)
        signals = {s: e.state(readings[s].llr, self._at_s) for s, e in self._signals.items()}
        return Verdict(
            session=self._session,
            participant=self._participant,
            at_s=self._at_s,
            state=self._state,
            llr=llr,
            signals=signals,
            reasons=self._reasons(kinds, readings),
            evidence=tuple(sorted(self._scores, key=lambda s: (s.end_s, s.signal, s.face or 0))),
        )

    def standing(self, kind: Kind, at_s: float) -> Standing | None:
        """Return what one kind of track says by itself; None if it was never asked."""
        mine = {s: e for s, e in self._signals.items() if s.kind is kind}
        if not mine:
            return None
        readings = {s: r for s, r in self._read().items() if s.kind is kind}
        best = max(mine, key=lambda s: (self._config.decides(s), mine[s].scored_s))
        kinds = _by_kind(readings, self._config)
        return Standing(
            state=self._level(kinds, readings),
            llr=kinds.get(kind),
            scored_s=mine[best].scored_s,
            windows=readings[best].windows,
            coverage=mine[best].state(None, at_s).coverage,
        )

    def _read(self) -> dict[Signal, Reading]:
        for evidence in self._signals.values():
            evidence.expire(self._at_s)
        return {signal: evidence.reading() for signal, evidence in self._signals.items()}

    def _next(self, kinds: dict[Kind, float], readings: dict[Signal, Reading]) -> State:
        level = self._level(kinds, readings)
        if State.SPOOF in (self._state, level):
            self._low_since_s = None
            return State.SPOOF
        if level is State.SUSPECT or self._state is not State.SUSPECT:
            self._low_since_s = None
            return level
        llr = _fuse(kinds)
        if llr is not None and llr >= self._config.thresholds.amber_llr / 2:
            self._low_since_s = None
            return State.SUSPECT
        if self._low_since_s is None:
            self._low_since_s = self._at_s
        if self._at_s - self._low_since_s < self._config.amber_clear_s:
            return State.SUSPECT
        self._low_since_s = None
        return level

    def _level(self, kinds: dict[Kind, float], readings: dict[Signal, Reading]) -> State:
        """Return the state the evidence alone asks for, without hysteresis."""
        thresholds = self._config.thresholds
        llr = _fuse(kinds)
        if llr is None:
            return State.UNDECIDED
        if self._red_llr(kinds) >= thresholds.red_llr:
            return State.SPOOF
        if llr >= thresholds.amber_llr:
            return State.SUSPECT
        deciding = [r for s, r in readings.items() if self._config.decides(s)]
        carried = any(r.enough and r.llr is not None and r.llr < 0 for r in deciding)
        if carried and llr <= thresholds.bona_fide_llr:
            return State.BONA_FIDE
        return State.UNDECIDED

    def _red_llr(self, kinds: dict[Kind, float]) -> float:
        thresholds = self._config.thresholds
        capped = dict(kinds)
        if not thresholds.voice_alone_red and Kind.AUDIO in capped:
            most = thresholds.red_llr - thresholds.voice_support_llr
            capped[Kind.AUDIO] = min(capped[Kind.AUDIO], most)
        llr = _fuse(capped)
        return float("-inf") if llr is None else llr

    def _reasons(self, kinds: dict[Kind, float], readings: dict[Signal, Reading]) -> tuple[str, ...]:
        counted = [
            s for s in readings if self._config.decides(s) or _support(s, readings[s], kinds, self._config)
        ]
        found = [(r.llr, s, r) for s in counted if (r := readings[s]).llr is not None and r.llr > 0]
        found.sort(key=lambda item: (-(item[0] or 0.0), item[1]))
        amber = self._config.thresholds.amber_llr
        codes = [reasons.high(s) if (x or 0.0) >= amber else reasons.raised(s) for x, s, _ in found]
        if any(r.changed for _, _, r in found):
            codes.append(reasons.SWITCHED)
        return (*codes, *self._state_reasons(kinds, readings))

    def _state_reasons(self, kinds: dict[Kind, float], readings: dict[Signal, Reading]) -> tuple[str, ...]:
        level = self._level(kinds, readings)
        if self._state is State.SPOOF:
            return () if level is State.SPOOF else (reasons.LATCHED,)
        if self._state is State.SUSPECT:
            if level is not State.SUSPECT:
                return (reasons.HELD,)
            over = (_fuse(kinds) or 0.0) >= self._config.thresholds.red_llr
            return (reasons.VOICE_ALONE,) if over else ()
        if self._state is State.BONA_FIDE:
            return (reasons.NO_SUSPICION,)
        if not kinds:
            deciding = [s for s in readings if self._config.decides(s)]
            why = sorted(
                {self._signals[s].state(None, self._at_s).reason or "" for s in deciding}
                - {"", reasons.NOT_ASKED}
            )
            return tuple(why) or (reasons.NO_EVIDENCE,)
        enough = any(r.enough for s, r in readings.items() if self._config.decides(s))
        return (reasons.WITHIN_NOISE if enough else reasons.TOO_LITTLE_EVIDENCE,)


def _by_kind(readings: dict[Signal, Reading], config: FusionConfig) -> dict[Kind, float]:
    """Add up the weighted signals of each kind that has evidence."""
    kinds: dict[Kind, float] = {}
    for signal in sorted(readings):
        llr = readings[signal].llr
        if llr is not None and config.decides(signal):
            kinds[signal.kind] = kinds.get(signal.kind, 0.0) + config.weights[signal] * llr
    support = {signal: _support(signal, readings[signal], kinds, config) for signal in sorted(readings)}
    for signal, llr in support.items():
        if llr > 0:
            kinds[signal.kind] += llr
    return kinds


def _support(signal: Signal, reading: Reading, kinds: dict[Kind, float], config: FusionConfig) -> float:
    """Return what a signal that may only support adds to its kind; 0 where that does not point to spoof."""
    if signal not in SUPPORT_ONLY or reading.llr is None or kinds.get(signal.kind, 0.0) <= 0:
        return 0.0
    return max(0.0, config.weights.get(signal, 0.0) * reading.llr)


def _fuse(kinds: dict[Kind, float]) -> float | None:
    """Return the llr of the mixture over all attacks on the kinds with evidence; None without any."""
    if not kinds:
        return None
    attacks = [0.0]
    for llr in kinds.values():
        attacks += [sum_llr + llr for sum_llr in attacks]
    attacks = attacks[1:]
    top = max(attacks)
    return top + math.log(sum(math.exp(llr - top) for llr in attacks) / len(attacks))
