"""How often each gesture is answered right, by somebody who is there and by somebody who is not.

Counted by ``python -m benchmarks.gestures``; what was counted stands in docs/challenges.md. The limits are
exact (Clopper-Pearson), one-sided 95 %, on the side that makes a judgement weigh less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from guard.challenge.commands import Gesture

# One gesture of a dozen is asked: who plays one of a dozen recordings at the right moment is right this often
GUESS = 1 / 12


@dataclass(frozen=True, slots=True)
class Rates:
    """What was counted of one gesture.

    Args:
        person_matched: trials of somebody who did it that came out as done.
        person: trials of somebody who did it.
        spoof_matched: trials in which something else was seen, or nothing, that came out as done.
        spoof: such trials.
        person_least: lower limit of the probability to match of somebody who does it.
        spoof_most: upper limit of it for somebody who does not.
    """

    person_matched: int
    person: int
    spoof_matched: int
    spoof: int
    person_least: float
    spoof_most: float

    @property
    def matched_llr(self) -> float:
        """What a match weighs; negative."""
        return math.log(self.spoof_right / self.person_least)

    @property
    def mismatched_llr(self) -> float:
        """What a mismatch weighs; positive."""
        return math.log((1 - self.spoof_right) / (1 - self.person_least))

    @property
    def spoof_right(self) -> float:
        """Probability that an attacker matches: by playing the right recording by chance, or by error."""
        return GUESS + (1 - GUESS) * self.spoof_most


# counted on rendered trials of all movements together, until each has its own
_MOVEMENTS = Rates(29, 29, 3, 330, 0.881, 0.026)
RATES: Mapping[Gesture, Rates] = {
    Gesture.BLINK_TWICE: _MOVEMENTS,
    Gesture.COVER_MOUTH: _MOVEMENTS,
    Gesture.COVER_EYE: _MOVEMENTS,
    Gesture.FOLLOW_DOT: _MOVEMENTS,
    Gesture.TURN_LEFT: _MOVEMENTS,
    Gesture.TURN_RIGHT: _MOVEMENTS,
    Gesture.TILT_LEFT: _MOVEMENTS,
    Gesture.TILT_RIGHT: _MOVEMENTS,
    Gesture.LOOK_UP: _MOVEMENTS,
    Gesture.LOOK_DOWN: _MOVEMENTS,
    Gesture.OPEN_MOUTH: _MOVEMENTS,
    Gesture.MOVE_CLOSER: _MOVEMENTS,
}


def llr_of(found: Rates, *, matched: bool) -> float:
    """Return what a judgement weighs, positive = spoof."""
    return found.matched_llr if matched else found.mismatched_llr
