from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.media.resample import Resampler
from guard.types import FloatArray


def tone(hz: float, rate_hz: int, seconds: float = 1.0) -> FloatArray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def resampled(samples: FloatArray, rate_hz: int, cuts: list[int]) -> FloatArray:
    resampler = Resampler(rate_hz)
    parts = [resampler.push(part) for part in np.split(samples, sorted(cuts))]
    return np.concatenate([*parts, resampler.flush()])


@settings(max_examples=30, deadline=None)
@given(
    rate_hz=st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]),
    cuts=st.lists(st.integers(0, 8000), max_size=12),
)
def test_same_samples_in_any_chunks_give_same_samples(rate_hz: int, cuts: list[int]) -> None:
    noise = np.random.default_rng(5).uniform(-1, 1, 8000).astype(np.float32)
    whole, cut = resampled(noise, rate_hz, []), resampled(noise, rate_hz, cuts)
    assert len(whole) == len(cut)
    np.testing.assert_allclose(cut, whole, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_keeps_its_place_and_level(rate_hz: int) -> None:
    out = resampled(tone(1000, rate_hz), rate_hz, [999])
    assert len(out) == 16_000
    np.testing.assert_allclose(out[500:-500], tone(1000, 16_000)[500:-500], atol=2e-3)


def test_what_lies_above_the_new_band_does_not_fold_into_it() -> None:
    out = resampled(tone(11_000, 48_000), 48_000, [])
    assert np.abs(out[500:-500]).max() < 1e-3


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="sample rates"):
        Resampler(0)
