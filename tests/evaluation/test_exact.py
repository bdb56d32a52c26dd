"""Exact limits: known values out of the papers' tables, and what must hold for any counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.evaluation.exact import rate, share, upper_rate


def test_known_poisson_limits() -> None:
    none, three = rate(0, 1.0), rate(3, 1.0)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(3.689, abs=1e-3)
    assert three.low == pytest.approx(0.6187, abs=1e-4)
    assert three.high == pytest.approx(8.7673, abs=1e-4)
    assert upper_rate(0, 2.0) == pytest.approx(2.9957 / 2, abs=1e-4)


def test_known_binomial_limits() -> None:
    found = share(8, 22)
    assert found.low == pytest.approx(0.1720, abs=1e-4)
    assert found.high == pytest.approx(0.5934, abs=1e-4)
    assert share(0, 22).high == pytest.approx(1 - 0.025 ** (1 / 22), abs=1e-6)
    assert share(22, 22).low == pytest.approx(0.025 ** (1 / 22), abs=1e-6)


@given(trials=st.integers(1, 400), data=st.data())
def test_limits_enclose_the_value_and_mirror_it(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    found, other = share(hits, trials), share(trials - hits, trials)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low == pytest.approx(1 - other.high, abs=1e-9)


@given(events=st.integers(0, 300), exposure=st.floats(0.1, 1e4))
def test_more_events_raise_both_limits_of_a_rate(events: int, exposure: float) -> None:
    fewer, more = rate(events, exposure), rate(events + 1, exposure)
    assert fewer.low < more.low and fewer.high < more.high
    assert fewer.low <= fewer.value <= fewer.high
