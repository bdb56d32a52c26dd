"""What participants say over their data channels: acknowledgements, and answers to checks.

Nobody's messages are waited for, and nobody's flood is anybody else's: each participant has as many
messages a second as a page's socket; what is beyond, or no message at all, is dropped and counted.
"""

from __future__ import annotations

import asyncio

from guard.app.call_messages import parse_ack
from guard.app.call_ports import ChecksFace
from guard.clock import Clock
from guard.errors import GuardError, PeerError
from guard.signalling.actions import Actions
from guard.signalling.check_messages import CheckMessage
from guard.signalling.closing import Budget
from guard.signalling.messages import parse_message

MAX_CHECK_CHARS = 8192
# as many as a page's socket takes (``RoomsConfig``)
CHANNEL_RATE_HZ = 20.0


class ChannelInbox:
    """Takes the messages of the data channels of all running sessions.

    Args:
        clock: time.
        actions: checks and applies acknowledgements.
        checks: the active checks.
    """

    def __init__(self, clock: Clock, actions: Actions, checks: ChecksFace) -> None:
        self._clock, self._actions, self._checks = clock, actions, checks
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.bad = 0

    def take(self, session: str, participant: str, text: str) -> None:
        """Take one message of a participant of a running session."""
        now = self._clock.now()
        budget = self._budgets.setdefault((session, participant), Budget(CHANNEL_RATE_HZ, now))
        try:
            budget.spend(now)
        except PeerError:
            self.bad += 1
            return
        alert = parse_ack(text)
        if alert is None:
            self._answer(session, participant, text)
            return
        task = asyncio.get_running_loop().create_task(self._acknowledge(session, participant, alert))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, session: str) -> None:
        """Forget a session's participants."""
        for who in [who for who in self._budgets if who[0] == session]:
            del self._budgets[who]

    async def settled(self) -> None:
        """Wait until the acknowledgements that have arrived are carried out."""
        await asyncio.gather(*self._tasks)

    def _answer(self, session: str, participant: str, text: str) -> None:
        """Take what is no acknowledgement: who has no page answers checks by this channel."""
        try:
            message = parse_message(text) if len(text) <= MAX_CHECK_CHARS else None
        except PeerError:
            message = None
        if isinstance(message, CheckMessage):
            self._checks.page_says(session, participant, message)
        else:
            self.bad += 1

    async def _acknowledge(self, session: str, participant: str, alert: str) -> None:
        try:
            await self._actions.acknowledge(session, participant, alert)
        except GuardError:
            self.bad += 1
