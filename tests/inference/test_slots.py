from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import ConfigError
from guard.inference.slots import Priority, SlotConfig, SlotQueue


def test_newest_window_of_a_stream_wins() -> None:
    queue: SlotQueue[str] = SlotQueue(SlotConfig())
    queue.offer("a", "old", 0.0)
    queue.offer("a", "new", 0.1)
    assert queue.take(0.2) == ["new"]
    assert queue.shed == {"superseded": 1}


def test_a_window_past_its_deadline_is_shed_not_scored() -> None:
    queue: SlotQueue[str] = SlotQueue(SlotConfig(deadline_s=1.0))
    queue.offer("a", "stale", 0.0)
    queue.offer("b", "fresh", 0.9)
    assert queue.take(1.5) == ["fresh"]
    assert queue.shed == {"late": 1}


def test_low_priority_keeps_its_share_under_a_flood_of_high() -> None:
    queue: SlotQueue[str] = SlotQueue(SlotConfig(max_batch=1, low_every=4, deadline_s=100))
    served = []
    for step in range(40):
        queue.offer("quiet", "low", float(step), Priority.LOW)
        queue.offer(f"loud{step}", "high", float(step), Priority.HIGH)
        served += queue.take(float(step))
    assert served.count("low") == 10


def test_streams_are_served_in_turn_so_nobody_starves() -> None:
    queue: SlotQueue[int] = SlotQueue(SlotConfig(max_batch=2, deadline_s=100))
    for stream in range(5):
        queue.offer(stream, stream, 0.0)
    assert [queue.take(0.0) for _ in range(3)] == [[0, 1], [2, 3], [4]]


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.integers(0, 3), st.sampled_from(Priority), st.floats(0, 2, allow_nan=False)
        ),
        max_size=60,
    )
)
def test_every_offered_window_is_taken_shed_or_waiting(
    steps: list[tuple[bool, int, Priority, float]],
) -> None:
    queue: SlotQueue[int] = SlotQueue(SlotConfig(max_batch=2))
    now, taken = 0.0, 0
    for offer, stream, priority, wait_s in steps:
        now += wait_s
        if offer:
            queue.offer(stream, stream, now, priority)
        else:
            taken += len(queue.take(now))
    assert queue.offered == taken + sum(queue.shed.values()) + len(queue)


@pytest.mark.parametrize(("name", "value"), [("deadline_s", 0.0), ("max_batch", 0), ("low_every", 1)])
def test_a_setting_out_of_range_is_named_with_its_key_and_what_to_give(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^analysis\.lanes\.{name}: {value} is .*; give ") as caught:
        SlotConfig(**{name: value})  # type: ignore[arg-type]
    assert caught.value.code == "config_value"
