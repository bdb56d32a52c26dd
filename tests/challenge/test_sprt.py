"""The sequential test keeps the error rates it is given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guard.challenge.commands import Result
from guard.challenge.sprt import Sprt


def _share_of_passes(answer_rate: float, *, seed: int) -> tuple[float, float]:
    """Return shares of passes and fails of 2,000 tests on answers right with ``answer_rate``."""
    right, wrong = math.log(0.2 / 0.9), math.log(0.8 / 0.1)
    dice = np.random.default_rng(seed)
    test, results = Sprt(false_pass=0.05, false_fail=0.05), []
    for _ in range(2000):
        llrs: list[float] = []
        result = None
        while result is None:
            llrs.append(right if dice.random() < answer_rate else wrong)
            result = test.decide(llrs)
        results.append(result)
    return results.count(Result.PASS) / 2000, results.count(Result.FAIL) / 2000


def test_both_error_rates_stay_within_walds_bound() -> None:
    passes, fails = _share_of_passes(0.9, seed=3)
    assert fails <= 0.06
    assert passes >= 0.94
    passes, fails = _share_of_passes(0.2, seed=4)
    assert passes <= 0.06
    assert fails >= 0.94


def test_nothing_seen_decides_nothing() -> None:
    assert Sprt().decide([]) is None
    assert Sprt().decide([0.0, 0.0]) is None


@pytest.mark.parametrize("value", [0.0, 0.5, -1.0])
def test_rates_that_make_no_sense_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="false_pass"):
        Sprt(false_pass=value)
