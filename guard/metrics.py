"""Every metric of guard, and the only door to prometheus_client.

Base units, ``_total`` on counters, never a participant or session as label. Numbers the
parts count themselves come in as totals (``set_*``) and are handed out as they are.
``docs/metrics.md`` is held equal to ``FAMILIES`` by a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from guard.types import State

Type = Literal["counter", "gauge", "histogram", "totals", "levels"]

disable_created_metrics()  # type: ignore[no-untyped-call]

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DRILL = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_CALL = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Args:
        name: without ``guard_`` and, for counters, without ``_total``.
        type: ``counter``, ``gauge`` and ``histogram`` are counted here; ``totals``
            (counters) and ``levels`` (gauges) come from the parts as they stand.
        help: what it says, for docs/metrics.md.
        labels: label names.
        buckets: of a histogram, seconds.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _FAST

    @property
    def exposed(self) -> str:
        """The name on the page and in queries."""
        return f"guard_{self.name}{'_total' if self.type in ('counter', 'totals') else ''}"


FAMILIES: tuple[Family, ...] = (
    Family("build_info", "levels", "1, with guard's version", ("version",)),
    Family("model_info", "levels", "1 for every model in use, with its sha256", ("model", "sha256")),
    Family("event_loop_lag_seconds", "histogram", "how late the relay's event loop ran a timer"),
    Family("sessions", "levels", "calls at the moment"),
    Family("peers", "levels", "peer connections at the moment"),
    Family("participants", "levels", "participants by the state guard shows", ("state",)),
    Family("rtp_packets_received", "totals", "media packets received from publishers"),
    Family("rtp_packets_forwarded", "totals", "media packets sent on to subscribers"),
    Family("rtp_bytes_forwarded", "totals", "bytes of the media packets sent on"),
    Family("rtp_packets_lost", "totals", "media packets of publishers that never arrived"),
    Family("rtp_packets_retransmitted", "totals", "media packets sent again to subscribers"),
    Family("malformed", "totals", "datagrams and messages dropped because of their content", ("reason",)),
    Family("events_dropped", "totals", "events that a reader of a session's stream was too slow for"),
    Family("tap_packets", "totals", "encoded packets copied for analysis"),
    Family("tap_dropped", "totals", "of them dropped, the oldest first, because analysis was behind"),
    Family("windows_offered", "totals", "windows offered to a model's lane", ("model",)),
    Family("windows_done", "totals", "windows that got a score", ("model",)),
    Family("windows_abstained", "totals", "windows the model refused to judge", ("model",)),
    Family(
        "windows_failed", "totals", "windows on which the model failed, or pictures (`faces`)", ("model",)
    ),
    Family("windows_shed", "totals", "windows given up under load", ("model", "reason")),
    Family("lane_cpu_seconds", "totals", "CPU time of a model's lane", ("model",)),
    Family("verdict_latency_seconds", "histogram", "end of the window's media to its verdict", (), _CALL),
    Family("alerts", "counter", "alerts raised", ("profile", "state")),
    Family("deliveries", "counter", "deliveries handed to a channel", ("channel", "action")),
    Family("deliveries_failed", "counter", "deliveries a channel could not make", ("channel", "reason")),
    Family(
        "alert_delivery_seconds", "histogram", "decision to delivery over the channel", ("channel",), _CALL
    ),
    Family("alert_acknowledged_seconds", "histogram", "decision to a person's acknowledgement", (), _CALL),
    Family("challenges", "counter", "attempts at active checks", ("kind", "result")),
    Family("records_lost", "counter", "signed records that could not be written", ("reason",)),
    Family("acks", "totals", "acknowledgements by outcome", ("outcome",)),
    Family("playbook_steps", "counter", "steps of the playbook", ("step", "state")),
    Family("drill_alerts", "counter", "alerts injected into drills", ("profile", "state")),
    Family("drill_deliveries", "counter", "deliveries of drills", ("channel", "action")),
    Family("drill_deliveries_failed", "counter", "deliveries of drills not made", ("channel", "reason")),
    Family("drill_unanswered", "counter", "attacks told of and nobody reacted to before the call ended"),
    Family("drill_reaction_seconds", "histogram", "alert to the first reaction", ("reaction",), _DRILL),
    Family("drill_attacks", "counter", "synthetic attacks on the detectors", ("attack", "result")),
    Family(
        "drill_detection_seconds", "histogram", "synthetic media to the state", ("attack", "state"), _DRILL
    ),
    Family("process_up", "levels", "1 while the child process answers", ("process",)),
    Family("process_restarts", "totals", "times the child process was lost", ("process",)),
)
_BY_NAME = {family.name: family for family in FAMILIES}


# increase() sees nothing of a series whose first sample is 1: what must not be overlooked begins at 0
_AT_ZERO: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("playbook_steps", ("hold", "failed")),
    ("playbook_steps", ("hold", "left_open")),
    ("deliveries_failed", ("data_channel", "no_channel")),
    ("deliveries_failed", ("banner", "no_video")),
    ("deliveries_failed", ("banner", "process_down")),
    ("deliveries_failed", ("announcement", "no_audio")),
    ("deliveries_failed", ("webhook", "refused")),
    ("deliveries_failed", ("webhook", "unreachable")),
    ("deliveries_failed", ("webhook", "queue_full")),
    ("deliveries_failed", ("nobody", "no_recipient")),
)


@dataclass(frozen=True, slots=True)
class RelayTotals:
    """What the relay has counted since its start."""

    packets_received: int = 0
    packets_forwarded: int = 0
    bytes_forwarded: int = 0
    packets_lost: int = 0
    packets_retransmitted: int = 0


class _Standing(Collector):
    """Hands out the totals and levels the parts keep themselves."""

    def __init__(self) -> None:
        self.values: dict[str, dict[tuple[str, ...], float]] = {}

    def collect(self) -> Iterable[Metric]:
        for family in FAMILIES:
            if family.type not in ("totals", "levels"):
                continue
            make = CounterMetricFamily if family.type == "totals" else GaugeMetricFamily
            metric = make(f"guard_{family.name}", family.help, labels=family.labels)
            for labels, value in sorted(self.values.get(family.name, {}).items()):
                metric.add_metric(labels, value)
            yield metric


class Metrics:
    """The metrics of one relay process.

    Args:
        registry: where they are registered; a fresh one by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._standing = _Standing()
        self.registry.register(self._standing)
        ProcessCollector(namespace="guard", registry=self.registry)
        self._counters = {f.name: _counter(f, self.registry) for f in FAMILIES if f.type == "counter"}
        self._histograms = {f.name: _histogram(f, self.registry) for f in FAMILIES if f.type == "histogram"}
        for name, labels in _AT_ZERO:
            self._counters[name].labels(*labels)
        self.drills = DrillMetrics(self._counters, self._histograms)
        self.set_relay(RelayTotals())
        self.set_tap(0, 0)
        self.set_calls(0, 0)
        self.set_states({})

    def render(self) -> bytes:
        """Return the page for Prometheus, in its text format 0.0.4."""
        return generate_latest(self.registry)

    def loop_lag(self, seconds: float) -> None:
        """A timer of the event loop ran so much late."""
        self._histograms["event_loop_lag_seconds"].observe(seconds)

    def verdict(self, latency_s: float) -> None:
        """A verdict came so long after the media it rests on."""
        self._histograms["verdict_latency_seconds"].observe(latency_s)

    def alert(self, profile: str, state: State) -> None:
        """An alert was raised."""
        self._counters["alerts"].labels(profile, state.value).inc()

    def delivered(self, channel: str, action: str, delay_s: float | None = None) -> None:
        """A delivery went out; ``delay_s`` from the decision, where it tells of a new alert."""
        self._counters["deliveries"].labels(channel, action).inc()
        if delay_s is not None:
            self._histograms["alert_delivery_seconds"].labels(channel).observe(delay_s)

    def delivery_failed(self, channel: str, reason: str) -> None:
        """A channel could not make a delivery; ``reason`` is a code."""
        self._counters["deliveries_failed"].labels(channel, reason).inc()

    def challenge(self, kind: str, result: str) -> None:
        """An attempt at an active check has ended."""
        self._counters["challenges"].labels(kind, result).inc()

    def record_lost(self, reason: str) -> None:
        """A signed record could not be written; ``reason`` is an error code."""
        self._counters["records_lost"].labels(reason).inc()

    def playbook_step(self, step: str, state: str) -> None:
        """A step of a playbook came to stand somewhere else."""
        self._counters["playbook_steps"].labels(step, state).inc()

    def acknowledged(self, delay_s: float) -> None:
        """A person acknowledged an alert so long after its decision."""
        self._histograms["alert_acknowledged_seconds"].observe(delay_s)

    def set_info(self, version: str, models: Mapping[str, str]) -> None:
        """Set the version and the sha256 of the models in use, by name."""
        self._set("build_info", {(version,): 1})
        self._set("model_info", dict.fromkeys(models.items(), 1))

    def set_relay(self, totals: RelayTotals) -> None:
        """Set what the relay has counted."""
        for name in totals.__dataclass_fields__:
            self._set(f"rtp_{name}", {(): getattr(totals, name)})

    def set_calls(self, sessions: int, peers: int) -> None:
        """Set the calls and connections at the moment."""
        self._set("sessions", {(): sessions})
        self._set("peers", {(): peers})

    def set_states(self, states: Mapping[State, int]) -> None:
        """Set the number of participants in each state; states left out have none."""
        self._set("participants", {(state.value,): states.get(state, 0) for state in State})

    def set_malformed(self, totals: Mapping[str, int]) -> None:
        """Set what was dropped because of its content, by reason."""
        self._set("malformed", {(reason,): total for reason, total in totals.items()})

    def set_events(self, dropped: int) -> None:
        """Set the events that slow readers never got."""
        self._set("events_dropped", {(): dropped})

    def set_tap(self, offered: int, dropped: int) -> None:
        """Set the packets copied for analysis, and of them the dropped ones."""
        self._set("tap_packets", {(): offered})
        self._set("tap_dropped", {(): dropped})

    def set_lanes(self, reports: Mapping[str, Mapping[str, object]]) -> None:
        """Set the lanes' reports, by model: offered, done, abstained, failed, shed by reason, cpu_s.

        What has no lane (the networks that find faces) reports what it counts.
        """
        for name, key in (
            ("windows_offered", "offered"),
            ("windows_done", "done"),
            ("windows_abstained", "abstained"),
            ("windows_failed", "failed"),
            ("lane_cpu_seconds", "cpu_s"),
        ):
            self._set(name, {(model,): _number(r[key]) for model, r in reports.items() if key in r})
        shed: dict[tuple[str, ...], float] = {}
        for model, report in reports.items():
            reasons = report.get("shed")
            if isinstance(reasons, Mapping):
                shed |= {(model, str(reason)): _number(count) for reason, count in reasons.items()}
        self._set("windows_shed", shed)

    def set_acks(self, totals: Mapping[str, int]) -> None:
        """Set the acknowledgements, by outcome."""
        self._set("acks", {(outcome,): total for outcome, total in totals.items()})

    def set_process(self, name: str, *, up: bool, restarts: int) -> None:
        """Set the health of a child process."""
        self._merge("process_up", (name,), float(up))
        self._merge("process_restarts", (name,), restarts)

    def _set(self, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        assert _BY_NAME[name].type in ("totals", "levels")
        self._standing.values[name] = dict(values)

    def _merge(self, name: str, labels: tuple[str, ...], value: float) -> None:
        self._standing.values.setdefault(name, {})[labels] = value


class DrillMetrics:
    """What is counted of drills; nothing of a drill is counted anywhere else."""

    def __init__(self, counters: Mapping[str, Counter], histograms: Mapping[str, Histogram]) -> None:
        self._counters, self._histograms = counters, histograms

    def alert(self, profile: str, state: State) -> None:
        """An alert was injected."""
        self._counters["drill_alerts"].labels(profile, state.value).inc()

    def delivered(self, channel: str, action: str, delay_s: float | None = None) -> None:
        """A delivery of a drill went out; its delay is not kept, since nothing was decided."""
        del delay_s
        self._counters["drill_deliveries"].labels(channel, action).inc()

    def delivery_failed(self, channel: str, reason: str) -> None:
        """A channel could not make a delivery of a drill."""
        self._counters["drill_deliveries_failed"].labels(channel, reason).inc()

    def reaction(self, reaction: str, delay_s: float) -> None:
        """Somebody reacted for the first time in this way, so long after people were told."""
        self._histograms["drill_reaction_seconds"].labels(reaction).observe(delay_s)

    def unanswered(self) -> None:
        """Nobody reacted to an attack that was told of before the call ended."""
        self._counters["drill_unanswered"].inc()

    def detected(self, attack: str, state: str, delay_s: float) -> None:
        """The detectors raised a state so long after synthetic media began."""
        self._histograms["drill_detection_seconds"].labels(attack, state).observe(delay_s)

    def attack_over(self, attack: str, result: str) -> None:
        """Synthetic media are over; ``result`` says whether the detectors noticed."""
        self._counters["drill_attacks"].labels(attack, result).inc()


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _counter(family: Family, registry: CollectorRegistry) -> Counter:
    return Counter(f"guard_{family.name}", family.help, family.labels, registry=registry)


def _histogram(family: Family, registry: CollectorRegistry) -> Histogram:
    return Histogram(
        f"guard_{family.name}", family.help, family.labels, registry=registry, buckets=family.buckets
    )
