"""Enrolling a voice or a face over HTTP: who may, how large, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from guard.api.enrolment import MAX_VOICE_BYTES
from guard.errors import MediaError
from guard.types import Role
from tests.api.support import assert_problem, auth, open_session
from tests.signalling.fakes import House


@dataclass(frozen=True)
class Kind:
    """What is enrolled: the end of its path, and two of its codes."""

    name: str
    missing: str
    refusal: str

    @property
    def path(self) -> str:
        return f"/api/v1/sessions/{{id}}/participants/customer/{self.name}"

    def of(self, home: House) -> Any:
        """Return the scripted analysis that enrols it."""
        return {"voice": home.voices, "face": home.faces}[self.name]


KINDS = (Kind("voice", "voice_missing", "voice_too_short"), Kind("face", "photo_missing", "photo_no_face"))


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    assert isinstance(request.param, Kind)
    return request.param


async def test_an_operator_enrols_replaces_and_withdraws(
    client: httpx.AsyncClient, home: House, kind: Kind
) -> None:
    made = await open_session(client, home)
    url, operator = kind.path.format(**made), auth(home.operator())
    for content in (b"first", b"second"):
        answer = await client.put(url, content=content, headers=operator)
        assert (answer.status_code, answer.content) == (204, b"")
    assert kind.of(home).enrolled == {(made["id"], "customer"): b"second"}
    for _ in range(2):
        assert (await client.delete(url, headers=operator)).status_code == 204
    assert kind.of(home).enrolled == {}


async def test_an_operator_of_this_session_may_one_of_another_may_not(
    client: httpx.AsyncClient, home: House, kind: Kind
) -> None:
    made = await open_session(client, home)
    url = kind.path.format(**made)
    here = auth(home.token(made["id"], "op", Role.OPERATOR))
    assert (await client.put(url, content=b"x", headers=here)).status_code == 204
    elsewhere = auth(home.token("another", "op", Role.OPERATOR))
    assert_problem(await client.put(url, content=b"x", headers=elsewhere), 403, "token_forbidden")


@pytest.mark.parametrize("who", ["customer", "agent"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_nobody_else_may(
    client: httpx.AsyncClient, home: House, kind: Kind, who: str, method: str
) -> None:
    made = await open_session(client, home)
    answer = await client.request(method, kind.path.format(**made), content=b"x", headers=auth(made[who]))
    assert_problem(answer, 403, "token_forbidden")
    assert_problem(await client.request(method, kind.path.format(**made), content=b"x"), 401, "token_missing")
    assert kind.of(home).enrolled == {}


async def test_only_an_operators_body_may_be_large(
    client: httpx.AsyncClient, home: House, kind: Kind
) -> None:
    made = await open_session(client, home)
    url, large = kind.path.format(**made), b"x" * (1024 * 1024)
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
    client: httpx.AsyncClient, home: House, kind: Kind
) -> None:
    made = await open_session(client, home)
    operator = auth(home.operator())
    agent = kind.path.format(**made).replace("customer", "agent")
    nobody = kind.path.format(**made).replace("customer", "nobody")
    assert_problem(await client.put(agent, content=b"x", headers=operator), 409, "participant_not_analysed")
    assert_problem(await client.put(nobody, content=b"x", headers=operator), 404, "participant_unknown")
    gone = kind.path.format(id="no-such-session")
    assert_problem(await client.put(gone, content=b"x", headers=operator), 404, "session_unknown")
    empty = await client.put(kind.path.format(**made), content=b"", headers=operator)
    assert_problem(empty, 400, kind.missing)


async def test_what_analysis_refuses_is_told_with_its_code(
    client: httpx.AsyncClient, home: House, kind: Kind
) -> None:
    made = await open_session(client, home)
    kind.of(home).refusal = MediaError(kind.refusal, "what is wrong with it")
    answer = await client.put(kind.path.format(**made), content=b"x", headers=auth(home.operator()))
    assert_problem(answer, 422, kind.refusal)


async def test_openapi_shows_the_route(client: httpx.AsyncClient, kind: Kind) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    route = paths["/api/v1/sessions/{session}/participants/{participant}/" + kind.name]
    assert set(route) == {"put", "delete"}
    assert "application/octet-stream" in route["put"]["requestBody"]["content"]
