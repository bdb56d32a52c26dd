"""Calls with scripted ports: what comes in from relay, analysis and people, and what goes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.alert import Alert
from guard.app.alarms import Alarms
from guard.app.call_messages import parse_ack, read_verdict
from guard.app.calls import Calls
from guard.app.deliver import Deliverer, Ports
from guard.clock import ManualClock
from guard.metrics import Metrics
from guard.policy.config import AlertsConfig
from guard.policy.profile import load_profile
from guard.policy.texts import load_texts
from guard.relay.events import ChannelMessage, ChannelOpen, TrackEnded
from guard.signalling.actions import Actions
from guard.signalling.check_messages import CheckMessage
from guard.signalling.messages import DeviceMessage, parse_message
from guard.signalling.ports import Action, ActionKind
from guard.signalling.session import NewParticipant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access
from guard.signalling.views import summary
from guard.types import Kind, Role, State, TrackKey


@dataclass
class Outside:
    """Everything Calls talks to, writing down what it was told."""

    channel: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tapped: set[str] = field(default_factory=set)
    analysis: list[dict[str, Any]] = field(default_factory=list)
    banners: list[tuple[str, str]] = field(default_factory=list)
    webhook: list[dict[str, Any]] = field(default_factory=list)
    analysis_works: bool = True

    def send(self, session: str, participant: str, text: str) -> bool:
        self.channel.append((participant, json.loads(text)))
        return True

    def tap_participant(self, session: str, participant: str, on: bool = True) -> None:
        (self.tapped.add if on else self.tapped.discard)(participant)

    def start_banner(self, alert: Alert, recipient: str) -> None:
        self.banners.append(("start", recipient))

    def stop_banner(self, alert: Alert, recipient: str) -> None:
        self.banners.append(("stop", recipient))

    def start_announcement(self, alert: Alert, recipient: str) -> None:
        self.banners.append(("say", recipient))

    def stop_announcement(self, alert: Alert, recipient: str) -> None:
        self.banners.append(("hush", recipient))


class AnalysisLog:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def send(self, message: dict[str, Any]) -> bool:
        if self._outside.analysis_works:
            self._outside.analysis.append(message)
        return self._outside.analysis_works


class ChecksLog:
    """The active checks, writing down what they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def page_says(self, session: str, participant: str, message: CheckMessage) -> None:
        self.told.append(f"page_says {participant}")

    def page_gone(self, session: str, participant: str) -> None:
        self.told.append(f"page_gone {participant}")

    def device(self, session: str, participant: str, report: DeviceMessage) -> None:
        self.told.append(f"device {participant}")

    def on_analysis(self, message: Mapping[str, Any]) -> None:
        self.told.append(f"analysis {message['type']}")

    def channel(self, session: str, participant: str, is_open: bool) -> None:
        self.told.append(f"channel {participant} {is_open}")

    def look_again(self, session: str) -> None:
        self.told.append("look_again")

    def analysis_up(self) -> None:
        self.told.append("analysis_up")

    def analysis_down(self) -> None:
        self.told.append("analysis_down")


@dataclass
class House:
    outside: Outside
    sessions: Sessions
    calls: Calls
    clock: ManualClock
    session: Session
    checks: ChecksLog
    metrics: Metrics


@pytest.fixture
async def house() -> House:
    clock, outside, metrics = ManualClock(100.0), Outside(), Metrics()
    sessions = Sessions(clock, profiles=["meeting"])
    ports = Ports(
        outside,
        outside,
        lambda body, _: outside.webhook.append(body),
        lambda *_, **__: None,
        lambda *_, **__: None,
        metrics,
        metrics.drills,
        Alarms(sessions, lambda *_, **__: None),
    )
    calls = Calls(
        clock=clock,
        sessions=sessions,
        deliverer=Deliverer(sessions, ports, clock),
        media=outside,
        analysis=AnalysisLog(outside),
        counters=metrics,
        drills=metrics.drills,
        alerts=AlertsConfig(),
        texts=load_texts(),
        profile_of=load_profile,
    )
    checks = ChecksLog()
    calls.attach(Actions(sessions, calls), lambda _: None, checks)
    calls.analysis_up()
    people = [NewParticipant("mallory", Role.CUSTOMER, True), NewParticipant("alice", Role.AGENT)]
    session = sessions.create("meeting", people)
    return House(outside, sessions, calls, clock, session, checks, metrics)


