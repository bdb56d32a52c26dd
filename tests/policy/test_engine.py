"""Who is told what, when: the timetable is driven by hand, nothing sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.policy.config import AlertsConfig
from guard.policy.engine import Policy, new_alert_id
from guard.policy.messages import Action, Channel, Delivery, Party
from guard.policy.profile import load_profile
from guard.types import Role, Signal, SignalState, State, Verdict

UTC0 = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CUSTOMER = Party("cust", Role.CUSTOMER, has_channel=True, has_page=True)
AGENT = Party("agent", Role.AGENT, has_channel=True)


def ids() -> Iterator[str]:
    return (f"alert-{n}" for n in count(1))


def make(*parties: Party, profile: str = "kz-ardfm") -> Policy:
    source = ids()
    return Policy(load_profile(profile), "s1", parties or (CUSTOMER, AGENT), new_id=lambda: next(source))


def verdict(state: State, who: str = "cust", llr: float | None = 4.0) -> Verdict:
    signals = {
        Signal.VOICE_SPOOF: SignalState(1.5, 1.0, None),
        Signal.FACE_FRAME: SignalState(2.5, 1.0, None),
        Signal.TEMPORAL: SignalState(-1.0, 1.0, None),
    }
    codes = {
        State.SPOOF: "face_frame_high",
        State.SUSPECT: "face_frame_high",
        State.BONA_FIDE: "no_suspicion",
    }
    return Verdict("s1", who, 10.0, state, llr, signals, (codes.get(state, "within_noise"),))


def told(deliveries: list[Delivery]) -> list[tuple[str | None, str, str]]:
    return [(d.recipient, d.channel.value, d.action.value) for d in deliveries]


def red(policy: Policy, now: float = 0.0, who: str = "cust") -> list[Delivery]:
    return policy.on_verdict(verdict(State.SPOOF, who), now, UTC0 + timedelta(seconds=now))


def run(policy: Policy, until: float) -> list[tuple[float, Delivery]]:
    """Follow the policy's own deadlines up to ``until``."""
    out: list[tuple[float, Delivery]] = []
    for _ in range(10_000):
        due = policy.deadline()
        if due is None or due > until:
            return out
        out += [(due, d) for d in policy.poll(due)]
    raise AssertionError("deadlines do not advance")


def test_the_message_is_the_contract() -> None:
    alert = red(make())[0].alert.as_json()
    assert alert == {
        "v": 1,
        "type": "alert",
        "id": "alert-1",
        "session": "s1",
        "participant": "cust",
        "state": "spoof",
        "llr": 4.0,
        "signals": ["face_frame", "voice_spoof"],
        "advice": alert["advice"],
        "at": "2026-05-01T12:00:00.000Z",
        "expires_at": "2026-05-01T12:02:00.000Z",
        "reasons": ["face_frame_high"],
    }
    assert set(alert["advice"]) == {"kk", "ru", "en"}


def test_the_suspect_is_never_told_and_systems_are_told_at_once() -> None:
    policy = make()
    first = told(red(policy))
    assert set(first) == {
        (None, "webhook", "send"),
        (None, "console", "send"),
        ("agent", "data_channel", "send"),
    }
    assert all(d.recipient != "cust" for _, d in run(policy, 300))


def test_only_suspectable_participants_are_judged() -> None:
    policy = make()
    assert red(policy, who="agent") == []
    assert red(policy, who="nobody") == []
    own = make(Party("a", Role.AGENT, suspectable=True), Party("o", Role.OPERATOR, has_page=True))
    assert ("o", "page", "send") in told(red(own, who="a"))


def test_unanswered_alert_is_repeated_escalated_and_expires() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    log = [(at, d.channel.value, d.action.value) for at, d in run(policy, 130)]
    sends = [at for at, channel, action in log if (channel, action) == ("data_channel", "send")]
    assert sends[:5] == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert (5.0, "banner", "start") in log
    assert (8.0, "announcement", "start") in log
    assert (10.0, "console", "start") in log
    stops = {(channel, action) for at, channel, action in log if at == 120.0}
    assert {("banner", "stop"), ("announcement", "stop"), ("console", "stop")} <= stops
    assert policy.deadline() is None


