"""Who may see which event: the one place that decides it.

Customers and guests see who is in the room and whether the call is held, nothing else.
Agents, hosts and operators also see states, alerts, challenges and acknowledgements of
others, never those about themselves: the suspect must not learn what guard thinks.
An event of an unknown type is treated like a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guard.signalling.tokens import Access

OPEN_TYPES = frozenset({"participants", "session"})


def may_see_state(access: Access, subject: str) -> bool:
    """Tell whether ``access`` may see states and alerts about participant ``subject``."""
    return access.watches and access.participant != subject


def may_see(access: Access, event: Mapping[str, Any]) -> bool:
    """Tell whether ``access`` may receive ``event``."""
    if event.get("type") in OPEN_TYPES:
        return True
    subject = event.get("participant")
    if not isinstance(subject, str):
        return False
    return may_see_state(access, subject)
