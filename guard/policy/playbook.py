"""What happens after a warning, step by step: events in, steps out. No clock, no I/O.

Rules, all in this file:

1. A run begins with an alert about a participant and with the notice; there is no other way in.
2. Steps open in the profile's order: one opens when those before it are done or overdue, and only in
   a state that starts it. A graver state opens what the milder one left out.
3. At most one hold is open for a participant. Whatever its state, it can be released.
4. With ``second_person``, who took part in the hold, or called back, does not release it. Where guard
   held it and no person has a hand in it, the first who wants it released asks, the second releases.
5. A hold or release that the bank's system does not confirm in time is told loudly.
6. Nothing here ends a call, and nothing is undone by time alone: overdue is told, not acted on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from guard.errors import AccessError, PeerError
from guard.policy.engine import new_alert_id
from guard.policy.holds import Hold, HoldState
from guard.policy.plan import Autonomy, StepName, StepTable
from guard.policy.profile import Profile
from guard.policy.steps import AskBank, BankAnswer, BankState, Happened, Out, Standing, StartChallenge
from guard.types import Role, State

_NEVER = float("inf")
_MAX_ALERTS = 64


@dataclass(slots=True)
class _Run:
    """What has been done about one participant; times are monotonic seconds."""

    suspect: str
    alerts: list[str]
    state: State
    opened: dict[StepName, float] = field(default_factory=dict)
    passed: set[StepName] = field(default_factory=set)
    hold: Hold | None = None
    callers: set[str] = field(default_factory=set)
    cleared: bool = False

    @property
    def alert(self) -> str:
        return self.alerts[-1]

    @property
    def held(self) -> Hold | None:
        return self.hold if self.hold is not None and self.hold.is_open else None

    @property
    def unsettled(self) -> bool:
        """Whether an operation is on hold, or the bank's system has yet to confirm that it is not."""
        return self.hold is not None and (self.hold.is_open or self.hold.due < _NEVER)

    def deadline(self) -> float:
        waiting = [due for step, due in self.opened.items() if step not in self.passed]
        return min([*waiting, self.hold.due if self.hold else _NEVER], default=_NEVER)


