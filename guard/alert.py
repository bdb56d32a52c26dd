"""The message that people and systems receive about a participant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from guard.types import State


@dataclass(frozen=True, slots=True)
class Alert:
    """The message people and systems receive; ``as_json`` is the wire contract; ``drill`` only where true.

    ``signals`` point to spoof, strongest first; ``reasons`` are codes for the state, as in ``Verdict``.
    """

    id: str
    session: str
    participant: str
    state: State
    llr: float | None
    signals: Sequence[str]
    advice: Mapping[str, str]
    at: str
    expires_at: str
    drill: bool = False
    reasons: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the contract's object, ready for ``json.dumps``."""
        lists = {"signals": list(self.signals), "reasons": list(self.reasons)}
        body = {"v": 1, "type": "alert", **asdict(self), **lists, "state": self.state.value}
        return body if self.drill else {key: body[key] for key in body if key != "drill"}
