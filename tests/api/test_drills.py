"""Training calls over HTTP: opened as such, labelled, and only operators inject."""

from __future__ import annotations

import httpx

from guard.errors import PeerError
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
