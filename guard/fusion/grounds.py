"""Why a verdict is what it is: the codes of its state, graver first, then what a person should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from guard import reasons
from guard.fusion.config import FusionConfig
from guard.fusion.kinds import Readings, fuse, support
from guard.fusion.signal import SignalEvidence
from guard.types import Kind, Signal, State


def other_person(readings: Readings, config: FusionConfig) -> tuple[str, ...]:
    """Return how the face is another person's, codes, graver first."""
    found = {code for s, r in readings.items() if config.decides(s) for code in r.others}
    return tuple(code for code in reasons.OTHER_PERSON if code in found)


def withheld(readings: Readings) -> tuple[str, ...]:
    """Return why the picture may carry no ``bona_fide``, codes of ``reasons.WITHHOLDING``, graver first."""
    found = {code for reading in readings.values() for code in reading.withheld}
    return tuple(code for code in reasons.WITHHOLDING if code in found)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the codes of one verdict are taken from.

    Args:
        config: thresholds, weights and horizons.
        signals: the evidence of each signal.
        readings: what each says now.
        kinds: llr of each kind of track with evidence.
        level: the state that the evidence alone asks for.
        state: the state of the verdict.
        at_s: its media time.
        check_failed: whether an active check failed and nobody has acknowledged it.
        face_lapsed: whether a face was judged in this call and none is any more.
    """

    config: FusionConfig
    signals: Mapping[Signal, SignalEvidence]
    readings: Readings
    kinds: Mapping[Kind, float]
    level: State
    state: State
    at_s: float
    check_failed: bool
    face_lapsed: bool

    def codes(self) -> tuple[str, ...]:
        """Return the codes in the order in which a person should read them."""
        failed = (reasons.CHECK_FAILED,) if self.check_failed else ()
        others = other_person(self.readings, self.config)
        return (*failed, *others, *self._pointing(), *self._of_state(), *self._notices())

    def _pointing(self) -> tuple[str, ...]:
        """Return the signals that point to spoof, the strongest first, and whether that began in mid-call."""
        counted = [s for s in self.readings if self._counts(s)]
        found = [(r.llr, s, r) for s in counted if (r := self.readings[s]).llr is not None and r.llr > 0]
        found.sort(key=lambda item: (-(item[0] or 0.0), item[1]))
        amber = self.config.thresholds.amber_llr
        codes = [reasons.high(s) if (x or 0.0) >= amber else reasons.raised(s) for x, s, _ in found]
        if any(r.changed for _, _, r in found):
            codes.append(reasons.SWITCHED)
        return tuple(codes)

    def _counts(self, signal: Signal) -> bool:
        adds = support(signal, self.readings[signal], self.kinds, self.config) > 0
        return self.config.decides(signal) or adds

    def _of_state(self) -> tuple[str, ...]:
        match self.state:
            case State.SPOOF:
                return () if self.level is State.SPOOF else (reasons.WAITING_FOR_PERSON,)
            case State.SUSPECT:
                return self._of_suspect()
            case State.BONA_FIDE:
                return (reasons.NO_SUSPICION,)
            case _:
                return self._of_undecided()

    def _of_suspect(self) -> tuple[str, ...]:
        if self.level is not State.SUSPECT:
            return () if self.check_failed else (reasons.WAITING_FOR_CLEAR,)
        over = (fuse(self.kinds) or 0.0) >= self.config.thresholds.red_llr
        return (reasons.VOICE_ALONE,) if over else ()

    def _of_undecided(self) -> tuple[str, ...]:
        deciding = [s for s in self.readings if self.config.decides(s)]
        if not self.kinds:
            said = {self.signals[s].state(None, self.at_s).reason or "" for s in deciding}
            notices = withheld(self.readings)
            found = tuple(sorted(said - {"", reasons.NOT_ASKED, *notices}))
            return found or (() if notices else (reasons.NO_EVIDENCE,))
        if withheld(self.readings):
            return ()  # a notice says it, as in every state
        if self.face_lapsed:
            return (reasons.FACE_LAPSED,)
        enough = any(self.readings[s].enough for s in deciding)
        return (reasons.WITHIN_NOISE if enough else reasons.TOO_LITTLE_EVIDENCE,)

    def _notices(self) -> tuple[str, ...]:
        """Return what a person should know of what the verdict rests on."""
        found = withheld(self.readings)
        for signal, reading in self.readings.items():
            if reading.llr is None or not self.config.decides(signal):
                continue
            of_kind = (e.last_s for s, e in self.signals.items() if s.kind is signal.kind)
            answered = self.signals[signal].answered(max(of_kind))
            if answered is not None and answered < self.config.low_coverage:
                return (*found, reasons.LOW_COVERAGE)
        return found
