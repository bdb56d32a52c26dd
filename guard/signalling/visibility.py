"""Who may see which event: the one place that decides it.

Everybody in a room sees who is in it and whether the call is held. Agents, hosts and
operators also see states, alerts, challenges and acknowledgements of others; customers and
guests only what the policy addressed to them by name (a meeting may warn everybody).
Nobody is shown anything about themselves: the suspect must not learn what guard thinks. The
commands of a check go to the one who is to follow them, and to nobody else. An event of an
unknown type is treated like a state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from guard.signalling.tokens import Access
from guard.types import Role

OPEN_TYPES = frozenset({"participants", "session"})
OWN_TYPES = frozenset({"check_begins", "command", "check_over"})
ADDRESSED_TYPES = frozenset({"mutual"})


def may_see_state(access: Access, subject: str) -> bool:
    """Tell whether ``access`` may see the state of participant ``subject``."""
    return access.watches and access.participant != subject


def may_see(access: Access, event: Mapping[str, Any], recipients: Collection[str] | None = None) -> bool:
    """Tell whether ``access`` is to receive ``event``.

    Args:
        recipients: participants the event is addressed to, None for everyone whose role watches.
    """
    if event.get("type") in OPEN_TYPES:
        return True
    subject = event.get("participant")
    if event.get("type") in OWN_TYPES:
        return isinstance(subject, str) and access.participant == subject
    if event.get("type") in ADDRESSED_TYPES:
        return recipients is not None and access.participant in recipients
    if not isinstance(subject, str) or access.participant == subject:
        return False
    if recipients is None or access.role in (Role.OPERATOR, Role.SECURITY):
        return access.watches
    return access.participant in recipients
