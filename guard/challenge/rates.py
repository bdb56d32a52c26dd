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


# RENDERED person (seeds of ``benchmarks.gestures``) and the windows of the two genuine demo clips
RATES: Mapping[Gesture, Rates] = {
    Gesture.TURN_LEFT: Rates(12, 12, 0, 202, 0.7791, 0.0147),
    Gesture.TURN_RIGHT: Rates(12, 12, 1, 202, 0.7791, 0.0233),
    Gesture.TURN_FAR_LEFT: Rates(9, 9, 0, 103, 0.7169, 0.0287),
    Gesture.TURN_FAR_RIGHT: Rates(9, 9, 0, 103, 0.7169, 0.0287),
    Gesture.TILT_LEFT: Rates(12, 12, 0, 202, 0.7791, 0.0147),
    Gesture.TILT_RIGHT: Rates(12, 12, 0, 202, 0.7791, 0.0147),
    Gesture.LOOK_UP: Rates(12, 12, 0, 202, 0.7791, 0.0147),
    Gesture.LOOK_DOWN: Rates(12, 12, 1, 202, 0.7791, 0.0233),
    Gesture.BLINK_TWICE: Rates(10, 12, 0, 202, 0.5619, 0.0147),
    Gesture.OPEN_MOUTH: Rates(11, 12, 0, 202, 0.6613, 0.0147),
    Gesture.MOVE_CLOSER: Rates(12, 12, 0, 200, 0.7791, 0.0149),
    Gesture.COVER_MOUTH: Rates(12, 12, 0, 198, 0.7791, 0.0150),
    Gesture.COVER_EYE: Rates(12, 12, 0, 198, 0.7791, 0.0150),
    Gesture.FOLLOW_DOT: Rates(12, 12, 0, 111, 0.7791, 0.0266),
}


def llr_of(found: Rates, *, matched: bool) -> float:
    """Return what a judgement weighs, positive = spoof."""
    return found.matched_llr if matched else found.mismatched_llr
