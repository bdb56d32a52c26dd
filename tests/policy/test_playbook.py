"""The playbook: driven by hand, in any order of events, with time as an argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import AccessError, GuardError, PeerError
from guard.policy.plan import ChecksTable, StepName
from guard.policy.playbook import Playbook
from guard.policy.profile import load_profile, shipped_profiles
from guard.policy.steps import AskBank, BankAnswer, BankState, Happened, Out, Standing, StartChallenge
from guard.policy.texts import load_texts
from guard.types import Role, State

RED, AMBER = State.SPOOF, State.SUSPECT
SEC = Role.SECURITY


def make(profile: str = "kz-ardfm") -> Playbook:
    ids: Iterator[str] = (f"hold-{n}" for n in count(1))
    return Playbook(load_profile(profile), new_id=lambda: next(ids))


def said(outs: list[Out]) -> list[tuple[str, str]]:
    return [(o.step.value, o.state.value) for o in outs if isinstance(o, Happened)]


def asked(outs: list[Out]) -> list[AskBank]:
    return [o for o in outs if isinstance(o, AskBank)]


def confirm(book: Playbook, ask: AskBank, now: float) -> list[Out]:
    return book.on_bank(ask, BankAnswer.CONFIRMED, "payment 7", now)


def test_the_whole_line_from_notice_to_release() -> None:
    book = make()
    assert said(book.on_alert("cust", "a1", RED, 0)) == [("notice", "started"), ("hold", "advised")]
    outs = book.hold("a1", "agent", None, 5)
    assert said(outs) == [("hold", "requested")]
    outs = confirm(book, asked(outs)[0], 6)
    assert said(outs) == [("hold", "confirmed"), ("challenge", "advised")]
    assert said(book.on_challenge("cust", "fail", 40)) == [("challenge", "done"), ("call_back", "advised")]
    assert said(book.call_back("a1", "agent", 90)) == [("call_back", "done"), ("second_person", "advised")]
    outs = book.release("a1", "chief", Role.OPERATOR, 120)
    assert said(outs) == [("hold", "released")]
    assert asked(outs) == [AskBank("hold-1", "cust", "a1", BankState.RELEASED, "chief")]
    assert said(confirm(book, asked(outs)[0], 121)) == [("hold", "done")]
    assert said(book.on_clear("cust", 130, "chief")) == [("notice", "closed")]
    assert book.deadline() is None


def test_amber_opens_only_what_it_starts_and_red_the_rest() -> None:
    book = make()
    assert said(book.on_alert("cust", "a1", AMBER, 0)) == [("notice", "started"), ("challenge", "advised")]
    assert said(book.on_alert("cust", "a1", RED, 10)) == [("hold", "advised")]
    assert said(book.on_challenge("cust", "fail", 20)) == [("challenge", "done")]
    assert said(book.poll(40)) == [("hold", "overdue"), ("call_back", "advised")]


def test_an_automatic_hold_is_asked_at_once_and_only_once_for_one_warning() -> None:
    book = make("contact-centre")
    outs = book.on_alert("cust", "a1", RED, 0)
    assert said(outs)[:2] == [("notice", "started"), ("hold", "requested")]
    assert [a.by for a in asked(outs)] == [None]
    confirm(book, asked(outs)[0], 1)
    assert asked(book.on_alert("cust", "a2", RED, 61)) == []
    assert asked(book.release("a2", "chief", SEC, 62)) == []
    assert asked(book.release("a2", "boss", SEC, 63)) != []
    assert asked(book.on_alert("cust", "a3", RED, 130)) == [], (
        "a person released it: guard does not hold again"
    )


def test_a_hold_that_the_bank_does_not_confirm_in_time_is_loud_and_the_rest_goes_on() -> None:
    book = make()
    book.on_alert("cust", "a1", RED, 0)
    book.hold("a1", "agent", None, 5)
    assert book.poll(19.9) == []
    assert book.deadline() == 20.0
    failed, following = book.poll(20.0)
    assert isinstance(failed, Happened)
    assert (failed.loud, failed.text, failed.details["answer"]) == (
        True,
        "playbook.hold_failed",
        "unanswered",
    )
    assert said([following]) == [("challenge", "advised")]


@pytest.mark.parametrize("answer", [BankAnswer.REFUSED, BankAnswer.UNANSWERED])
def test_what_the_bank_refuses_can_be_confirmed_by_hand_and_late_by_the_bank(answer: BankAnswer) -> None:
    for by_hand in (True, False):
        book = make()
        book.on_alert("cust", "a1", RED, 0)
        ask = asked(book.hold("a1", "agent", None, 5))[0]
        assert said(book.on_bank(ask, answer, None, 6))[0] == ("hold", "failed")
        outs = book.hold("a1", "agent", "held by hand", 9) if by_hand else confirm(book, ask, 9)
        assert said(outs) == [("hold", "confirmed")]
        assert book.on_bank(ask, answer, None, 10) == []


def test_pressing_hold_twice_does_not_confirm_it() -> None:
    book = make()
    book.on_alert("cust", "a1", RED, 0)
    book.hold("a1", "agent", "suspicious", 5)
    for by, reason in (("agent", "suspicious"), ("agent", None), ("colleague", None), ("colleague", "  ")):
        assert said(book.hold("a1", by, reason, 6)) == [("hold", "repeated")]
    assert said(book.hold("a1", "bank-core", "payment 7", 7))[0] == ("hold", "confirmed")


def test_who_held_does_not_release() -> None:
    book = make()
    book.on_alert("cust", "a1", RED, 0)
    book.hold("a1", "boss", None, 1)
    book.hold("a1", "bank-core", "payment 7", 2)
    book.call_back("a1", "caller", 3)
    for by in ("boss", "bank-core", "caller"):
        with pytest.raises(PeerError) as caught:
            book.release("a1", by, Role.OPERATOR, 4)
        assert caught.value.code == "second_person_needed"
    with pytest.raises(AccessError) as forbidden:
        book.release("a1", "other-agent", Role.AGENT, 4)
    assert forbidden.value.code == "release_forbidden"
    assert said(book.release("a1", "chief", SEC, 5))[0] == ("hold", "released")


def test_what_guard_held_needs_two_people_to_release() -> None:
    book = make("contact-centre")
    book.on_alert("cust", "a1", RED, 0)
    assert said(book.release("a1", "chief", SEC, 1)) == [("second_person", "asked")]
    with pytest.raises(PeerError, match="took part"):
        book.release("a1", "chief", SEC, 2)
    assert said(book.release("a1", "boss", SEC, 3))[0] == ("hold", "released")


def test_a_release_that_the_bank_does_not_confirm_is_loud() -> None:
    book = make("contact-centre")
    book.on_alert("cust", "a1", RED, 0)
    book.release("a1", "chief", SEC, 1)
    book.release("a1", "boss", SEC, 2)
    failed = [o for o in book.poll(17.0) if isinstance(o, Happened) and o.loud]
    assert [o.text for o in failed] == ["playbook.release_failed"]


def test_a_release_in_doubt_outlives_the_warning() -> None:
    book = make("contact-centre")
    book.on_alert("cust", "a1", RED, 0)
    book.release("a1", "chief", SEC, 1)
    book.release("a1", "boss", SEC, 2)
    assert book.on_clear("cust", 3, "boss") == []
    assert said(book.poll(17.0)) == [("hold", "failed"), ("notice", "closed")]


def test_who_called_back_before_the_hold_does_not_release_it_either() -> None:
    book = make()
    book.on_alert("cust", "a1", RED, 0)
    book.call_back("a1", "chief", 1)
    book.hold("a1", "agent", None, 2)
    with pytest.raises(PeerError, match="took part"):
        book.release("a1", "chief", SEC, 3)


def test_a_late_confirmation_of_a_released_hold_does_not_hold_again() -> None:
    book = make("contact-centre")
    ask = asked(book.on_alert("cust", "a1", RED, 0))[0]
    book.release("a1", "chief", SEC, 1)
    book.release("a1", "boss", SEC, 2)
    assert confirm(book, ask, 3) == []
    with pytest.raises(PeerError) as caught:
        book.release("a1", "boss", SEC, 4)
    assert caught.value.code == "hold_missing"


def test_a_hold_outlives_the_warning_and_the_call_says_what_it_leaves_behind() -> None:
    book = make("contact-centre")
    book.on_alert("cust", "a1", RED, 0)
    assert said(book.on_clear("cust", 10)) == [("second_person", "advised")]
    assert said(book.end()) == [("hold", "left_open"), ("notice", "closed")]
    assert book.deadline() is None


def test_a_forgotten_hold_rings() -> None:
    book = make()
    book.on_alert("cust", "a1", RED, 0)
    book.hold("a1", "agent", "x", 1)
    loud = []
    while (due := book.deadline()) is not None and due < 10_000:
        loud += [o.step for o in book.poll(due) if isinstance(o, Happened) and o.loud]
    assert loud == [StepName.HOLD, StepName.SECOND_PERSON]


def test_a_check_at_the_beginning_of_the_call_is_started_once() -> None:
    starting = ChecksTable(at="call_start", kind="visual")
    book = Playbook(load_profile("kz-ardfm").model_copy(update={"checks": starting}))
    assert book.on_join("cust") == [StartChallenge("cust", "visual", None)]
    assert book.on_join("cust") == []
    assert make().on_join("cust") == []


def test_a_check_that_policy_starts_begins_with_the_state_it_names() -> None:
    book = make("contact-centre")
    outs = book.on_alert("cust", "a1", AMBER, 0)
    assert said(outs) == [("notice", "started"), ("challenge", "started")]
    assert outs[-1] == StartChallenge("cust", "words", "a1")


def test_a_negative_result_starts_no_further_check_until_a_person_has_acted() -> None:
    book = make("contact-centre")
    assert book.on_challenge("cust", "fail", 0) == []
    outs = book.on_alert("cust", "a1", AMBER, 1)
    assert said(outs) == [("notice", "started"), ("challenge", "done")]
    assert not [out for out in outs if isinstance(out, StartChallenge)]
    book.on_clear("cust", 10, "chief")
    assert [o for o in book.on_alert("cust", "a2", AMBER, 70) if isinstance(o, StartChallenge)]


def test_a_profile_without_a_hold_holds_nothing() -> None:
    book = make("meeting")
    book.on_alert("guest", "a1", RED, 0)
    assert not book.holds_operations
    with pytest.raises(PeerError, match="no operation"):
        book.hold("a1", "host", None, 1)
    with pytest.raises(PeerError) as caught:
        make().call_back("nothing", "host", 1)
    assert caught.value.code == "step_unknown"


# -- any order of events

PEOPLE = ("agent", "boss", "bank-core")
EVENTS = st.sampled_from(
    [
        *("amber", "red", "clear", "settle", "wait", "end"),
        *("ack", "hold", "hold again", "check", "call back", "release"),
        *("confirm", "refuse", "silent"),
    ]
)
STEPS = st.lists(
    st.tuples(EVENTS, st.sampled_from(["c1", "c2"]), st.sampled_from(PEOPLE), st.floats(0, 200)), max_size=40
)


@dataclass
class Watch:
    """Follows the outs and fails as soon as one breaks a rule."""

    book: Playbook
    now: float = 0.0
    open: dict[str, str] = field(default_factory=dict)
    asks: list[AskBank] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    holders: dict[str, set[str | None]] = field(default_factory=dict)

    def take(self, outs: list[Out]) -> None:
        for out in outs:
            assert isinstance(out, Happened | AskBank | StartChallenge)
            if isinstance(out, Happened):
                self._happened(out)
            elif isinstance(out, AskBank):
                self._bank(out)
            else:
                assert out.suspect in self.running

    def _happened(self, out: Happened) -> None:
        assert out.state.value not in ("ended", "hung_up")
        if (out.step, out.state) == (StepName.NOTICE, Standing.STARTED):
            assert out.suspect not in self.running
            self.running.add(out.suspect)
        assert out.suspect in self.running, "nothing comes before the notice"
        if out.state in (Standing.REQUESTED, Standing.CONFIRMED, Standing.ASKED) and out.by:
            self.holders.setdefault(str(out.details["hold"]), set()).add(out.by)
        if (out.step, out.state) == (StepName.HOLD, Standing.RELEASED):
            assert out.by is not None, "only a person releases"
            assert out.by not in self.holders.get(str(out.details["hold"]), set())
        if out.state is Standing.CLOSED:
            self.running.remove(out.suspect)

    def _bank(self, out: AskBank) -> None:
        self.asks.append(out)
        if out.state is BankState.REQUESTED:
            assert out.suspect not in self.open, "two holds are open at once"
            self.open[out.suspect] = out.hold
        else:
            assert self.open.pop(out.suspect) == out.hold


def step(watch: Watch, event: str, who: str, by: str) -> list[Out]:
    book, now, alert = watch.book, watch.now, f"alert-{who}"
    answers = {"confirm": BankAnswer.CONFIRMED, "refuse": BankAnswer.REFUSED, "silent": BankAnswer.UNANSWERED}
    match event:
        case "amber" | "red":
            return book.on_alert(who, alert, RED if event == "red" else AMBER, now)
        case "ack":
            return book.on_ack(alert, by)
        case "hold" | "hold again":
            return book.hold(alert, by, "held" if event == "hold again" else None, now)
        case "confirm" | "refuse" | "silent":
            return [o for ask in watch.asks[-3:] for o in book.on_bank(ask, answers[event], "op", now)]
        case "check":
            return book.on_challenge(who, "fail", now)
        case "call back":
            return book.call_back(alert, by, now)
        case "release":
            return book.release(alert, by, SEC, now)
        case "clear" | "settle":
            return book.on_clear(who, now, by if event == "settle" else None)
        case "end":
            watch.open.clear()  # nothing can be released in a call that is over; it is told loudly
            return book.end()
        case _:
            return book.poll(now)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from(["kz-ardfm", "contact-centre", "meeting"]))
def test_in_any_order_the_rules_hold(events: list[tuple[str, str, str, float]], profile: str) -> None:
    watch = Watch(make(profile))
    for event, who, by, wait_s in events:
        watch.now += wait_s
        try:
            watch.take(step(watch, event, who, by))
        except GuardError as error:
            assert error.code in ("step_unknown", "hold_missing", "second_person_needed")
        watch.take(watch.book.poll(watch.now))
        due = watch.book.deadline()
        assert due is None or due > watch.now
    for who in list(watch.open):
        for fresh in ("yan", "zoe"):
            if who in watch.open:
                watch.take(watch.book.release(f"alert-{who}", fresh, SEC, watch.now))
    assert watch.open == {}, "a hold that two fresh people cannot release"


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_everything_that_is_told_has_words_in_three_languages(
    events: list[tuple[str, str, str, float]],
) -> None:
    watch = Watch(make())
    for event, who, by, wait_s in events:
        watch.now += wait_s
        try:
            outs = step(watch, event, who, by) + watch.book.poll(watch.now)
        except GuardError:
            continue
        for out in outs:
            if isinstance(out, Happened) and out.text is not None:
                assert all(load_texts().all(out.text).values())
            assert not (isinstance(out, Happened) and out.loud and out.text is None)


def test_steps_say_who_is_told() -> None:
    for name in shipped_profiles():
        profile = load_profile(name)
        for table in profile.playbook.steps:
            assert set(table.to or ()) <= set(profile.tell)
