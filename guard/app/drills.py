"""Drills: attacks injected into a training call, and how long its people take to react.

Two ways. ``inject`` makes up the verdict; ``attack`` has the analysis process play a labelled synthetic clip
to its detectors (``drill_runner.py``), and what people are told is what those find, if they find it. Either
goes through the session's own policy, deliveries and playbook. What happens is told as events, written into
the records as ``drill``, and counted in ``guard_drill_*``, nowhere else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from guard.app.call_messages import read_verdict
from guard.app.call_ports import AnalysisPort
from guard.app.drill_ports import DrillCalls, DrillCounter
from guard.clock import Clock
from guard.errors import NotFoundError, Overload, PeerError
from guard.signalling.ports import SyntheticAttack
from guard.signalling.session import Session
from guard.signalling.sessions import Sessions
from guard.types import ALERTING, State

# every attack has its participant analysed twice
MAX_ATTACKS = 2
# after its time an attack whose end was never told counts as lost
PATIENCE_S = 15.0
# operators and security only: who is trained is not told beforehand
_BEHIND_THE_SCENES: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Attack:
    """One attack: ``state`` was made up, or ``media`` are played. ``told_s``: when people were told first."""

    id: str
    session: str
    participant: str
    by: str
    state: State | None = None
    media: SyntheticAttack | None = None
    begun_s: float | None = None
    told_s: float | None = None
    reached_s: dict[str, float] = field(default_factory=dict)
    own_state: str = State.UNDECIDED.value
    reactions: set[str] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None


class Drills:
    """The attacks of the training calls that run.

    Args:
        clock: times reactions.
        sessions: where events go.
        calls: tells people.
        analysis: plays synthetic media.
        record: takes (session, type, body) for the signed records.
        log: takes an event name and keys, for what must not be overlooked.
        counter: of drills alone.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sessions: Sessions,
        calls: DrillCalls,
        analysis: AnalysisPort,
        record: Callable[[str, str, Mapping[str, Any]], None],
        log: Callable[..., None],
        counter: DrillCounter,
    ) -> None:
        self._clock, self._sessions, self._calls, self._analysis = clock, sessions, calls, analysis
        self._record, self._log, self._counter = record, log, counter
        self._attacks: dict[str, list[_Attack]] = {}
        self._playing: dict[str, _Attack] = {}
        sessions.listen(ended=self._ended)

    # -- what people ask for

    def inject(self, session: str, participant: str, state: State, *, by: str) -> str:
        """Make up a verdict and return the id of its alert (``DrillPort``).

        Raises:
            NotFoundError: no such session or participant.
            PeerError: ``drill_only``, ``participant_not_analysed`` or ``drill_running``.
        """
        self._possible(session, participant)
        # before the injection: people may react while it is being carried out
        attack = _Attack("", session, participant, by, state, told_s=self._clock.now())
        self._attacks.setdefault(session, []).append(attack)
        alert = self._calls.inject(session, participant, state)
        if alert is None:
            self._attacks[session].remove(attack)
            raise _running()
        attack.id = alert
        self._say(attack, "injected", by, 0.0)
        return alert

    def attack(self, session: str, participant: str, media: SyntheticAttack, *, by: str) -> str:
        """Begin a synthetic attack and return its id (``DrillPort``).

        Raises:
            NotFoundError: no such session or participant.
            PeerError: ``drill_only``, ``participant_not_analysed`` or ``drill_running``.
            Overload: ``drills_full`` or ``analysis_unavailable``.
        """
        self._possible(session, participant)
        if not self._calls.may_alarm(session, participant):
            raise _running()
        if len(self._playing) >= MAX_ATTACKS:
            raise Overload("drills_full", f"{MAX_ATTACKS} synthetic attacks run already; wait for their end")
        attack = _Attack(secrets.token_urlsafe(12), session, participant, by, media=media)
        wanted = {"attack": media.kind.value, "after_s": media.after_s, "seconds": media.seconds}
        if not self._tell(attack, "drill_begin", **wanted):
            text = "the analysis process does not work now; try again when the console shows it up"
            raise Overload("analysis_unavailable", text)
        self._attacks.setdefault(session, []).append(attack)
        self._playing[attack.id] = attack
        limit_s = media.after_s + media.seconds + PATIENCE_S
        attack.timer = asyncio.get_running_loop().call_later(limit_s, self._lost, attack)
        self._say(attack, "ordered", by, 0.0, to=_BEHIND_THE_SCENES, **wanted)
        return attack.id

    def stop(self, session: str, drill: str, *, by: str) -> None:
        """End a synthetic attack before its time (``DrillPort``).

        Raises:
            NotFoundError: no such session, or ``drill_unknown``.
        """
        self._sessions.get(session)
        attack = self._playing.get(drill)
        if attack is None or attack.session != session:
            raise NotFoundError("drill_unknown", "no such drill runs in this session; it may be over")
        self._say(attack, "stopped", by, self._since(attack.begun_s), to=_BEHIND_THE_SCENES)
        self._tell(attack, "drill_stop")
        self._over(attack, "stopped")

    def reacted(self, session: str, participant: str, reaction: str, by: str) -> None:
        """Somebody acted on an alert about a participant; in real calls this is nothing to a drill."""
        attacks = reversed(self._attacks.get(session, []))
        attack = next((a for a in attacks if a.participant == participant and a.told_s is not None), None)
        if attack is None or reaction in attack.reactions:
            return
        attack.reactions.add(reaction)
        delay_s = self._since(attack.told_s)
        self._counter.reaction(reaction, delay_s)
        more: dict[str, Any] = (
            {} if attack.begun_s is None else {"attack_s": round(self._since(attack.begun_s), 3)}
        )
        self._say(attack, reaction, by, delay_s, **more)

    # -- what the analysis process says

    def on_analysis(self, message: Mapping[str, Any]) -> None:
        """Take one message about a synthetic attack; one of an attack that is over is dropped."""
        attack = self._playing.get(str(message["id"]))
        if attack is None:
            return
        match message["type"]:
            case "drill_begun":
                self._begun(attack, message)
            case "drill_verdict":
                self._found(attack, message, self._begun(attack, message))
            case "drill_own":
                self._found_really(attack, str(message["state"]))
            case "drill_over":
                self._over(attack, str(message["why"]), message)

    def analysis_down(self) -> None:
        """The analysis process is gone, and what it played; one that is only silent will stop it."""
        for attack in list(self._playing.values()):
            self._tell(attack, "drill_stop")
            self._over(attack, "analysis_lost")

    def _begun(self, attack: _Attack, message: Mapping[str, Any]) -> float:
        """Take note of the beginning, which every verdict repeats, once; returns when it was."""
        if attack.begun_s is None:
            attack.begun_s = float(message["begun_s"])
            clip = {"sha256": message["sha256"]}
            self._say(attack, "injected", None, 0.0, to=_BEHIND_THE_SCENES, clip=clip)
        return attack.begun_s

    def _lost(self, attack: _Attack) -> None:
        """The analysis process does not tell the end of an attack, long after its time."""
        self._tell(attack, "drill_stop")
        self._over(attack, "result_lost")

    def _found(self, attack: _Attack, message: Mapping[str, Any], begun_s: float) -> None:
        """Tell people what the detectors say of the synthetic media, as they would be of a real attack."""
        assert attack.media is not None
        verdict, decided_s = read_verdict(message), float(message["decided_s"])
        state = verdict.state.value
        first = verdict.state in ALERTING and state not in attack.reached_s
        if first:
            attack.reached_s[state] = decided_s - begun_s
            attack.told_s = attack.told_s or self._clock.now()
        alert = self._calls.found(verdict, max(self._clock.now() - decided_s, 0.0))
        if first:
            delay_s = attack.reached_s[state]
            self._counter.detected(attack.media.kind.value, state, delay_s)
            self._say(attack, "detected", None, delay_s, state=state, llr=verdict.llr, alert=alert)

    def _found_really(self, attack: _Attack, state: str) -> None:
        """What is found of the participant's own media is no part of the drill, and is not kept back."""
        attack.own_state = state
        self._log("drill_own_state", session=attack.session, drill=attack.id, state=state)
        delay_s = self._since(attack.begun_s)
        self._say(attack, "own_state", None, delay_s, to=_BEHIND_THE_SCENES, state=state)

    def _over(self, attack: _Attack, why: str, told: Mapping[str, Any] | None = None) -> None:
        assert attack.media is not None
        if self._playing.pop(attack.id, None) is None:
            return
        if attack.timer is not None:
            attack.timer.cancel()
        told = told or {}
        attack.reached_s |= told.get("reached_s", {})
        attack.own_state = str(told.get("own_state", attack.own_state))
        result = _result(attack, why, told)
        self._counter.attack_over(attack.media.kind.value, result)
        self._calls.drill_over(attack.session, attack.participant)
        body = {
            "result": result,
            "why": why,
            "reached_s": {state: round(at_s, 3) for state, at_s in attack.reached_s.items()},
            "judged": told.get("judged"),
            "llr": told.get("llr"),
            "own_state": attack.own_state,
        }
        self._say(attack, "over", None, self._since(attack.begun_s), to=_BEHIND_THE_SCENES, **body)

    def _ended(self, session: Session) -> None:
        for attack in self._attacks.pop(session.id, []):
            if attack.id in self._playing:
                self._over(attack, "session_ended")
            if attack.told_s is not None and not attack.reactions:
                self._counter.unanswered()
                self._say(attack, "unanswered", None, self._since(attack.told_s))

    # -- ways out

    def _possible(self, session: str, participant: str) -> None:
        found = self._sessions.get(session)
        if not found.drill:
            raise PeerError("drill_only", 'this is no training call; open one with "drill": true')
        if not found.participant(participant).suspectable:
            raise PeerError("participant_not_analysed", "this participant is not analysed; name one who is")
        if any((a.session, a.participant) == (session, participant) for a in self._playing.values()):
            raise _running()

    def _since(self, then_s: float | None) -> float:
        return 0.0 if then_s is None else self._clock.now() - then_s

    def _tell(self, attack: _Attack, kind: str, /, **more: Any) -> bool:
        who = {"session": attack.session, "participant": attack.participant}
        return self._analysis.send({"type": kind, "id": attack.id, **who, **more})

    def _say(
        self,
        attack: _Attack,
        reaction: str,
        by: str | None,
        delay_s: float,
        /,
        *,
        to: Collection[str] | None = None,
        **more: Any,
    ) -> None:
        body = {
            "participant": attack.participant,
            "id": attack.id,
            "injected": attack.state.value if attack.media is None and attack.state else None,
            **({} if attack.media is None else {"attack": attack.media.kind.value}),
            "reaction": reaction,
            "by": by,
            "delay_s": round(delay_s, 3),
            **more,
        }
        self._record(attack.session, "drill", body)
        event = {"v": 1, "type": "drill", "session": attack.session, **body}
        self._sessions.publish(attack.session, event, to)


def _result(attack: _Attack, why: str, told: Mapping[str, Any]) -> str:
    """Return what came of an attack in one word; it was missed only where it was played out and judged."""
    if attack.reached_s:
        return "detected"
    if attack.begun_s is None:
        return "not_run"
    if why != "time":
        return "cut_short"
    return "not_detected" if told.get("judged") else "not_judged"


def _running() -> PeerError:
    return PeerError(
        "drill_running",
        "a drill or an alert about this participant runs, or was told within the last minute; "
        "acknowledge it with a reason, or wait",
    )
