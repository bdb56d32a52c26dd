from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.alert import Alert
from guard.clock import ManualClock
from guard.errors import AccessError, ConfigError, GuardError, NotFoundError, Overload, PeerError
from guard.signalling.actions import Actions
from guard.signalling.hub import Event, Hub, Subscription
from guard.signalling.ports import Action, ActionKind
from guard.signalling.session import NewParticipant
from guard.signalling.sessions import Sessions, SessionsConfig
from guard.signalling.tokens import Access
from guard.signalling.views import open_alerts, summary
from guard.types import Role, State

AGENT, CUSTOMER = Access("s", "a", Role.AGENT), Access("s", "c", Role.CUSTOMER)
OPERATOR = Access("*", "op", Role.OPERATOR)


def pair() -> list[NewParticipant]:
    return [NewParticipant("c", Role.CUSTOMER), NewParticipant("a", Role.AGENT)]


def registry(**limits: int) -> Sessions:
    return Sessions(ManualClock(), SessionsConfig(**limits))  # type: ignore[arg-type]


def code(error: pytest.ExceptionInfo[GuardError]) -> str:
    return error.value.code


def test_the_profile_says_who_is_analysed_unless_the_session_does() -> None:
    sessions = Sessions(
        ManualClock(), profiles=["meeting", "kz"], suspectable=lambda profile, role: profile == "kz"
    )
    people = [*pair(), NewParticipant("never", Role.GUEST, suspectable=False)]
    everybody = sessions.create("kz", people)
    assert {p.id: p.suspectable for p in everybody.participants.values()} == {
        "c": True,
        "a": True,
        "never": False,
    }
    nobody = sessions.create("meeting", pair())
    assert not any(p.suspectable for p in nobody.participants.values())


def test_by_default_customers_and_guests_are_analysed() -> None:
    made = registry().create(None, [NewParticipant(role.value, role) for role in Role])
    assert {p.id for p in made.participants.values() if p.suspectable} == {"customer", "guest"}


def test_ids_of_sessions_cannot_be_guessed() -> None:
    sessions = registry()
    ids = {sessions.create(None, pair()).id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(name) >= 16 for name in ids)


def test_limits_are_kept() -> None:
    sessions = registry(max_sessions=2, max_participants=2, max_readers=1)
    made = sessions.create(None, pair())
    with pytest.raises(Overload) as caught:
        sessions.admit(Access(made.id, "x", Role.GUEST))
    assert code(caught) == "participants_full"
    with pytest.raises(Overload):
        sessions.create(None, [*pair(), NewParticipant("x", Role.GUEST)])
    sessions.subscribe(made, AGENT)
    with pytest.raises(Overload) as caught:
        sessions.subscribe(made, AGENT)
    assert code(caught) == "readers_full"
    sessions.create(None, pair())
    with pytest.raises(Overload) as caught:
        sessions.create(None, pair())
    assert code(caught) == "sessions_full"


@pytest.mark.parametrize(
    ("profile", "people", "expected"),
    [
        ("unknown", pair(), "profile_unknown"),
        (None, [*pair(), NewParticipant("a", Role.GUEST)], "participant_repeated"),
        (None, [NewParticipant("a b", Role.GUEST)], "id_invalid"),
    ],
)
def test_a_wrong_session_is_refused_and_leaves_nothing(
    profile: str | None, people: list[NewParticipant], expected: str
) -> None:
    sessions = registry()
    with pytest.raises(PeerError) as caught:
        sessions.create(profile, people)
    assert code(caught) == expected
    assert list(sessions) == []


def test_an_ended_session_is_remembered_and_cannot_be_opened_again() -> None:
    sessions = registry()
    opener = Access("demo", "a", Role.AGENT, may_open=True)
    session, person = sessions.admit(opener)
    assert (session.id, person.id) == ("demo", "a")
    sessions.end("demo")
    for call in (lambda: sessions.get("demo"), lambda: sessions.admit(opener)):
        with pytest.raises(NotFoundError) as caught:
            call()
        assert code(caught) == "session_ended"
    with pytest.raises(NotFoundError) as caught:
        sessions.get("other")
    assert code(caught) == "session_unknown"


def test_a_token_of_another_role_is_refused() -> None:
    sessions = registry()
    made = sessions.create(None, pair())
    with pytest.raises(AccessError):
        sessions.admit(Access(made.id, "c", Role.AGENT))


def test_callbacks_come_in_order() -> None:
    sessions, told = registry(), list[str]()
    sessions.listen(
        opened=lambda s: told.append("opened"),
        joined=lambda s, p: told.append(p.id),
        ended=lambda s: told.append("ended"),
    )
    made = sessions.create(None, pair())
    sessions.admit(Access(made.id, "g", Role.GUEST))
    sessions.end(made.id)
    assert told == ["opened", "c", "a", "g", "ended"]


def test_a_late_verdict_for_nobody_changes_nothing() -> None:
    sessions = registry()
    made = sessions.create(None, pair())
    sessions.update_state(made.id, "nobody", state=State.SPOOF, llr=1.0, signals={})
    sessions.update_state("gone", "c", state=State.SPOOF, llr=1.0, signals={})
    sessions.publish("gone", {"type": "x"})
    assert all(p.state is State.UNDECIDED for p in made.participants.values())


