"""What people decide about a warning, through actions, calls, policy and playbook together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guard.errors import PeerError
from guard.relay.events import TrackEnded
from guard.signalling.ports import ActionKind
from guard.signalling.session import Session
from guard.signalling.tokens import Access
from guard.signalling.views import summary
from guard.types import Kind, Role, State, TrackKey
from tests.app.test_drills import House
from tests.app.test_drills import house as house_with_playbooks

house = house_with_playbooks


def verdict(house: House, session: Session, state: str, llr: float | None = 5.0) -> dict[str, Any]:
    return {
        "type": "verdict",
        "session": session.id,
        "participant": "cust",
        "at_s": 4.0,
        "state": state,
        "llr": llr,
        "signals": {"voice_spoof": {"llr": llr, "coverage": 1.0, "reason": None}},
        "reasons": ["voice_spoof_high"],
        "decided_s": house.clock.now(),
        "latency_s": 0.1,
    }


async def test_a_failed_check_reaches_people_after_an_amber_they_had_seen(house: House) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "suspect", 3.5))
    (alert,) = house.sent("alert")
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert["id"])
    house.outside.channel.clear()
    house.outside.webhook.clear()
    house.clock.advance(90.0)
    house.calls.check_failed(session.id, "cust")
    (told,) = house.sent("alert")
    assert (told["state"], told["id"] != alert["id"]) == ("suspect", True)
    assert told in house.outside.webhook


async def test_a_failed_check_is_shown_and_told_though_the_camera_is_closed_at_once(house: House) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "bona_fide", -3.0))
    house.calls.check_failed(session.id, "cust")
    house.calls.on_relay(TrackEnded(TrackKey(session.id, "cust", Kind.VIDEO)))
    assert session.participant("cust").state is State.SUSPECT
    assert [body["state"] for body in house.sent("alert")] == ["suspect"]
    assert [body["state"] for body in house.outside.webhook if body["type"] == "alert"] == ["suspect"]
    opened = [body for _, kind, body in house.records if kind == "playbook"]
    assert [body["state"] for body in opened if body["step"] == "notice"] == ["started"]


async def test_a_check_that_fails_within_the_minute_of_an_amber_is_new_to_the_playbook_too(
    house: House,
) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "suspect", 3.5))
    (alert,) = house.sent("alert")
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert["id"], "known")
    house.clock.advance(10.0)
    house.calls.check_failed(session.id, "cust")
    assert house.sent("alert")[-1]["id"] == alert["id"], "at most one id a minute"
    steps = [
        body["state"] for _, kind, body in house.records if kind == "playbook" and body["step"] == "notice"
    ]
    assert steps == ["started", "done", "closed", "started"]


async def test_what_was_decided_about_amber_is_refused_where_it_is_red_by_now(house: House) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "suspect", 3.5))
    (amber,) = house.sent("alert")
    house.clock.advance(10.0)
    house.calls.on_analysis(verdict(house, session, "spoof"))
    assert house.sent("alert")[-1]["id"] == amber["id"]

    async def acknowledge(state: State | None) -> None:
        who, kind = Access(session.id, "agent", Role.AGENT), ActionKind.ACKNOWLEDGE
        await house.actions.perform(who, session.id, kind, alert=amber["id"], reason="a cold", state=state)

    with pytest.raises(PeerError) as caught:
        await acknowledge(State.SUSPECT)
    assert caught.value.code == "state_graver"
    assert (session.participant("cust").state, list(session.decisions)) == (State.SPOOF, [])
    assert not session.alerts[amber["id"]].answered
    await acknowledge(State.SPOOF)
    assert [m["type"] for m in house.outside.analysis].count("acknowledge") == 1
    house.clock.advance(3.0)
    house.calls.on_analysis(verdict(house, session, "spoof"))
    await acknowledge(None)
    assert [m["type"] for m in house.outside.analysis].count("acknowledge") == 2, (
        "who names no state is taken"
    )


async def test_what_people_wrote_is_kept_for_those_who_watch_and_nowhere_else(house: House) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "spoof"))
    alert = house.sent("alert")[0]["id"]
    boss, suspect = Access(session.id, "boss", Role.OPERATOR), Access(session.id, "cust", Role.CUSTOMER)
    reader = house.sessions.subscribe(session, boss)
    await house.act(session, "agent", Role.AGENT, "hold", alert)
    await house.act(session, "boss", Role.OPERATOR, "hold", alert, "payment 7 held")
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert, "called back")
    kept = summary(session, boss)["decisions"]
    done = [(d["by"], d["action"], d["reason"]) for d in kept]
    assert done == [("boss", "hold", "payment 7 held"), ("agent", "acknowledge", "called back")]
    assert {(d["participant"], d["id"]) for d in kept} == {("cust", alert)}
    assert summary(session, suspect)["decisions"] == []
    reasons = []
    while (event := await reader.next(0.01)) is not None:
        reasons += [event["reason"]] if event["type"] == "acknowledged" else []
    assert reasons == [None, "payment 7 held", "called back"]
    outside = house.outside
    elsewhere = json.dumps([house.records, house.logged, outside.webhook, outside.channel, outside.analysis])
    assert ("payment 7 held" in elsewhere, "called back" in elsewhere) == (False, False)


async def test_a_red_that_was_seen_and_left_can_be_closed_by_what_the_view_names(house: House) -> None:
    session = house.open(drill=False)
    boss = Access(session.id, "boss", Role.OPERATOR)

    def named() -> str | None:
        known: str | None = summary(session, boss)["participants"][0]["alert"]
        return known

    house.calls.on_analysis(verdict(house, session, "spoof"))
    alert = house.sent("alert")[0]["id"]
    assert named() == alert
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert)
    house.calls.on_relay(TrackEnded(TrackKey(session.id, "cust", Kind.VIDEO)))
    house.clock.advance(600.0)
    house.calls.poll()
    house.calls.analysis_down("closed")
    assert (session.participant("cust").state, named()) == (State.DETECTOR_DOWN, alert)
    house.calls.analysis_up()
    assert (session.participant("cust").state, named()) == (State.SPOOF, alert)
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert, "called back")
    assert (session.participant("cust").state, named()) == (State.UNDECIDED, None), "no verdict need follow"


async def test_a_red_settled_while_nothing_is_examined_is_not_shown_as_waiting(house: House) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "spoof"))
    house.calls.analysis_down("closed")
    person = session.participant("cust")
    assert list(person.reasons) == ["detector_down", "waiting_for_person"]
    await house.act(session, "agent", Role.AGENT, "acknowledge", house.sent("alert")[0]["id"], "called back")
    assert (person.state, list(person.reasons), person.alert) == (
        State.DETECTOR_DOWN,
        ["detector_down"],
        None,
    )


async def test_a_notice_acknowledged_with_a_reason_releases_neither_red_nor_a_failed_check(
    house: House,
) -> None:
    session = house.open(drill=False)
    house.calls.on_analysis(verdict(house, session, "spoof"))
    house.calls.analysis_down("closed")
    notice = next(a["id"] for a in house.sent("alert") if a["state"] == "detector_down")
    await house.act(session, "agent", Role.AGENT, "acknowledge", notice, "restart known")
    assert not [m for m in house.outside.analysis if m["type"] == "acknowledge"]
    assert "closed" not in [body.get("state") for _, kind, body in house.records if kind == "playbook"]
    house.calls.analysis_up()
    assert session.participant("cust").state is State.SPOOF
