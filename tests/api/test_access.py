"""What somebody with a valid token of a customer, or of another session, must not be able to do."""

from __future__ import annotations

import httpx
import pytest

from guard.alert import Alert
from guard.types import Role, State
from tests.api.support import assert_problem, auth, open_session
from tests.signalling.fakes import PUBLISH, House

SDP = {"Content-Type": "application/sdp"}


async def setting(client: httpx.AsyncClient, home: House) -> dict[str, str]:
    """A session with an alert about its customer."""
    made = await open_session(client, home)
    home.sessions.update_state(made["id"], "customer", state=State.SPOOF, llr=6.0, signals={})
    at, until = "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z"
    warning = Alert("a-1", made["id"], "customer", State.SPOOF, 6.0, [], {}, at, until)
    home.sessions.publish_alert(warning, {"agent"})
    return made


REQUESTS = [
    ("POST", "/api/v1/sessions", {"participants": [{"id": "x", "role": "agent"}]}),
    ("GET", "/api/v1/sessions", None),
    ("GET", "/api/v1/sessions/{id}", None),
    ("GET", "/api/v1/sessions/{id}/events", None),
    *[
        ("POST", "/api/v1/sessions/{id}/actions", {"action": action, "alert": "a-1"})
        for action in ("hold", "release", "end")
    ],
    ("POST", "/api/v1/sessions/{id}/challenges", {"participant": "agent", "kind": "visual"}),
    ("GET", "/metrics", None),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_a_customer_can_neither_read_nor_decide(
    client: httpx.AsyncClient, home: House, method: str, path: str, body: object
) -> None:
    made = await setting(client, home)
    answer = await client.request(method, path.format(**made), json=body, headers=auth(made["customer"]))
    assert_problem(answer, 403, "token_forbidden")
    assert "spoof" not in answer.text


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_nothing_is_there_without_a_token(
    client: httpx.AsyncClient, home: House, method: str, path: str, body: object
) -> None:
    made = await setting(client, home)
    url = path.format(**made)
    assert_problem(await client.request(method, url, json=body), 401, "token_missing")
    assert_problem(await client.request(method, url, json=body, headers=auth("x.y.z")), 401, "token_invalid")
    if not url.endswith("/events"):
        assert_problem(
            await client.request(method, f"{url}?token={made['agent']}", json=body), 401, "token_missing"
        )
    home.clock.advance(9 * 3600)
    assert_problem(
        await client.request(method, url, json=body, headers=auth(made["agent"])), 401, "token_expired"
    )


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_an_agent_of_another_session_gets_nothing(
    client: httpx.AsyncClient, home: House, method: str, path: str, body: object
) -> None:
    made, other = await setting(client, home), await open_session(client, home)
    answer = await client.request(method, path.format(**made), json=body, headers=auth(other["agent"]))
    assert_problem(answer, 403, "token_forbidden")


async def test_an_operator_bound_to_one_session_cannot_open_or_list_others(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await setting(client, home)
    bound = auth(home.token(made["id"], "watch", Role.OPERATOR))
    assert (await client.get(f"/api/v1/sessions/{made['id']}", headers=bound)).status_code == 200
    body = {"participants": [{"id": "x", "role": "agent"}]}
    assert_problem(await client.post("/api/v1/sessions", json=body, headers=bound), 403, "token_forbidden")
    assert_problem(await client.get("/api/v1/sessions", headers=bound), 403, "token_forbidden")


async def test_a_customer_cannot_acknowledge_even_knowing_the_alert(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await setting(client, home)
    url, body = f"/api/v1/sessions/{made['id']}/actions", {"action": "acknowledge", "alert": "a-1"}
    assert_problem(await client.post(url, json=body, headers=auth(made["customer"])), 404, "alert_unknown")
    unknown = await client.post(url, json=body | {"alert": "a-2"}, headers=auth(made["customer"]))
    assert_problem(unknown, 404, "alert_unknown")
    body["reason"] = "it is fine"
    assert_problem(await client.post(url, json=body, headers=auth(made["customer"])), 403, "token_forbidden")
    assert home.log.actions == []


async def test_an_agent_cannot_acknowledge_an_alert_about_themselves(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await open_session(client, home)
    at, until = "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z"
    about = Alert("a-9", made["id"], "agent", State.SPOOF, 6.0, [], {}, at, until)
    home.sessions.publish_alert(about)
    url, body = f"/api/v1/sessions/{made['id']}/actions", {"action": "acknowledge", "alert": "a-9"}
    assert_problem(await client.post(url, json=body, headers=auth(made["agent"])), 404, "alert_unknown")


async def test_a_customer_cannot_enter_or_watch_another_session(
    client: httpx.AsyncClient, home: House
) -> None:
    made, other = await open_session(client, home), await open_session(client, home)
    mine = SDP | auth(made["customer"])
    for url in (f"/whip/{other['id']}", f"/whep/{other['id']}/agent"):
        assert_problem(await client.post(url, content=PUBLISH, headers=mine), 403, "token_forbidden")
    assert home.media.calls == []


async def test_nobody_touches_somebody_elses_connection(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    theirs = await client.post(f"/whip/{made['id']}", content=PUBLISH, headers=SDP | auth(made["agent"]))
    where = theirs.headers["location"]
    mine = auth(made["customer"])
    fragment = mine | {"Content-Type": "application/trickle-ice-sdpfrag"}
    assert_problem(await client.delete(where, headers=mine), 403, "token_forbidden")
    assert_problem(await client.patch(where, content="", headers=fragment), 403, "token_forbidden")
    assert_problem(await client.delete(where), 401, "token_missing")
    assert len(home.media.open) == 1


async def test_acting_changes_the_session_and_reaches_the_app(client: httpx.AsyncClient, home: House) -> None:
    made = await setting(client, home)
    url, agent = f"/api/v1/sessions/{made['id']}/actions", auth(made["agent"])
    for action, state in (("hold", "held"), ("release", "open")):
        done = await client.post(url, json={"action": action}, headers=agent)
        assert done.status_code == 204
        read = await client.get(f"/api/v1/sessions/{made['id']}", headers=agent)
        assert read.json()["state"] == state
    body = {"action": "acknowledge", "alert": "a-1", "reason": "called back"}
    assert (await client.post(url, json=body, headers=agent)).status_code == 204
    assert_problem(
        await client.post(url, json={"action": "acknowledge"}, headers=agent), 400, "alert_missing"
    )
    assert_problem(await client.post(url, json={"action": "dance"}, headers=agent), 422, "request_invalid")
    kinds = [(a.kind.value, a.by, a.alert, a.reason) for a in home.log.actions]
    assert kinds == [
        ("hold", "agent", None, None),
        ("release", "agent", None, None),
        ("acknowledge", "agent", "a-1", "called back"),
    ]
