"""The active checks in the relay process: who is checked, what goes on whose screen, what is recorded.

    POST .../challenges, policy -> Checks -> analysis process -> command -> page
    attempt of the analysis process -> Checks -> signed record, event to those who watch

Judging is not done here: the analysis process alone sees pictures (``check_runner.py``).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guard.app.check_memory import CheckMemory
from guard.app.check_ports import AnalysisPort, ClientClaim, MessagePort, Recorder
from guard.app.check_words import (
    begin_event,
    command_event,
    dated,
    mutual_event,
    mutual_statement,
    over_event,
    result_event,
    running_event,
)
from guard.app.running_check import MUTUAL, RunningCheck
from guard.app.wanted_checks import WantedChecks
from guard.clock import Clock
from guard.errors import GuardError, Overload, PeerError
from guard.policy.texts import Texts
from guard.signalling.check_messages import (
    CheckMessage,
    ClientMessage,
    ComparedMessage,
    NeedsMessage,
    ShownMessage,
)
from guard.signalling.messages import DeviceMessage
from guard.signalling.session import Session
from guard.signalling.sessions import Sessions
from guard.workers.wire import Message

# longer than any check with every repeat: one that is not over by then is lost
MAX_CHECK_S = 1200.0
MUTUAL_S = 120.0


class Checks:
    """Every check of every session.

    Args:
        clock: time.
        sessions: who is in which call; results are published there.
        analysis: the process that judges.
        messages: data channels.
        recorder: signed records.
        texts: what is shown, in every language.
        judged: whether a participant of a session is analysed.
        listens: whether spoken words are written down now; where they are not, no check of words can pass.
        graded: grades what a page said of itself for the record, with the seconds its screen took (None: it
            never said).
        done: told (session, participant, kind, result, again) after each attempt.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sessions: Sessions,
        analysis: AnalysisPort,
        messages: MessagePort,
        recorder: Recorder,
        texts: Texts,
        judged: Callable[[str, str], bool],
        listens: Callable[[], bool],
        graded: Callable[[ClientClaim, list[float | None]], Mapping[str, Any]],
        done: Callable[[str, str, str, str, bool], None] = lambda *_: None,
    ) -> None:
        self._clock, self._sessions, self._analysis = clock, sessions, analysis
        self._messages, self._recorder, self._texts = messages, recorder, texts
        self._judged, self._graded, self._done = judged, graded, done
        self._running: dict[tuple[str, str], RunningCheck] = {}
        self._memory = CheckMemory()
        self._claims: dict[tuple[str, str], ClientClaim] = {}
        self._channels: set[tuple[str, str]] = set()
        self._wanted = WantedChecks(sessions, listens, self.start)
        sessions.listen(ended=self._ended)

    # -- beginning

    def start(
        self,
        session: str,
        participant: str,
        kind: str,
        *,
        language: str,
        by: str,
        needs: Sequence[str] = (),
        instead_of: str | None = None,
    ) -> str:
        """Begin a check and return its id (``ChecksPort``).

        Args:
            instead_of: the kind that policy wanted and that could not pass here; it is recorded and told.

        Raises:
            PeerError: ``challenge_not_analysed``, ``challenge_absent`` or ``challenge_running``.
            Overload: ``analysis_unavailable``.
        """
        found = self._sessions.get(session)
        self._check_possible(found, participant, kind)
        check = secrets.token_urlsafe(12)
        running = RunningCheck(check, session, participant, kind, language, by, found.drill, instead_of)
        self._running[running.who] = running
        client = self._graded(self._claims.get(running.who, ClientClaim()), [])
        if kind == MUTUAL:
            self._start_mutual(running, found)
        elif not self._begin(running, client, needs):
            del self._running[running.who]
            raise _unavailable()
        limit_s = MUTUAL_S if kind == MUTUAL else MAX_CHECK_S
        reason = "mutual_unanswered" if kind == MUTUAL else "check_lost"
        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(limit_s, self._give_up, running, reason)
        self._recorder.record(session, "challenge_begun", {**running.head(), "client": client})
        self._say_running(running, begun=True)
        if kind != MUTUAL:
            head = {"id": running.id, "participant": participant, "needs": list(needs)}
            self._to_person(running, begin_event(head, kind, self._texts))
        return running.id

    def _begin(self, running: RunningCheck, client: Mapping[str, Any], needs: Sequence[str]) -> bool:
        head = {"check_kind": running.kind, "language": running.language, "needs": list(needs)}
        more = {"before": self._memory.told(running.who), "claims_llr": client["weighs_llr"]}
        return self._tell(running, "check_start", **head, **more)

    def want(self, session: str, participant: str, kind: str) -> None:
        """Begin a check as soon as it can begin (``WantedChecks.want``)."""
        self._wanted.want(session, participant, kind)

    def look_again(self, session: str) -> None:
        """Somebody came, opened a page or channel, or sends media: begin what was waiting for it."""
        self._wanted.look_again(session)

    def channel(self, session: str, participant: str, is_open: bool) -> None:
        """A participant's data channel has opened or closed: a screen for those without a page."""
        if is_open:
            self._channels.add((session, participant))
            self.look_again(session)
        else:
            self._channels.discard((session, participant))
            found = next((s for s in self._sessions if s.id == session), None)
            person = found.participants.get(participant) if found else None
            if person is None or not person.connected:
                self.page_gone(session, participant)

    def _check_possible(self, session: Session, participant: str, kind: str) -> None:
        person = session.participant(participant)
        if kind != MUTUAL and not self._judged(session.id, participant):
            raise PeerError(
                "challenge_not_analysed", "this participant is not analysed; check somebody who is"
            )
        if not (person.connected or (session.id, participant) in self._channels):
            text = "this participant has neither page nor data channel open, so nothing can be shown to them"
            raise PeerError("challenge_absent", f"{text}; wait until they have joined")
        if (session.id, participant) in self._running:
            raise PeerError("challenge_running", "a check of this participant runs already; wait for its end")
        if kind != MUTUAL and not self._analysis.up:
            raise _unavailable()

    def _start_mutual(self, running: RunningCheck, session: Session) -> None:
        code = f"{secrets.randbelow(1_000_000):06d}"
        sides = {running.participant, running.by} & set(session.participants)
        watching = {p.id for p in session.participants.values() if p.role.value in ("agent", "host")}
        statement = mutual_statement(running, code, self._clock.utc())
        event = mutual_event(running, code, self._recorder.badge(statement), self._texts)
        self._sessions.publish(running.session, event, frozenset(sides | watching))

    # -- from pages and data channels

    def page_says(self, session: str, participant: str, message: CheckMessage) -> None:
        """Take what somebody's page says; of checks of others, or that are over, nothing is taken."""
        if isinstance(message, ClientMessage):
            self._claim(session, participant, client=message)
            return
        running = self._running.get((session, participant))
        if running is None or running.id != message.id:
            return
        match message:
            case ShownMessage():
                self._tell(running, "check_shown", number=message.number, step=message.step)
            case NeedsMessage():
                self._tell(running, "check_needs", needs=message.needs)
            case ComparedMessage():
                if running.kind == MUTUAL:
                    result, reason = ("pass", "codes_equal") if message.same else ("fail", "codes_different")
                    self._finish(running, result, reason)

    def device(self, session: str, participant: str, report: DeviceMessage) -> None:
        """Keep what a participant's page last said of its camera, for the record."""
        self._claim(session, participant, device=report)

    def _claim(
        self,
        session: str,
        participant: str,
        *,
        client: ClientMessage | None = None,
        device: DeviceMessage | None = None,
    ) -> None:
        old = self._claims.get((session, participant), ClientClaim())
        self._claims[session, participant] = ClientClaim(client or old.client, device or old.device)

    # -- from the analysis process

    def on_analysis(self, message: Mapping[str, Any]) -> None:
        """Take a message about a check that runs; any other is dropped."""
        running = self._running.get((str(message["session"]), str(message["participant"])))
        if running is None or running.id != message["id"]:
            return
        self._memory.take(running.who, message)
        if message["type"] == "check_show":
            self._show(running, message)
        elif message["type"] == "check_attempt":
            self._attempt_over(running, message)

    def analysis_up(self) -> None:
        """The analysis process works (again): begin what waited for it."""
        self._wanted.look_everywhere()

    def analysis_down(self) -> None:
        """The analysis process is gone or silent: checks that need pictures end, there too if it wakes."""
        for running in [r for r in self._running.values() if r.kind != MUTUAL]:
            self._give_up(running, "detector_down")

    def page_gone(self, session: str, participant: str) -> None:
        """The participant's page or channel has gone; where it was the last, the check ends."""
        running = self._running.get((session, participant))
        if (session, participant) in self._channels:
            return
        if running is not None and running.kind == MUTUAL:
            self._finish(running, "inconclusive", "participant_left")
        elif running is not None:
            self._tell(running, "check_cancel", reason="participant_left")

    def _show(self, running: RunningCheck, message: Mapping[str, Any]) -> None:
        running.attempt = int(message["attempt"])
        self._to_person(running, command_event(message, self._texts))

    def _attempt_over(self, running: RunningCheck, message: Mapping[str, Any]) -> None:
        running.attempt = int(message["attempt"])
        keys = ("attempt", "result", "reason", "again", "other_commands")
        now, utc = self._clock.now(), self._clock.utc()
        commands = [dated(command, now, utc) for command in message["commands"]]
        shown = [s for c in message["commands"] for s in c["shown_after_s"]]
        claim = self._claims.get(running.who, ClientClaim())
        body = {
            **running.head(),
            **{key: message[key] for key in keys},
            "commands": commands,
            "passive": message["passive"],
            "client": self._graded(claim, shown),
        }
        self._conclude(running, str(message["result"]), str(message["reason"]), bool(message["again"]), body)

    # -- ending

    def _give_up(self, running: RunningCheck, reason: str) -> None:
        if self._running.get(running.who) is not running:
            return
        if running.kind != MUTUAL:  # it must not end there on its own, unrecorded
            self._tell(running, "check_cancel", reason=reason)
        self._finish(running, "inconclusive", reason)

    def _finish(self, running: RunningCheck, result: str, reason: str) -> None:
        """End a check that the analysis process did not end."""
        body = {**running.head(), "attempt": running.attempt, "result": result, "reason": reason}
        self._conclude(running, result, reason, False, {**body, "again": False})

    def _conclude(
        self, running: RunningCheck, result: str, reason: str, again: bool, body: Mapping[str, Any]
    ) -> None:
        self._recorder.record(running.session, "challenge_attempt", body)
        if not again:
            self._running.pop(running.who, None)
            running.stop()
        head = {"id": running.id, "participant": running.participant, "attempt": running.attempt}
        self._to_person(running, over_event(head, result, self._texts, again=again))
        self._sessions.publish(running.session, result_event(head, result, reason))
        if not again:
            self._say_running(running, begun=False)
        self._done(running.session, running.participant, running.kind, result, again)

    def _ended(self, session: Session) -> None:
        for running in [r for r in self._running.values() if r.session == session.id]:
            self._finish(running, "inconclusive", "call_ended")
        for who in [w for w in self._claims if w[0] == session.id]:
            del self._claims[who]
        self._wanted.forget(session.id)
        self._channels = {who for who in self._channels if who[0] != session.id}
        self._memory.forget(session.id)

    def close(self) -> None:
        """Stop the timers."""
        for running in self._running.values():
            running.stop()

    # -- ways out

    def _say_running(self, running: RunningCheck, *, begun: bool) -> None:
        head = {"id": running.id, "participant": running.participant}
        event = running_event(head, running.kind, running.by, running=begun)
        self._sessions.publish(running.session, {**event, **running.replaced})

    def _to_person(self, running: RunningCheck, event: dict[str, Any]) -> None:
        """Show it to the person who is checked, by page and by data channel; the page takes it once."""
        self._sessions.publish(running.session, event)
        text = json.dumps(event, ensure_ascii=False, allow_nan=False)
        self._messages.send(running.session, running.participant, text)

    def _tell(self, running: RunningCheck, kind: str, **more: Any) -> bool:
        head: Message = {"type": kind, "id": running.id, "session": running.session}
        return self._analysis.send({**head, "participant": running.participant, **more})


def _unavailable() -> GuardError:
    text = "the analysis process does not work now; try again when the console shows it up"
    return Overload("analysis_unavailable", text)
