"""Who is told what, and how often: verdicts in, deliveries out. No clock, no I/O.

Rules, all in this file:

1. Only suspectable participants are judged. Recipients are the participants whose role
   the profile names, never the suspect unless the profile says so with a reason.
2. SUSPECT and SPOOF open a case; a graver state replaces a milder case at once, with
   the same alert id within a minute of the last one, so that there is never more than
   one alert a minute per person. So does the negative result of a check, in any state,
   and also where what was told before has been answered.
3. The timetable of a case is ``AlertsConfig``; see ``case.py``.
4. A recipient's acknowledgement ends the case for that recipient and the console alarm.
   ``settle`` (a person has acted) ends it for all, and releases what only a person may release
   (``latches.py``): red, and the negative result of an active check, which is SUSPECT at least.
5. A state that goes on after expiry is told again if nobody acknowledged, else it is not. What
   needs a person is told again even if no verdict comes any more. Every alert told of a participant
   since the state last cleared or was settled can settle it, whether it runs, was answered or expired.
6. DETECTOR_DOWN is a notice: told once, at most once a minute, and taken back when the detector
   is up again. One that comes sooner and stays is told when the minute is over.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from guard.policy.case import Case
from guard.policy.config import AlertsConfig
from guard.policy.drill import for_drill, labelled
from guard.policy.latches import Latches
from guard.policy.messages import Delivery, Party, advice, advice_of, check_advice, make_alert
from guard.policy.profile import Profile
from guard.policy.texts import Texts, load_texts
from guard.types import ALERTING, State, Verdict

_REMEMBERED_IDS = 256
# verdicts decided before the settling reached the analysis process may still arrive
_SETTLING_S = 2.0
_LONG_AGO = float("-inf")


def new_alert_id() -> str:
    """Return an id that nobody can guess: 128 bits from the system's generator."""
    return secrets.token_urlsafe(16)