def test_acknowledgement_stops_repeats_banner_and_alarm() -> None:
    policy = make()
    red(policy)
    run(policy, 10)
    stopped = told(policy.on_ack("alert-1", "agent", 10.5))
    assert set(stopped) == {
        ("agent", "banner", "stop"),
        ("agent", "announcement", "stop"),
        (None, "console", "stop"),
    }
    assert [d for _, d in run(policy, 119)] == []
    assert policy.acks == {"accepted": 1}


@pytest.mark.parametrize(
    ("alert_id", "by", "outcome"),
    [
        ("alert-1", "cust", "not_recipient"),
        ("alert-1", "stranger", "not_recipient"),
        ("alert-2", "agent", "unknown"),
        ("\ud800", "agent", "unknown"),
    ],
)
def test_wrong_acknowledgement_changes_nothing_and_is_counted(alert_id: str, by: str, outcome: str) -> None:
    policy = make()
    red(policy)
    assert policy.on_ack(alert_id, by, 1.0) == []
    assert policy.acks == {outcome: 1}
    assert told(policy.poll(2.0)) == [("agent", "data_channel", "send")]


def test_repeated_and_late_acknowledgements_are_counted() -> None:
    policy = make()
    red(policy)
    policy.on_ack("alert-1", "agent", 1.0)
    assert policy.on_ack("alert-1", "agent", 1.5) == []
    policy.settle("cust", 1.6)
    assert policy.on_ack("alert-1", "agent", 2.0) == []
    assert policy.acks == {"accepted": 1, "repeated": 1, "ended": 1}


def test_without_a_data_channel_the_banner_starts_at_once() -> None:
    policy = make(CUSTOMER, Party("agent", Role.AGENT))
    assert ("agent", "banner", "start") in told(red(policy))


def test_a_channel_that_opens_late_gets_the_alert_at_once() -> None:
    policy = make(CUSTOMER, Party("agent", Role.AGENT))
    red(policy)
    assert told(policy.has_channel("agent", True, 1.0)) == [("agent", "data_channel", "send")]
    assert told(policy.poll(3.0)) == [("agent", "data_channel", "send")]


def test_a_channel_that_closes_brings_the_banner_forward() -> None:
    policy = make()
    red(policy)
    assert told(policy.has_channel("agent", False, 1.0)) == [("agent", "banner", "start")]


def test_one_alert_a_minute_per_person() -> None:
    policy = make()
    amber = verdict(State.SUSPECT)
    first = policy.on_verdict(amber, 0.0, UTC0)
    policy.on_verdict(verdict(State.UNDECIDED), 10.0, UTC0)
    assert policy.on_verdict(amber, 20.0, UTC0 + timedelta(seconds=20)) == []
    assert policy.deadline() == 60.0
    later = policy.poll(60.0)
    assert later[0].alert.id != first[0].alert.id
    assert later[0].alert.at == "2026-05-01T12:01:00.000Z"


def test_alert_that_had_to_wait_is_forgotten_when_the_state_clears() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    policy.on_verdict(verdict(State.UNDECIDED), 10.0, UTC0)
    policy.on_verdict(verdict(State.SUSPECT), 20.0, UTC0)
    policy.on_verdict(verdict(State.UNDECIDED), 30.0, UTC0)
    assert policy.deadline() is None


def test_red_replaces_amber_at_once_under_the_same_id_and_must_be_acknowledged_again() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    policy.on_ack("alert-1", "agent", 3.0)
    raised = [d for d in red(policy, 6.0) if d.action is Action.SEND and d.recipient == "agent"]
    assert [(d.alert.id, d.alert.state) for d in raised] == [("alert-1", State.SPOOF)]
    assert told(policy.poll(8.0)) == [("agent", "data_channel", "send")]
    assert policy.on_ack("alert-1", "agent", 9.0) == []
    assert policy.acks["accepted"] == 2


def test_a_banner_that_is_up_stays_up_when_amber_becomes_red() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    policy.poll(5.0)
    now = [d for d in red(policy, 6.0) if d.channel is Channel.BANNER]
    assert [(d.action, d.alert.state) for d in now] == [
        (Action.STOP, State.SUSPECT),
        (Action.START, State.SPOOF),
    ]


