"""The playbooks of all calls: what policy decides to do becomes messages, questions to the bank, and checks.

    alert, person's action, bank's answer, check's result -> Playbook -> event, record, question, check

Runs in the relay process's loop; no method waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from guard.alert import Alert
from guard.app.alarms import ANSWERED, AlarmReason, Alarms
from guard.clock import Clock, rfc3339
from guard.errors import PeerError
from guard.policy.drill import labelled
from guard.policy.plan import StepName
from guard.policy.playbook import Playbook
from guard.policy.profile import Profile
from guard.policy.steps import AskBank, BankAnswer, Happened, Out, Standing, StartChallenge
from guard.policy.texts import Texts
from guard.signalling.ports import Action, ActionKind
from guard.signalling.session import Participant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import WATCHERS
from guard.types import Role, State


class MessagePort(Protocol):
    """The data channels."""

    def send(self, session: str, participant: str, text: str) -> bool:
        """Send text to a participant; False where no channel is open."""


class BankPort(Protocol):
    """The bank's system."""

    def ask(self, question: Mapping[str, Any], limit_s: float, answered: Callable[..., None]) -> None:
        """Send a question; ``answered`` is told ``confirmed`` or ``refused`` and the operation's name."""


@dataclass(frozen=True, slots=True)
class PlaybookPorts:
    """Where steps go.

    Args:
        messages: data channels.
        alarms: the console alarm.
        bank: None where no webhook is set: a hold is then a person's alone, and told loudly.
        want_check: begins a check of (session, participant, kind) as soon as it can.
        settles: whether an acknowledgement of (session, alert) with a reason settles what people were warned
            of; one of a notice, or of what is over, does not.
        webhook: takes what is loud, for the site's systems.
        record: takes (session, type, body) for the signed records.
        error: takes an event name and keys, for what must not be overlooked.
        count: counts (step, state).
        reacted: told (session, participant, reaction, by) of what people do; for drills.
    """

    messages: MessagePort
    alarms: Alarms
    bank: BankPort | None
    want_check: Callable[[str, str, str], None]
    settles: Callable[[str, str], bool]
    webhook: Callable[[Mapping[str, Any]], None]
    record: Callable[[str, str, Mapping[str, Any]], None]
    error: Callable[..., None]
    count: Callable[[str, str], None]
    reacted: Callable[[str, str, str, str], None] = lambda *_: None


@dataclass(slots=True)
class _Book:
    playbook: Playbook
    profile: Profile
    session: Session
    # suspects whose state is not suspect or spoof any more
    clear: set[str] = field(default_factory=set)


_LOUD = {
    Standing.FAILED: AlarmReason.HOLD_FAILED,
    Standing.OVERDUE: AlarmReason.HOLD_FORGOTTEN,
}


