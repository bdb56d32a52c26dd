"""The demonstration's account: nothing missed is dropped, nothing genuine is called detected."""

from __future__ import annotations

import json
from typing import Any

from guard.demo.record import AlertRecord, CallRecord, StateChange, as_json, delays, outcome


def call(
    switches: list[float], alerts: list[tuple[float, str]], states: list[tuple[float, str]]
) -> CallRecord:
    record = CallRecord(start_s=100.0, end_s=160.0, roles={"customer": "customer", "agent": "agent"})
    record.switches_s = switches
    record.states["customer"] = [StateChange(at, state, 1.0) for at, state in states]
    record.alerts = [
        AlertRecord(str(n), "customer", "agent", "data_channel", state, at - 0.01, at)
        for n, (at, state) in enumerate(alerts)
    ]
    return record


def test_an_alert_after_the_switch_is_ok_and_timed_from_it() -> None:
    record = call([124.0], [(132.0, "suspect")], [(101.0, "undecided"), (132.0, "suspect")])
    result = as_json(record, "customer", switching=True)
    assert result["ok"]
    assert result["alerts"][0]["delay_from_switch_s"] == 8.0
    assert result["delays"]["switch_to_alert_s"] == {"median": 8.0, "p95": 8.0, "n": 1, "missed": 0}
    assert result["delays"]["decision_to_received_ms"]["median"] == 10.0


def test_a_switch_without_an_alert_is_missed_not_dropped() -> None:
    record = call([124.0, 190.0], [(132.0, "suspect")], [(101.0, "undecided")])
    assert delays(record, "customer")["switch_to_alert_s"]["missed"] == 1


def test_no_alert_at_all_fails_with_a_plain_reason() -> None:
    ok, reason = outcome(call([124.0], [], [(101.0, "bona_fide")]), "customer", switching=True)
    assert not ok
    assert "no alert" in reason


def test_an_alert_before_the_switch_is_not_counted_as_its_detection() -> None:
    record = call([124.0], [(110.0, "suspect")], [(101.0, "suspect")])
    assert not outcome(record, "customer", switching=True)[0]
    assert as_json(record, "customer", switching=True)["alerts"][0]["delay_from_switch_s"] is None


def test_red_on_the_genuine_part_fails_even_with_a_later_alert() -> None:
    record = call([124.0], [(132.0, "spoof")], [(110.0, "spoof"), (132.0, "spoof")])
    ok, reason = outcome(record, "customer", switching=True)
    assert not ok
    assert "genuine" in reason


def test_a_call_in_which_nothing_was_scored_is_no_success() -> None:
    record = call([], [], [])
    record.states["customer"] = [StateChange(101.0, "undecided", None)]
    assert not outcome(record, "customer", switching=False)[0]
    record.states["customer"] = [StateChange(101.0, "detector_down", None)]
    assert not outcome(record, "customer", switching=False)[0]


def test_a_genuine_call_without_red_is_ok() -> None:
    assert outcome(call([], [], [(101.0, "bona_fide")]), "customer", switching=False)[0]


def test_first_scores_are_taken_by_kind_of_track() -> None:
    record = call([], [], [])
    event: dict[str, Any] = {"participant": "customer", "state": "undecided", "llr": -1.0}
    record.observe_state(101.5, {**event, "signals": {"face_frame": {"llr": -1.0}}})
    record.observe_state(102.5, {**event, "signals": {"voice_spoof": {"llr": -1.0}}})
    found = delays(record, "customer")
    assert (found["first_voice_score_s"], found["first_face_score_s"]) == (2.5, 1.5)


def test_the_object_is_json_without_nan() -> None:
    json.dumps(as_json(call([], [], []), "customer", switching=True), allow_nan=False)