def test_amber_that_nobody_answered_is_told_again_after_expiry() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    run(policy, 121)
    assert policy.on_verdict(verdict(State.SUSPECT), 121.0, UTC0)[0].alert.id == "alert-2"


def sent_to_agent(log: list[tuple[float, Delivery]]) -> list[tuple[str, str, str]]:
    """Return the id, state and time of each alert that the agent's channel got, without repeats."""
    sent = [d for _, d in log if (d.recipient, d.action) == ("agent", Action.SEND)]
    return list(dict.fromkeys((d.alert.id, d.alert.state.value, d.alert.at[11:19]) for d in sent))


def test_red_that_nobody_answered_is_told_for_ever_even_if_no_verdict_comes_any_more() -> None:
    policy = make()
    red(policy)
    assert policy.on_verdict(verdict(State.UNDECIDED, llr=None), 5.0, UTC0) == []
    log = run(policy, 3600.0)
    again = [("alert-2", "spoof", "12:02:00"), ("alert-3", "spoof", "12:04:00")]
    assert sent_to_agent(log)[1:3] == again
    assert {d.alert.llr for _, d in log} == {4.0}, "what was found is told, not that nothing comes any more"
    assert policy.suspect_of("alert-31") == "cust"
    policy.settle("cust", 3601.0)
    assert run(policy, 8000.0) == []


@pytest.mark.parametrize("answered", [False, True])
def test_any_alert_of_a_red_can_settle_it_however_late(answered: bool) -> None:
    policy = make()
    red(policy)
    if answered:
        policy.on_ack("alert-1", "agent", 1.0)
    run(policy, 1000.0)
    policy.on_verdict(verdict(State.BONA_FIDE), 1000.0, UTC0)
    assert policy.state("cust", State.BONA_FIDE) is State.SPOOF
    assert policy.suspect_of("alert-1") == "cust"
    policy.settle("cust", 1001.0)
    assert (policy.state("cust", State.BONA_FIDE), policy.suspect_of("alert-1")) == (State.BONA_FIDE, None)


def test_the_alert_of_an_amber_that_cleared_settles_no_later_one() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    policy.on_verdict(verdict(State.UNDECIDED), 30.0, UTC0)
    red(policy, 300.0)
    assert (policy.suspect_of("alert-1"), policy.suspect_of("alert-2")) == (None, "cust")


def test_red_that_somebody_answered_is_not_told_again() -> None:
    policy = make()
    red(policy)
    policy.on_ack("alert-1", "agent", 1.0)
    run(policy, 200)
    assert red(policy, 200) == []


def test_cleared_state_takes_everything_back() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    policy.poll(5.0)
    stopped = set(told(policy.on_verdict(verdict(State.UNDECIDED), 30.0, UTC0)))
    assert stopped == {("agent", "banner", "stop"), ("agent", "data_channel", "stop")}
    assert policy.deadline() is None


def test_red_stays_until_a_person_acts_even_if_the_analysis_process_starts_afresh() -> None:
    policy = make()
    red(policy)
    policy.poll(5.0)
    assert policy.on_verdict(verdict(State.UNDECIDED), 6.0, UTC0) == []
    assert policy.state("cust", State.UNDECIDED) is State.SPOOF
    assert ("agent", "banner", "stop") in told(policy.settle("cust", 7.0))
    assert red(policy, 7.1) == [], "decided before the settling arrived"
    assert policy.state("cust", State.UNDECIDED) is State.UNDECIDED
    policy.on_verdict(verdict(State.UNDECIDED), 7.2, UTC0)
    assert red(policy, 8.0) != [], "new evidence after the settling counts"


def test_detector_down_is_a_notice_told_once_and_taken_back() -> None:
    policy = make()
    notice = policy.on_state("cust", State.DETECTOR_DOWN, 0.0, UTC0)
    assert ("agent", "data_channel", "send") in told(notice)
    assert (notice[0].alert.state, notice[0].alert.reasons) == (State.DETECTOR_DOWN, ("detector_down",))
    assert [d for _, d in run(policy, 60)] == []
    assert told(policy.on_state("cust", State.UNDECIDED, 60.0, UTC0)) == [("agent", "data_channel", "stop")]
    assert policy.on_state("agent", State.DETECTOR_DOWN, 0.0, UTC0) == []


