"""The calls as a whole: relay events and verdicts in, deliveries out. The only owner of policies.

    relay event ----\\
    verdict ---------> Calls -> sessions (what pages and readers see)
    person's action -/       \\-> policy -> Deliverer -> channels

Runs in the relay process's loop; every method is short and none waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from guard.app.alert_ages import AlertAges
from guard.app.call_messages import read_verdict
from guard.app.call_ports import AlertCounter, AnalysisPort, ChecksFace, Counters, MediaPort
from guard.app.channel_inbox import ChannelInbox
from guard.app.deliver import Deliverer
from guard.app.settling import Settling
from guard.clock import Clock
from guard.policy.config import AlertsConfig
from guard.policy.engine import Policy
from guard.policy.messages import Action as DeliveryAction
from guard.policy.messages import Delivery, Party
from guard.policy.profile import Profile
from guard.policy.texts import Texts
from guard.relay.events import (
    ChannelMessage,
    ChannelOpen,
    PeerClosed,
    PeerConnected,
    RelayEvent,
    TrackEnded,
    TrackPublished,
)
from guard.signalling.actions import Actions
from guard.signalling.messages import DeviceMessage
from guard.signalling.ports import Action
from guard.signalling.session import Participant, Session
from guard.signalling.sessions import Sessions
from guard.types import ALERTING, State, Verdict


class Calls:
    """Keeps sessions, policies and the analysis process in step.

    Args:
        profile_of: loads a profile by name.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sessions: Sessions,
        deliverer: Deliverer,
        media: MediaPort,
        analysis: AnalysisPort,
        counters: Counters,
        drills: AlertCounter,
        alerts: AlertsConfig,
        texts: Texts,
        profile_of: Callable[[str], Profile],
    ) -> None:
        self._clock = clock
        self._sessions = sessions
        self._deliverer = deliverer
        self._media = media
        self._analysis = analysis
        self._counters = counters
        self._ages = AlertAges(counters, drills, lambda session: sessions.get(session).profile)
        self._alerts = alerts
        self._texts = texts
        self._profile_of = profile_of
        self._policies: dict[str, Policy] = {}
        self._settling = Settling(
            clock=clock,
            policies=self._policies,
            analysis=analysis,
            ages=self._ages,
            carry_out=self._carry_out,
            reset=self._unknown,
        )
        self._old_acks: Counter[str] = Counter()
        self._inbox: ChannelInbox | None = None
        self._lost: Callable[[str], None] = lambda _: None
        self._checks: ChecksFace | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._analysis_up = False
        sessions.listen(opened=self._opened, joined=self._joined, ended=self._ended)

    def attach(self, actions: Actions, lost: Callable[[str], None], checks: ChecksFace) -> None:
        """Give it what was built after it.

        Args:
            actions: checks and applies a person's acknowledgement.
            lost: told the id of a connection the media plane has closed.
            checks: the active checks.
        """
        self._inbox = ChannelInbox(self._clock, actions, checks)
        self._lost = lost
        self._checks = checks

    @property
    def bad_messages(self) -> int:
        """Messages of data channels that were dropped: no message, too many, or not permitted."""
        return 0 if self._inbox is None else self._inbox.bad

    def acks(self) -> Counter[str]:
        """Return the acknowledgements so far, by outcome."""
        real = [policy.acks for policy in self._policies.values() if not policy.drill]
        return sum(real, self._old_acks.copy())

    def page(self, session: str, participant: str, is_open: bool) -> None:
        """A participant's call page has connected or gone."""
        policy = self._policies.get(session)
        if policy is not None and self._checks is not None:
            if is_open:
                self._checks.look_again(session)
            else:
                self._checks.page_gone(session, participant)
        if policy is not None:
            self._carry_out(policy.has_page(participant, is_open, self._clock.now()))

    def device(self, session: str, participant: str, report: DeviceMessage) -> None:
        """A participant's page says what camera it uses; of people who are not analysed it is not kept."""
        policy = self._policies.get(session)
        if policy is not None and policy.suspectable(participant):
            who = {"session": session, "participant": participant}
            self._analysis.send({"type": "device", **who, "report": report.model_dump(exclude={"v", "type"})})
            if self._checks is not None:
                self._checks.device(session, participant, report)

    def check_failed(self, session: str, participant: str) -> None:
        """An active check of the participant had its negative result: it is shown and told at once."""
        policy = self._policies.get(session)
        if policy is None:
            return
        now = self._clock.now()
        deliveries = policy.check_failed(participant, now, self._clock.utc())
        self._ages.note(deliveries, now, drill=policy.drill)
        known = self._sessions.get(session).participant(participant)
        shown = Verdict(session, participant, 0.0, known.state, known.llr, known.signals, known.reasons)
        self._show(policy, shown)
        self._carry_out(deliveries, 0.0)

    def judged(self, session: str, participant: str) -> bool:
        """Return whether a participant is analysed."""
        policy = self._policies.get(session)
        return policy is not None and policy.suspectable(participant)

    # -- the session's life

    def _opened(self, session: Session) -> None:
        profile = self._profile_of(session.profile)
        self._policies[session.id] = Policy(
            profile, session.id, config=self._alerts, texts=self._texts, drill=session.drill
        )
        self._analysis.send({"type": "session", "session": session.id, "profile": session.profile})

    def _joined(self, session: Session, participant: Participant) -> None:
        party = Party(participant.id, participant.role, participant.suspectable)
        policy = self._policies[session.id]
        self._carry_out(policy.join(party, self._clock.now()))
        if not policy.suspectable(participant.id):
            return
        self._media.tap_participant(session.id, participant.id)
        if not self._analysis_up:
            self._show_down(session, participant)

    def _ended(self, session: Session) -> None:
        policy = self._policies.pop(session.id, None)
        for participant in session.participants:
            if policy is not None:
                self._carry_out(policy.leave(participant))
            self._media.tap_participant(session.id, participant, on=False)
            self._forget(session.id, participant)
        if policy is not None and not policy.drill:
            self._old_acks += policy.acks
        if self._inbox is not None:
            self._inbox.ended(session.id)
        self._analysis.send({"type": "session_ended", "session": session.id})

    def _forget(self, session: str, participant: str) -> None:
        self._analysis.send({"type": "forget", "session": session, "participant": participant})

    # -- from the relay

    def on_relay(self, event: RelayEvent) -> None:
        """Take one event of the relay."""
        match event:
            case ChannelOpen(session, participant):
                self._channel(session, participant, is_open=True)
            case ChannelMessage(session, participant, text):
                if self._inbox is not None and session in self._policies:
                    self._inbox.take(session, participant, text)
            case PeerClosed(peer, session, participant, _):
                self._lost(peer)
                self._channel(session, participant, is_open=False)
            case TrackEnded(key):
                self._forget(key.session, key.participant)
                self._reset(key.session, key.participant)
            case TrackPublished(key):
                if self._checks is not None and key.session in self._policies:
                    self._checks.look_again(key.session)
            case PeerConnected():
                pass

    def _channel(self, session: str, participant: str, *, is_open: bool) -> None:
        policy = self._policies.get(session)
        if policy is not None:
            if self._checks is not None:
                self._checks.channel(session, participant, is_open)
            self._carry_out(policy.has_channel(participant, is_open, self._clock.now()))

    # -- from the analysis process

    def on_analysis(self, message: Mapping[str, Any]) -> None:
        """Take one message of the analysis process: a verdict, or one about a check."""
        if str(message.get("type")).startswith("check_") and self._checks is not None:
            self._checks.on_analysis(message)
        if message.get("type") != "verdict":
            return
        verdict = read_verdict(message)
        policy = self._policies.get(verdict.session)
        # what is found of people who play a drill is theirs: it is neither shown nor counted
        if policy is None or policy.drill or not policy.suspectable(verdict.participant):
            return
        age_s = max(self._clock.now() - float(message["decided_s"]), 0.0)
        if message.get("latency_s") is not None:
            self._counters.verdict(float(message["latency_s"]))
        self._judge(policy, verdict, age_s)

    def inject(self, session: str, participant: str, state: State) -> str | None:
        """Tell of a participant of a drill as if it had been found.

        Returns:
            The alert's id; None where no alert about them could be told at once.
        """
        policy = self._policies.get(session)
        if policy is None or not policy.drill or not policy.would_tell(participant, state, self._clock.now()):
            return None
        return _newest(self._judge(policy, Verdict(session, participant, 0.0, state, None), 0.0))

    def may_alarm(self, session: str, participant: str) -> bool:
        """Return whether an alert about a participant would be told at once, be it amber or red."""
        policy = self._policies.get(session)
        return policy is not None and policy.would_tell(participant, State.SUSPECT, self._clock.now())

    def found(self, verdict: Verdict, age_s: float) -> str | None:
        """Tell what the detectors found ``age_s`` ago of the synthetic media of a drill.

        Returns:
            The id of the alert that is told of it, where one is.
        """
        policy = self._policies.get(verdict.session)
        if policy is None or not policy.drill or not policy.suspectable(verdict.participant):
            return None
        return _newest(self._judge(policy, verdict, age_s))

    def drill_over(self, session: str, participant: str) -> None:
        """No more is found for a drill of a participant; what was told stays until a person acts."""
        found = next((s for s in self._sessions if s.id == session), None)
        known = found.participants.get(participant) if found else None
        if known is not None and known.state not in ALERTING:
            self._reset(session, participant)

    def _judge(self, policy: Policy, verdict: Verdict, age_s: float) -> list[Delivery]:
        """Tell a verdict that was reached ``age_s`` ago; returns what was told of it."""
        now = self._clock.now()
        decided_utc = self._clock.utc() - timedelta(seconds=age_s)
        self._carry_out(policy.on_state(verdict.participant, verdict.state, now, decided_utc))
        deliveries = policy.on_verdict(verdict, now, decided_utc)
        self._ages.note(deliveries, now - age_s, drill=policy.drill)
        self._show(policy, verdict)
        self._carry_out(deliveries, age_s)
        return deliveries

    def _show(self, policy: Policy, verdict: Verdict) -> None:
        """Show a verdict with what the policy keeps until a person acts, through reconnects and restarts."""
        who = verdict.participant
        self._sessions.update_state(
            verdict.session,
            who,
            state=policy.state(who, verdict.state),
            llr=verdict.llr,
            signals=verdict.signals,
            reasons=policy.reasons(who, verdict.state, verdict.reasons),
        )

    def analysis_up(self) -> None:
        """The analysis process works (again): tell it of every session, take DETECTOR_DOWN back."""
        self._analysis_up = True
        for session in self._sessions:
            self._analysis.send({"type": "session", "session": session.id, "profile": session.profile})
            for participant in session.participants.values():
                if participant.state is State.DETECTOR_DOWN:
                    self._reset(session.id, participant.id)
        if self._checks is not None:
            self._checks.analysis_up()

    def analysis_down(self, reason: str) -> None:
        """The analysis process is gone: every analysed participant is shown so at once."""
        del reason
        self._analysis_up = False
        if self._checks is not None:
            self._checks.analysis_down()
        for session in self._sessions:
            for participant in list(session.participants.values()):
                if self._policies[session.id].suspectable(participant.id):
                    self._show_down(session, participant)

    def _show_down(self, session: Session, participant: Participant) -> None:
        down = State.DETECTOR_DOWN
        policy = self._policies[session.id]
        self._show(policy, Verdict(session.id, participant.id, 0.0, down, None, reasons=(down.value,)))
        self._carry_out(policy.on_state(participant.id, down, self._clock.now(), self._clock.utc()))

    def _reset(self, session: str, participant: str) -> None:
        """Nothing is known of the participant any more: undecided, never better, or still red."""
        if not self._analysis_up:
            return
        policy = self._policies.get(session)
        if policy is None:
            return
        nothing = Verdict(session, participant, 0.0, State.UNDECIDED, None, reasons=("no_evidence",))
        self._show(policy, nothing)
        self._carry_out(policy.on_state(participant, nothing.state, self._clock.now(), self._clock.utc()))

    def _unknown(self, session: str, participant: str) -> None:
        """Show that what was known of the participant has been settled."""
        if self._analysis_up:
            self._reset(session, participant)
        else:
            found = self._sessions.get(session)
            self._show_down(found, found.participant(participant))

    # -- from people

    def settles(self, session: str, alert: str) -> bool:
        """Return whether an acknowledgement of an alert with a reason settles what people were warned of."""
        return self._settling.settles(session, alert)

    def check(self, action: Action) -> None:
        """Refuse an acknowledgement of what has become worse since the person saw it (``ActionSink``)."""
        self._settling.check(action)

    async def act(self, action: Action) -> None:
        """Take a permitted action (``ActionSink``); an acknowledgement with a reason releases the latch."""
        self._settling.act(action)

    # -- time

    def _carry_out(self, deliveries: Iterable[Delivery], age_s: float | None = None) -> None:
        self._deliverer.carry_out(deliveries, age_s)
        self._arm()

    def _arm(self) -> None:
        """Wake up when the next repeat, escalation or expiry is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [d for policy in self._policies.values() if (d := policy.deadline()) is not None]
        if due:
            delay_s = max(min(due) - self._clock.now(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.poll)

    def poll(self) -> None:
        """Tell what has become due."""
        self._timer = None
        now = self._clock.now()
        for policy in list(self._policies.values()):
            deadline = policy.deadline()
            if deadline is not None and deadline <= now:
                deliveries = policy.poll(now)
                self._ages.note(deliveries, now, drill=policy.drill)
                self._deliverer.carry_out(deliveries)
        self._arm()

    async def settled(self) -> None:
        """Wait until the acknowledgements that have arrived are carried out."""
        if self._inbox is not None:
            await self._inbox.settled()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()


def _newest(deliveries: Sequence[Delivery]) -> str | None:
    """Return the id of the alert that deliveries tell of; None where they only end some."""
    return next((d.alert.id for d in reversed(deliveries) if d.action is not DeliveryAction.STOP), None)
