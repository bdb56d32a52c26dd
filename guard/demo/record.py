"""What happened in a demonstration call, and the JSON object made of it.

Times are monotonic seconds as observed; ``t_s`` on the wire counts from the start of
the call, which is when the customer's media began to flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VOICE_SIGNALS = ("voice_spoof", "voice_replay", "speaker_change", "voice_match")
MISS_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class StateChange:
    """One observation of a participant's state."""

    at_s: float
    state: str
    llr: float | None


@dataclass(slots=True)
class AlertRecord:
    """One alert as the recipient's client saw it."""

    id: str
    participant: str
    recipient: str
    channel: str
    state: str
    decided_s: float | None
    received_s: float
    acked_s: float | None = None


@dataclass(slots=True)
class CallRecord:
    """Everything the demonstration observed."""

    start_s: float = 0.0
    end_s: float = 0.0
    roles: dict[str, str] = field(default_factory=dict)
    states: dict[str, list[StateChange]] = field(default_factory=dict)
    first_score_s: dict[str, float] = field(default_factory=dict)
    switches_s: list[float] = field(default_factory=list)
    alerts: list[AlertRecord] = field(default_factory=list)
    relay: dict[str, float] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    face_source: str | None = None

    def observe_state(self, at_s: float, event: Mapping[str, Any]) -> None:
        """Take one ``state`` event; repeated equal states keep their newest llr as a new point."""
        who = str(event["participant"])
        self.states.setdefault(who, []).append(StateChange(at_s, str(event["state"]), event.get("llr")))
        for signal, reading in dict(event.get("signals") or {}).items():
            if isinstance(reading, Mapping) and reading.get("llr") is not None:
                self.first_score_s.setdefault(f"{who}/{signal}", at_s)

    def first_alert_of(self, switch_s: float) -> AlertRecord | None:
        """Return the first alert received within ``MISS_AFTER_S`` of a switch and before the next one."""
        later = [s for s in self.switches_s if s > switch_s]
        until_s = min([switch_s + MISS_AFTER_S, *later])
        received = [a for a in self.alerts if switch_s <= a.received_s < until_s]
        return min(received, key=lambda a: a.received_s, default=None)

    def switch_of(self, alert: AlertRecord) -> float | None:
        """Return the switch an alert follows, None for an alert on the genuine part."""
        before = [s for s in self.switches_s if s <= alert.received_s < s + MISS_AFTER_S]
        return max(before, default=None)

    def red_while_genuine(self, suspect: str) -> bool:
        """Tell whether the participant turned red before the first switch."""
        first_s = min(self.switches_s, default=float("inf"))
        return any(c.state == "spoof" and c.at_s < first_s for c in self.states.get(suspect, ()))


def spread(values: Sequence[float], missed: int | None = None) -> dict[str, Any]:
    """Return median, p95 and count; None where there is nothing to take them of."""
    out: dict[str, Any] = {
        "median": round(float(np.median(values)), 3) if values else None,
        "p95": round(float(np.percentile(values, 95)), 3) if values else None,
        "n": len(values),
    }
    if missed is not None:
        out["missed"] = missed
    return out


def delays(call: CallRecord, suspect: str) -> dict[str, Any]:
    """Return the ``delays`` object; a switch without an alert is counted as missed."""
    first = [(switch, call.first_alert_of(switch)) for switch in call.switches_s]
    to_alert = [alert.received_s - switch for switch, alert in first if alert is not None]
    decided = [(a.received_s - a.decided_s) * 1000 for a in call.alerts if a.decided_s is not None]
    scored = {
        key.split("/", 1)[1]: at_s - call.start_s
        for key, at_s in call.first_score_s.items()
        if key.split("/", 1)[0] == suspect
    }
    voice = [at for name, at in scored.items() if name in VOICE_SIGNALS]
    face = [at for name, at in scored.items() if name not in VOICE_SIGNALS]
    return {
        "first_voice_score_s": round(min(voice), 3) if voice else None,
        "first_face_score_s": round(min(face), 3) if face else None,
        "switch_to_alert_s": spread(to_alert, missed=len(first) - len(to_alert)),
        "decision_to_received_ms": spread(decided),
    }


def outcome(call: CallRecord, suspect: str, *, switching: bool) -> tuple[bool, str]:
    """Return whether the demonstration showed what it must, and the plain reason."""
    if not call.states.get(suspect):
        return False, f"nothing was said of {suspect}: no state arrived"
    if all(change.state == "detector_down" for change in call.states[suspect]):
        return False, "the analysis process was down for the whole call"
    if call.red_while_genuine(suspect):
        return False, "the genuine caller was called a spoof"
    if not switching:
        scored = any(change.llr is not None for change in call.states[suspect])
        return (True, "nothing turned red") if scored else (False, "nothing was scored in the whole call")
    missed = [s for s in call.switches_s if call.first_alert_of(s) is None]
    if not call.switches_s:
        return False, "the call ended before the switch to synthetic media"
    if len(missed) == len(call.switches_s):
        return False, "no alert reached the agent after the switch to synthetic media"
    if missed:
        return (
            True,
            f"{len(call.switches_s) - len(missed)} of {len(call.switches_s)} switches raised an alert",
        )
    return True, "every switch to synthetic media raised an alert"


def as_json(call: CallRecord, suspect: str, *, switching: bool) -> dict[str, Any]:
    """Return the object that ``guard demo --json`` prints (the contract in docs/cli.md)."""
    ok, reason = outcome(call, suspect, switching=switching)

    def t_s(at_s: float | None) -> float | None:
        return None if at_s is None else round(at_s - call.start_s, 3)

    alerts = []
    for alert in sorted(call.alerts, key=lambda a: a.received_s):
        switch = call.switch_of(alert)
        alerts.append(
            {
                "id": alert.id,
                "participant": alert.participant,
                "recipient": alert.recipient,
                "channel": alert.channel,
                "state": alert.state,
                "decided_t_s": t_s(alert.decided_s),
                "received_t_s": t_s(alert.received_s),
                "acked_t_s": t_s(alert.acked_s),
                "delay_from_switch_s": None if switch is None else round(alert.received_s - switch, 3),
            }
        )
    return {
        "v": 1,
        "ok": ok,
        "reason": reason,
        "duration_s": round(call.end_s - call.start_s, 3),
        "switches_s": [t_s(s) for s in call.switches_s],
        "face_source": call.face_source,
        "participants": {
            who: {
                "role": role,
                "states": [
                    {"t_s": t_s(c.at_s), "state": c.state, "llr": c.llr} for c in call.states.get(who, ())
                ],
            }
            for who, role in call.roles.items()
        },
        "alerts": alerts,
        "delays": delays(call, suspect),
        "relay": {
            "cpu_s_per_call_s": call.relay.get("cpu_s_per_call_s"),
            "packets_forwarded": int(call.relay.get("packets_forwarded", 0)),
            "packets_lost": int(call.relay.get("packets_lost", 0)),
        },
        "models": dict(call.models),
    }