def test_a_notice_settles_nothing() -> None:
    policy = make()
    red(policy)
    notice = policy.on_state("cust", State.DETECTOR_DOWN, 1.0, UTC0)[0].alert.id
    assert policy.suspect_of(notice) is None
    assert policy.on_ack(notice, "agent", 2.0) != []
    assert policy.acks == {"accepted": 1}


def test_a_detector_that_flaps_is_noticed_once_a_minute() -> None:
    policy = make()
    notices = 0
    for second in range(0, 120, 5):
        notices += bool(policy.on_state("cust", State.DETECTOR_DOWN, float(second), UTC0))
        policy.on_state("cust", State.UNDECIDED, second + 1.0, UTC0)
    assert notices == 2


def test_a_detector_that_stays_down_is_noticed_when_the_minute_is_over() -> None:
    policy = make()
    policy.on_state("cust", State.DETECTOR_DOWN, 0.0, UTC0)
    policy.on_state("cust", State.UNDECIDED, 5.0, UTC0)
    assert policy.on_state("cust", State.DETECTOR_DOWN, 10.0, UTC0 + timedelta(seconds=10)) == []
    log = run(policy, 59.0)
    assert (log, policy.deadline()) == ([], 60.0)
    told_late = {(d.alert.state.value, d.alert.at[11:19]) for _, d in run(policy, 70.0)}
    assert told_late == {("detector_down", "12:01:00")}
    policy.on_state("cust", State.UNDECIDED, 71.0, UTC0)
    assert policy.on_state("cust", State.DETECTOR_DOWN, 75.0, UTC0) == []
    policy.on_state("cust", State.UNDECIDED, 80.0, UTC0)
    assert run(policy, 500.0) == []


def test_who_joins_during_an_alert_is_told_and_who_leaves_is_not() -> None:
    policy = make()
    red(policy)
    assert told(policy.join(Party("op", Role.OPERATOR, has_page=True), 3.0)) == [("op", "page", "send")]
    policy.leave("agent")
    assert {d.recipient for _, d in run(policy, 20)} == {"op", None}
    ended = told(policy.leave("cust"))
    assert ("op", "banner", "stop") in ended
    assert policy.deadline() is None


def test_in_a_meeting_everyone_but_the_suspect_is_told() -> None:
    parties = [Party(f"p{n}", Role.GUEST, has_channel=True) for n in range(6)]
    reached = {d.recipient for d in red(make(*parties, profile="meeting"), who="p2") if d.recipient}
    assert reached == {"p0", "p1", "p3", "p4", "p5"}


def test_a_late_poll_does_not_send_a_burst() -> None:
    policy = make()
    red(policy)
    assert [c for _, c, _ in told(policy.poll(60.0))].count("data_channel") == 1


def test_alert_ids_do_not_repeat() -> None:
    assert len({new_alert_id() for _ in range(1000)}) == 1000
    assert all(len(new_alert_id()) >= 22 for _ in range(10))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["undecided", "bona_fide", "suspect", "spoof", "ack", "wait", "fail", "settle"]),
            st.floats(0, 50),
        ),
        max_size=60,
    )
)
def test_never_more_than_one_alert_id_a_minute_whatever_happens(steps: list[tuple[str, float]]) -> None:
    policy = make()
    now = 0.0
    first_seen: dict[str, float] = {}

    def note(deliveries: list[Delivery], at: float) -> None:
        for d in deliveries:
            assert d.recipient != "cust"
            if d.action is Action.SEND:
                first_seen.setdefault(d.alert.id, at)

    for step, wait in steps:
        for at, d in run(policy, now + wait):
            note([d], at)
        now += wait
        if step == "ack":
            note(policy.on_ack(f"alert-{len(first_seen)}", "agent", now), now)
        elif step == "fail":
            note(policy.check_failed("cust", now, UTC0), now)
        elif step == "settle":
            note(policy.settle("cust", now), now)
        elif step != "wait":
            note(policy.on_verdict(verdict(State(step)), now, UTC0), now)
    times = sorted(first_seen.values())
    assert all(b - a >= AlertsConfig().gap_s - 1e-9 for a, b in pairwise(times))


