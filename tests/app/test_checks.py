"""Active checks in the relay process: who is told what, what is recorded, and how every check ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from guard.app.check_ports import ClientClaim
from guard.app.checks import Checks
from guard.clock import ManualClock
from guard.errors import GuardError, NotFoundError
from guard.policy.texts import LANGUAGES, load_texts
from guard.signalling.check_messages import ClientMessage, ComparedMessage, NeedsMessage, ShownMessage
from guard.signalling.hub import Subscription
from guard.signalling.session import NewParticipant, Session
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Access
from guard.signalling.visibility import OWN_TYPES
from guard.types import Role


@dataclass
class ScriptedAnalysis:
    up: bool = True
    takes: bool = True
    told: list[dict[str, Any]] = field(default_factory=list)

    def send(self, message: dict[str, Any]) -> bool:
        self.told.append(message)
        return self.takes


@dataclass
class Channel:
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def send(self, session: str, participant: str, text: str) -> bool:
        self.sent.append((participant, json.loads(text)))
        return True


@dataclass
class Notebook:
    written: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)

    def record(self, session: str, kind: str, body: Mapping[str, Any]) -> None:
        json.dumps(body, allow_nan=False)
        self.written.append((session, kind, body))

    def badge(self, statement: Mapping[str, Any]) -> str:
        return f"signed:{statement['code']}:{statement['agent']}"


class Desk:
    """One session with a customer, an agent and two event streams."""

    def __init__(self, *, drill: bool = False) -> None:
        self.clock, self.listens = ManualClock(), True
        self.analysis, self.channel, self.notebook = ScriptedAnalysis(), Channel(), Notebook()
        self.done: list[tuple[str, str, str, str, bool]] = []
        self.sessions = Sessions(self.clock, profiles=("kz-ardfm",))
        self.checks = Checks(
            clock=self.clock,
            sessions=self.sessions,
            analysis=self.analysis,
            messages=self.channel,
            recorder=self.notebook,
            texts=load_texts(),
            judged=lambda _, participant: participant == "customer",
            listens=lambda: self.listens,
            graded=lambda claim, shown_s: {
                "client": claim != ClientClaim(),
                "shown": shown_s,
                "weighs_llr": 0.5 if claim != ClientClaim() else 0.0,
            },
            done=lambda *told: self.done.append(told),
        )
        people = [NewParticipant("customer", Role.CUSTOMER), NewParticipant("agent", Role.AGENT)]
        self.session: Session = self.sessions.create("kz-ardfm", people, drill=drill)
        for person in self.session.participants.values():
            person.connected = True
        self.streams = {name: self.stream(name, p.role) for name, p in self.session.participants.items()}

    def stream(self, participant: str, role: Role) -> Subscription:
        return self.sessions.subscribe(self.session, Access(self.session.id, participant, role))

    async def seen_by(self, participant: str) -> list[dict[str, Any]]:
        events = []
        while (event := await self.streams[participant].next(timeout_s=0.001)) is not None:
            events.append(dict(event))
        return events

    def start(self, kind: str = "visual", participant: str = "customer") -> str:
        return self.checks.start(self.session.id, participant, kind, language="ru", by="agent")

    def from_analysis(self, kind: str, check: str, **more: Any) -> None:
        who = {"session": self.session.id, "participant": "customer"}
        self.checks.on_analysis({"type": kind, "id": check, **who, **more})

    def attempt(self, check: str, result: str, *, number: int = 1, again: bool = False) -> None:
        command = {"gesture": "turn_left", "sent_s": [self.clock.now() - 3.0], "shown_after_s": [0.05]}
        self.from_analysis(
            "check_attempt",
            check,
            attempt=number,
            result=result,
            reason="a_reason",
            again=again,
            other_commands=False,
            commands=[command],
            passive={},
        )


@pytest.fixture
async def desk() -> Any:
    made = Desk()
    yield made
    made.checks.close()


SHOW = {
    "attempt": 1,
    "number": 1,
    "of": 3,
    "gesture": "turn_left",
    "step": 0,
    "words": [],
    "colour": None,
    "dot": None,
    "limit_s": 6.0,
}


async def test_a_command_reaches_the_person_and_nobody_else(desk: Desk) -> None:
    check = desk.start()
    desk.from_analysis("check_show", check, **SHOW)
    (seen,) = [e for e in await desk.seen_by("customer") if e["type"] == "command"]
    assert {key: seen[key] for key in SHOW} == SHOW
    assert (seen["v"], seen["id"], seen["participant"]) == (1, check, "customer")
    assert set(seen["text"]) == set(LANGUAGES)
    assert {who for who, _ in desk.channel.sent} == {"customer"}
    assert desk.channel.sent[-1][1] == seen
    assert not [e for e in await desk.seen_by("agent") if e["type"] in OWN_TYPES]


async def test_a_check_is_announced_to_the_person_and_to_those_who_watch(desk: Desk) -> None:
    check = desk.start()
    (begins,) = [e for e in await desk.seen_by("customer") if e["type"] == "check_begins"]
    assert (begins["id"], begins["kind"]) == (check, "visual")
    assert set(begins["text"]) == set(LANGUAGES)
    desk.attempt(check, "fail", number=1, again=True)
    desk.attempt(check, "pass", number=2, again=False)
    seen = [e for e in await desk.seen_by("agent") if e["type"] == "check"]
    head = {"v": 1, "type": "check", "id": check, "participant": "customer", "kind": "visual", "by": "agent"}
    assert seen == [{**head, "running": True}, {**head, "running": False}]
    assert not [e for e in await desk.seen_by("customer") if e["type"] == "check"]


async def test_each_attempt_is_recorded_and_told_to_those_who_watch(desk: Desk) -> None:
    check = desk.start()
    for number, again in ((1, True), (2, True), (3, False)):
        desk.attempt(check, "fail", number=number, again=again)
    events = [e for e in await desk.seen_by("agent") if e["type"] == "challenge"]
    assert events == [
        {
            "v": 1,
            "type": "challenge",
            "id": check,
            "participant": "customer",
            "attempt": number,
            "result": "fail",
            "reason": "a_reason",
        }
        for number in (1, 2, 3)
    ]
    overs = [e for e in await desk.seen_by("customer") if e["type"] == "check_over"]
    assert [(e["attempt"], e["again"]) for e in overs] == [(1, True), (2, True), (3, False)]
    assert "reason" not in overs[0]
    kinds = [kind for _, kind, _ in desk.notebook.written]
    assert kinds == ["challenge_begun"] + ["challenge_attempt"] * 3
    body = desk.notebook.written[-1][2]
    assert body["commands"][0]["steps_after_s"] == [0.0]
    assert "sent_s" not in body["commands"][0]
    assert body["client"]["shown"] == [0.05]
    assert desk.done[-1] == (desk.session.id, "customer", "visual", "fail", False)


async def test_a_check_that_cannot_run_is_refused(desk: Desk) -> None:
    for participant, code in (("agent", "challenge_not_analysed"), ("nobody", "participant_unknown")):
        with pytest.raises((GuardError, NotFoundError)) as caught:
            desk.start(participant=participant)
        assert caught.value.code == code
    desk.session.participants["customer"].connected = False
    with pytest.raises(GuardError) as caught:
        desk.start()
    assert caught.value.code == "challenge_absent"
    desk.session.participants["customer"].connected = True
    desk.start()
    with pytest.raises(GuardError) as caught:
        desk.start()
    assert caught.value.code == "challenge_running"


@pytest.mark.parametrize(("up", "takes"), [(False, True), (True, False)])
async def test_without_analysis_there_is_no_check(desk: Desk, up: bool, takes: bool) -> None:
    desk.analysis.up, desk.analysis.takes = up, takes
    with pytest.raises(GuardError) as caught:
        desk.start()
    assert caught.value.code == "analysis_unavailable"
    desk.analysis.up = desk.analysis.takes = True
    assert desk.start(), "the refused check is not in the way of the next"


async def test_losing_the_analysis_process_is_inconclusive_and_never_a_pass(desk: Desk) -> None:
    check = desk.start()
    desk.checks.analysis_down()
    (event,) = [e for e in await desk.seen_by("agent") if e["type"] == "challenge"]
    assert (event["id"], event["result"], event["reason"]) == (check, "inconclusive", "detector_down")
    desk.attempt(check, "pass")
    assert not [e for e in await desk.seen_by("agent") if e["type"] == "challenge"]


async def test_a_customer_who_leaves_ends_the_check(desk: Desk) -> None:
    check = desk.start()
    desk.checks.page_gone(desk.session.id, "customer")
    assert desk.analysis.told[-1]["type"] == "check_cancel"
    assert desk.analysis.told[-1]["id"] == check


async def test_the_end_of_the_call_is_recorded_as_inconclusive(desk: Desk) -> None:
    desk.start()
    desk.sessions.end(desk.session.id)
    _, kind, body = desk.notebook.written[-1]
    assert (kind, body["result"], body["reason"]) == ("challenge_attempt", "inconclusive", "call_ended")


async def test_what_others_say_of_a_check_is_not_taken(desk: Desk) -> None:
    check = desk.start()
    told = len(desk.analysis.told)
    shown = ShownMessage(type="shown", id=check, number=1, step=0)
    desk.checks.page_says(desk.session.id, "agent", shown)
    desk.checks.page_says(desk.session.id, "customer", ShownMessage(type="shown", id="x", number=1, step=0))
    desk.checks.page_says(desk.session.id, "customer", ComparedMessage(type="compared", id=check, same=True))
    assert len(desk.analysis.told) == told
    desk.checks.page_says(desk.session.id, "customer", shown)
    desk.checks.page_says(
        desk.session.id, "customer", NeedsMessage(type="needs", id=check, needs=["glasses"])
    )
    assert [m["type"] for m in desk.analysis.told[told:]] == ["check_shown", "check_needs"]


@pytest.mark.parametrize(("same", "result"), [(True, "pass"), (False, "fail")])
async def test_the_mutual_check_shows_one_code_on_both_sides(desk: Desk, same: bool, result: str) -> None:
    desk.analysis.up = False  # it needs no pictures
    check = desk.start("mutual")
    sides = [[e for e in await desk.seen_by(who) if e["type"] == "mutual"] for who in ("customer", "agent")]
    assert sides[0] == sides[1]
    (shown,) = sides[0]
    code = shown["code"].replace(" ", "")
    assert code.isdigit()
    assert len(code) == 6
    assert shown["badge"] == f"signed:{code}:agent"
    assert all(code not in json.dumps(body) for _, _, body in desk.notebook.written)
    desk.checks.page_says(desk.session.id, "agent", ComparedMessage(type="compared", id=check, same=True))
    assert not desk.done, "the agent does not vouch for themselves"
    desk.checks.page_says(desk.session.id, "customer", ComparedMessage(type="compared", id=check, same=same))
    (event,) = [e for e in await desk.seen_by("agent") if e["type"] == "challenge"]
    assert event["result"] == result


async def test_a_check_nobody_ends_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.app.checks.MUTUAL_S", 0.0)
    desk.start("mutual")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (event,) = [e for e in await desk.seen_by("agent") if e["type"] == "challenge"]
    assert (event["result"], event["reason"]) == ("inconclusive", "mutual_unanswered")


async def test_what_the_page_is_made_of_is_kept_for_the_record(desk: Desk) -> None:
    files = {"/web/js/main.js": "0" * 64}
    desk.checks.page_says(desk.session.id, "customer", ClientMessage(type="client", version="1", files=files))
    check = desk.start()
    desk.attempt(check, "pass")
    assert desk.notebook.written[-1][2]["client"]["client"] is True


async def test_what_the_page_says_of_itself_is_recorded_and_weighs_from_the_beginning(desk: Desk) -> None:
    desk.checks.page_says(desk.session.id, "customer", ClientMessage(type="client", version="1", files={}))
    desk.start()
    told = desk.analysis.told[-1]
    assert (told["type"], told["claims_llr"]) == ("check_start", 0.5)
    assert desk.notebook.written[-1][2]["client"]["client"] is True


async def test_a_check_that_policy_wants_begins_once_it_can_be_shown_and_judged(desk: Desk) -> None:
    person = desk.session.participants["customer"]
    person.connected = person.publishing = False
    person.language = "kk"
    desk.checks.want(desk.session.id, "customer", "visual")
    person.publishing = True
    desk.checks.look_again(desk.session.id)
    assert desk.analysis.told == [], "there is no screen yet"
    desk.analysis.up = False
    desk.checks.channel(desk.session.id, "customer", True)
    assert desk.analysis.told == [], "nobody could judge it yet"
    desk.analysis.up = True
    desk.checks.analysis_up()
    (started,) = desk.analysis.told
    assert (started["type"], started["check_kind"], started["language"]) == ("check_start", "visual", "kk")
    desk.checks.look_again(desk.session.id)
    assert len(desk.analysis.told) == 1


@pytest.mark.parametrize("listens", [True, False])
async def test_words_that_nobody_would_write_down_become_a_visual_check_that_says_so(
    desk: Desk, listens: bool
) -> None:
    desk.listens = listens
    desk.session.participants["customer"].publishing = True
    desk.checks.want(desk.session.id, "customer", "words")
    kind, more = ("words", {}) if listens else ("visual", {"instead_of": "words"})
    (started,) = desk.analysis.told
    assert (started["type"], started["check_kind"]) == ("check_start", kind)
    desk.attempt(started["id"], "pass")
    told = [e for e in await desk.seen_by("agent") if e["type"] == "check"]
    head = {"v": 1, "type": "check", "id": started["id"], "participant": "customer", "kind": kind}
    assert told == [{**head, "by": "policy", "running": running, **more} for running in (True, False)]
    written = [
        {k: body[k] for k in ("kind", "instead_of") if k in body} for *_, body in desk.notebook.written
    ]
    assert written == [{"kind": kind, **more}] * 2


@pytest.mark.parametrize("drill", [True, False])
async def test_the_records_of_a_training_call_say_so(drill: bool) -> None:
    desk = Desk(drill=drill)
    check = desk.start()
    desk.attempt(check, "fail", again=True)
    desk.sessions.end(desk.session.id)
    kinds = [(kind, body.get("drill", False)) for _, kind, body in desk.notebook.written]
    assert kinds == [("challenge_begun", drill), ("challenge_attempt", drill), ("challenge_attempt", drill)]
    desk.checks.close()


async def test_a_person_gets_the_check_they_ask_for(desk: Desk) -> None:
    desk.listens = False
    desk.start("words")
    assert desk.analysis.told[0]["check_kind"] == "words"
    assert "instead_of" not in desk.notebook.written[0][2]


async def test_a_customer_with_a_data_channel_alone_is_checked_until_it_closes(desk: Desk) -> None:
    desk.session.participants["customer"].connected = False
    desk.checks.channel(desk.session.id, "customer", True)
    desk.start()
    desk.checks.page_gone(desk.session.id, "customer")
    assert desk.analysis.told[-1]["type"] == "check_start", "the channel is still there"
    desk.checks.channel(desk.session.id, "customer", False)
    assert desk.analysis.told[-1]["type"] == "check_cancel"


async def test_needs_named_at_the_start_reach_the_draw_and_no_record(desk: Desk) -> None:
    who = (desk.session.id, "customer", "visual")
    desk.checks.start(*who, language="ru", by="agent", needs=["no_hands"])
    assert desk.analysis.told[0]["needs"] == ["no_hands"]
    (begins,) = [e for e in await desk.seen_by("customer") if e["type"] == "check_begins"]
    assert begins["needs"] == ["no_hands"], "the person's form begins with it"
    assert "no_hands" not in json.dumps(await desk.seen_by("agent"))
    assert "no_hands" not in json.dumps([body for _, _, body in desk.notebook.written])


async def test_a_lost_check_is_ended_in_the_other_process_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.app.checks.MAX_CHECK_S", 0.0)
    check = desk.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (desk.analysis.told[-1]["type"], desk.analysis.told[-1]["id"]) == ("check_cancel", check)
    (event,) = [e for e in await desk.seen_by("agent") if e["type"] == "challenge"]
    assert (event["result"], event["reason"]) == ("inconclusive", "check_lost")
