"""Training calls over HTTP: opened as such, labelled, and only operators inject."""

from __future__ import annotations

import httpx

from guard.errors import NotFoundError, Overload, PeerError
from guard.signalling.ports import AttackKind, SyntheticAttack
from guard.types import Role, State
from tests.api.support import assert_problem, auth
from tests.signalling.fakes import House

PEOPLE = [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}]


async def open_drill(client: httpx.AsyncClient, home: House) -> str:
    body = {"profile": "kz-ardfm", "participants": PEOPLE, "drill": True}
    made = await client.post("/api/v1/sessions", json=body, headers=auth(home.operator()))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_a_training_call_says_so_to_everybody_and_a_real_one_says_nothing(
    client: httpx.AsyncClient, home: House
) -> None:
    drill = await open_drill(client, home)
    read = await client.get(f"/api/v1/sessions/{drill}", headers=auth(home.operator()))
    assert read.json()["drill"] is True
    body = {"profile": "kz-ardfm", "participants": PEOPLE}
    real = (await client.post("/api/v1/sessions", json=body, headers=auth(home.operator()))).json()["id"]
    assert "drill" not in (await client.get(f"/api/v1/sessions/{real}", headers=auth(home.operator()))).json()


async def test_an_operator_injects_and_nobody_else(client: httpx.AsyncClient, home: House) -> None:
    drill = await open_drill(client, home)
    url, body = f"/api/v1/sessions/{drill}/drills", {"participant": "customer", "state": "suspect"}
    for role in (Role.AGENT, Role.HOST, Role.SECURITY, Role.CUSTOMER):
        refused = await client.post(url, json=body, headers=auth(home.token(drill, "x", role)))
        assert_problem(refused, 403, "token_forbidden")
    made = await client.post(url, json=body, headers=auth(home.operator()))
    assert (made.status_code, made.json()) == (201, {"id": "alert-1"})
    assert home.drills.injected == [(drill, "customer", State.SUSPECT, "operator")]


async def test_what_cannot_be_injected_is_refused(client: httpx.AsyncClient, home: House) -> None:
    drill = await open_drill(client, home)
    url = f"/api/v1/sessions/{drill}/drills"
    for state in ("bona_fide", "detector_down", "undecided", "fake"):
        answer = await client.post(
            url, json={"participant": "customer", "state": state}, headers=auth(home.operator())
        )
        assert_problem(answer, 422, "request_invalid")
    for code in ("drill_only", "drill_running"):
        home.drills.refusal = PeerError(code, "no")
        answer = await client.post(url, json={"participant": "customer"}, headers=auth(home.operator()))
        assert_problem(answer, 409, code)


async def test_a_synthetic_attack_is_ordered_and_ended_by_an_operator(
    client: httpx.AsyncClient, home: House
) -> None:
    drill = await open_drill(client, home)
    url, body = f"/api/v1/sessions/{drill}/drills", {"participant": "customer", "attack": "voice"}
    for role in (Role.AGENT, Role.SECURITY, Role.CUSTOMER):
        headers = auth(home.token(drill, "x", role))
        assert_problem(await client.post(url, json=body, headers=headers), 403, "token_forbidden")
        assert_problem(await client.delete(f"{url}/attack-1", headers=headers), 403, "token_forbidden")
    assert (home.drills.attacks, home.drills.stopped) == ([], [])
    operator = auth(home.operator())
    made = await client.post(url, json=body, headers=operator)
    assert (made.status_code, made.json()) == (201, {"id": "attack-1"})
    timed = body | {"attack": "both", "after_s": 0, "seconds": 60}
    assert (await client.post(url, json=timed, headers=operator)).status_code == 201
    assert home.drills.attacks == [
        (drill, "customer", SyntheticAttack(AttackKind.VOICE, 10.0, 35.0), "operator"),
        (drill, "customer", SyntheticAttack(AttackKind.BOTH, 0.0, 60.0), "operator"),
    ]
    assert (await client.delete(f"{url}/attack-1", headers=operator)).status_code == 204
    assert home.drills.stopped == [(drill, "attack-1", "operator")]
    home.drills.refusal = NotFoundError("drill_unknown", "no")
    assert_problem(await client.delete(f"{url}/attack-1", headers=operator), 404, "drill_unknown")


async def test_what_contradicts_itself_or_is_unknown_is_refused(
    client: httpx.AsyncClient, home: House
) -> None:
    drill = await open_drill(client, home)
    url = f"/api/v1/sessions/{drill}/drills"
    cases: list[tuple[dict[str, object], str]] = [
        ({"attack": "voice", "state": "spoof"}, "drill_conflict"),
        ({"state": "suspect", "seconds": 20}, "drill_conflict"),
        ({"after_s": 5}, "drill_conflict"),
        ({"attack": "lips"}, "request_invalid"),
        ({"attack": "voice", "clip": "/etc/passwd"}, "request_invalid"),
        ({"attack": "voice", "seconds": 9}, "request_invalid"),
        ({"attack": "voice", "seconds": 121}, "request_invalid"),
        ({"attack": "voice", "after_s": -1}, "request_invalid"),
        ({"attack": "voice", "after_s": "NaN"}, "request_invalid"),
    ]
    for more, code in cases:
        answer = await client.post(
            url, json={"participant": "customer", **more}, headers=auth(home.operator())
        )
        assert_problem(answer, 422, code)
    assert (home.drills.attacks, home.drills.injected) == ([], [])
    for code, status in (("drills_full", 503), ("analysis_unavailable", 503)):
        home.drills.refusal = Overload(code, "no")
        body = {"participant": "customer", "attack": "face"}
        answer = await client.post(url, json=body, headers=auth(home.operator()))
        assert_problem(answer, status, code)
