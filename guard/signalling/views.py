"""Sessions as they look on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from guard.signalling.hub import Event
from guard.signalling.session import Participant, Session
from guard.signalling.tokens import Access
from guard.signalling.visibility import may_see, may_see_state


def people(session: Session) -> dict[str, Any]:
    """Return who is in the room, without anything guard thinks of them."""
    return {
        "participants": [
            {"id": p.id, "role": p.role.value, "connected": p.connected, "publishing": p.publishing}
            for p in session.participants.values()
        ]
    }


def standing(participant: Participant) -> dict[str, Any]:
    """Return state, llr, signals, reasons and the alert that settles the state as they go on the wire."""
    return {
        "state": participant.state.value,
        "llr": participant.llr,
        "signals": {
            name.value: {
                "llr": s.llr,
                "coverage": s.coverage,
                "reason": s.reason,
                **({"details": dict(s.details)} if s.details else {}),
            }
            for name, s in participant.signals.items()
        },
        "reasons": list(participant.reasons),
        "alert": participant.alert,
    }


def drill_label(session: Session) -> dict[str, Any]:
    """Return the key that marks a training call; none for a real one."""
    return {"drill": True} if session.drill else {}


def summary(session: Session, access: Access) -> dict[str, Any]:
    """Return the contract's session object as ``access`` may see it.

    What may not be seen (one's own standing) is null, not invented.
    """
    hidden: dict[str, Any] = {"state": None, "llr": None, "signals": {}, "reasons": [], "alert": None}
    return {
        **drill_label(session),
        "id": session.id,
        "profile": session.profile,
        "state": session.phase.value,
        "participants": [
            {"id": p.id, "role": p.role.value, **(standing(p) if may_see_state(access, p.id) else hidden)}
            for p in session.participants.values()
        ],
        "decisions": decisions(session, access),
    }


def decisions(session: Session, access: Access) -> list[dict[str, Any]]:
    """Return who did what about which alert, and why, as ``access`` may see it; oldest first."""
    keys = ("at", "by", "action", "participant", "id", "reason")
    return [{key: event[key] for key in keys} for event in session.decisions if may_see(access, event)]


def open_alerts(session: Session, access: Access, now: datetime) -> list[Event]:
    """Return the alerts nobody has answered and that have not expired, as ``access`` may see them."""
    return [
        alert.event
        for alert in session.alerts.values()
        if not alert.answered
        and may_see(access, alert.event, alert.recipients)
        and not _expired(alert.event, now)
    ]


def open_steps(session: Session, access: Access) -> list[Event]:
    """Return where the steps of the playbook stand and what rings, as ``access`` may see them."""
    steps = [event for event in session.steps.values() if may_see(access, event)]
    return steps + [event for event in session.alarms.values() if may_see(access, event, frozenset())]


def _expired(alert: Event, now: datetime) -> bool:
    text = alert.get("expires_at")
    return isinstance(text, str) and datetime.fromisoformat(text) <= now
