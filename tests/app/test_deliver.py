"""What cannot be delivered is loud; what can is timed from the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from guard.alert import Alert
from guard.app.alarms import AlarmReason, Alarms
from guard.app.deliver import Deliverer, Ports
from guard.clock import ManualClock
from guard.metrics import Metrics
from guard.policy.messages import Action, Channel, Delivery
from guard.signalling.hub import Subscription
from guard.signalling.session import NewParticipant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access
from guard.types import Role, State


@dataclass
class Outside:
    """Ways out, each of which can be told to fail."""

    channel_open: bool = True
    banner: str | None = None
    announcement: str | None = None
    webhook: list[Callable[[str], None]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    told: list[Alert] = field(default_factory=list)

    def send(self, session: str, participant: str, text: str) -> bool:
        return self.channel_open

    def start_banner(self, alert: Alert, recipient: str) -> str | None:
        return self.banner

    def stop_banner(self, alert: Alert, recipient: str) -> None:
        pass

    def start_announcement(self, alert: Alert, recipient: str) -> str | None:
        return self.announcement

    def stop_announcement(self, alert: Alert, recipient: str) -> None:
        pass

    def error(self, event: str, **_: Any) -> None:
        self.errors.append(event)


class Bench:
    def __init__(self) -> None:
        self.clock, self.outside, self.metrics = ManualClock(100.0), Outside(), Metrics()
        self.sessions = Sessions(self.clock)
        people = [NewParticipant("cust", Role.CUSTOMER, True), NewParticipant("agent", Role.AGENT)]
        self.session: Session = self.sessions.create(None, people)
        self.alarms = Alarms(self.sessions, lambda *_, **__: None)
        out = self.outside
        ports = Ports(
            messages=out,
            injection=out,
            webhook=lambda _, gave_up: out.webhook.append(gave_up),
            log=lambda *_, **__: None,
            error=out.error,
            counters=self.metrics,
            drills=self.metrics.drills,
            alarms=self.alarms,
            told=out.told.append,
        )
        self.deliverer = Deliverer(self.sessions, ports, self.clock)
        self.console = self.reader("boss", Role.OPERATOR)

    def reader(self, who: str, role: Role) -> Subscription:
        return self.sessions.subscribe(self.session, Access(self.session.id, who, role))

    def alert(self, state: State = State.SPOOF, **more: Any) -> Alert:
        return Alert("a1", self.session.id, "cust", state, 5.0, (), {}, "at", "until", **more)

    def go(self, *what: tuple[str | None, Channel, Action], alert: Alert | None = None) -> None:
        self.deliverer.carry_out([Delivery(*way, alert or self.alert()) for way in what])

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


async def events(reader: Subscription, *types: str) -> list[dict[str, Any]]:
    found = []
    while (event := await reader.next(0.01)) is not None:
        if event["type"] in types:
            found.append(dict(event))
    return found


@pytest.fixture
async def bench() -> Bench:
    return Bench()


SEND, START, STOP = Action.SEND, Action.START, Action.STOP
FAILURES = [
    ({"channel_open": False}, ("agent", Channel.DATA_CHANNEL, SEND), "no_channel"),
    ({"banner": "no_video"}, ("agent", Channel.BANNER, START), "no_video"),
    ({"banner": "process_down"}, ("agent", Channel.BANNER, START), "process_down"),
    ({"announcement": "no_audio"}, ("agent", Channel.ANNOUNCEMENT, START), "no_audio"),
]


@pytest.mark.parametrize(("broken", "way", "reason"), FAILURES)
async def test_a_way_that_fails_is_told_rung_and_counted(
    bench: Bench, broken: dict[str, Any], way: tuple[str, Channel, Action], reason: str
) -> None:
    for name, how in broken.items():
        setattr(bench.outside, name, how)
    suspect, agent = bench.reader("cust", Role.CUSTOMER), bench.reader("agent", Role.AGENT)
    bench.go(way)
    bench.go(way)
    failed = {
        "v": 1,
        "type": "delivery_failed",
        "session": bench.session.id,
        "participant": "cust",
        "alert": "a1",
        "channel": way[1].value,
        "reason": reason,
    }
    assert await events(agent, "delivery_failed") == [failed]
    assert await events(suspect, "delivery_failed", "alarm", "alert") == []
    rung = await events(bench.console, "alarm")
    assert [(e["reason"], e["ringing"]) for e in rung] == [("delivery_failed", True)]
    assert bench.value("guard_deliveries_failed_total", channel=way[1].value, reason=reason) == 2.0


async def test_an_alert_for_which_nobody_is_there_is_loud_at_once(bench: Bench) -> None:
    bench.go((None, Channel.WEBHOOK, SEND), (None, Channel.CONSOLE, SEND))
    failed = await events(bench.console, "delivery_failed")
    assert [(e["channel"], e["reason"]) for e in failed] == [("nobody", "no_recipient")]


async def test_who_is_not_in_the_call_is_no_failure_unless_nobody_is(bench: Bench) -> None:
    bench.outside.banner = "not_connected"
    bench.go((None, Channel.CONSOLE, SEND), ("guest", Channel.BANNER, START), ("agent", Channel.PAGE, SEND))
    assert await events(bench.console, "delivery_failed", "alarm") == []
    bench = Bench()
    bench.outside.banner = "not_connected"
    bench.go((None, Channel.CONSOLE, SEND), ("agent", Channel.BANNER, START))
    failed = await events(bench.console, "delivery_failed", "alarm")
    assert [(e["type"], e["reason"]) for e in failed] == [
        ("delivery_failed", "no_recipient"),
        ("alarm", "delivery_failed"),
    ]
    assert bench.value("guard_deliveries_total", channel="banner", action="start") is None
    bench.go((None, Channel.CONSOLE, START))
    assert bench.outside.errors == ["alert_undelivered"]


async def test_a_webhook_that_gave_up_is_loud(bench: Bench) -> None:
    bench.go((None, Channel.WEBHOOK, SEND), ("agent", Channel.PAGE, SEND))
    assert await events(bench.console, "delivery_failed") == []
    bench.outside.webhook[0]("unreachable")
    failed = await events(bench.console, "delivery_failed", "alarm")
    assert [(e["type"], e["reason"]) for e in failed] == [
        ("delivery_failed", "unreachable"),
        ("alarm", "delivery_failed"),
    ]


async def test_where_no_way_reached_anybody_the_log_has_an_error_of_its_own(bench: Bench) -> None:
    bench.outside.channel_open, bench.outside.banner, bench.outside.announcement = (
        False,
        "no_video",
        "no_audio",
    )
    for channel, action in ((Channel.DATA_CHANNEL, SEND), (Channel.BANNER, START)):
        bench.go(("agent", channel, action))
    assert bench.outside.errors == [], "the announcement has not been tried yet"
    bench.go(("agent", Channel.ANNOUNCEMENT, START))
    bench.go((None, Channel.CONSOLE, START))
    assert bench.outside.errors == ["alert_undelivered"]


async def test_one_way_that_worked_is_no_error_but_unanswered_still_rings(bench: Bench) -> None:
    bench.outside.banner = "no_video"
    bench.go(("agent", Channel.DATA_CHANNEL, SEND), ("agent", Channel.BANNER, START))
    bench.go((None, Channel.CONSOLE, START))
    assert bench.outside.errors == []
    assert {e["reason"] for e in await events(bench.console, "alarm")} == {"delivery_failed", "unanswered"}
    bench.go((None, Channel.CONSOLE, STOP))
    stopped = await events(bench.console, "alarm")
    assert {(e["reason"], e["ringing"]) for e in stopped} == {
        ("delivery_failed", False),
        ("unanswered", False),
    }


async def test_every_step_is_timed_from_the_decision_once(bench: Bench) -> None:
    bench.deliverer.carry_out([Delivery("agent", Channel.DATA_CHANNEL, SEND, bench.alert())], 0.5)
    bench.clock.advance(2.0)
    bench.go(("agent", Channel.DATA_CHANNEL, SEND))
    bench.clock.advance(3.0)
    bench.go(("agent", Channel.BANNER, START))
    for channel, seconds in (("data_channel", 0.5), ("banner", 5.5)):
        assert bench.value("guard_alert_delivery_seconds_count", channel=channel) == 1.0
        assert bench.value("guard_alert_delivery_seconds_sum", channel=channel) == pytest.approx(seconds)


async def test_a_graver_state_under_the_same_id_is_told_and_timed_again(bench: Bench) -> None:
    amber = bench.alert(State.SUSPECT)
    bench.go(("agent", Channel.PAGE, SEND), alert=amber)
    bench.go(("agent", Channel.PAGE, SEND), alert=amber)
    bench.go(("agent", Channel.PAGE, SEND))
    assert [alert.state for alert in bench.outside.told] == [State.SUSPECT, State.SPOOF]
    assert bench.value("guard_alert_delivery_seconds_count", channel="page") == 2.0


async def test_that_nothing_is_analysed_is_a_notice_and_rings_no_alarm(bench: Bench) -> None:
    bench.outside.channel_open = False
    bench.go(("agent", Channel.DATA_CHANNEL, SEND), alert=bench.alert(State.DETECTOR_DOWN))
    assert bench.outside.told == []
    told = await events(bench.console, "delivery_failed", "alarm")
    assert [event["type"] for event in told] == ["delivery_failed"]


async def test_a_drill_is_counted_apart(bench: Bench) -> None:
    bench.outside.banner = "no_video"
    bench.go(("agent", Channel.PAGE, SEND), ("agent", Channel.BANNER, START), alert=bench.alert(drill=True))
    labels = {"channel": "banner", "reason": "no_video"}
    assert bench.value("guard_drill_deliveries_failed_total", **labels) == 1.0
    assert bench.value("guard_deliveries_failed_total", **labels) == 0.0
    assert bench.value("guard_deliveries_total", channel="page", action="send") is None
    assert bench.value("guard_alert_delivery_seconds_count", channel="page") is None


async def test_alarms_of_a_call_that_is_over_are_forgotten(bench: Bench) -> None:
    bench.alarms.ring(bench.session.id, "cust", "a1", AlarmReason.HOLD_FAILED)
    bench.alarms.ring(bench.session.id, "cust", "a1", AlarmReason.HOLD_FAILED)
    assert len(await events(bench.console, "alarm")) == 1
    bench.sessions.end(bench.session.id)
    bench.alarms.stop(bench.session.id, "a1")
    bench.alarms.ring(bench.session.id, "cust", "a1", AlarmReason.HOLD_FAILED)
    assert await events(bench.console, "alarm") == []
