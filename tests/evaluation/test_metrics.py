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
    percentile_interval,
    threshold_at_fa,
    tpr_at_fa,
    wilson_interval,
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


def test_min_dcf_weighs_a_spoof_let_pass_and_a_genuine_voice_refused_as_asvspoof_5_does() -> None:
    # best: above the stray genuine clip, one spoof of four passes: 10 * 0.05 * 1/4 over 10 * 0.05
    assert min_dcf(CROSSED, SPOOF) == pytest.approx(0.25)
    # one stray of each class: 0.95 * 1/4 + 0.5 * 1/4 over 0.5
    strays = np.array([-1.0, -1, -1, 3, 1, 1, 1, -3])
    assert min_dcf(strays, SPOOF) == pytest.approx(0.725)
    # with equal costs and priors it is twice the least mean error
    assert min_dcf(CROSSED, SPOOF, pi_spoof=0.5, cost_passed=1.0) == pytest.approx(0.25)


def test_cllr_min_of_a_crossed_pair_is_worked_out_by_hand() -> None:
    # the pair shares llr 0 and costs 1 bit each; the six others are certain
    assert min_cllr(CROSSED, SPOOF) == pytest.approx(0.25)


def test_cllr_gap_of_calibrated_scores_is_small_and_of_scaled_ones_is_not() -> None:
    rng = np.random.default_rng(0)
    spoof = np.arange(4000) % 2 == 1
    llr = rng.normal(np.where(spoof, 1.0, -1.0), np.sqrt(2.0))  # N(+-m, 2m) is its own llr
    assert cllr(llr, spoof) - min_cllr(llr, spoof) < 0.02
    assert cllr(6 * llr, spoof) - min_cllr(6 * llr, spoof) > 0.5


def test_tpr_counts_spoofs_above_the_genuine_clips_that_may_not_alarm() -> None:
    llr = np.array([*range(40), 36.5, 37.0, 37.5, 50.0], np.float64)
    spoof = np.arange(44) >= 40
    # 5 % of 40 are two alarms: 38 and 39; the threshold is 37 and equal scores do not pass it
    assert tpr_at_fa(llr, spoof, 0.05) == pytest.approx(0.5)
    assert tpr_at_fa(llr, spoof, 0.01) == pytest.approx(0.25)
    threshold = threshold_at_fa(llr[~spoof], 0.05)
    assert threshold == 37.0
    assert np.mean(llr[spoof] > threshold) == tpr_at_fa(llr, spoof, 0.05)


@given(st.lists(st.floats(-8, 8, width=16), min_size=8, max_size=8))
def test_exchanged_classes_and_sign_leave_the_figures_as_they_are(scores: list[float]) -> None:
    llr = np.array(scores)
    for metric in (eer, auc, cllr, min_cllr):
        assert metric(-llr, ~SPOOF) == pytest.approx(metric(llr, SPOOF), abs=1e-9)


@given(st.lists(st.floats(-8, 8, width=16), min_size=8, max_size=8))
def test_monotone_maps_leave_all_but_cllr(scores: list[float]) -> None:
    llr = np.array(scores)
    mapped = np.exp(llr / 4)
    for metric in (eer, auc, min_cllr, min_dcf):
        assert metric(mapped, SPOOF) == pytest.approx(metric(llr, SPOOF), abs=1e-9)
    for share in (0.05, 0.25):
        assert tpr_at_fa(mapped, SPOOF, share) == tpr_at_fa(llr, SPOOF, share)


def test_intervals_over_sources_hold_the_true_eer_about_as_often_as_they_say() -> None:
    """Scores of known spread: means 2 apart, sources spread by 0.7, clips by 1: EER is Phi(-1 / 1.22)."""
    truth = 0.2063
    rng = np.random.default_rng(3)
    spoof = np.repeat(np.arange(60) % 2 == 1, 5)
    names = [str(n // 5) for n in range(300)]
    held = {"source": 0, "clip": 0}
    for _ in range(60):
        bias = np.repeat(rng.normal(0.0, 0.7, 60), 5)
        llr = np.where(spoof, 1.0, -1.0) + bias + rng.normal(0.0, 1.0, 300)
        for kind, unit in (("source", names), ("clip", [str(n) for n in range(300)])):
            found = bootstrap(eer, llr, spoof, unit, rounds=100)
            held[kind] += found.low <= truth <= found.high
    assert 0.85 <= held["source"] / 60 <= 1.0
    assert held["clip"] < held["source"]


def test_percentile_interval_takes_the_middle_95_percent() -> None:
    found = percentile_interval(5.0, [float(n) for n in range(101)])
    assert found.value == 5.0
    assert (found.low, found.high) == pytest.approx((2.5, 97.5))


def test_wilson_interval_by_hand() -> None:
    # z = 1.96: of 0 in 10 the upper end is z^2 / (10 + z^2)
    found = wilson_interval(0.0, 10)
    assert found.low <= 0.0
    assert (found.low, found.high) == pytest.approx((0.0, 0.2775), abs=1e-4)
    half = wilson_interval(0.5, 100)
    assert half.low == pytest.approx(0.4038, abs=1e-4)
    assert half.low + half.high == pytest.approx(1.0)
