from __future__ import annotations

from typing import Any

import pytest

from benchmarks.delays import median_with_missed, table


def result(delays: list[float | None]) -> dict[str, Any]:
    alerts = [
        {"delay_from_switch_s": d, "received_t_s": 100.0 * n + d}
        for n, d in enumerate(delays)
        if d is not None
    ]
    return {
        "switches_s": [100.0 * n for n in range(len(delays))],
        "alerts": alerts,
        "participants": {"customer": {"states": [{"t_s": 9.0, "state": "bona_fide", "llr": -2.0}]}},
        "delays": {
            "first_voice_score_s": 2.0,
            "first_face_score_s": 1.0,
            "switch_to_alert_s": {"n": len(alerts), "missed": len(delays) - len(alerts)},
            "decision_to_received_ms": {"p95": 12.0},
        },
    }


def test_a_missed_switch_counts_as_never_and_is_not_dropped() -> None:
    assert median_with_missed(result([4.0, 6.0, None])) == 6.0
    assert median_with_missed(result([4.0, None, None])) is None


def test_repeated_alerts_of_one_switch_count_once() -> None:
    found = result([4.0, 6.0, 8.0])
    found["alerts"].append({"delay_from_switch_s": 9.0, "received_t_s": 9.0})
    assert median_with_missed(found) == 6.0


@pytest.mark.parametrize(("delays", "kept"), [([4.0, 6.0], True), ([14.0, 16.0], False), ([None], False)])
def test_a_broken_budget_is_said(delays: list[float | None], kept: bool) -> None:
    text, ok = table(result(delays))
    assert ok is kept
    assert ("BROKEN" in text) is not kept
