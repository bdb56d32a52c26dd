"""Error figures against answers worked out by hand, and their bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.evaluation.metrics import (
    FloatVector,
    auc,
    bootstrap,
    cllr,
    eer,
    error_rates,
    min_cllr,
    min_dcf,
    tpr_at_fa,
)

SPOOF = np.array([False] * 4 + [True] * 4)
SEPARATE = np.array([-4.0, -3, -2, -1, 1, 2, 3, 4])
# one bona fide above one spoof
CROSSED = np.array([-4.0, -3, -2, 1.5, 1, 2, 3, 4])


def test_separate_classes_have_no_error() -> None:
    assert eer(SEPARATE, SPOOF) == 0
    assert auc(SEPARATE, SPOOF) == 1
    assert min_dcf(SEPARATE, SPOOF) == 0
    assert tpr_at_fa(SEPARATE, SPOOF, 0.01) == 1
    assert min_cllr(SEPARATE, SPOOF) == pytest.approx(0, abs=1e-9)


def test_crossed_pair_gives_the_hand_counted_errors() -> None:
    assert eer(CROSSED, SPOOF) == pytest.approx(0.25)
    assert auc(CROSSED, SPOOF) == pytest.approx(15 / 16)
    assert tpr_at_fa(CROSSED, SPOOF, 0.05) == pytest.approx(0.75)
    assert tpr_at_fa(CROSSED, SPOOF, 0.25) == pytest.approx(1.0)


def test_equal_scores_are_worth_nothing() -> None:
    llr = np.zeros(8)
    assert eer(llr, SPOOF) == pytest.approx(0.5)
    assert auc(llr, SPOOF) == pytest.approx(0.5)
    assert cllr(llr, SPOOF) == pytest.approx(1.0)
    assert min_cllr(llr, SPOOF) == pytest.approx(1.0)
    assert min_dcf(llr, SPOOF) == pytest.approx(1.0)
    assert tpr_at_fa(llr, SPOOF, 0.05) == 0


def test_turned_sign_turns_the_figures() -> None:
    assert eer(-SEPARATE, SPOOF) == pytest.approx(1.0)
    assert auc(-CROSSED, SPOOF) == pytest.approx(1 / 16)


def test_cllr_of_a_known_llr() -> None:
    # log2(1 + e^-1) for every clip on its right side by 1
    llr = np.where(SPOOF, 1.0, -1.0)
    assert cllr(llr, SPOOF) == pytest.approx(np.log2(1 + np.exp(-1)))


def test_misleading_llr_costs_more_than_none() -> None:
    assert cllr(np.where(SPOOF, -3.0, 3.0), SPOOF) > 1


@given(st.lists(st.floats(-8, 8, width=16), min_size=8, max_size=8))
def test_rank_figures_ignore_monotone_maps_and_recalibration_never_hurts(scores: list[float]) -> None:
    llr = np.array(scores)
    assert eer(llr, SPOOF) == pytest.approx(eer(3 * llr + 1, SPOOF), abs=1e-9)
    assert min_cllr(llr, SPOOF) <= cllr(llr, SPOOF) + 1e-9
    p_miss, p_fa = error_rates(llr, SPOOF)
    assert (np.diff(p_miss) >= 0).all()
    assert (np.diff(p_fa) <= 0).all()


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="both classes"):
        eer(np.zeros(2), np.array([True, True]))


def test_interval_is_wider_when_sources_are_few() -> None:
    rng = np.random.default_rng(0)
    bias = np.repeat(rng.normal(0, 1, 20), 10)
    llr: FloatVector = bias + rng.normal(0, 0.3, 200)
    spoof = np.repeat(np.arange(20) % 2 == 1, 10)
    by_source = bootstrap(eer, llr, spoof, [str(n // 10) for n in range(200)], rounds=200)
    by_clip = bootstrap(eer, llr, spoof, [str(n) for n in range(200)], rounds=200)
    assert by_source.low <= by_source.value <= by_source.high
    assert by_source.high - by_source.low > by_clip.high - by_clip.low


def test_bootstrap_repeats_with_its_seed() -> None:
    names = [str(n) for n in range(8)]
    assert bootstrap(eer, CROSSED, SPOOF, names, rounds=50) == bootstrap(
        eer, CROSSED, SPOOF, names, rounds=50
    )