def verdict(
    house: House, state: str, llr: float | None = 5.0, participant: str = "mallory"
) -> dict[str, Any]:
    return {
        "type": "verdict",
        "session": house.session.id,
        "participant": participant,
        "at_s": 4.0,
        "state": state,
        "llr": llr,
        "signals": {"voice_spoof": {"llr": llr, "coverage": 1.0, "reason": None}},
        "reasons": ["voice_spoof_high"],
        "decided_s": house.clock.now(),
        "latency_s": 0.1,
    }


def alerts(house: House) -> list[tuple[str, dict[str, Any]]]:
    return [(who, body) for who, body in house.outside.channel if body["type"] == "alert"]


async def test_only_who_may_be_suspected_is_tapped(house: House) -> None:
    assert house.outside.tapped == {"mallory"}


async def test_a_spoof_reaches_the_agents_channel_and_never_the_suspects(house: House) -> None:
    for who in ("mallory", "alice"):
        house.calls.on_relay(ChannelOpen(house.session.id, who))
    house.calls.on_analysis(verdict(house, "spoof"))
    assert [who for who, _ in alerts(house)] == ["alice"]
    body = alerts(house)[0][1]
    assert (body["v"], body["participant"], body["state"]) == (1, "mallory", "spoof")
    assert set(body["advice"]) == {"kk", "ru", "en"}
    assert house.outside.webhook[0]["id"] == body["id"]


async def test_what_a_page_says_of_its_camera_goes_to_analysis_for_those_who_are_analysed(
    house: House,
) -> None:
    what = {"width": 640, "height": 360, "rate_hz": 30.0}
    report: dict[str, Any] = {
        "kind": "virtual",
        "automated": False,
        "has_id": True,
        "facing": None,
        "changes": 0,
        "requested": what,
        "reported": what,
        "actual": what,
        "range": None,
        "first_picture_ms": 12.5,
        "resize_ms": None,
        "jitter_ms": None,
        "pictures": 90,
    }
    message = parse_message(json.dumps({"v": 1, "type": "device", **report}))
    assert isinstance(message, DeviceMessage)
    before = len(house.outside.analysis)
    for who in ("alice", "nobody", "mallory"):
        house.calls.device(house.session.id, who, message)
    house.calls.device("gone", "mallory", message)
    about = {"session": house.session.id, "participant": "mallory"}
    assert house.outside.analysis[before:] == [{"type": "device", **about, "report": report}]


async def test_a_verdict_on_somebody_not_suspectable_changes_nothing(house: House) -> None:
    house.calls.on_relay(ChannelOpen(house.session.id, "alice"))
    house.calls.on_analysis(verdict(house, "spoof", participant="alice"))
    assert not alerts(house)
    assert house.session.participant("alice").state is State.UNDECIDED


async def test_without_a_channel_the_banner_starts_at_once(house: House) -> None:
    house.calls.on_analysis(verdict(house, "spoof"))
    assert ("start", "alice") in house.outside.banners


async def test_acknowledging_stops_the_banner_and_a_reason_releases_the_latch(house: House) -> None:
    house.calls.on_analysis(verdict(house, "spoof"))
    alert = next(iter(house.session.alerts))
    seen = Action(house.session.id, "alice", ActionKind.ACKNOWLEDGE, alert, None)
    await house.calls.act(seen)
    assert ("stop", "alice") in house.outside.banners
    assert not [m for m in house.outside.analysis if m["type"] == "acknowledge"]
    await house.calls.act(Action(house.session.id, "alice", ActionKind.ACKNOWLEDGE, alert, "called back"))
    assert house.outside.analysis[-1] == {
        "type": "acknowledge",
        "session": house.session.id,
        "participant": "mallory",
    }