def test_what_only_a_person_may_release_says_so_in_its_reasons() -> None:
    policy = make()
    assert policy.reasons("cust", State.BONA_FIDE, ("no_suspicion",)) == ("no_suspicion",)
    red(policy)
    assert policy.reasons("cust", State.SPOOF, ("face_frame_high",)) == ("face_frame_high",)
    assert policy.reasons("cust", State.UNDECIDED, ("no_evidence",)) == ("waiting_for_person",)
    assert policy.reasons("cust", State.DETECTOR_DOWN, ("detector_down",)) == (
        "detector_down",
        "waiting_for_person",
    )
    told_of_it = policy.check_failed("cust", 9.0, UTC0)
    assert {d.alert.reasons for d in told_of_it if d.action is Action.SEND} == {
        ("check_failed", "face_frame_high")
    }
    mixed = policy.reasons("cust", State.SUSPECT, ("voice_spoof_raised", "check_failed", "low_coverage"))
    assert mixed == ("check_failed", "voice_spoof_raised", "low_coverage", "waiting_for_person")
    policy.settle("cust", 10.0)
    assert policy.reasons("cust", State.UNDECIDED, ("no_evidence",)) == ("no_evidence",)


def fail(policy: Policy, now: float) -> list[tuple[str, str]]:
    """Have a check fail; returns id and state of what the agent is sent of it at once."""
    deliveries = policy.check_failed("cust", now, UTC0 + timedelta(seconds=now))
    sent = [d.alert for d in deliveries if (d.recipient, d.action) == ("agent", Action.SEND)]
    return [(alert.id, alert.state.value) for alert in sent]


@pytest.mark.parametrize(("at_s", "name"), [(30.0, "alert-1"), (90.0, "alert-2"), (300.0, "alert-2")])
@pytest.mark.parametrize("state", [State.SUSPECT, State.SPOOF])
def test_a_failed_check_is_told_after_a_warning_that_was_answered(
    at_s: float, name: str, state: State
) -> None:
    policy = make()
    policy.on_verdict(verdict(state), 0.0, UTC0)
    policy.on_ack("alert-1", "agent", 3.0)
    run(policy, at_s)
    assert fail(policy, at_s) == [(name, state.value)]
    assert [c for _, c, _ in told(policy.poll(at_s + 5.0))] == ["data_channel", "banner"]
    assert policy.on_verdict(verdict(State.SUSPECT), at_s + 6.0, UTC0) == [], "told once"


def test_a_failed_check_is_told_though_nobody_was_warned_and_no_verdict_comes_any_more() -> None:
    policy = make()
    assert fail(policy, 7.0) == [("alert-1", "suspect")]
    assert sent_to_agent(run(policy, 200.0))[1:] == [("alert-2", "suspect", "12:02:07")]
    policy.on_ack("alert-2", "agent", 201.0)
    assert fail(policy, 202.0) == [("alert-3", "suspect")], "the next negative result is told as well"
    assert fail(policy, 203.0) == [], "nobody has answered yet"
    assert policy.check_failed("agent", 204.0, UTC0) == []


def test_a_failed_check_keeps_the_banner_of_the_warning_it_replaces() -> None:
    policy = make()
    policy.on_verdict(verdict(State.SUSPECT), 0.0, UTC0)
    policy.poll(5.0)
    replaced = policy.check_failed("cust", 6.0, UTC0)
    assert [d.action for d in replaced if d.channel is Channel.BANNER] == [Action.STOP, Action.START]


def test_a_failed_check_stays_amber_through_restarts_until_a_person_acts() -> None:
    policy = make()
    policy.check_failed("cust", 9.0, UTC0)
    assert policy.state("cust", State.BONA_FIDE) is State.SUSPECT
    assert policy.state("cust", State.SPOOF) is State.SPOOF
    assert policy.state("cust", State.DETECTOR_DOWN) is State.DETECTOR_DOWN
    assert policy.state("agent", State.BONA_FIDE) is State.BONA_FIDE
    assert policy.on_verdict(verdict(State.BONA_FIDE), 12.0, UTC0) == [], "the alert goes on"
    policy.settle("cust", 20.0)
    assert policy.state("cust", State.BONA_FIDE) is State.BONA_FIDE
    assert policy.on_verdict(verdict(State.BONA_FIDE), 100.0, UTC0) == []
