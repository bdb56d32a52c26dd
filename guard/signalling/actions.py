"""What people decide: who may acknowledge, hold, release and end, and what that changes."""

from __future__ import annotations

from guard.errors import NotFoundError, PeerError
from guard.signalling.ports import Action, ActionKind, ActionSink, Operations
from guard.signalling.session import Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access, forbidden
from guard.types import State

MAX_REASON_CHARS = 500


class Actions:
    """Checks a decision, applies it to the session and hands it to the rest of the house."""

    def __init__(self, sessions: Sessions, sink: ActionSink, operations: Operations | None = None) -> None:
        self._sessions = sessions
        self._sink = sink
        self._operations = operations

    async def perform(
        self,
        access: Access,
        session: str,
        kind: ActionKind,
        *,
        alert: str | None,
        reason: str | None,
        state: State | None = None,
    ) -> None:
        """Carry out one decision of the holder of ``access``.

        Args:
            state: what the alert said that they decided about; refused where it is worse by now.

        Raises:
            AccessError: ``token_forbidden``; customers and guests decide nothing and may only
                acknowledge an alert that was addressed to them.
            NotFoundError: the session or the alert does not exist.
            PeerError: the reason is too long, an acknowledgement names no alert, ``state_graver``, or the
                playbook refuses (``Operations``).
        """
        access.require_session(session)
        if not access.watches and (kind is not ActionKind.ACKNOWLEDGE or reason):
            raise forbidden("only agents, hosts, operators and security decide about a call")
        found = self._sessions.get(session)
        if reason is not None and len(reason) > MAX_REASON_CHARS:
            raise PeerError("reason_too_long", f"a reason has at most {MAX_REASON_CHARS} characters")
        if alert is not None:
            self._check_alert(found, alert, access)
        elif kind is ActionKind.ACKNOWLEDGE:
            raise PeerError("alert_missing", "say which alert is acknowledged: its id in 'alert'")
        action = Action(session, access.participant, kind, alert, reason, state)
        self._sink.check(action)
        operation = self._operations is not None and self._operations.decide(action, access.role)
        self._apply(found, action, operation=operation)
        await self._sink.act(action)

    async def acknowledge(self, session: str, participant: str, alert: str) -> None:
        """Take an acknowledgement that came over a participant's own data channel.

        Raises:
            GuardError: as ``perform``; also for a participant the session does not have.
        """
        known = self._sessions.get(session).participant(participant)
        access = Access(session, participant, known.role)
        await self.perform(access, session, ActionKind.ACKNOWLEDGE, alert=alert, reason=None)

    def _check_alert(self, session: Session, alert: str, access: Access) -> None:
        sent = session.alerts.get(alert)
        told = sent is not None and (access.watches or access.participant in (sent.recipients or ()))
        # what one was not told is as unknown as what never was: the answer must not reveal it
        if sent is None or not told or sent.participant == access.participant:
            raise NotFoundError("alert_unknown", "no such alert in this session")

    def _apply(self, session: Session, action: Action, *, operation: bool) -> None:
        alert, kind = action.alert, action.kind
        if alert is not None:
            session.alerts[alert].answered = True
            event = {
                "v": 1,
                "type": "acknowledged",
                "session": session.id,
                "id": alert,
                "participant": session.alerts[alert].participant,
                "action": kind.value,
                "by": action.by,
                "reason": action.reason if action.reasoned else None,
            }
            self._sessions.decided(session, event)
        if operation:
            return  # the bank's operation is on hold, not the call: the person in question notices nothing
        if kind in (ActionKind.HOLD, ActionKind.RELEASE):
            self._sessions.hold(session.id, held=kind is ActionKind.HOLD)
        elif kind is ActionKind.END:
            self._sessions.end(session.id)
