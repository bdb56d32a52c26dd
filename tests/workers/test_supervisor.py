from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guard.workers.supervisor import WorkerConfig, backoff_s

CONFIG = WorkerConfig(backoff_first_s=0.5, backoff_max_s=30.0)


@given(st.integers(1, 10_000))
def test_backoff_never_shrinks_with_failures_and_never_exceeds_its_bound(failures: int) -> None:
    now, later = backoff_s(CONFIG, failures), backoff_s(CONFIG, failures + 1)
    assert CONFIG.backoff_first_s <= now <= later <= CONFIG.backoff_max_s


def test_the_first_restart_waits_the_first_backoff() -> None:
    assert backoff_s(CONFIG, 1) == CONFIG.backoff_first_s
