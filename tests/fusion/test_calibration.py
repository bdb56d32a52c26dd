"""Logistic calibration: sign, known answer, weights, refusal of what cannot be calibrated."""

from __future__ import annotations

import numpy as np
import pytest

from guard.evaluation.metrics import cllr
from guard.fusion.calibration import BinnedLogistic, Logistic, fit_bins, fit_logistic


def gaussians(shift: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    s = np.concatenate([rng.normal(0, 1, n), rng.normal(shift, 1, n)]).astype(np.float32)
    return s, np.arange(2 * n) >= n


def test_fit_finds_the_known_llr_of_two_gaussians() -> None:
    # for N(0, 1) against N(d, 1) the llr of s is d * s - d^2 / 2
    s, is_spoof = gaussians(2.0)
    a, b = fit_logistic(s, is_spoof)
    assert a == pytest.approx(2.0, abs=0.12)
    assert b == pytest.approx(-2.0, abs=0.15)


def test_fit_does_not_depend_on_class_sizes() -> None:
    s, is_spoof = gaussians(1.5)
    fewer = np.concatenate([np.flatnonzero(~is_spoof), np.flatnonzero(is_spoof)[::8]])
    a, b = fit_logistic(s, is_spoof)
    a_few, b_few = fit_logistic(s[fewer], is_spoof[fewer])
    assert a_few == pytest.approx(a, abs=0.15)
    assert b_few == pytest.approx(b, abs=0.25)


def test_weight_zero_is_as_if_absent() -> None:
    s, is_spoof = gaussians(1.0, 200)
    weight = np.where(np.arange(len(s)) % 2 == 0, 1.0, 0.0).astype(np.float32)
    kept = weight > 0
    assert fit_logistic(s, is_spoof, weight=weight) == pytest.approx(
        fit_logistic(s[kept], is_spoof[kept]), abs=0.05
    )


def test_separable_scores_give_finite_weights() -> None:
    s = np.array([-2, -1, 1, 2], np.float32)
    a, b = fit_logistic(s, s > 0)
    assert 0 < a < 100
    assert abs(b) < 1e-6


def test_reversed_sign_is_refused() -> None:
    s, is_spoof = gaussians(2.0)
    with pytest.raises(ValueError, match="sign"):
        fit_logistic(-s, is_spoof)


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="both classes"):
        fit_logistic(np.zeros(3, np.float32), np.ones(3, np.bool_))


def test_llr_is_affine_and_bounded() -> None:
    llr = Logistic(2.0, -1.0, 3.0).llr(np.array([-100, 0.5, 1.0, 100], np.float32))
    np.testing.assert_allclose(llr, [-3.0, 0.0, 1.0, 3.0])
    assert llr.dtype == np.float32


@pytest.mark.parametrize("a", [0.0, -1.0, float("nan")])
def test_calibration_that_turns_the_sign_is_refused(a: float) -> None:
    with pytest.raises(ValueError, match="a > 0"):
        Logistic(a, 0.0, 5.0)


def test_a_limit_that_no_float32_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1e"):
        Logistic(1.0, 0.0, 1e308)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_logistic(np.array([0, 1, np.nan], np.float32), np.array([False, True, True]))