async def test_analysis_down_is_shown_at_once_and_taken_back_as_undecided(house: House) -> None:
    house.calls.on_analysis(verdict(house, "bona_fide", -3.0))
    assert house.session.participant("mallory").state is State.BONA_FIDE
    house.calls.analysis_down("closed")
    assert house.session.participant("mallory").state is State.DETECTOR_DOWN
    assert house.session.participant("mallory").llr is None
    house.calls.analysis_up()
    assert house.session.participant("mallory").state is State.UNDECIDED


async def test_who_joins_while_analysis_is_down_is_shown_down(house: House) -> None:
    house.calls.analysis_down("closed")
    other = house.sessions.create("meeting", [NewParticipant("bob", Role.CUSTOMER, True)])
    assert other.participant("bob").state is State.DETECTOR_DOWN


async def test_a_track_that_ended_leaves_no_green_behind(house: House) -> None:
    house.calls.on_analysis(verdict(house, "bona_fide", -3.0))
    house.calls.on_relay(TrackEnded(TrackKey(house.session.id, "mallory", Kind.AUDIO)))
    assert house.session.participant("mallory").state is State.UNDECIDED
    assert house.outside.analysis[-1]["type"] == "forget"


async def test_red_outlives_a_reconnect_and_a_restart_of_analysis(house: House) -> None:
    house.calls.on_analysis(verdict(house, "spoof"))
    alert = next(iter(house.session.alerts))
    house.calls.on_relay(TrackEnded(TrackKey(house.session.id, "mallory", Kind.AUDIO)))
    assert house.session.participant("mallory").state is State.SPOOF
    house.calls.analysis_down("closed")
    assert house.session.participant("mallory").state is State.DETECTOR_DOWN
    house.calls.analysis_up()
    house.calls.on_analysis(verdict(house, "bona_fide", -3.0))
    assert house.session.participant("mallory").state is State.SPOOF
    await house.calls.act(Action(house.session.id, "alice", ActionKind.ACKNOWLEDGE, alert, "called back"))
    house.calls.on_analysis(verdict(house, "bona_fide", -3.0))
    assert house.session.participant("mallory").state is State.BONA_FIDE


async def test_a_red_that_nobody_answered_in_time_is_told_again_and_can_still_be_settled(
    house: House,
) -> None:
    house.calls.on_relay(ChannelOpen(house.session.id, "alice"))
    house.calls.on_analysis(verdict(house, "spoof"))
    first = next(iter(house.session.alerts))
    house.calls.on_relay(TrackEnded(TrackKey(house.session.id, "mallory", Kind.VIDEO)))
    house.clock.advance(121.0)
    house.calls.poll()
    assert len({body["id"] for _, body in alerts(house)}) == 2
    who = Access(house.session.id, "alice", Role.AGENT)
    acknowledge = Actions(house.sessions, house.calls).perform
    await acknowledge(who, house.session.id, ActionKind.ACKNOWLEDGE, alert=first, reason="called back")
    assert house.outside.analysis[-1]["type"] == "acknowledge"
    house.clock.advance(5.0)
    house.calls.on_analysis(verdict(house, "undecided", None))
    assert house.session.participant("mallory").state is State.UNDECIDED


async def test_alerts_told_by_the_timetable_are_counted_like_those_of_verdicts(house: House) -> None:
    house.calls.on_analysis(verdict(house, "spoof"))
    house.clock.advance(121.0)
    house.calls.poll()
    name, labels = "guard_alerts_total", {"profile": "meeting", "state": "spoof"}
    assert house.metrics.registry.get_sample_value(name, labels) == 2.0


async def test_why_a_state_is_what_it_is_reaches_the_view_the_event_and_the_alert(house: House) -> None:
    house.calls.on_relay(ChannelOpen(house.session.id, "alice"))
    watcher = Access(house.session.id, "boss", Role.OPERATOR)
    reader = house.sessions.subscribe(house.session, watcher)
    notices = ["voice_spoof_high", "switched_mid_call", "voice_alone_not_red", "low_coverage"]
    house.calls.on_analysis(verdict(house, "suspect", 3.5) | {"reasons": notices})
    event = await reader.next(timeout_s=1)
    assert event is not None
    assert (event["type"], event["reasons"]) == ("state", notices)
    assert [body["reasons"] for _, body in alerts(house)] == [notices]
    assert [body["reasons"] for body in house.outside.webhook] == [notices]
    shown = {p["id"]: p["reasons"] for p in summary(house.session, watcher)["participants"]}
    assert shown == {"mallory": notices, "alice": []}
    own = summary(house.session, Access(house.session.id, "mallory", Role.CUSTOMER))["participants"]
    assert [p["reasons"] for p in own] == [[], []]