class Policy:
    """Decides the deliveries of one session.

    Args:
        profile: who is told what.
        session: session id.
        participants: who is in the call; more may ``join``.
        config: the timetable.
        texts: the words; the shipped ones by default.
        new_id: source of alert ids.
        drill: this is a training call: every alert is labelled, and nothing is announced by voice.

    Raises:
        ConfigError: the profile has no advice for a state it tells.
    """

    def __init__(
        self,
        profile: Profile,
        session: str,
        participants: Iterable[Party] = (),
        config: AlertsConfig | None = None,
        *,
        texts: Texts | None = None,
        new_id: Callable[[], str] = new_alert_id,
        drill: bool = False,
    ) -> None:
        self._profile = for_drill(profile) if drill else profile
        self.drill = drill
        self._session = session
        self._config = config or AlertsConfig()
        self._texts = texts or load_texts()
        self._new_id = new_id
        check_advice(profile, self._texts)
        self._parties = {party.id: party for party in participants}
        self._cases: dict[str, Case] = {}
        self._notices: dict[str, Case] = {}
        self._waiting: dict[str, tuple[Verdict, float, datetime]] = {}
        self._last: dict[str, tuple[float, str]] = {}
        self._last_notice: dict[str, float] = {}
        # down, and not noticed yet because it was within the last minute
        self._down: dict[str, tuple[float, datetime]] = {}
        self._latches = Latches()
        # alerts told of a participant since the state last cleared or was settled
        self._occasions: dict[str, dict[str, State]] = {}
        # what is told again: the newest verdict that asked for a warning, or that needed none
        self._newest: dict[str, tuple[Verdict, float, datetime]] = {}
        self._settled_at: dict[str, float] = {}
        self._ended_ids: deque[str] = deque(maxlen=_REMEMBERED_IDS)
        self.acks: Counter[str] = Counter()

    def suspectable(self, participant: str) -> bool:
        """Return whether the participant is judged."""
        party = self._parties.get(participant)
        if party is None:
            return False
        return party.role in self._profile.suspectable if party.suspectable is None else party.suspectable

    def recipients(self, suspect: str) -> list[Party]:
        """Return who is told about the suspect."""
        return [p for p in self._parties.values() if self._may_be_told(p, suspect)]

    def join(self, party: Party, now: float) -> list[Delivery]:
        """A participant has come; open alerts about others are told at once."""
        self._parties[party.id] = party
        cases = {**self._notices, **self._cases}
        return [d for s, case in cases.items() if self._may_be_told(party, s) for d in case.tell(party, now)]

    def leave(self, participant: str) -> list[Delivery]:
        """A participant has gone; alerts about them end."""
        self._parties.pop(participant, None)
        for table in (self._waiting, self._settled_at, self._occasions, self._newest, self._down):
            table.pop(participant, None)
        self._latches.release(participant)
        out = self._end(self._cases, participant) + self._end(self._notices, participant)
        for case in (*self._cases.values(), *self._notices.values()):
            case.drop(participant)
        return out

    def has_channel(self, participant: str, is_open: bool, now: float) -> list[Delivery]:
        """The participant's data channel has opened or closed."""
        return self._reach(participant, now, has_channel=is_open)

    def has_page(self, participant: str, is_open: bool, now: float) -> list[Delivery]:
        """The participant's call page has connected or gone."""
        return self._reach(participant, now, has_page=is_open)

    def on_verdict(self, verdict: Verdict, now: float, utc: datetime) -> list[Delivery]:
        """Take a verdict; returns what to do now."""
        suspect = verdict.participant
        if not self.suspectable(suspect):
            return []
        found, verdict = verdict.state, self._latches.raised(verdict)
        if verdict.state not in ALERTING:
            for table in (self._waiting, self._settled_at, self._occasions):
                table.pop(suspect, None)
            self._newest[suspect] = (verdict, now, utc)
            return self._end(self._cases, suspect)
        if now - self._settled_at.get(suspect, _LONG_AGO) < _SETTLING_S:
            return []
        if found in ALERTING or suspect not in self._newest:
            self._newest[suspect] = (verdict, now, utc)
        if verdict.state is State.SPOOF:
            self._latches.red(suspect)
        case = self._cases.get(suspect)
        if case is None:
            return self._open_or_wait(verdict, now, utc)
        if verdict.state is State.SPOOF and case.alert.state is State.SUSPECT:
            return self._replace(verdict, now, utc)
        return []

    def would_tell(self, suspect: str, state: State, now: float) -> bool:
        """Return whether a verdict of this state would be told at once."""
        if not self.suspectable(suspect) or now - self._settled_at.get(suspect, _LONG_AGO) < _SETTLING_S:
            return False
        case = self._cases.get(suspect)
        if case is not None:
            return state is State.SPOOF and case.alert.state is State.SUSPECT
        return state is State.SPOOF or now - self._last.get(suspect, (_LONG_AGO, ""))[0] >= self._config.gap_s

    def on_state(self, participant: str, state: State, now: float, utc: datetime) -> list[Delivery]:
        """Take a state laid over the verdict: DETECTOR_DOWN is noticed, anything else ends the notice."""
        if state is not State.DETECTOR_DOWN:
            self._down.pop(participant, None)
            return self._end(self._notices, participant)
        if not self.suspectable(participant) or participant in self._notices:
            return []
        self._down.setdefault(participant, (now, utc))
        return self._notices_due(now)

    def on_ack(self, alert_id: str, by: str, now: float) -> list[Delivery]:
        """A participant acknowledges; ``acks`` counts the outcome.

        Outcomes: ``accepted``, ``repeated``, ``not_recipient``, ``ended`` and ``unknown``;
        all but the first change nothing.
        """
        case = self._find(alert_id)
        if case is None or case.closed:
            self.acks["ended" if case or alert_id in self._ended_ids else "unknown"] += 1
            return []
        outcome, out = case.ack(by)
        self.acks[outcome] += 1
        return [*out, *self.poll(now)]

    def state(self, participant: str, state: State) -> State:
        """Return the state to show for a verdict's state: red stays red, a failed check stays amber."""
        return self._latches.state(participant, state)

    def reasons(self, participant: str, state: State, reasons: Sequence[str]) -> tuple[str, ...]:
        """Return the reasons for the state to show, given a verdict's state and its reasons."""
        return self._latches.reasons(participant, state, reasons)

    def check_failed(self, participant: str, now: float, utc: datetime) -> list[Delivery]:
        """An active check had its negative result: no state better than SUSPECT until a person acts.

        It is told at once and by an alert of its own, whatever comes of the participant afterwards;
        only one that is still being told is not begun anew.
        """
        case, known = self._cases.get(participant), self._latches.has_failed(participant)
        self._latches.failed(participant)
        if not self.suspectable(participant) or (known and case is not None and not case.answered):
            return []
        nothing = Verdict(self._session, participant, 0.0, State.UNDECIDED, None)
        newest, _, _ = self._newest.get(participant, (nothing, now, utc))
        verdict = self._latches.raised(newest)
        self._newest[participant] = (verdict, now, utc)
        return self._replace(verdict, now, utc)

    def settle(self, participant: str, now: float) -> list[Delivery]:
        """A person has acted on the participant: the latch opens, the alert ends for everybody."""
        for table in (self._waiting, self._occasions, self._newest):
            table.pop(participant, None)
        self._latches.release(participant)
        self._settled_at[participant] = now
        return self._end(self._cases, participant)

    def suspect_of(self, alert_id: str) -> str | None:
        """Return whom an acknowledgement with a reason settles; None for a notice, or what is over."""
        return next((suspect for suspect, told in self._occasions.items() if alert_id in told), None)

    def graver(self, alert_id: str, seen: State) -> bool:
        """Return whether what an alert is about is red by now, and the alert said something milder."""
        suspect = self.suspect_of(alert_id)
        return suspect is not None and seen is not State.SPOOF and self._latches.is_red(suspect)

    def poll(self, now: float) -> list[Delivery]:
        """Return what has become due by ``now``: repeats, escalation, expiry, alerts that had to wait."""
        out = [delivery for case in self._notices.values() for delivery in case.poll(now)]
        out += self._notices_due(now)
        for suspect, case in list(self._cases.items()):
            out += case.poll(now)
            if case.closed and not case.answered:
                out += self._end(self._cases, suspect) + self._tell_again(suspect, now)
        for suspect, (verdict, since, utc) in list(self._waiting.items()):
            if now >= self._last[suspect][0] + self._config.gap_s:
                del self._waiting[suspect]
                out += self._open(verdict, now, utc + timedelta(seconds=now - since))
        return out

    def deadline(self) -> float | None:
        """Return when ``poll`` is due next, monotonic seconds; None when nothing is."""
        due = [case.deadline() for case in (*self._cases.values(), *self._notices.values())]
        due += [self._last[suspect][0] + self._config.gap_s for suspect in self._waiting]
        due += [self._next_notice(participant) for participant in self._down]
        return min((d for d in due if d is not None), default=None)

    def _next_notice(self, participant: str) -> float:
        return self._last_notice.get(participant, _LONG_AGO) + self._config.gap_s

    def _notices_due(self, now: float) -> list[Delivery]:
        """Notice the detectors that are down and whose last notice is a minute old."""
        out: list[Delivery] = []
        for participant, (since, utc) in list(self._down.items()):
            if now < self._next_notice(participant):
                continue
            del self._down[participant]
            self._last_notice[participant] = now
            down = State.DETECTOR_DOWN
            verdict = Verdict(self._session, participant, 0.0, down, None, reasons=(down.value,))
            at = utc + timedelta(seconds=now - since)
            case = self._notices[participant] = self._case(verdict, self._new_id(), now, at, urgent=False)
            out += case.open(self.recipients(participant), now)
        return out

    def _tell_again(self, suspect: str, now: float) -> list[Delivery]:
        """Tell once more, unanswered, what needs a person: verdicts may have ceased with the camera."""
        if not self._latches.waits(suspect):
            return []
        verdict, since, utc = self._newest[suspect]
        return self._open(self._latches.raised(verdict), now, utc + timedelta(seconds=now - since))

    def _open_or_wait(self, verdict: Verdict, now: float, utc: datetime) -> list[Delivery]:
        suspect = verdict.participant
        last, _ = self._last.get(suspect, (_LONG_AGO, ""))
        if now - last >= self._config.gap_s or verdict.state is State.SPOOF:
            return self._open(verdict, now, utc)
        self._waiting[suspect] = (verdict, now, utc)
        return []

    def _replace(self, verdict: Verdict, now: float, utc: datetime) -> list[Delivery]:
        """Tell it in the place of what was told before, to those who answered that as well."""
        case = self._cases.get(verdict.participant)
        banner_for = frozenset() if case is None else case.with_banner()
        return self._end(self._cases, verdict.participant) + self._open(verdict, now, utc, banner_for)

    def _open(
        self, verdict: Verdict, now: float, utc: datetime, banner_for: frozenset[str] = frozenset()
    ) -> list[Delivery]:
        suspect = verdict.participant
        last, last_id = self._last.get(suspect, (_LONG_AGO, ""))
        fresh = now - last >= self._config.gap_s
        alert_id = self._new_id() if fresh else last_id
        if fresh:
            self._last[suspect] = (now, alert_id)
        self._waiting.pop(suspect, None)
        told = self._occasions.setdefault(suspect, {})
        told[alert_id] = verdict.state
        while len(told) > _REMEMBERED_IDS:
            del told[next(iter(told))]
        case = self._case(verdict, alert_id, now, utc)
        self._cases[suspect] = case
        return case.open(self.recipients(suspect), now, banner_for)

    def _case(
        self, verdict: Verdict, alert_id: str, now: float, utc: datetime, *, urgent: bool = True
    ) -> Case:
        of = advice_of(self._profile, verdict)
        words = advice(self._profile, self._texts, verdict.state, of=of)
        words = labelled(words, self._texts) if self.drill else words
        alert = make_alert(verdict, alert_id, words, utc, self._config.ttl_s, drill=self.drill)
        return Case(alert, self._profile.means[verdict.state], self._config, now, urgent=urgent)

    def _end(self, cases: dict[str, Case], suspect: str) -> list[Delivery]:
        case = cases.pop(suspect, None)
        if case is None:
            return []
        self._ended_ids.append(case.alert.id)
        return case.close()

    def _find(self, alert_id: str) -> Case | None:
        cases = (*self._cases.values(), *self._notices.values())
        return next((case for case in cases if case.alert.id == alert_id), None)

    def _may_be_told(self, party: Party, suspect: str) -> bool:
        if party.id == suspect and not self._profile.tell_suspect:
            return False
        return party.role in self._profile.tell

    def _reach(
        self, participant: str, now: float, *, has_channel: bool | None = None, has_page: bool | None = None
    ) -> list[Delivery]:
        party = self._parties.get(participant)
        if party is None:
            return []
        party = replace(
            party,
            has_channel=party.has_channel if has_channel is None else has_channel,
            has_page=party.has_page if has_page is None else has_page,
        )
        self._parties[participant] = party
        return [
            d for case in (*self._cases.values(), *self._notices.values()) for d in case.reach(party, now)
        ]
