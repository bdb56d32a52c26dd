"""Wald's sequential probability ratio test over the commands of an attempt.

Source: Wald, Sequential Tests of Statistical Hypotheses, Annals of Mathematical Statistics 16 (1945).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guard.challenge.commands import Result


@dataclass(frozen=True, slots=True)
class Sprt:
    """Decides as soon as the sum of the llr leaves the band between two limits.

    Args:
        false_pass: probability that somebody who is not there passes, in (0, 0.5).
        false_fail: probability that a genuine person fails by chance alone, in (0, 0.5).
    """

    false_pass: float = 0.05
    false_fail: float = 0.05

    def __post_init__(self) -> None:
        for name in ("false_pass", "false_fail"):
            if not 0 < getattr(self, name) < 0.5:
                raise ValueError(f"{name} must lie between 0 and 0.5")

    @property
    def pass_llr(self) -> float:
        """At or below this sum the person is taken to be there."""
        return math.log(self.false_pass / (1 - self.false_fail))

    @property
    def fail_llr(self) -> float:
        """At or above it nobody is taken to have answered."""
        return math.log((1 - self.false_pass) / self.false_fail)

    def decide(self, llrs: Sequence[float]) -> Result | None:
        """Return what the sum amounts to; None while another command should be asked.

        Args:
            llrs: of the commands so far, positive = spoof.
        """
        total = math.fsum(llrs)
        if total <= self.pass_llr:
            return Result.PASS
        return Result.FAIL if total >= self.fail_llr else None
