"""The console alarm: rings where nobody answered, something was not delivered, or a hold is in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from guard.signalling.session import Session
from guard.signalling.sessions import Sessions


class AlarmReason(StrEnum):
    """Why an alarm rings."""

    UNANSWERED = "unanswered"
    DELIVERY_FAILED = "delivery_failed"
    HOLD_FAILED = "hold_failed"
    RELEASE_FAILED = "release_failed"
    HOLD_FORGOTTEN = "hold_forgotten"


ANSWERED = (AlarmReason.UNANSWERED, AlarmReason.DELIVERY_FAILED)
"""What an acknowledgement of the alert stops; a hold in doubt goes on ringing."""


@dataclass(frozen=True, slots=True)
class _Alarm:
    session: str
    alert: str
    reason: AlarmReason


class Alarms:
    """Every alarm that rings now; each rings once until it is stopped.

    Args:
        sessions: operators, agents, hosts and security of the session see the event.
        log: takes an event name and keys.
    """

    def __init__(self, sessions: Sessions, log: Callable[..., None]) -> None:
        self._sessions = sessions
        self._log = log
        self._ringing: dict[_Alarm, str] = {}
        sessions.listen(ended=self._ended)

    def ring(self, session: str, suspect: str, alert: str, reason: AlarmReason) -> None:
        """Begin one alarm; one that rings already goes on."""
        alarm = _Alarm(session, alert, reason)
        if all(running.id != session for running in self._sessions):
            return  # nobody is left to hear it, and nothing would ever stop it
        if alarm not in self._ringing:
            self._ringing[alarm] = suspect
            self._say(alarm, suspect, ringing=True)

    def stop(self, session: str, alert: str, *reasons: AlarmReason) -> None:
        """Stop the alarms of an alert: those of the named reasons, or all."""
        for alarm in list(self._ringing):
            if (alarm.session, alarm.alert) == (session, alert) and (not reasons or alarm.reason in reasons):
                self._say(alarm, self._ringing.pop(alarm), ringing=False)

    def stop_about(self, session: str, suspect: str, *reasons: AlarmReason) -> None:
        """Stop the alarms of the named reasons about a participant, whichever alert they rang for."""
        for alarm, about in list(self._ringing.items()):
            if (alarm.session, about) == (session, suspect) and alarm.reason in reasons:
                self._say(alarm, self._ringing.pop(alarm), ringing=False)

    def _say(self, alarm: _Alarm, suspect: str, *, ringing: bool) -> None:
        name = "alarm_rings" if ringing else "alarm_stopped"
        self._log(name, session=alarm.session, alert=alarm.alert, reason=alarm.reason.value)
        event = {
            "v": 1,
            "type": "alarm",
            "session": alarm.session,
            "participant": suspect,
            "id": alarm.alert,
            "reason": alarm.reason.value,
            "ringing": ringing,
        }
        # addressed to nobody in the call: operators see every event, and the console is theirs
        self._sessions.publish(alarm.session, event, set())

    def _ended(self, session: Session) -> None:
        for alarm in [a for a in self._ringing if a.session == session.id]:
            del self._ringing[alarm]
