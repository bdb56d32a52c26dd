"""Playbooks in calls: real sessions and actions, with a bank, checks and channels that write down."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from guard.alert import Alert
from guard.api.bank import BankAsker
from guard.api.webhook import WebhookConfig
from guard.app.alarms import Alarms
from guard.app.playbooks import PlaybookPorts, Playbooks
from guard.clock import ManualClock, SystemClock
from guard.errors import AccessError, PeerError
from guard.policy.profile import load_profile, shipped_profiles
from guard.policy.texts import load_texts
from guard.signalling.actions import Actions
from guard.signalling.hub import Subscription
from guard.signalling.ports import Action, ActionKind
from guard.signalling.session import NewParticipant, Phase, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access
from guard.types import Role, State
from tests.api.test_bank import bank

AGENT, CHIEF, BANK = ("agent", Role.AGENT), ("chief", Role.SECURITY), ("bank-core", Role.OPERATOR)


@dataclass
class Outside:
    """Everything around the playbooks."""

    questions: list[Mapping[str, Any]] = field(default_factory=list)
    answers: list[Callable[..., None]] = field(default_factory=list)
    channel: list[tuple[str, str]] = field(default_factory=list)
    checks: list[tuple[str, str]] = field(default_factory=list)
    webhook: list[Mapping[str, Any]] = field(default_factory=list)
    records: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)
    acted: list[Action] = field(default_factory=list)
    over: set[str] = field(default_factory=set)

    def ask(self, question: Mapping[str, Any], limit_s: float, answered: Callable[..., None]) -> None:
        self.questions.append(question)
        self.answers.append(answered)

    def send(self, session: str, participant: str, text: str) -> bool:
        self.channel.append((participant, text))
        return True

    def check(self, action: Action) -> None:
        pass

    async def act(self, action: Action) -> None:
        self.acted.append(action)


class Bench:
    def __init__(self, profile: str, *, bank: bool = True) -> None:
        self.clock, self.out = ManualClock(100.0), Outside()
        self.sessions = Sessions(self.clock, profiles=shipped_profiles())
        out = self.out
        ports = PlaybookPorts(
            messages=out,
            alarms=Alarms(self.sessions, lambda *_, **__: None),
            bank=out if bank else None,
            want_check=lambda _, who, kind: out.checks.append((who, kind)),
            settles=lambda _, alert: alert not in out.over,
            webhook=out.webhook.append,
            record=lambda _, kind, body: out.records.append((kind, body)),
            error=lambda name, **_: out.errors.append(name),
            count=lambda step, state: out.steps.append(f"{step} {state}"),
            reacted=lambda _, who, what, by: out.reactions.append(f"{who} {what} {by}"),
        )
        self.books = Playbooks(
            clock=self.clock,
            sessions=self.sessions,
            texts=load_texts(),
            profile_of=load_profile,
            ports=ports,
        )
        self.actions = Actions(self.sessions, out, self.books)
        people = [NewParticipant("cust", Role.CUSTOMER, True)]
        people += [NewParticipant(name, role) for name, role in (AGENT, CHIEF)]
        self.session: Session = self.sessions.create(profile, people)

    def alert(self, state: State = State.SPOOF, name: str = "a1") -> None:
        alert = Alert(name, self.session.id, "cust", state, 5.0, (), {}, "at", "2099-01-01T00:00:00.000Z")
        self.sessions.publish_alert(alert)
        self.state(state)
        self.books.told(alert)

    def state(self, state: State) -> None:
        self.sessions.update_state(self.session.id, "cust", state=state, llr=None, signals={})

    async def do(
        self, who: tuple[str, Role], kind: str, alert: str | None = "a1", reason: str | None = None
    ) -> None:
        access = Access(self.session.id, *who)
        await self.actions.perform(access, self.session.id, ActionKind(kind), alert=alert, reason=reason)

    def reader(self, who: tuple[str, Role]) -> Subscription:
        return self.sessions.subscribe(self.session, Access(self.session.id, *who))

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.books.poll()


async def events(reader: Subscription, kind: str) -> list[dict[str, Any]]:
    found = []
    while (event := await reader.next(0.01)) is not None:
        if event["type"] == kind:
            found.append(dict(event))
    return found


@pytest.fixture
async def bench() -> Bench:
    return Bench("kz-ardfm")


async def test_a_hold_is_asked_of_the_bank_confirmed_and_released_by_somebody_else(bench: Bench) -> None:
    suspect = bench.reader(("cust", Role.CUSTOMER))
    bench.alert()
    await bench.do(AGENT, "hold")
    question = {
        "v": 1,
        "type": "hold",
        "id": bench.out.questions[0]["id"],
        "session": bench.session.id,
        "participant": "cust",
        "alert": "a1",
        "state": "requested",
        "by": "agent",
    }
    assert bench.out.questions == [question]
    bench.out.answers[0]("confirmed", "payment 7")
    assert bench.session.phase is Phase.OPEN, "the call goes on, and the customer notices nothing"
    with pytest.raises(AccessError, match="release an operation"):
        await bench.do(AGENT, "release")
    await bench.do(CHIEF, "release")
    assert bench.out.questions[1] == question | {"state": "released", "by": "chief"}
    bench.out.answers[1]("confirmed", None)
    assert bench.out.steps[:4] == ["notice started", "hold advised", "hold requested", "hold confirmed"]
    assert bench.out.steps[-2:] == ["hold released", "hold done"]
    assert await events(suspect, "playbook") == []
    assert [kind for kind, _ in bench.out.records] == ["playbook"] * len(bench.out.steps)


async def test_the_person_who_held_is_refused_with_a_code(bench: Bench) -> None:
    bench.alert()
    await bench.do(CHIEF, "hold")
    with pytest.raises(PeerError) as caught:
        await bench.do(CHIEF, "release")
    assert caught.value.code == "second_person_needed"
    assert [a.kind.value for a in bench.out.acted] == ["hold"], "what was refused is applied nowhere"


async def test_an_unconfirmed_hold_rings_tells_the_agent_and_the_site(bench: Bench) -> None:
    console, agent = bench.reader(("boss", Role.OPERATOR)), bench.reader(AGENT)
    bench.alert()
    await bench.do(AGENT, "hold")
    bench.later(15.0)
    assert bench.out.errors == ["hold_failed"]
    assert [(e["reason"], e["ringing"]) for e in await events(console, "alarm")] == [("hold_failed", True)]
    told = [e for e in await events(agent, "playbook") if e["state"] == "failed"]
    assert told[0]["text"]["en"].startswith("Hold the operation yourself now")
    assert "agent" in {who for who, text in bench.out.channel if '"failed"' in text}
    assert all(who != "cust" for who, _ in bench.out.channel)
    assert [e["state"] for e in bench.out.webhook] == ["failed"]
    await bench.do(BANK, "hold", reason="payment 7 held")
    assert [(e["reason"], e["ringing"]) for e in await events(console, "alarm")] == [("hold_failed", False)]


async def test_without_a_bank_to_ask_a_hold_is_loud_at_once() -> None:
    bench = Bench("contact-centre", bank=False)
    console = bench.reader(("boss", Role.OPERATOR))
    bench.alert()
    assert [e["reason"] for e in await events(console, "alarm")] == ["hold_failed"]


@pytest.mark.parametrize(
    ("reply", "step"),
    [
        ((200, b'{"v":1,"confirmed":true,"operation":"payment 7"}'), "hold confirmed"),
        ((200, b'{"v":1,"confirmed":false}'), "hold failed"),
        ((403, b""), "hold failed"),
    ],
)
async def test_a_bank_behind_http_confirms_or_refuses(reply: tuple[int, bytes], step: str) -> None:
    bench = Bench("contact-centre")
    async with bank(reply) as (scripted, url):
        asker = BankAsker(WebhookConfig(url, b"sixteen bytes of secret"), SystemClock())
        bench.out.ask = asker.ask  # type: ignore[method-assign]
        bench.alert()
        await asker.settled()
        await asker.close()
    question = json.loads(scripted.bodies[0])
    assert (question["type"], question["state"], question["participant"]) == ("hold", "requested", "cust")
    assert step in bench.out.steps


async def test_the_bank_can_confirm_later_by_an_action() -> None:
    bench = Bench("contact-centre")
    bench.alert()
    await bench.do(BANK, "hold", reason="payment 7")
    assert "hold confirmed" in bench.out.steps
    bench.later(60.0)
    assert bench.out.errors == []


async def test_a_hold_without_an_alert_or_in_a_profile_without_one_is_of_the_call() -> None:
    for profile, alert in (("kz-ardfm", None), ("meeting", "a1")):
        bench = Bench(profile)
        bench.alert()
        await bench.do(AGENT, "hold", alert)
        assert bench.session.phase is Phase.HELD
        await bench.do(AGENT, "release", alert)
        assert (bench.session.phase, bench.out.questions) == (Phase.OPEN, [])


async def test_an_acknowledgement_does_not_silence_a_hold_in_doubt(bench: Bench) -> None:
    console = bench.reader(("boss", Role.OPERATOR))
    bench.alert()
    await bench.do(AGENT, "hold")
    bench.later(15.0)
    await events(console, "alarm")
    await bench.do(AGENT, "acknowledge")
    assert await events(console, "alarm") == []


async def test_a_settled_warning_closes_and_a_new_one_begins_anew(bench: Bench) -> None:
    bench.alert()
    await bench.do(AGENT, "acknowledge", reason="called back, it is the customer")
    assert bench.out.steps[-2:] == ["notice done", "notice closed"]
    bench.alert(name="a2")
    assert bench.out.steps[-2:] == ["notice started", "hold advised"]


async def test_an_acknowledgement_that_settles_nothing_closes_nothing(bench: Bench) -> None:
    bench.alert()
    bench.out.over.add("a1")
    await bench.do(AGENT, "acknowledge", reason="of an earlier warning")
    assert "notice closed" not in bench.out.steps


async def test_a_warning_that_clears_by_itself_closes_once(bench: Bench) -> None:
    bench.alert(State.SUSPECT)
    bench.state(State.DETECTOR_DOWN)
    assert bench.out.steps[-1] != "notice closed", "that nothing is analysed clears nobody"
    for _ in range(3):
        bench.state(State.UNDECIDED)
    assert bench.out.steps.count("notice closed") == 1


async def test_a_call_that_ends_with_something_on_hold_says_so(bench: Bench) -> None:
    bench.alert()
    await bench.do(AGENT, "hold")
    bench.sessions.end(bench.session.id)
    assert bench.out.errors == ["hold_left_open"]
    assert [e["state"] for e in bench.out.webhook] == ["left_open"]
    bench.out.answers[0]("confirmed", "payment 7")
    assert bench.out.steps[-1] == "notice closed"


async def test_checks_begin_where_the_profile_says(bench: Bench) -> None:
    bench.alert(State.SUSPECT)
    assert (bench.out.steps[-1], bench.out.checks) == ("challenge advised", [])
    bench = Bench("contact-centre")
    bench.alert(State.SUSPECT)
    assert (bench.out.steps[-1], bench.out.checks) == ("challenge started", [("cust", "words")])
    bench.books.check_over(bench.session.id, "cust", "pass")
    assert bench.out.steps[-1] == "challenge done"


async def test_calling_back_needs_an_alert_and_a_profile_that_asks_for_it(bench: Bench) -> None:
    with pytest.raises(PeerError) as missing:
        await bench.do(AGENT, "call_back", None)
    bench.alert()
    await bench.do(AGENT, "call_back")
    assert (missing.value.code, bench.out.steps[-1]) == ("alert_missing", "call_back done")
    assert bench.out.reactions == ["cust call_back agent"]
