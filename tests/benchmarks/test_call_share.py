"""The share of a window's variance that belongs to its call: known values, and what must hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.call_share import Variances, components, resampled, windows_of
from guard.app.simulate import load_held_out
from guard.fusion.config import FusionConfig
from guard.types import Signal


def drawn(share: float, sizes: list[int], seed: int) -> list[np.ndarray]:
    """Windows of unit variance, ``share`` of it common to each group."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0, share**0.5) + rng.normal(0, (1 - share) ** 0.5, size) for size in sizes]


def test_a_balanced_example_by_hand() -> None:
    # means 1 and 5, MSB = 2 * (4 + 4) = 16, MSW = (1 + 1 + 1 + 1) / 2 = 2, n0 = 2
    found = components([np.array([0.0, 2.0]), np.array([4.0, 6.0])])
    assert [found.call, found.window] == pytest.approx([7.0, 2.0])
    assert found.share == pytest.approx(7 / 9)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_the_share_of_unequal_groups_is_found_again(share: float) -> None:
    sizes = [int(n) for n in np.random.default_rng(2).integers(2, 60, 800)]
    assert components(drawn(share, sizes, 3)).share == pytest.approx(share, abs=0.05)


@given(st.integers(0, 2**32), st.floats(-5, 5), st.floats(0.1, 10))
def test_the_share_does_not_depend_on_origin_and_scale(seed: int, shift: float, scale: float) -> None:
    groups = drawn(0.5, [3, 9, 4, 12, 5], seed)
    moved = [scale * group + shift for group in groups]
    assert components(moved).share == pytest.approx(components(groups).share, abs=1e-6)
    assert 0 <= components(groups).share <= 1


def test_what_does_not_vary_between_sources_has_no_share_and_one_source_is_refused() -> None:
    assert components([np.array([-1.0, 1.0]), np.array([1.0, -1.0])]).share == 0.0
    assert Variances(0.0, 0.0).share == 0.0
    for groups in ([np.array([1.0, 2.0])], [np.array([1.0]), np.array([2.0])]):
        with pytest.raises(ValueError, match="two groups"):
            components(groups)


def test_the_engine_uses_what_the_shipped_scores_give() -> None:
    (held,) = [found for found in load_held_out(None)[0] if found.signal is Signal.VOICE_SPOOF]
    classes = [windows_of(held, False), windows_of(held, True)]
    found = components(classes[0]).plus(components(classes[1])).share
    assert found == pytest.approx(FusionConfig().evidence(Signal.VOICE_SPOOF).call_share, abs=0.01)
    low, high = np.quantile(resampled(classes, 100, 1), (0.025, 0.975))
    assert low < found < high
