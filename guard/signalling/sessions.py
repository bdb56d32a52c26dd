"""The calls that exist now: their participants, what is known of each, and who listens to events.

In memory only; a session that ended is remembered by id so that late comers get
``session_ended`` and not a new call.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from guard.alert import Alert
from guard.clock import Clock, rfc3339
from guard.errors import ConfigError, NotFoundError, Overload, PeerError
from guard.reasons import NEED_A_PERSON
from guard.signalling.hub import Event, Hub, Subscription
from guard.signalling.session import (
    SUSPECTABLE,
    NewParticipant,
    Participant,
    Phase,
    SentAlert,
    Session,
)
from guard.signalling.tokens import ID_RULE, Access, forbidden, valid_id
from guard.signalling.views import people, standing
from guard.types import ALERTING, Role, Signal, SignalState, State


@dataclass(frozen=True, slots=True)
class SessionsConfig:
    """Limits of the registry.

    Args:
        profile: policy profile of sessions that do not name one.
        max_sessions: sessions at a time.
        max_participants: people in one session.
        max_readers: open event streams and pages of one session.
        queue_events: events kept for one slow reader before the oldest is dropped.
        remembered_alerts: alerts of one session that can still be acknowledged; the newest warning of each
            participant is always kept.
        remembered_ended: ended session ids that are remembered.
        unused_s: a session that nobody has joined for so long is ended.
        empty_s: the same once everybody has left.
    """

    profile: str = "meeting"
    max_sessions: int = 200
    max_participants: int = 12
    max_readers: int = 64
    queue_events: int = 256
    remembered_alerts: int = 256
    remembered_ended: int = 10_000
    unused_s: float = 8 * 3600.0
    empty_s: float = 1800.0

    def __post_init__(self) -> None:
        for name in ("max_sessions", "max_participants", "max_readers", "queue_events", "remembered_alerts"):
            if getattr(self, name) < 1:
                raise ConfigError("config_invalid", f"sessions.{name} must be at least 1")
        if self.unused_s <= 0 or self.empty_s <= 0:
            raise ConfigError("config_invalid", "sessions.unused_s and empty_s must be above zero")
        if self.remembered_ended < self.max_sessions:
            raise ConfigError("config_invalid", "sessions.remembered_ended must not be below max_sessions")


class Sessions:
    """Registry of sessions; every change is published to the session's readers."""

    def __init__(
        self,
        clock: Clock,
        config: SessionsConfig | None = None,
        *,
        profiles: Collection[str] = (),
        suspectable: Callable[[str, Role], bool] = lambda _, role: role in SUSPECTABLE,
    ) -> None:
        """Start empty.

        Args:
            profiles: profile names that may be asked for; empty takes only the default one.
            suspectable: whether a profile (by name) has people of a role analysed; asked where
                the session does not say it.
        """
        self._clock = clock
        self._config = config or SessionsConfig()
        self._profiles = frozenset(profiles) | {self._config.profile}
        self._suspectable = suspectable
        self._sessions: dict[str, Session] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._dropped = 0
        self._on_open: list[Callable[[Session], None]] = []
        self._on_join: list[Callable[[Session, Participant], None]] = []
        self._on_end: list[Callable[[Session], None]] = []
        self._on_state: list[Callable[[Session, Participant], None]] = []

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    @property
    def dropped_events(self) -> int:
        """Events lost by slow readers of all sessions so far."""
        return self._dropped + sum(session.hub.dropped for session in self._sessions.values())

    def listen(
        self,
        *,
        opened: Callable[[Session], None] | None = None,
        joined: Callable[[Session, Participant], None] | None = None,
        ended: Callable[[Session], None] | None = None,
        stated: Callable[[Session, Participant], None] | None = None,
    ) -> None:
        """Call back when a session opens, a participant is added or gets a state, or it ends."""
        if opened:
            self._on_open.append(opened)
        if joined:
            self._on_join.append(joined)
        if ended:
            self._on_end.append(ended)
        if stated:
            self._on_state.append(stated)

    def create(
        self, profile: str | None, participants: Sequence[NewParticipant], *, drill: bool = False
    ) -> Session:
        """Open a session under a fresh random id.

        Args:
            profile: None takes the default one.
            participants: who is expected.
            drill: whether it is a training call; everything in it is labelled.

        Raises:
            PeerError: unknown profile, wrong or repeated ids, too many people.
            Overload: ``sessions_full``.
        """
        name = secrets.token_urlsafe(12)
        return self._open(name, profile or self._config.profile, participants, drill=drill)

    def get(self, session: str) -> Session:
        """Return a running session.

        Raises:
            NotFoundError: ``session_ended`` (HTTP 410) or ``session_unknown``.
        """
        found = self._sessions.get(session)
        if found is not None:
            return found
        if session in self._ended:
            raise NotFoundError("session_ended", "this call has ended")
        raise NotFoundError("session_unknown", "no such session; it may have ended before a restart")

    def language_of(self, session: str, participant: str) -> str | None:
        """Return the language somebody joined in; None where the call is over or they joined by no page."""
        running = self._sessions.get(session)
        person = running.participants.get(participant) if running else None
        return person.language if person else None

    def admit(self, access: Access) -> tuple[Session, Participant]:
        """Return the session and participant of a token that wants to join.

        A token that ``may_open`` makes the session; a participant who was not listed is added.

        Raises:
            NotFoundError: no such session, or it ended.
            AccessError: the session knows the participant under another role.
            Overload: ``participants_full`` or ``sessions_full``.
        """
        if access.may_open and access.session not in self._sessions and access.session not in self._ended:
            self._open(
                access.session, self._config.profile, [NewParticipant(access.participant, access.role)]
            )
        session = self.get(access.session)
        known = session.participants.get(access.participant)
        if known is None:
            known = self._add(session, NewParticipant(access.participant, access.role))
            self.announce(session)
        if known.role is not access.role:
            raise forbidden("the session knows this participant under another role")
        return session, known

    def hold(self, session: str, *, held: bool) -> None:
        """Put a call on hold, or take it off."""
        found = self.get(session)
        found.phase = Phase.HELD if held else Phase.OPEN
        found.hub.publish({"v": 1, "type": "session", "session": session, "state": found.phase.value})

    def end(self, session: str) -> None:
        """End a call: tell every reader, remember the id, forget the rest.

        Raises:
            NotFoundError: it does not run.
        """
        found = self.get(session)
        found.phase = Phase.ENDED
        found.hub.publish({"v": 1, "type": "session", "session": session, "state": found.phase.value})
        found.hub.close()
        self._dropped += found.hub.dropped
        del self._sessions[session]
        self._ended[session] = None
        while len(self._ended) > self._config.remembered_ended:
            self._ended.popitem(last=False)
        for callback in self._on_end:
            callback(found)

    def announce(self, session: Session) -> None:
        """Publish who is in the room now; call it after every change of that."""
        if session.empty:
            session.empty_since = self._clock.now()
        else:
            session.used = True
        session.hub.publish({"v": 1, "type": "participants", "session": session.id, **people(session)})

    def update_state(
        self,
        session: str,
        participant: str,
        *,
        state: State,
        llr: float | None,
        signals: Mapping[Signal, SignalState],
        reasons: Sequence[str] = (),
    ) -> None:
        """Keep what guard makes of a participant now, and why, and publish it.

        A session that ended meanwhile, or a participant it does not have, is left alone:
        verdicts arrive from another process and may be late.
        """
        found = self._sessions.get(session)
        known = found.participants.get(participant) if found else None
        if found is None or known is None:
            return
        known.state, known.llr, known.signals, known.reasons = state, llr, dict(signals), tuple(reasons)
        if state not in ALERTING and not NEED_A_PERSON.intersection(reasons):
            known.alert = None
        found.hub.publish(
            {
                "v": 1,
                "type": "state",
                "session": session,
                "participant": participant,
                **standing(known),
                "at": rfc3339(self._clock.utc()),
            }
        )
        for callback in self._on_state:
            callback(found, known)

    def publish(self, session: str, event: Event, recipients: Collection[str] | None = None) -> None:
        """Send an event to the readers who may see it (``visibility.py``); late ones are left alone.

        Args:
            event: ``Alert.as_json()`` or another object with ``type``; an alert is remembered
                so that it can be acknowledged and shown to people who join later.
            recipients: participants to tell; None tells everyone whose role watches. Operators
                always are, the one it is about never is.
        """
        found = self._sessions.get(session)
        if found is None:
            return
        if event.get("type") == "alert":
            self._remember(found, event, recipients)
        elif event.get("type") == "playbook":
            found.note_step(event)
        elif event.get("type") == "alarm":
            found.note_alarm(event)
        found.hub.publish(event, recipients)

    def decided(self, session: Session, event: Event) -> None:
        """Publish what a person did about an alert, and keep the reason they gave."""
        dated = {**event, "at": rfc3339(self._clock.utc())}
        if event["reason"] is not None:
            session.decisions.append(dated)
        session.hub.publish(dated)

    def publish_alert(self, alert: Alert, recipients: Collection[str] | None = None) -> None:
        """Publish one alert of the policy."""
        self.publish(alert.session, alert.as_json(), recipients)

    def subscribe(self, session: Session, access: Access) -> Subscription:
        """Open an event stream; give it back with ``session.hub.unsubscribe``.

        Raises:
            Overload: ``readers_full``.
        """
        if len(session.hub) >= self._config.max_readers:
            raise Overload("readers_full", "too many open pages and event streams in this session")
        return session.hub.subscribe(access)

    def sweep(self) -> None:
        """End sessions that have been empty for too long; also done before a new one is refused a place."""
        now = self._clock.now()
        for session in self:
            limit_s = self._config.empty_s if session.used else self._config.unused_s
            if session.empty and now - session.empty_since >= limit_s:
                self.end(session.id)

    def close(self) -> None:
        """End every session (shutdown)."""
        for session in list(self._sessions):
            self.end(session)

    def _open(
        self, session: str, profile: str, participants: Sequence[NewParticipant], *, drill: bool = False
    ) -> Session:
        self.sweep()
        if len(self._sessions) >= self._config.max_sessions:
            raise Overload("sessions_full", "this server has no room for another session now")
        if profile not in self._profiles:
            raise PeerError(
                "profile_unknown", f"no such profile; there are {', '.join(sorted(self._profiles))}"
            )
        hub = Hub(self._config.queue_events, {"drill": True} if drill else None)
        opened = Session(session, profile, hub, drill=drill, empty_since=self._clock.now())
        if len({person.id for person in participants}) < len(participants):
            raise PeerError("participant_repeated", "two participants have the same id")
        for count, person in enumerate(participants):
            self._check(person, count)
        self._sessions[session] = opened
        for callback in self._on_open:
            callback(opened)
        for person in participants:
            self._add(opened, person)
        return opened

    def _remember(self, session: Session, event: Event, recipients: Collection[str] | None) -> None:
        name, told = str(event["id"]), None if recipients is None else frozenset(recipients)
        about = session.participants.get(str(event["participant"]))
        if about is not None and event["state"] != State.DETECTOR_DOWN.value:
            about.alert = name
        before = session.alerts.get(name)
        if before is None:
            session.alerts[name] = SentAlert(event, told)
            self._forget_alerts(session)
            return
        before.event, before.answered = event, False  # sent again: nobody has answered this occasion
        if before.recipients is None or told is None:
            before.recipients = None
        else:
            before.recipients |= told

    def _forget_alerts(self, session: Session) -> None:
        """Forget the oldest; never the newest warning of anybody, by which alone a red may be released."""
        alerts, down = session.alerts, State.DETECTOR_DOWN.value
        newest = {a.participant: name for name, a in alerts.items() if a.event["state"] != down}
        for name in [name for name, a in alerts.items() if newest.get(a.participant) != name]:
            if len(alerts) <= self._config.remembered_alerts:
                return
            del alerts[name]

    def _check(self, person: NewParticipant, others: int) -> None:
        if not valid_id(person.id):
            raise PeerError("id_invalid", f"a participant id is {ID_RULE}")
        if others >= self._config.max_participants:
            raise Overload("participants_full", f"a session takes {self._config.max_participants} people")

    def _add(self, session: Session, person: NewParticipant) -> Participant:
        self._check(person, len(session.participants))
        suspectable = person.suspectable
        if suspectable is None:
            suspectable = self._suspectable(session.profile, person.role)
        added = Participant(person.id, person.role, suspectable)
        session.participants[person.id] = added
        for callback in self._on_join:
            callback(session, added)
        return added
