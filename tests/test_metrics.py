"""Metrics, read back through an injected registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from guard.metrics import FAMILIES, Metrics, RelayTotals
from guard.types import State

DOCS = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_totals_are_handed_out_as_the_parts_count_them(metrics: Metrics) -> None:
    metrics.set_relay(RelayTotals(packets_forwarded=7, packets_lost=2, packets_retransmitted=1))
    metrics.set_tap(100, 3)
    metrics.set_malformed({"rtp_truncated": 4})
    metrics.set_events(5)
    assert value(metrics, "guard_events_dropped_total") == 5
    assert value(metrics, "guard_rtp_packets_forwarded_total") == 7
    assert value(metrics, "guard_rtp_packets_lost_total") == 2
    assert value(metrics, "guard_rtp_packets_retransmitted_total") == 1
    assert value(metrics, "guard_tap_dropped_total") == 3
    assert value(metrics, "guard_malformed_total", reason="rtp_truncated") == 4


def test_lane_reports_become_counters_per_model_and_reason(metrics: Metrics) -> None:
    report = {"offered": 9, "done": 5, "abstained": 1, "failed": 0, "shed": {"newer": 3}, "cpu_s": 0.5}
    metrics.set_lanes({"voice_spoof": report})
    assert value(metrics, "guard_windows_offered_total", model="voice_spoof") == 9
    assert value(metrics, "guard_windows_shed_total", model="voice_spoof", reason="newer") == 3
    assert value(metrics, "guard_lane_cpu_seconds_total", model="voice_spoof") == 0.5


def test_what_a_lane_reports_wrongly_does_not_stop_the_page(metrics: Metrics) -> None:
    metrics.set_lanes({"voice_spoof": {"offered": "many", "shed": 3}})
    assert value(metrics, "guard_windows_offered_total", model="voice_spoof") == 0


def test_every_state_has_a_gauge_also_when_nobody_is_in_it(metrics: Metrics) -> None:
    metrics.set_states({State.SPOOF: 1})
    assert value(metrics, "guard_participants", state="spoof") == 1
    assert value(metrics, "guard_participants", state="detector_down") == 0


def test_delays_are_observed_in_seconds(metrics: Metrics) -> None:
    metrics.delivered("data_channel", "send", 0.12)
    metrics.delivered("banner", "stop")
    metrics.verdict(0.4)
    metrics.loop_lag(0.002)
    metrics.acknowledged(3.0)
    metrics.alert("meeting", State.SPOOF)
    metrics.delivery_failed("webhook", "timeout")
    assert value(metrics, "guard_alert_delivery_seconds_sum", channel="data_channel") == pytest.approx(0.12)
    assert value(metrics, "guard_deliveries_total", channel="banner", action="stop") == 1
    assert value(metrics, "guard_verdict_latency_seconds_count") == 1
    assert value(metrics, "guard_event_loop_lag_seconds_count") == 1
    assert value(metrics, "guard_alert_acknowledged_seconds_sum") == 3.0
    assert value(metrics, "guard_alerts_total", profile="meeting", state="spoof") == 1
    assert value(metrics, "guard_deliveries_failed_total", channel="webhook", reason="timeout") == 1


def test_process_health_keeps_each_process(metrics: Metrics) -> None:
    metrics.set_process("analysis", up=False, restarts=2)
    metrics.set_process("banner", up=True, restarts=0)
    assert value(metrics, "guard_process_up", process="analysis") == 0
    assert value(metrics, "guard_process_up", process="banner") == 1
    assert value(metrics, "guard_process_restarts_total", process="analysis") == 2


def test_the_page_parses_and_every_name_is_ours(metrics: Metrics) -> None:
    metrics.set_info("1.0", {"voice_spoof": "ab"})
    families = list(text_string_to_metric_families(metrics.render().decode()))
    assert families
    assert all(family.name.startswith("guard_") for family in families)


def test_no_metric_names_a_participant_or_session() -> None:
    for family in FAMILIES:
        assert not {"participant", "session", "peer", "user"} & set(family.labels), family.name


def test_names_are_in_base_units() -> None:
    for family in FAMILIES:
        assert not re.search(r"_(ms|milliseconds|kb|minutes)(_|$)", family.name), family.name
        assert family.type != "histogram" or family.name.endswith("_seconds")


def test_the_documentation_lists_every_metric_as_it_is() -> None:
    text = DOCS.read_text()
    rows = re.findall(r"^\| `(guard_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    documented = {name: (kind, labels.strip(), words.strip()) for name, kind, labels, words in rows}
    kinds = {"totals": "counter", "levels": "gauge"}
    assert documented == {
        f.exposed: (kinds.get(f.type, f.type), ", ".join(f"`{x}`" for x in f.labels), f.help)
        for f in FAMILIES
    }


def test_what_must_not_be_overlooked_begins_at_zero(metrics: Metrics) -> None:
    """Otherwise the first failure ever is a series that begins at 1, and no rule sees an increase."""
    assert value(metrics, "guard_playbook_steps_total", step="hold", state="failed") == 0
    assert value(metrics, "guard_deliveries_failed_total", channel="webhook", reason="unreachable") == 0
    metrics.playbook_step("hold", "failed")
    assert value(metrics, "guard_playbook_steps_total", step="hold", state="failed") == 1


def test_drills_have_counters_of_their_own(metrics: Metrics) -> None:
    metrics.drills.alert("meeting", State.SPOOF)
    metrics.drills.reaction("hold", 12.0)
    metrics.drills.unanswered()
    assert value(metrics, "guard_drill_alerts_total", profile="meeting", state="spoof") == 1
    assert value(metrics, "guard_drill_reaction_seconds_sum", reaction="hold") == 12.0
    assert value(metrics, "guard_drill_unanswered_total") == 1
    assert value(metrics, "guard_alerts_total", profile="meeting", state="spoof") is None