class Playbooks:
    """Keeps one playbook per session and carries out its steps.

    Args:
        clock: time.
        sessions: who is in which call; events are published there.
        texts: what people are told.
        profile_of: loads a profile by name.
        ports: where steps go.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sessions: Sessions,
        texts: Texts,
        profile_of: Callable[[str], Profile],
        ports: PlaybookPorts,
    ) -> None:
        self._clock, self._sessions, self._texts = clock, sessions, texts
        self._profile_of = profile_of
        self._ports = ports
        self._books: dict[str, _Book] = {}
        self._timer: asyncio.TimerHandle | None = None
        sessions.listen(opened=self._opened, joined=self._joined, ended=self._ended, stated=self._stated)

    # -- what comes in

    def told(self, alert: Alert) -> None:
        """People are told of an alert."""
        book = self._books.get(alert.session)
        if book is not None:
            book.clear.discard(alert.participant)
            now = self._clock.now()
            self._take(book, book.playbook.on_alert(alert.participant, alert.id, alert.state, now))

    def decide(self, action: Action, role: Role) -> bool:
        """Take a person's permitted action, before it is applied (``Operations``).

        Returns:
            Whether it was about an operation; then the call itself is left as it is.

        Raises:
            PeerError: ``alert_missing``, ``step_unknown``, ``hold_missing`` or ``second_person_needed``.
            AccessError: ``release_forbidden``.
        """
        book = self._books.get(action.session)
        if book is None:
            return False
        playbook, now = book.playbook, self._clock.now()
        if action.alert is None:
            if action.kind is ActionKind.CALL_BACK:
                raise PeerError("alert_missing", "say which alert the call back belongs to, in 'alert'")
            return False
        match action.kind:
            case ActionKind.ACKNOWLEDGE:
                self._acknowledged(book, action, now)
                return False
            case ActionKind.CALL_BACK:
                outs = playbook.call_back(action.alert, action.by, now)
            case ActionKind.HOLD if playbook.holds_operations:
                outs = playbook.hold(action.alert, action.by, action.reason, now)
            case ActionKind.RELEASE if playbook.holds_operations:
                outs = playbook.release(action.alert, action.by, role, now)
            case _:
                return False
        self._take(book, outs)
        self._ports.reacted(action.session, self._suspect(action), action.kind.value, action.by)
        return True

    def check_over(self, session: str, participant: str, result: str) -> None:
        """A check of a participant has come to its end."""
        book = self._books.get(session)
        if book is not None:
            self._take(book, book.playbook.on_challenge(participant, result, self._clock.now()))

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _acknowledged(self, book: _Book, action: Action, now: float) -> None:
        assert action.alert is not None
        suspect = self._suspect(action)
        self._take(book, book.playbook.on_ack(action.alert, action.by))
        self._ports.alarms.stop(action.session, action.alert, *ANSWERED)
        self._ports.reacted(action.session, suspect, action.kind.value, action.by)
        if action.reasoned and self._ports.settles(action.session, action.alert):
            self._take(book, book.playbook.on_clear(suspect, now, action.by))

    def _suspect(self, action: Action) -> str:
        assert action.alert is not None
        return self._books[action.session].session.alerts[action.alert].participant

    def _opened(self, session: Session) -> None:
        profile = self._profile_of(session.profile)
        self._books[session.id] = _Book(Playbook(profile), profile, session)

    def _joined(self, session: Session, participant: Participant) -> None:
        book = self._books.get(session.id)
        if book is not None and participant.suspectable:
            self._take(book, book.playbook.on_join(participant.id))

    def _stated(self, session: Session, participant: Participant) -> None:
        book = self._books.get(session.id)
        alarming = participant.state in (State.SUSPECT, State.SPOOF, State.DETECTOR_DOWN)
        if book is None or alarming or participant.id in book.clear:
            return
        book.clear.add(participant.id)
        self._take(book, book.playbook.on_clear(participant.id, self._clock.now()))

    def _ended(self, session: Session) -> None:
        book = self._books.pop(session.id, None)
        if book is not None:
            self._take(book, book.playbook.end())

    # -- what goes out

    def _take(self, book: _Book, outs: Sequence[Out]) -> None:
        for out in outs:
            match out:
                case Happened():
                    self._happened(book, out)
                case AskBank():
                    self._ask(book, out)
                case StartChallenge():
                    self._ports.want_check(book.session.id, out.suspect, out.kind)
        self._arm()

    def _happened(self, book: _Book, out: Happened) -> None:
        session = book.session
        if not session.drill:
            self._ports.count(out.step.value, out.state.value)
        roles = [r for r in (out.to or book.profile.tell) if r in WATCHERS] if out.text else []
        event = {
            "v": 1,
            "type": "playbook",
            "session": session.id,
            "participant": out.suspect,
            "id": out.alert,
            "step": out.step.value,
            "state": out.state.value,
            "by": out.by,
            "to": [role.value for role in roles],
            "text": self._words(session, out.text),
            "at": rfc3339(self._clock.utc()),
            "details": dict(out.details),
        }
        if session.drill:
            event["drill"] = True
        self._ports.record(session.id, "drill" if session.drill else "playbook", _for_record(event))
        self._sessions.publish(session.id, event)
        text = json.dumps(event, ensure_ascii=False, allow_nan=False)
        for person in session.participants.values():
            if person.role in roles and person.id != out.suspect:
                self._ports.messages.send(session.id, person.id, text)
        if out.loud:
            self._ports.webhook(event)
            self._loud(session, out)
        self._quiet(session, out)

    def _words(self, session: Session, key: str | None) -> dict[str, str] | None:
        if key is None:
            return None
        words = self._texts.all(key)
        return labelled(words, self._texts) if session.drill else words

    def _loud(self, session: Session, out: Happened) -> None:
        keys = {"session": session.id, "alert": out.alert, "hold": out.details.get("hold")}
        reason = _LOUD.get(out.state)
        if reason is None:  # left open: the call is over, and no console of it is left to ring
            self._ports.error("hold_left_open", **keys)
            return
        if out.text == "playbook.release_failed":
            reason = AlarmReason.RELEASE_FAILED
        self._ports.error(reason.value, **keys)
        self._ports.alarms.ring(session.id, out.suspect, out.alert, reason)

    def _quiet(self, session: Session, out: Happened) -> None:
        """What is settled does not go on ringing."""
        if out.step is not StepName.HOLD:
            return
        stops = {
            Standing.CONFIRMED: (AlarmReason.HOLD_FAILED,),
            Standing.RELEASED: (AlarmReason.HOLD_FAILED, AlarmReason.HOLD_FORGOTTEN),
            Standing.DONE: (AlarmReason.RELEASE_FAILED,),
        }.get(out.state)
        if stops is not None:
            self._ports.alarms.stop_about(session.id, out.suspect, *stops)

    def _ask(self, book: _Book, out: AskBank) -> None:
        if self._ports.bank is None:
            answer = partial(self._answered, book.session.id, out, "refused", None)
            asyncio.get_running_loop().call_soon(answer)
            return
        question = {
            "v": 1,
            "type": "hold",
            "id": out.hold,
            "session": book.session.id,
            "participant": out.suspect,
            "alert": out.alert,
            "state": out.state.value,
            "by": out.by,
            **({"drill": True} if book.session.drill else {}),
        }
        limit_s = book.profile.playbook.confirm_s
        self._ports.bank.ask(question, limit_s, partial(self._answered, book.session.id, out))

    def _answered(self, session: str, asked: AskBank, said: str, operation: str | None) -> None:
        book = self._books.get(session)
        if book is not None:
            outs = book.playbook.on_bank(asked, BankAnswer(said), operation, self._clock.now())
            self._take(book, outs)

    # -- time

    def _arm(self) -> None:
        """Wake up when the next step is overdue or the bank's time is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [d for book in self._books.values() if (d := book.playbook.deadline()) is not None]
        if due:
            delay_s = max(min(due) - self._clock.now(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.poll)

    def poll(self) -> None:
        """Take what has become due."""
        self._timer = None
        now = self._clock.now()
        for book in list(self._books.values()):
            deadline = book.playbook.deadline()
            if deadline is not None and deadline <= now:
                self._take(book, book.playbook.poll(now))
        self._arm()


def _for_record(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an event is written down: everything but the words and what the record has itself."""
    return {key: event[key] for key in event if key not in ("v", "type", "session", "text")}