def test_the_summary_hides_what_may_not_be_seen() -> None:
    sessions = registry()
    made = sessions.create(None, pair())
    sessions.update_state(made.id, "c", state=State.SPOOF, llr=6.0, signals={})
    seen = {
        access.participant: {p["id"]: p["state"] for p in summary(made, access)["participants"]}
        for access in (AGENT, CUSTOMER, OPERATOR)
    }
    assert seen == {
        "a": {"c": "spoof", "a": None},
        "c": {"c": None, "a": None},
        "op": {"c": "spoof", "a": "undecided"},
    }


def test_alerts_are_kept_within_limits_and_until_they_expire() -> None:
    clock = ManualClock()
    sessions = Sessions(clock, SessionsConfig(remembered_alerts=2))
    made = sessions.create(None, pair())
    for n in range(3):
        until = f"2026-01-01T00:0{n + 1}:00.000Z"
        sessions.publish_alert(Alert(f"a{n}", made.id, "c", State.SUSPECT, 1.0, [], {}, until, until))
    assert [a["id"] for a in open_alerts(made, AGENT, clock.utc())] == ["a1", "a2"]
    assert open_alerts(made, CUSTOMER, clock.utc()) == []
    clock.advance(120)
    assert [a["id"] for a in open_alerts(made, AGENT, clock.utc())] == ["a2"]


def test_the_newest_warning_of_a_participant_can_be_acknowledged_however_many_come_after() -> None:
    sessions = Sessions(ManualClock(), SessionsConfig(remembered_alerts=2))
    made = sessions.create(None, [*pair(), NewParticipant("d", Role.CUSTOMER)])
    at = "2026-01-01T00:00:00.000Z"
    sessions.publish_alert(Alert("red", made.id, "c", State.SPOOF, 6.0, [], {}, at, at))
    sessions.publish_alert(Alert("down", made.id, "c", State.DETECTOR_DOWN, None, [], {}, at, at))
    for n in range(5):
        sessions.publish_alert(Alert(f"d{n}", made.id, "d", State.SUSPECT, 1.0, [], {}, at, at))
    assert list(made.alerts) == ["red", "d4"]


def test_sessions_that_nobody_uses_end_by_themselves() -> None:
    clock = ManualClock()
    sessions = Sessions(clock, SessionsConfig(max_sessions=2, unused_s=100.0, empty_s=10.0))
    used, waiting = sessions.create(None, pair()), sessions.create(None, pair())
    used.participants["a"].connected = True
    sessions.announce(used)
    clock.advance(50.0)
    with pytest.raises(Overload):
        sessions.create(None, pair())
    used.participants["a"].connected = False
    sessions.announce(used)
    clock.advance(9.0)
    sessions.sweep()
    assert list(sessions) == [used, waiting]
    clock.advance(1.0)
    sessions.create(None, pair())
    with pytest.raises(NotFoundError) as caught:
        sessions.get(used.id)
    assert code(caught) == "session_ended"
    clock.advance(40.0)
    sessions.sweep()
    assert waiting not in list(sessions)


async def test_an_answered_alert_greets_nobody_until_it_is_sent_again() -> None:
    class Sink:
        def check(self, action: Action) -> None:
            pass

        async def act(self, action: Action) -> None:
            pass

    clock = ManualClock()
    sessions = Sessions(clock)
    made = sessions.create(None, pair())
    until = "2026-01-01T00:10:00.000Z"
    alert = Alert("a0", made.id, "c", State.SUSPECT, 1.0, [], {}, until, until)
    sessions.publish_alert(alert)
    who = Access(made.id, "a", Role.AGENT)
    await Actions(sessions, Sink()).perform(who, made.id, ActionKind.ACKNOWLEDGE, alert="a0", reason=None)
    assert open_alerts(made, who, clock.utc()) == []
    sessions.publish_alert(alert)
    assert open_alerts(made, who, clock.utc()) == [alert.as_json()]


@pytest.mark.parametrize("change", [{"max_sessions": 0}, {"queue_events": 0}, {"remembered_ended": 1}])
def test_impossible_limits_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        registry(**change)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
def test_a_reader_keeps_the_newest_and_counts_what_it_lost(steps: list[bool], limit: int) -> None:
    hub = Hub(limit)
    reader = hub.subscribe(AGENT)
    sent = taken = 0
    model: list[int] = []
    for publish in steps:
        if publish:
            hub.publish({"type": "state", "participant": "c", "n": sent})
            model = [*model, sent][-limit:]
            sent += 1
        elif model:
            event = _take(reader)
            assert event["n"] == model.pop(0)
            taken += 1
    assert sent == taken + len(model) + hub.dropped
    hub.unsubscribe(reader)
    assert sent == taken + len(model) + hub.dropped


def _take(reader: Subscription) -> Event:
    coroutine = reader.next(1.0)
    try:
        coroutine.send(None)
    except StopIteration as done:
        event: Event = done.value
        return event
    raise AssertionError("it waited although something was queued")


def test_recipients_narrow_who_is_told_but_never_to_the_one_it_is_about() -> None:
    hub = Hub(10)
    readers = {a.participant: hub.subscribe(a) for a in (AGENT, CUSTOMER, OPERATOR)}
    other = hub.subscribe(Access("s", "h", Role.HOST))
    about_customer = {"type": "alert", "participant": "c"}
    hub.publish(about_customer, {"a", "c"})
    assert _take(readers["a"]) == _take(readers["op"]) == about_customer
    hub.publish({"type": "session"})
    assert _take(readers["c"]) == _take(other) == {"type": "session"}
