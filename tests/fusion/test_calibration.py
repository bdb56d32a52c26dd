"""Logistic calibration: sign, known answer, weights, refusal of what cannot be calibrated."""

from __future__ import annotations

import numpy as np
import pytest

from guard.fusion.calibration import Logistic, fit_logistic


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
