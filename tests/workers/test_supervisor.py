from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import ConfigError
from guard.workers.supervisor import LOOK_EVERY_S, MAX_LOOK_S, Silence, WorkerConfig, backoff_s

CONFIG = WorkerConfig(backoff_first_s=0.5, backoff_max_s=30.0)


@given(st.integers(1, 10_000))
def test_backoff_never_shrinks_with_failures_and_never_exceeds_its_bound(failures: int) -> None:
    now, later = backoff_s(CONFIG, failures), backoff_s(CONFIG, failures + 1)
    assert CONFIG.backoff_first_s <= now <= later <= CONFIG.backoff_max_s


def test_the_first_restart_waits_the_first_backoff() -> None:
    assert backoff_s(CONFIG, 1) == CONFIG.backoff_first_s


def test_silence_grows_while_looks_are_on_time_and_ends_with_a_heartbeat() -> None:
    silence = Silence(looked_s=0.0)
    looks = [silence.look(n * LOOK_EVERY_S, heard=False) for n in range(1, 17)]
    assert looks[-1] == pytest.approx(1.6)
    assert silence.look(1.7, heard=True) == 0.0


@given(st.lists(st.floats(0.1, 3600.0), min_size=1, max_size=10))
def test_time_in_which_the_supervisor_did_not_run_is_not_held_against_the_child(gaps_s: list[float]) -> None:
    silence, now = Silence(looked_s=0.0), 0.0
    for gap_s in gaps_s:
        now += gap_s
        silence.look(now, heard=False)
    assert silence.silent_s <= len(gaps_s) * MAX_LOOK_S + 1e-9


def test_a_child_cannot_be_killed_before_it_counts_as_down() -> None:
    with pytest.raises(ConfigError, match="hang_timeout_s"):
        WorkerConfig(heartbeat_timeout_s=3.0, hang_timeout_s=2.0)
