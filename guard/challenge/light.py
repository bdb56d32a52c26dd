"""Judges the screen light: did this face follow the colours that were on this screen?

What the three answers rest on, and why:

* *Matched*: the face followed the code better than sequences that were not shown. The code is not known
  before, so a recording, or an answer to another code, does so by chance only.
* *Mismatched* only where something was seen that a person in front of the camera does not show: a response,
  step by step and of the family, to another code. The absence of a response is never a failure, however quiet
  the picture: in daylight, or with a dim or far screen, a genuine face does not respond either.
* *Unseen*: everything else. The check then asks for something else.

What it cannot tell: somebody who puts the light of his own screen on the face in real time (a swap that keeps
the light of the face behind it does that by itself). The llr of a match is therefore bounded (``CARRIED``).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from guard.challenge.commands import Answer, Command, Judgement, Observed, Step
from guard.challenge.light_code import LIMIT_S, draw_light
from guard.challenge.light_family import Family, family, in_order
from guard.challenge.light_response import LAG_STEP_S, Array, Fit, Series, fit, over_lags, series

__all__ = ["LAGS_S", "LIMIT_S", "LightJudge", "LightLimits", "draw_light", "response"]

MATCHED = "light_matched"
REPLAYED = "light_replayed"
OTHER = "light_other"
UNMEASURED = "light_unmeasured"
TOO_WEAK = "light_too_weak"
ABSENT = "light_absent"
LATE = "light_late"
UNCLEAR = "light_unclear"

MAX_LAG_S = 0.8
LAGS_S: Array = np.arange(0.0, MAX_LAG_S + LAG_STEP_S / 2, LAG_STEP_S)
# steps last half a second and more: a tenth between lags loses little
_LATE_S: Array = np.arange(MAX_LAG_S + 0.1, 3.0, 0.1)
_SHIFTS_S: Array = np.arange(-9.0, 9.0, 0.1)
# of all attacks, the part taken to carry the light of the screen after all
CARRIED = 0.05
# density of z of genuine faces that respond: somewhere in a range a dozen wide
_RESPONDING = 1 / 12
# the tail of z of faces that do not follow the code is a little longer than a normal one of spread 1
_CHANCE_SPREAD = 1.15
_MISMATCH_LLR = 3.0
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class LightLimits:
    """When an answer is given (docs/challenges.md, "Screen light", has what they were measured to do).

    Args:
        match_z: standard deviations above sequences not shown, from which the face followed the code.
        late_z: the same for lags above 0.8 s, of which there are more.
        near_gain: the response of a face near a screen in a lit room; where less cannot be excluded either,
            the picture is too noisy to say anything.
        least_pictures: with face and surroundings, from 0.8 s after the first colour.
        least_ratio: the part of all pictures that they are.
        longest_gap_s: without such a picture.
        replay_correlation: with a code that was shown to somebody before.
        clear_explained: where two levels explain this much, the response is strong ...
        clear_correlation: ... and a strong response to this code correlates at least so.
        explained: by two levels, changes of level, stays, amplitudes and luminance: see ``Family``.
        in_order: part of the pictures that the shown colours explain in their order, with lags that change,
            from which it was this code on a page that stalled.
    """

    match_z: float = 3.2
    late_z: float = 4.0
    near_gain: float = 0.02
    least_pictures: int = 50
    least_ratio: float = 0.6
    longest_gap_s: float = 2.0
    replay_correlation: float = 0.8
    clear_explained: float = 0.75
    clear_correlation: float = 0.75
    explained: float = 0.85
    changes: int = 5
    held_s: float = 0.35
    amplitudes: tuple[float, float] = (0.01, 0.6)
    luminance: float = 0.35
    in_order: float = 0.9


def response(command: Command, observed: Observed, lags_s: Array = LAGS_S) -> tuple[Series, Fit] | None:
    """Return the colours of a face over time and how well the command's code explains them.

    None where there are too few pictures to compute anything: less than a dozen, or less than two steps sent.
    """
    shown = observed.shown_s
    if len(shown) < 2:
        return None
    seen = series([sight for sight in observed.after if sight.time_s >= shown[0] + MAX_LAG_S])
    if len(seen.times_s) < 12:
        return None
    return seen, fit(seen, command.steps[: len(shown)], shown, lags_s)


@dataclass(slots=True)
class LightJudge:
    """Judges ``screen_light``; remembers the last codes it judged, of whatever session, to know them again.

    Args:
        limits: when an answer is given.
    """

    limits: LightLimits = field(default_factory=LightLimits)
    _older: deque[tuple[Step, ...]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        """Return what the command has come to; None until its time is over (``Judge``).

        Raises:
            ValueError: a step of the command has no colour.
        """
        if not over:
            return None
        older = [steps for steps in self._older if steps != command.steps]
        self._older.append(command.steps)
        found = response(command, observed)
        if found is None or not self._measured(found[0], observed):
            return _unseen(UNMEASURED, {} if found is None else _details(found))
        if found[1].z >= self.limits.match_z:
            return _matched(found) if self._clear(found) else _unseen(UNCLEAR, _details(found))
        late = response(command, observed, _LATE_S)
        if late is not None and late[1].z >= self.limits.late_z:
            return _unseen(LATE, _details(late))
        return self._without_match(command, observed, found, older)

    def _measured(self, seen: Series, observed: Observed) -> bool:
        begin_s = observed.shown_s[0] + MAX_LAG_S
        all_s = [sight.time_s for sight in observed.after if sight.time_s >= begin_s]
        ends = np.concatenate([[begin_s], seen.times_s, [max(all_s)]])
        return (
            len(seen.times_s) >= self.limits.least_pictures
            and len(seen.times_s) >= self.limits.least_ratio * len(all_s)
            and float(np.diff(ends).max()) <= self.limits.longest_gap_s
        )

    def _clear(self, found: tuple[Series, Fit]) -> bool:
        """Return whether no strong response is left that this code does not explain."""
        strong = family(found[0]).explained >= self.limits.clear_explained
        return not strong or found[1].correlation >= self.limits.clear_correlation

    def _without_match(
        self,
        command: Command,
        observed: Observed,
        found: tuple[Series, Fit],
        older: Sequence[tuple[Step, ...]],
    ) -> Judgement:
        seen, fitted = found
        details = _details(found)
        likeness = max((_likeness(seen, steps) for steps in older), default=0.0)
        if likeness >= self.limits.replay_correlation:
            return _mismatched(REPLAYED, details | {"replay_correlation": likeness})
        kind = family(seen)
        if self._of_the_family(kind, fitted):
            shown = observed.shown_s
            ordered = in_order(seen, command.steps[: len(shown)], shown)
            if ordered >= self.limits.in_order:
                return _unseen(LATE, details | {"in_order": ordered})
            return _mismatched(OTHER, details | {key: float(value) for key, value in asdict(kind).items()})
        excluded = fitted.gain + 2.0 * fitted.gain_error < self.limits.near_gain
        return _unseen(ABSENT if excluded else TOO_WEAK, details)

    def _of_the_family(self, kind: Family, fitted: Fit) -> bool:
        limits = self.limits
        least, most = limits.amplitudes
        return (
            kind.explained >= limits.explained
            and kind.changes >= limits.changes
            and kind.held_s >= limits.held_s
            and least <= kind.amplitude <= most
            and kind.luminance <= limits.luminance
            and fitted.z < limits.match_z / 2
        )


def _likeness(seen: Series, steps: tuple[Step, ...]) -> float:
    """Return how well an older code explains what was seen, wherever a recording of it began."""
    start_s = float(seen.times_s[0])
    return float(over_lags(seen, steps, [start_s + step.at_s for step in steps], _SHIFTS_S).max())


def _details(found: tuple[Series, Fit]) -> dict[str, float]:
    seen, fitted = found
    return {
        "correlation": fitted.correlation,
        "lag_s": fitted.lag_s,
        "z": fitted.z,
        "gain": fitted.gain,
        "gain_error": fitted.gain_error,
        "snr": fitted.gain / max(fitted.gain_error, 1e-9),
        "pictures": float(len(seen.times_s)),
    }


def _matched(found: tuple[Series, Fit]) -> Judgement:
    """Return a match; a spoof either carries the light or has this z by chance."""
    z = found[1].z
    chance = math.exp(-((z / _CHANCE_SPREAD) ** 2) / 2) / math.sqrt(2 * math.pi) / _CHANCE_SPREAD
    llr = math.log(CARRIED + (1 - CARRIED) * chance / _RESPONDING)
    return Judgement(Answer.MATCHED, llr, MATCHED, onset_s=found[1].lag_s, details=_details(found))


def _mismatched(reason: str, details: dict[str, float]) -> Judgement:
    return Judgement(Answer.MISMATCHED, _MISMATCH_LLR, reason, details=details)


def _unseen(reason: str, details: dict[str, float]) -> Judgement:
    return Judgement(Answer.UNSEEN, 0.0, reason, details=details)