def channels(
    rng: np.random.Generator, sources: dict[str, int], shift: dict[str, float]
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Scores of ten windows a source, half of the sources spoof; a channel moves all its scores.

    A source moves its own windows by N(0, 1) together: they are not independent evidence.
    """
    s, is_spoof, bins, names = [], [], [], []
    for channel, count in sources.items():
        for i in range(count):
            spoof = i % 2 == 1
            middle = (2.0 if spoof else 0.0) + shift[channel] + rng.normal(0, 1)
            s += rng.normal(middle, 0.5, 10).tolist()
            is_spoof += [spoof] * 10
            bins += [channel] * 10
            names += [f"{channel}{i}"] * 10
    return np.array(s, np.float32), np.array(is_spoof), bins, names


def costs(sources: dict[str, int], shift: dict[str, float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cllr of each channel's unseen sources under its own fit, and under the pooled one."""
    rng = np.random.default_rng(seed)
    s, is_spoof, bins, names = channels(rng, sources, shift)
    fits = fit_bins(s, is_spoof, bins, sources=names)
    pooled = Logistic(*fit_logistic(s, is_spoof), 20.0)
    own, together = [], []
    for channel in sources:
        x, spoof, _, _ = channels(rng, {channel: 400}, shift)
        own.append(cllr(Logistic(*fits[channel], 20.0).llr(x).astype(np.float64), spoof))
        together.append(cllr(pooled.llr(x).astype(np.float64), spoof))
    return np.array(own), np.array(together)


@pytest.mark.parametrize("few", [2, 4, 8, 16])
def test_bin_of_few_sources_is_on_unseen_ones_not_much_worse_than_the_pooled_fit(few: int) -> None:
    gains = []
    for seed in range(12):
        own, pooled = costs({"default": 120, "lossy": few}, {"default": 0.0, "lossy": 0.0}, seed)
        gains.append(pooled - own)
    assert np.min(gains) > -0.08
    assert np.mean(gains) > -0.02


def test_bin_whose_scores_are_moved_is_much_better_with_a_fit_of_its_own() -> None:
    own, pooled = costs({"default": 120, "narrow": 60}, {"default": 0.0, "narrow": 1.5}, 0)
    assert own[1] < pooled[1] - 0.05
    assert own[0] < pooled[0] + 0.01


def test_more_sources_weigh_more_against_the_pooled_fit() -> None:
    shift = {"default": 0.0, "narrow": 2.0}
    offsets = []
    for count in (4, 16, 64):
        s, is_spoof, bins, names = channels(
            np.random.default_rng(2), {"default": 200, "narrow": count}, shift
        )
        fits = fit_bins(s, is_spoof, bins, sources=names)
        offsets.append(fits["narrow"][1] - fits["default"][1])
    assert offsets[0] > offsets[1] > offsets[2]


def test_bin_with_one_class_has_the_pooled_fit() -> None:
    s, is_spoof = gaussians(2.0, 500)
    bins = ["narrow" if i < 100 else "default" for i in range(len(s))]
    assert fit_bins(s, is_spoof, bins)["narrow"] == pytest.approx(fit_logistic(s, is_spoof))


def test_bin_whose_scores_fall_with_spoof_keeps_a_rising_map() -> None:
    s, is_spoof = gaussians(3.0, 400)
    fallen, other = gaussians(-3.0, 40)
    fits = fit_bins(
        np.concatenate([s, fallen]), np.concatenate([is_spoof, other]), ["default"] * 800 + ["noisy"] * 80
    )
    assert 0 < fits["noisy"][0] < fits["default"][0]


def test_windows_of_weight_zero_tell_no_bin_anything() -> None:
    s, is_spoof = gaussians(2.0, 300)
    bins = ["noisy" if i % 3 == 0 else "default" for i in range(len(s))]
    moved, unmoved = s.copy(), np.array([name == "default" for name in bins])
    moved[~unmoved] += 3.0
    weight = unmoved.astype(np.float32)
    assert fit_bins(moved, is_spoof, bins, weight)["noisy"] == pytest.approx(
        fit_logistic(moved, is_spoof, weight=weight)
    )


def test_binned_map_takes_each_bin_by_its_own_map_and_others_by_default() -> None:
    maps = BinnedLogistic(Logistic(1.0, 0.0, 5.0), {"narrow": Logistic(2.0, 1.0, 2.0)})
    llr = maps.llr(np.array([1.0, 1.0, -1.0, 0.0], np.float32), ["noisy", "narrow", "narrow", "default"])
    np.testing.assert_allclose(llr, [1.0, 2.0, -1.0, 0.0])
    assert llr.dtype == np.float32
