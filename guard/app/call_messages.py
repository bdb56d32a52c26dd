"""Messages that reach the calls: acknowledgements of clients, verdicts of the analysis process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from guard.types import Signal, SignalState, State, Verdict

MAX_ACK_CHARS = 512


def parse_ack(text: str) -> str | None:
    """Return the alert id of an acknowledgement; None for anything else a client may send."""
    if len(text) > MAX_ACK_CHARS:
        return None
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("v") != 1 or body.get("type") != "ack":
        return None
    alert = body.get("id")
    return alert if isinstance(alert, str) else None


def read_verdict(message: Mapping[str, Any]) -> Verdict:
    """Return the Verdict of a message of the analysis process (``analysis.verdict_message``)."""
    signals = {
        Signal(name): SignalState(
            state["llr"], float(state["coverage"]), state["reason"], dict(state.get("details", {}))
        )
        for name, state in dict(message["signals"]).items()
    }
    return Verdict(
        session=str(message["session"]),
        participant=str(message["participant"]),
        at_s=float(message["at_s"]),
        state=State(message["state"]),
        llr=message["llr"],
        signals=signals,
        reasons=tuple(message["reasons"]),
    )