async def test_what_the_relay_process_raises_itself_has_its_reason(house: House) -> None:
    def reasons() -> list[str]:
        return list(house.session.participant("mallory").reasons)

    house.calls.on_analysis(verdict(house, "undecided", None) | {"reasons": ["face_lapsed"]})
    assert reasons() == ["face_lapsed"]
    house.calls.check_failed(house.session.id, "mallory")
    assert reasons() == ["check_failed", "face_lapsed"]
    house.calls.on_relay(TrackEnded(TrackKey(house.session.id, "mallory", Kind.AUDIO)))
    assert reasons() == ["check_failed"]
    house.calls.on_analysis(verdict(house, "spoof"))
    house.calls.analysis_down("closed")
    assert reasons() == ["check_failed", "detector_down", "waiting_for_person"]


async def test_an_ended_session_is_forgotten_everywhere(house: House) -> None:
    house.sessions.end(house.session.id)
    assert not house.outside.tapped
    assert {"type": "session_ended", "session": house.session.id} in house.outside.analysis
    house.calls.on_analysis(verdict(house, "spoof"))
    assert not alerts(house)


async def test_garbage_on_the_data_channel_is_counted(house: House) -> None:
    for text in ("", "{", "[]", '{"v":1,"type":"ack"}', '{"v":2,"type":"ack","id":"x"}', "[" * 400):
        house.calls.on_relay(ChannelMessage(house.session.id, "alice", text))
    assert house.calls.bad_messages == 6


async def test_a_flood_on_the_data_channel_is_dropped_and_costs_nobody_else(house: House) -> None:
    shown = '{"v":1,"type":"shown","id":"c","number":1,"step":0}'
    for _ in range(1000):
        house.calls.on_relay(ChannelMessage(house.session.id, "alice", shown))
    assert house.checks.told.count("page_says alice") == 200
    assert house.calls.bad_messages == 800
    house.calls.on_relay(ChannelMessage(house.session.id, "mallory", shown))
    assert house.checks.told[-1] == "page_says mallory"


@given(st.text(max_size=600))
def test_parse_ack_never_raises(text: str) -> None:
    assert parse_ack(text) is None or isinstance(parse_ack(text), str)


def test_a_verdict_survives_its_message() -> None:
    message = {
        "session": "s",
        "participant": "p",
        "at_s": 8.0,
        "state": "suspect",
        "llr": 2.5,
        "signals": {"face_frame": {"llr": None, "coverage": 0.5, "reason": "no_face"}},
        "reasons": ["face_frame_high"],
    }
    read = read_verdict(message)
    assert (read.state, read.llr, read.reasons) == (State.SUSPECT, 2.5, ("face_frame_high",))
    assert {s.value: r.reason for s, r in read.signals.items()} == {"face_frame": "no_face"}


async def test_a_page_that_connects_during_an_alert_is_told_at_once(house: House) -> None:
    house.calls.on_analysis(verdict(house, "spoof"))
    reader = house.sessions.subscribe(house.session, Access(house.session.id, "alice", Role.AGENT))
    house.calls.page(house.session.id, "alice", True)
    event = await reader.next(timeout_s=1)
    assert event is not None
    assert (event["type"], event["participant"]) == ("alert", "mallory")


async def test_who_is_told_over_the_data_channel_alone_may_answer(house: House) -> None:
    """A guest without a page, in a meeting that tells guests, has only the channel to answer on."""
    house.calls.on_relay(ChannelOpen(house.session.id, "alice"))
    house.calls.on_analysis(verdict(house, "spoof"))
    (sent,) = house.session.alerts.values()
    assert sent.recipients == frozenset({"alice"})
    house.calls.on_relay(
        ChannelMessage(house.session.id, "alice", json.dumps({"v": 1, "type": "ack", "id": sent.event["id"]}))
    )
    await house.calls.settled()
    assert house.calls.acks()["accepted"] == 1
