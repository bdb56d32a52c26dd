"""Enrolling a face over HTTP: who may, how large, and what goes wrong."""

from __future__ import annotations

import httpx
import pytest

from guard.api.voice import MAX_VOICE_BYTES
from guard.errors import MediaError
from guard.types import Role
from tests.api.support import assert_problem, auth, open_session
from tests.signalling.fakes import House

PATH = "/api/v1/sessions/{id}/participants/customer/face"


async def test_an_operator_enrols_replaces_and_withdraws(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    url, operator = PATH.format(**made), auth(home.operator())
    for content in (b"first", b"second"):
        answer = await client.put(url, content=content, headers=operator)
        assert (answer.status_code, answer.content) == (204, b"")
    assert home.faces.enrolled == {(made["id"], "customer"): b"second"}
    for _ in range(2):
        assert (await client.delete(url, headers=operator)).status_code == 204
    assert home.faces.enrolled == {}


async def test_an_operator_of_this_session_may_one_of_another_may_not(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await open_session(client, home)
    url = PATH.format(**made)
    here = auth(home.token(made["id"], "op", Role.OPERATOR))
    assert (await client.put(url, content=b"x", headers=here)).status_code == 204
    elsewhere = auth(home.token("another", "op", Role.OPERATOR))
    assert_problem(await client.put(url, content=b"x", headers=elsewhere), 403, "token_forbidden")


@pytest.mark.parametrize("who", ["customer", "agent"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_nobody_else_may(client: httpx.AsyncClient, home: House, who: str, method: str) -> None:
    made = await open_session(client, home)
    answer = await client.request(method, PATH.format(**made), content=b"x", headers=auth(made[who]))
    assert_problem(answer, 403, "token_forbidden")
    assert_problem(await client.request(method, PATH.format(**made), content=b"x"), 401, "token_missing")
    assert home.faces.enrolled == {}


async def test_only_an_operators_body_may_be_large(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    url, large = PATH.format(**made), b"x" * (1024 * 1024)
    assert (await client.put(url, content=large, headers=auth(home.operator()))).status_code == 204
    too_large = b"x" * (MAX_VOICE_BYTES + 1)
    answer = await client.put(url, content=too_large, headers=auth(home.operator()))
    assert_problem(answer, 413, "body_too_large")
    answer = await client.put(url, content=large, headers=auth(made["agent"]))
    assert_problem(answer, 413, "body_too_large")
    for headers, code in ((auth("x.y.z"), "token_invalid"), ({}, "token_missing")):
        assert_problem(await client.put(url, content=large, headers=headers), 401, code)
    other = f"/api/v1/sessions/{made['id']}/actions"
    assert_problem(
        await client.put(other, content=large, headers=auth(home.operator())), 413, "body_too_large"
    )


async def test_unknown_people_sessions_and_those_not_analysed_are_refused(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await open_session(client, home)
    operator = auth(home.operator())
    agent = PATH.format(**made).replace("customer", "agent")
    nobody = PATH.format(**made).replace("customer", "nobody")
    assert_problem(await client.put(agent, content=b"x", headers=operator), 409, "participant_not_analysed")
    assert_problem(await client.put(nobody, content=b"x", headers=operator), 404, "participant_unknown")
    gone = PATH.format(id="no-such-session")
    assert_problem(await client.put(gone, content=b"x", headers=operator), 404, "session_unknown")
    empty = await client.put(PATH.format(**made), content=b"", headers=operator)
    assert_problem(empty, 400, "photo_missing")


async def test_what_analysis_refuses_is_told_with_its_code(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    home.faces.refusal = MediaError("photo_no_face", "no face was found")
    answer = await client.put(PATH.format(**made), content=b"x", headers=auth(home.operator()))
    assert_problem(answer, 422, "photo_no_face")


async def test_openapi_shows_the_route(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    route = paths["/api/v1/sessions/{session}/participants/{participant}/face"]
    assert set(route) == {"put", "delete"}
    assert "application/octet-stream" in route["put"]["requestBody"]["content"]
