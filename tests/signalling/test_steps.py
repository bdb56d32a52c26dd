"""What a page or console that opens late is shown of the playbook and the alarms."""

from __future__ import annotations

from typing import Any

from guard.clock import ManualClock
from guard.signalling.session import NewParticipant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access
from guard.signalling.views import open_steps
from guard.types import Role


def call() -> tuple[Sessions, Session]:
    sessions = Sessions(ManualClock())
    return sessions, sessions.create(None, [NewParticipant("cust", Role.CUSTOMER)])


def step(session: Session, name: str, state: str, about: str = "cust") -> dict[str, Any]:
    event = {"v": 1, "type": "playbook", "session": session.id, "participant": about}
    return {**event, "step": name, "state": state}


def seen(session: Session, who: str, role: Role) -> list[tuple[str, str]]:
    events = open_steps(session, Access(session.id, who, role))
    return [(str(e.get("step", e["type"])), str(e.get("state", e.get("reason")))) for e in events]


def test_the_latest_standing_of_each_step_is_kept_in_the_order_of_change() -> None:
    sessions, session = call()
    for name, state in (("hold", "advised"), ("challenge", "advised"), ("hold", "requested")):
        sessions.publish(session.id, step(session, name, state))
    assert seen(session, "agent", Role.AGENT) == [("challenge", "advised"), ("hold", "requested")]


def test_what_is_closed_is_forgotten_for_that_participant_alone() -> None:
    sessions, session = call()
    for about in ("cust", "other"):
        sessions.publish(session.id, step(session, "hold", "advised", about))
    sessions.publish(session.id, step(session, "notice", "closed", "other"))
    assert [e["participant"] for e in open_steps(session, Access(session.id, "a", Role.AGENT))] == ["cust"]


def test_the_one_it_is_about_and_other_customers_see_nothing() -> None:
    sessions, session = call()
    sessions.publish(session.id, step(session, "hold", "advised"))
    for who, role in (("cust", Role.CUSTOMER), ("cust", Role.AGENT), ("guest", Role.GUEST)):
        assert seen(session, who, role) == []


def test_alarms_are_for_operators_and_security_while_they_ring() -> None:
    sessions, session = call()
    alarm = {"v": 1, "type": "alarm", "session": session.id, "participant": "cust", "id": "a1"}
    ringing = {**alarm, "reason": "unanswered", "ringing": True}
    sessions.publish(session.id, ringing, set())
    for role, shown in ((Role.OPERATOR, 1), (Role.SECURITY, 1), (Role.AGENT, 0), (Role.CUSTOMER, 0)):
        assert len(seen(session, "x", role)) == shown
    sessions.publish(session.id, {**ringing, "ringing": False}, set())
    assert seen(session, "x", Role.OPERATOR) == []