class Playbook:
    """The playbooks of one session, one run for each participant somebody was warned of.

    Args:
        profile: gives the steps.
        new_id: source of hold ids.
    """

    def __init__(self, profile: Profile, *, new_id: Callable[[], str] = new_alert_id) -> None:
        self._plan = profile.playbook
        self._checks = profile.checks
        self._new_id = new_id
        self._runs: dict[str, _Run] = {}
        self._joined: set[str] = set()
        self._failed: set[str] = set()

    @property
    def holds_operations(self) -> bool:
        """Whether ``hold`` and ``release`` with an alert are about an operation, and not about the call."""
        return self._plan.step(StepName.HOLD) is not None

    def on_join(self, participant: str) -> list[Out]:
        """A judged participant has media; returns the check at the beginning of the call, once."""
        if self._checks.at != "call_start" or self._checks.kind is None or participant in self._joined:
            return []
        self._joined.add(participant)
        return [StartChallenge(participant, self._checks.kind, None)]

    def on_alert(self, suspect: str, alert: str, state: State, now: float) -> list[Out]:
        """People are told of a participant, for the first time or again."""
        run = self._runs.get(suspect)
        if run is None:
            run = self._runs[suspect] = _Run(suspect, [alert], state)
        else:
            run.cleared = False
            run.alerts = [*run.alerts, alert][-_MAX_ALERTS:] if alert not in run.alerts else run.alerts
            run.state = State.SPOOF if State.SPOOF in (state, run.state) else state
        return self._advance(run, now)

    def on_ack(self, alert: str, by: str) -> list[Out]:
        """A recipient has acknowledged."""
        run = self._find(alert)
        return [] if run is None else [self._said(run, StepName.NOTICE, Standing.DONE, by)]

    def on_challenge(self, suspect: str, result: str, now: float) -> list[Out]:
        """A check has come to its end: ``pass``, ``fail`` or ``inconclusive``; none of them ends the rest."""
        if result == "fail":
            self._failed.add(suspect)
        run = self._runs.get(suspect)
        if run is None or self._plan.step(StepName.CHALLENGE) is None:
            return []
        done = self._done(run, StepName.CHALLENGE, None, result=result)
        return [*done, *self._advance(run, now)]

    def call_back(self, alert: str, by: str, now: float) -> list[Out]:
        """A person has called back on the number on file.

        Raises:
            PeerError: ``step_unknown``: the profile has no such step, or nothing runs for the alert.
        """
        run = self._find(alert)
        if run is None or self._plan.step(StepName.CALL_BACK) is None:
            raise PeerError("step_unknown", "no call back is open for this alert")
        run.callers.add(by)
        return [*self._done(run, StepName.CALL_BACK, by), *self._advance(run, now)]

    def on_clear(self, suspect: str, now: float, by: str | None = None) -> list[Out]:
        """The warning has cleared, or a person has settled it; an open hold stays until it is released."""
        self._failed.discard(suspect)
        run = self._runs.get(suspect)
        if run is None:
            return []
        run.cleared = True
        return self._advance(run, now) if run.unsettled else self._close(run, by)

    def hold(self, alert: str, by: str, reason: str | None, now: float) -> list[Out]:
        """A person wants the operation held, or says that it is.

        Raises:
            PeerError: ``step_unknown``: the profile holds nothing, or nothing runs for the alert.
        """
        run = self._find(alert)
        if run is None or not self.holds_operations:
            raise PeerError("step_unknown", "no operation can be held for this alert")
        hold = run.held
        if hold is None:
            return [*self._ask_hold(run, by, now), *self._advance(run, now)]
        if hold.confirms_by_hand(by, reason):
            hold.confirm(by, None)
            return [*self._confirmed(run, hold, by), *self._advance(run, now)]
        return [self._said(run, StepName.HOLD, Standing.REPEATED, by, hold=hold.id)]

    def release(self, alert: str, by: str, role: Role, now: float) -> list[Out]:
        """A person wants the operation to go on.

        Raises:
            PeerError: ``hold_missing``: nothing is on hold; ``second_person_needed``: this person took
                part in the hold.
            AccessError: ``release_forbidden``: the profile does not let this role release.
        """
        run = self._find(alert)
        hold = run.held if run is not None else None
        if run is None or hold is None:
            raise PeerError("hold_missing", "no operation is on hold for this alert")
        if role not in self._plan.release_roles:
            allowed = ", ".join(sorted(self._plan.release_roles))
            raise AccessError("release_forbidden", f"in this profile {allowed} release an operation")
        hands = hold.hands | run.callers
        if self._plan.second_person and by in hands:
            raise PeerError(
                "second_person_needed", "you took part in this hold; somebody else must release it"
            )
        if self._plan.second_person and not hands:
            hold.hands.add(by)
            text = "release_asked"
            return [self._said(run, StepName.SECOND_PERSON, Standing.ASKED, by, text=text, hold=hold.id)]
        return self._release(run, hold, by, now)

    def on_bank(self, asked: AskBank, answer: BankAnswer, operation: str | None, now: float) -> list[Out]:
        """The bank's system has answered; an answer to what is no longer asked changes nothing."""
        run = self._runs.get(asked.suspect)
        hold = run.hold if run is not None else None
        if run is None or hold is None or hold.id != asked.hold:
            return []
        if asked.state is BankState.RELEASED:
            return self._bank_released(run, hold, answer)
        if hold.state is HoldState.RELEASED or hold.state is HoldState.CONFIRMED:
            return []
        if answer is BankAnswer.CONFIRMED:
            hold.confirm(None, operation)
            return [*self._confirmed(run, hold, None), *self._advance(run, now)]
        if hold.state is HoldState.UNCONFIRMED:
            return []
        hold.fail()
        return [*self._unconfirmed(run, hold, answer), *self._advance(run, now)]

    def end(self) -> list[Out]:
        """The call is over: what is still on hold must now be released in the bank's own system."""
        out: list[Out] = []
        for run in list(self._runs.values()):
            hold = run.held
            if hold is not None:
                said = self._said(run, StepName.HOLD, Standing.LEFT_OPEN, text="hold_left_open", hold=hold.id)
                out.append(replace(said, loud=True))
            out += self._close(run, None)
        return out

    def poll(self, now: float) -> list[Out]:
        """Return what has become due by ``now``."""
        out: list[Out] = []
        for run in list(self._runs.values()):
            hold = run.hold
            if hold is not None and now >= hold.due:
                out += self.on_bank(_asked(run, hold), BankAnswer.UNANSWERED, None, now)
            for step, due in list(run.opened.items()):
                if now >= due and step not in run.passed:
                    out.append(self._overdue(run, step))
            if run.suspect in self._runs:
                out += self._advance(run, now)
        return out

    def deadline(self) -> float | None:
        """Return when ``poll`` is due next, monotonic seconds; None when nothing is."""
        due = min((run.deadline() for run in self._runs.values()), default=_NEVER)
        return None if due == _NEVER else due

    def _find(self, alert: str) -> _Run | None:
        return next((run for run in self._runs.values() if alert in run.alerts), None)

    def _advance(self, run: _Run, now: float) -> list[Out]:
        """Open every step whose turn has come."""
        out: list[Out] = []
        for step in self._plan.steps:
            if not step.starts_in(run.state) or (run.cleared and step.step is not StepName.SECOND_PERSON):
                continue
            if step.step not in run.opened:
                out += self._open(run, step, now)
            if step.step not in run.passed:
                break
        return out

    def _open(self, run: _Run, step: StepTable, now: float) -> list[Out]:
        """Begin one step: advise it, or do it where the profile says so."""
        name = step.step
        run.opened[name] = now + step.limit_s if step.limit_s is not None else _NEVER
        automatic = step.autonomy is Autonomy.AUTOMATIC
        if name is StepName.NOTICE:
            run.passed.add(name)
            return [self._said(run, name, Standing.STARTED)]
        if name is StepName.SECOND_PERSON and run.held is None:
            run.passed.add(name)
            return []
        if name is StepName.HOLD and run.held is not None:
            if run.held.state is not HoldState.REQUESTED:
                run.passed.add(name)
            return []
        if name is StepName.HOLD and automatic:
            return self._ask_hold(run, None, now)
        if name is StepName.CHALLENGE and run.suspect in self._failed:
            # a negative result stands until a person acts; another check could not take it back
            return self._done(run, name, None, result="fail")
        if name is StepName.CHALLENGE and automatic and step.kind is not None:
            said = self._said(run, name, Standing.STARTED, kind=step.kind)
            return [said, StartChallenge(run.suspect, step.kind, run.alert)]
        kind = {} if step.kind is None else {"kind": step.kind}
        return [self._said(run, name, Standing.ADVISED, text=name.value, limit_s=step.limit_s, **kind)]

    def _ask_hold(self, run: _Run, by: str | None, now: float) -> list[Out]:
        hold = Hold(self._new_id(), run.alert, by, now + self._plan.confirm_s)
        run.hold = hold
        run.opened[StepName.HOLD] = _NEVER
        for name in (StepName.HOLD, StepName.SECOND_PERSON):
            run.passed.discard(name)
        run.opened.pop(StepName.SECOND_PERSON, None)
        said = self._said(run, StepName.HOLD, Standing.REQUESTED, by, text="hold_requested", hold=hold.id)
        return [said, _asked(run, hold)]

    def _confirmed(self, run: _Run, hold: Hold, by: str | None) -> list[Out]:
        run.passed.add(StepName.HOLD)
        details = {"hold": hold.id, "operation": hold.operation}
        return [self._said(run, StepName.HOLD, Standing.CONFIRMED, by, text="hold_confirmed", **details)]

    def _unconfirmed(self, run: _Run, hold: Hold, answer: BankAnswer) -> list[Out]:
        run.passed.add(StepName.HOLD)
        details = {"hold": hold.id, "answer": answer.value}
        said = self._said(run, StepName.HOLD, Standing.FAILED, text="hold_failed", **details)
        return [replace(said, loud=True)]

    def _release(self, run: _Run, hold: Hold, by: str, now: float) -> list[Out]:
        hold.release(now + self._plan.confirm_s)
        undone = [step.step.value for step in self._plan.steps if step.step not in run.passed]
        run.passed |= {StepName.HOLD, StepName.SECOND_PERSON}
        details = {"hold": hold.id, "held_by": sorted(hold.hands | run.callers), "undone": undone}
        said = self._said(run, StepName.HOLD, Standing.RELEASED, by, text="released", **details)
        return [said, replace(_asked(run, hold), by=by), *self._advance(run, now)]

    def _bank_released(self, run: _Run, hold: Hold, answer: BankAnswer) -> list[Out]:
        if hold.state is not HoldState.RELEASED or hold.due == _NEVER:
            return []
        hold.due = _NEVER
        confirmed = answer is BankAnswer.CONFIRMED
        said = self._said(
            run,
            StepName.HOLD,
            Standing.DONE if confirmed else Standing.FAILED,
            text=None if confirmed else "release_failed",
            hold=hold.id,
            operation=hold.operation,
            answer=answer.value,
        )
        out: list[Out] = [replace(said, loud=not confirmed)]
        return [*out, *(self._close(run, None) if run.cleared else [])]

    def _overdue(self, run: _Run, step: StepName) -> Out:
        run.passed.add(step)
        said = self._said(run, step, Standing.OVERDUE, text="overdue")
        # an operation that nobody decides about must not be forgotten on hold
        return replace(said, loud=step is StepName.SECOND_PERSON and run.held is not None)

    def _done(self, run: _Run, step: StepName, by: str | None, **details: object) -> list[Out]:
        run.passed.add(step)
        return [replace(self._said(run, step, Standing.DONE, by), details=details)]

    def _close(self, run: _Run, by: str | None) -> list[Out]:
        del self._runs[run.suspect]
        undone = [s.step.value for s in self._plan.steps if s.step in run.opened and s.step not in run.passed]
        return [self._said(run, StepName.NOTICE, Standing.CLOSED, by, undone=undone)]

    def _said(
        self,
        run: _Run,
        step: StepName,
        state: Standing,
        by: str | None = None,
        *,
        text: str | None = None,
        **details: object,
    ) -> Happened:
        table = self._plan.step(step)
        to = table.to if table is not None else None
        key = None if text is None else f"playbook.{text}"
        return Happened(run.suspect, run.alert, step, state, by, text=key, to=to or (), details=details)


def _asked(run: _Run, hold: Hold) -> AskBank:
    """Return what the bank's system is asked about a hold now."""
    state = BankState.REQUESTED if hold.is_open else BankState.RELEASED
    return AskBank(hold.id, run.suspect, hold.alert, state, hold.asked_by)
