"""What people decide about a warning, through actions, calls, policy and playbook together."""

from __future__ import annotations

from typing import Any

from guard.signalling.session import Session
from guard.types import Role, State
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
