"""Synthetic attacks of drills in the relay process: who may, what people are told of it, what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from guard.app import drills as drills_module
from guard.app.call_messages import read_verdict
from guard.app.drills import MAX_ATTACKS
from guard.errors import GuardError, NotFoundError
from guard.signalling.ports import AttackKind, SyntheticAttack
from guard.signalling.session import Session
from guard.signalling.tokens import Access
from guard.types import Role, State
from tests.app import test_drills
from tests.app.test_drills import House, verdict

house = test_drills.house
BOTH = SyntheticAttack(AttackKind.BOTH, 10.0, 35.0)


def begin(house: House, session: Session, who: str = "cust") -> str:
    return house.drills.attack(session.id, who, BOTH, by="trainer")


def tell(house: House, session: Session, drill: str, kind: str, **more: Any) -> None:
    message = {"type": kind, "session": session.id, "participant": "cust", "id": drill, **more}
    house.drills.on_analysis(message)


def say(house: House, session: Session, drill: str, state: str, llr: float = 4.0) -> None:
    """The detectors make this of the synthetic media, now."""
    found = {**verdict(session), "state": state, "llr": llr, "decided_s": house.clock.now()}
    found |= {"begun_s": house.clock.now(), "sha256": "ab" * 32}
    del found["type"]
    tell(house, session, drill, "drill_verdict", **{k: v for k, v in found.items() if k not in WHO})


WHO = ("session", "participant")


def played(house: House, session: Session) -> str:
    """An attack whose synthetic media have begun."""
    drill = begin(house, session)
    house.clock.advance(10.0)
    tell(house, session, drill, "drill_begun", begun_s=house.clock.now(), sha256="ab" * 32)
    return drill


def over(house: House, session: Session, drill: str, why: str = "time", **more: Any) -> None:
    told = {"judged": 300, "llr": 1.5, "reached_s": {}, "own_state": "undecided", **more}
    tell(house, session, drill, "drill_over", why=why, **told)


def told(house: House) -> list[dict[str, Any]]:
    """Records of attacks, those of playbook steps left out."""
    return [body for _, kind, body in house.records if kind == "drill" and "reaction" in body]


def count(house: House, name: str, **labels: str) -> float:
    return house.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_what_the_detectors_find_is_told_like_a_real_attack_and_labelled(house: House) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    house.clock.advance(3.0)
    say(house, session, drill, "undecided", 1.0)
    assert house.sent("alert") == []
    house.clock.advance(3.0)
    say(house, session, drill, "suspect")
    house.clock.advance(1.0)
    say(house, session, drill, "spoof", 5.0)
    amber, red = house.sent("alert")
    assert (amber["state"], red["state"], amber["id"] == red["id"]) == ("suspect", "spoof", True)
    assert (amber["drill"], amber["llr"]) == (True, 4.0)
    assert session.participant("cust").state is State.SPOOF
    found = [(e["state"], e["delay_s"], e["alert"]) for e in told(house) if e["reaction"] == "detected"]
    assert found == [("suspect", 6.0, amber["id"]), ("spoof", 7.0, amber["id"])]
    assert count(house, "guard_drill_detection_seconds_sum", attack="both", state="suspect") == 6.0


async def test_reactions_are_timed_from_the_warning_and_the_record_says_who_did_what(house: House) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    house.clock.advance(6.0)
    say(house, session, drill, "spoof")
    alert = house.sent("alert")[0]["id"]
    house.clock.advance(4.0)
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert)
    house.clock.advance(1.0)
    await house.act(session, "agent", Role.AGENT, "hold", alert)
    over(house, session, drill, reached_s={"spoof": 6.0}, llr=5.0)
    rows = [(e["reaction"], e["by"], e["delay_s"]) for e in told(house)]
    assert rows == [
        ("ordered", "trainer", 0.0),
        ("injected", None, 0.0),
        ("detected", None, 6.0),
        ("acknowledge", "agent", 4.0),
        ("hold", "agent", 5.0),
        ("over", None, 11.0),
    ]
    ordered, injected, *_, last = told(house)
    assert (ordered["attack"], ordered["after_s"], ordered["seconds"]) == ("both", 10.0, 35.0)
    assert injected["clip"] == {"sha256": "ab" * 32}
    assert told(house)[3]["attack_s"] == 10.0
    assert (last["result"], last["why"], last["reached_s"], last["llr"]) == (
        "detected",
        "time",
        {"spoof": 6.0},
        5.0,
    )


async def test_what_the_detectors_miss_is_said_to_be_missed_and_nobody_is_told(house: House) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    say(house, session, drill, "bona_fide", -1.5)
    assert session.participant("cust").state is State.BONA_FIDE
    house.clock.advance(36.0)
    over(house, session, drill)
    last = told(house)[-1]
    assert (last["result"], last["judged"], last["reached_s"]) == ("not_detected", 300, {})
    assert house.sent("alert") == []
    assert session.participant("cust").state is State.UNDECIDED, "nothing of the drill is left"
    assert count(house, "guard_drill_attacks_total", attack="both", result="not_detected") == 1.0
    house.sessions.end(session.id)
    assert count(house, "guard_drill_unanswered_total") == 0.0, "nobody had anything to answer"


@pytest.mark.parametrize(
    ("why", "begun", "judged", "result"),
    [
        ("no_media", False, 0, "not_run"),
        ("own_alarm", False, 0, "not_run"),
        ("clip_incomplete", False, None, "not_run"),
        ("participant_left", True, 40, "cut_short"),
        ("time", True, 0, "not_judged"),
    ],
)
async def test_what_never_had_its_chance_is_not_called_missed(
    house: House, why: str, begun: bool, judged: int | None, result: str
) -> None:
    session = house.open(drill=True)
    drill = played(house, session) if begun else begin(house, session)
    over(house, session, drill, why, judged=judged)
    assert (told(house)[-1]["result"], told(house)[-1]["why"]) == (result, why)


async def test_who_is_trained_is_not_told_beforehand(house: House) -> None:
    session = house.open(drill=True)
    readers = {
        role: house.sessions.subscribe(session, Access(session.id, role.value, role))
        for role in (Role.OPERATOR, Role.SECURITY, Role.AGENT, Role.CUSTOMER)
    }
    drill = played(house, session)
    say(house, session, drill, "suspect")
    over(house, session, drill, reached_s={"suspect": 0.0})
    seen: dict[Role, list[str]] = {}
    for role, reader in readers.items():
        seen[role] = []
        while (event := await reader.next(0.01)) is not None:
            if event["type"] == "drill":
                assert event["drill"] is True
                seen[role].append(str(event["reaction"]))
    behind = ["ordered", "injected", "detected", "over"]
    assert seen == {Role.OPERATOR: behind, Role.SECURITY: behind, Role.AGENT: ["detected"], Role.CUSTOMER: []}


async def test_what_is_really_found_meanwhile_is_told_at_once_and_in_the_result(house: House) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    tell(house, session, drill, "drill_own", state="spoof")
    assert house.logged == [("drill_own_state", {"session": session.id, "drill": drill, "state": "spoof"})], (
        "loud, whatever the drill is for"
    )
    assert (told(house)[-1]["reaction"], told(house)[-1]["state"]) == ("own_state", "spoof")
    over(house, session, drill, own_state="spoof")
    assert (told(house)[-1]["own_state"], told(house)[-1]["result"]) == ("spoof", "not_detected")


async def test_nothing_of_an_attack_is_counted_with_real_calls(house: House) -> None:
    real = house.open(drill=False)
    session = house.open(drill=True)
    drill = played(house, session)
    say(house, session, drill, "spoof")
    alert = house.sent("alert")[0]["id"]
    await house.act(session, "agent", Role.AGENT, "acknowledge", alert, "trained")
    over(house, session, drill, reached_s={"spoof": 0.0})
    house.sessions.end(session.id)
    counted = house.counted()
    assert {"guard_drill_attacks_total", "guard_drill_detection_seconds"} <= counted
    assert all(name.startswith("guard_drill_") for name in counted), counted
    assert house.calls.acks().total() == 0
    assert real.participant("cust").state is State.UNDECIDED


async def test_an_acknowledgement_is_about_the_drill_and_not_about_what_is_known_of_the_participant(
    house: House,
) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    say(house, session, drill, "spoof")
    house.outside.analysis.clear()
    await house.act(session, "agent", Role.AGENT, "acknowledge", house.sent("alert")[0]["id"], "called back")
    assert [message["type"] for message in house.outside.analysis] == ["drill_acknowledge"]
    assert session.participant("cust").state is State.UNDECIDED
    real = house.open(drill=False)
    house.calls.on_analysis(verdict(real))
    await house.act(real, "agent", Role.AGENT, "acknowledge", house.sent("alert")[-1]["id"], "called back")
    assert house.outside.analysis[-1]["type"] == "acknowledge"


async def test_red_stays_after_a_drill_until_a_person_acts(house: House) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    say(house, session, drill, "spoof")
    over(house, session, drill, reached_s={"spoof": 0.0})
    assert session.participant("cust").state is State.SPOOF
    with pytest.raises(GuardError) as caught:
        begin(house, session)
    assert caught.value.code == "drill_running"
    await house.act(session, "agent", Role.AGENT, "acknowledge", house.sent("alert")[0]["id"], "drill over")
    house.clock.advance(61.0)
    assert begin(house, session) != drill


async def test_a_real_call_takes_no_attack_whoever_asks(house: House) -> None:
    real, session = house.open(drill=False), house.open(drill=True)
    for code, call, who in (("drill_only", real, "cust"), ("participant_not_analysed", session, "agent")):
        with pytest.raises(GuardError) as caught:
            begin(house, call, who)
        assert caught.value.code == code
    assert house.outside.analysis == [
        m for m in house.outside.analysis if not str(m["type"]).startswith("drill_")
    ], "the detectors are not asked for anything"
    # were the analysis process to say so, nobody is told: it has no drill of a real call
    say(house, real, "made up", "spoof")
    assert house.sent("alert") == []
    assert house.calls.found(read_verdict(verdict(real)), 0.0) is None


async def test_one_attack_on_a_participant_and_few_on_a_server(house: House) -> None:
    session = house.open(drill=True)
    begin(house, session)
    with pytest.raises(GuardError) as again:
        begin(house, session)
    with pytest.raises(GuardError) as made_up:
        house.drills.inject(session.id, "cust", State.SPOOF, by="trainer")
    assert again.value.code == made_up.value.code == "drill_running"
    for _ in range(MAX_ATTACKS - 1):
        begin(house, house.open(drill=True))
    with pytest.raises(GuardError) as full:
        begin(house, house.open(drill=True))
    assert (full.value.code, full.value.status) == ("drills_full", 503)


async def test_an_operator_ends_an_attack_before_its_time(house: House) -> None:
    session = house.open(drill=True)
    drill = played(house, session)
    house.clock.advance(5.0)
    house.drills.stop(session.id, drill, by="chief")
    assert [(e["reaction"], e["by"], e["delay_s"]) for e in told(house)[-2:]] == [
        ("stopped", "chief", 5.0),
        ("over", None, 5.0),
    ]
    assert house.outside.analysis[-1] == {
        "type": "drill_stop",
        "id": drill,
        "session": session.id,
        "participant": "cust",
    }
    say(house, session, drill, "spoof")  # decided before the stop reached the analysis process
    assert house.sent("alert") == []
    other = house.open(drill=True)
    for where, name in ((session, drill), (other, begin(house, session))):
        with pytest.raises(NotFoundError) as caught:
            house.drills.stop(where.id, name, by="chief")
        assert caught.value.code == "drill_unknown"


async def test_a_lost_message_about_the_beginning_loses_nothing(house: House) -> None:
    session = house.open(drill=True)
    drill = begin(house, session)
    house.clock.advance(10.0)
    say(house, session, drill, "spoof")
    assert [e["reaction"] for e in told(house)] == ["ordered", "injected", "detected"]
    assert house.sent("alert")[0]["drill"] is True


async def test_an_attack_whose_end_is_never_told_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills_module, "PATIENCE_S", -BOTH.after_s - BOTH.seconds)
    session = house.open(drill=True)
    reader = house.sessions.subscribe(session, Access(session.id, "chief", Role.OPERATOR))
    begin(house, session)
    while (event := await reader.next(10.0)) is not None and event.get("reaction") != "over":
        pass
    assert house.outside.analysis[-1]["type"] == "drill_stop"
    assert (told(house)[-1]["result"], told(house)[-1]["why"]) == ("not_run", "result_lost")


async def test_an_attack_ends_with_the_analysis_process_or_the_call(house: House) -> None:
    session = house.open(drill=True)
    begin(house, session)
    house.drills.analysis_down()
    assert (told(house)[-1]["result"], told(house)[-1]["why"]) == ("not_run", "analysis_lost")
    assert house.outside.analysis[-1]["type"] == "drill_stop", "it may only be silent"
    drill = played(house, session)
    say(house, session, drill, "suspect")
    house.clock.advance(2.0)
    house.sessions.end(session.id)
    assert [(e["reaction"], e.get("result"), e["delay_s"]) for e in told(house)[-2:]] == [
        ("over", "detected", 2.0),
        ("unanswered", None, 2.0),
    ]
    over(house, session, drill)
    assert told(house)[-1]["reaction"] == "unanswered", "what comes late is dropped"


async def test_without_the_analysis_process_no_attack_begins(house: House) -> None:
    session = house.open(drill=True)
    house.outside.analysis_works = False
    with pytest.raises(GuardError) as caught:
        begin(house, session)
    assert caught.value.code == "analysis_unavailable"
    assert told(house) == []
