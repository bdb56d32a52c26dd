"""A drill through the real policy, deliveries and playbook, beside a real call that it must not touch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from guard.alert import Alert
from guard.app.alarms import Alarms
from guard.app.calls import Calls
from guard.app.deliver import Deliverer, Ports
from guard.app.drills import Drills
from guard.app.playbooks import PlaybookPorts, Playbooks
from guard.clock import ManualClock
from guard.errors import PeerError
from guard.metrics import FAMILIES, Metrics
from guard.policy.config import AlertsConfig
from guard.policy.profile import load_profile, shipped_profiles
from guard.policy.texts import load_texts
from guard.relay.events import ChannelOpen
from guard.signalling.actions import Actions
from guard.signalling.ports import ActionKind
from guard.signalling.session import NewParticipant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access
from guard.signalling.views import summary
from guard.types import Role, State
from tests.app.test_calls import AnalysisLog, ChecksLog, Outside

TEXTS = load_texts()


@dataclass
class House:
    clock: ManualClock
    outside: Outside
    metrics: Metrics
    sessions: Sessions
    calls: Calls
    drills: Drills
    actions: Actions
    records: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    logged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def open(self, *, drill: bool, profile: str = "kz-ardfm") -> Session:
        people = [NewParticipant("cust", Role.CUSTOMER, True), NewParticipant("agent", Role.AGENT)]
        session = self.sessions.create(profile, people, drill=drill)
        self.calls.on_relay(ChannelOpen(session.id, "agent"))
        return session

    async def act(
        self, session: Session, who: str, role: Role, kind: str, alert: str, reason: str = ""
    ) -> None:
        access = Access(session.id, who, role)
        await self.actions.perform(access, session.id, ActionKind(kind), alert=alert, reason=reason)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [body for _, body in self.outside.channel if body["type"] == kind]

    def counted(self) -> set[str]:
        """Names of the counters and histograms that have counted anything."""
        lines = self.metrics.render().decode().splitlines()
        values = [line.split(" ") for line in lines if not line.startswith("#")]
        names = {name.split("{")[0] for name, value in values if float(value) > 0}
        exposed = [f.exposed for f in FAMILIES if f.type in ("counter", "histogram")]
        return {name for name in exposed if name in names or f"{name}_count" in names}


@pytest.fixture
async def house() -> House:
    clock, outside, metrics = ManualClock(100.0), Outside(), Metrics()
    sessions = Sessions(clock, profiles=shipped_profiles())
    alarms = Alarms(sessions, lambda *_, **__: None)
    books: list[Playbooks] = []

    def told(alert: Alert) -> None:
        books[0].told(alert)

    ports = Ports(
        messages=outside,
        injection=outside,
        webhook=lambda body, _: outside.webhook.append(body),
        log=lambda *_, **__: None,
        error=lambda *_, **__: None,
        counters=metrics,
        drills=metrics.drills,
        alarms=alarms,
        told=told,
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
        texts=TEXTS,
        profile_of=load_profile,
    )
    made: list[House] = []
    drills = Drills(
        clock=clock,
        sessions=sessions,
        calls=calls,
        analysis=AnalysisLog(outside),
        record=lambda session, kind, body: made[0].records.append((session, kind, dict(body))),
        log=lambda name, **keys: made[0].logged.append((name, keys)),
        counter=metrics.drills,
    )
    playbook_ports = PlaybookPorts(
        messages=outside,
        alarms=alarms,
        bank=None,
        want_check=lambda *_: None,
        settles=calls.settles,
        webhook=lambda body: outside.webhook.append(dict(body)),
        record=lambda session, kind, body: made[0].records.append((session, kind, dict(body))),
        error=lambda *_, **__: None,
        count=metrics.playbook_step,
        reacted=drills.reacted,
    )
    books.append(
        Playbooks(clock=clock, sessions=sessions, texts=TEXTS, profile_of=load_profile, ports=playbook_ports)
    )
    actions = Actions(sessions, calls, books[0])
    calls.attach(actions, lambda _: None, ChecksLog())
    calls.analysis_up()
    made.append(House(clock, outside, metrics, sessions, calls, drills, actions))
    return made[0]


async def test_what_is_injected_is_told_like_the_real_thing_and_labelled_everywhere(house: House) -> None:
    session = house.open(drill=True)
    reader = house.sessions.subscribe(session, Access(session.id, "boss", Role.OPERATOR))
    alert = house.drills.inject(session.id, "cust", State.SPOOF, by="trainer")
    (told,) = house.sent("alert")
    assert (told["id"], told["state"], told["drill"], told["llr"]) == (alert, "spoof", True, None)
    for language, words in told["advice"].items():
        assert words.startswith(TEXTS.get("drill.prefix", language))
    assert [body["drill"] for body in house.outside.webhook] == [True]
    assert summary(session, Access(session.id, "boss", Role.OPERATOR))["drill"] is True
    seen = 0
    while (event := await reader.next(0.01)) is not None:
        assert event["drill"] is True, event
        seen += 1
    assert seen > 4
    for step in house.sent("playbook"):
        assert step["drill"] is True
        assert step["text"]["en"].startswith(TEXTS.get("drill.prefix", "en"))


async def test_nothing_of_a_drill_is_counted_with_real_calls(house: House) -> None:
    session = house.open(drill=True)
    house.calls.on_analysis(verdict(session))
    assert house.sent("alert") == [], "what is found of people who play a drill is not told"
    alert = house.drills.inject(session.id, "cust", State.SPOOF, by="trainer")
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert)
    await house.act(session, "agent", Role.AGENT, "hold", alert)
    house.sessions.end(session.id)
    counted = house.counted()
    assert {"guard_drill_alerts_total", "guard_drill_deliveries_total"} <= counted
    assert all(name.startswith("guard_drill_") for name in counted), counted
    assert house.calls.acks().total() == 0
    assert {kind for _, kind, _ in house.records} == {"drill"}


async def test_the_same_in_a_real_call_is_counted_with_the_real_ones(house: House) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(session))
    alert = house.sent("alert")[0]["id"]
    assert "drill" not in house.sent("alert")[0]
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert)
    counted = house.counted()
    assert {"guard_alerts_total", "guard_alert_acknowledged_seconds", "guard_deliveries_total"} <= counted
    assert not any(name.startswith("guard_drill_") for name in counted), counted
    assert {kind for _, kind, _ in house.records} == {"playbook"}


async def test_reaction_times_are_those_of_the_first_reaction_of_each_kind(house: House) -> None:
    session = house.open(drill=True)
    alert = house.drills.inject(session.id, "cust", State.SPOOF, by="trainer")
    for wait_s, kind in ((4.0, "acknowledge"), (5.0, "acknowledge"), (6.0, "hold"), (7.0, "call_back")):
        house.clock.advance(wait_s)
        await house.act(session, "agent", Role.AGENT, kind, alert)
    house.clock.advance(8.0)
    await house.act(session, "chief", Role.SECURITY, "release", alert)
    reactions = [(b["reaction"], b["by"], b["delay_s"]) for _, _, b in house.records if "reaction" in b]
    assert reactions == [
        ("injected", "trainer", 0.0),
        ("acknowledge", "agent", 4.0),
        ("hold", "agent", 15.0),
        ("call_back", "agent", 22.0),
        ("release", "chief", 30.0),
    ]
    value = house.metrics.registry.get_sample_value
    assert value("guard_drill_reaction_seconds_sum", {"reaction": "acknowledge"}) == 4.0


async def test_an_attack_that_nobody_noticed_is_recorded_as_such(house: House) -> None:
    session = house.open(drill=True)
    house.drills.inject(session.id, "cust", State.SUSPECT, by="trainer")
    house.clock.advance(300.0)
    house.sessions.end(session.id)
    assert [b["reaction"] for _, _, b in house.records if "reaction" in b] == ["injected", "unanswered"]
    assert house.metrics.registry.get_sample_value("guard_drill_unanswered_total") == 1.0


async def test_a_drill_is_not_announced_by_voice(house: House) -> None:
    session = house.open(drill=True, profile="meeting")
    house.drills.inject(session.id, "cust", State.SPOOF, by="trainer")
    for _ in range(20):
        house.clock.advance(1.0)
        house.calls.poll()
    kinds = {kind for kind, _ in house.outside.banners}
    assert "start" in kinds
    assert "say" not in kinds


async def test_a_real_call_takes_no_attack(house: House) -> None:
    real, drill = house.open(drill=False), house.open(drill=True)
    cases = [
        ("drill_only", real, "cust"),
        ("participant_not_analysed", drill, "agent"),
    ]
    for code, session, who in cases:
        with pytest.raises(PeerError) as caught:
            house.drills.inject(session.id, who, State.SPOOF, by="trainer")
        assert caught.value.code == code
    assert house.sent("alert") == []
    assert house.calls.inject(real.id, "cust", State.SPOOF) is None


async def test_one_attack_at_a_time_but_amber_may_become_red(house: House) -> None:
    session = house.open(drill=True)
    first = house.drills.inject(session.id, "cust", State.SUSPECT, by="trainer")
    with pytest.raises(PeerError) as caught:
        house.drills.inject(session.id, "cust", State.SUSPECT, by="trainer")
    assert caught.value.code == "drill_running"
    assert house.drills.inject(session.id, "cust", State.SPOOF, by="trainer") == first
    await house.act(session, "agent", Role.AGENT, "acknowledge", first, "drill over")
    house.clock.advance(61.0)
    assert house.drills.inject(session.id, "cust", State.SUSPECT, by="trainer") != first


def verdict(session: Session) -> dict[str, Any]:
    message = {
        "type": "verdict",
        "session": session.id,
        "participant": "cust",
        "at_s": 4.0,
        "state": "spoof",
        "llr": 5.0,
        "signals": {},
        "reasons": [],
        "decided_s": 0.0,
        "latency_s": 0.1,
    }
    return dict(json.loads(json.dumps(message)))


def test_the_label_is_on_the_wire_only_where_it_is_true() -> None:
    alert = Alert("a", "s", "p", State.SPOOF, None, (), {}, "at", "until")
    assert "drill" not in alert.as_json()
