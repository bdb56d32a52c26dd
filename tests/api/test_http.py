from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.alert import Alert
from guard.api import create_app
from guard.challenge.commands import Need
from guard.errors import GuardError, Overload, PeerError
from guard.types import Role, Signal, SignalState, State
from tests.api.support import assert_problem, auth, open_session
from tests.signalling.fakes import ANSWER, PUBLISH, House, house, offer

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


async def test_a_new_session_gives_one_working_link_per_participant(
    client: httpx.AsyncClient, home: House
) -> None:
    body = {"participants": [{"id": "h", "role": "host"}, {"id": "g", "role": "guest"}]}
    made = await client.post("/api/v1/sessions", json=body, headers=auth(home.operator()))
    answer = made.json()
    assert [p["role"] for p in answer["participants"]] == ["host", "guest"]
    for person in answer["participants"]:
        assert person["url"] == f"https://guard.test/?token={person['token']}"
        access = home.tokens.verify(person["token"])
        assert (access.session, access.participant) == (answer["id"], person["id"])


async def test_a_session_reads_as_the_contract_says(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    signals = {Signal.VOICE_SPOOF: SignalState(2.5, 0.5, None)}
    home.sessions.update_state(
        made["id"],
        "customer",
        state=State.SUSPECT,
        llr=2.5,
        signals=signals,
        reasons=("voice_spoof_raised", "check_failed"),
    )
    read = await client.get(f"/api/v1/sessions/{made['id']}", headers=auth(made["agent"]))
    voice = {"llr": 2.5, "coverage": 0.5, "reason": None}
    assert read.json() == {
        "id": made["id"],
        "profile": "kz-ardfm",
        "state": "open",
        "participants": [
            {
                "id": "customer",
                "role": "customer",
                "state": "suspect",
                "llr": 2.5,
                "signals": {"voice_spoof": voice},
                "reasons": ["voice_spoof_raised", "check_failed"],
                "alert": None,
            },
            # the reader's own standing is not theirs to see
            {
                "id": "agent",
                "role": "agent",
                "state": None,
                "llr": None,
                "signals": {},
                "reasons": [],
                "alert": None,
            },
        ],
        "decisions": [],
    }


async def test_an_action_may_say_which_state_it_is_about(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    at = "2099-01-01T00:00:00.000Z"
    home.sessions.publish_alert(Alert("a-1", made["id"], "customer", State.SPOOF, 6.0, [], {}, at, at))
    url, body = f"/api/v1/sessions/{made['id']}/actions", {"action": "acknowledge", "alert": "a-1"}
    for more, status in (({"state": "spoof"}, 204), ({}, 204), ({"state": "bona_fide"}, 422)):
        answer = await client.post(url, json=body | more, headers=auth(made["agent"]))
        assert answer.status_code == status
    assert [action.state for action in home.log.actions] == [State.SPOOF, None]


async def test_probes_need_no_token(client: httpx.AsyncClient, home: House) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 200
    home.failing["analysis"] = "starting"
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["failing"]) == (503, {"analysis": "starting"})


async def test_metrics_are_for_this_machine_and_operators(client: httpx.AsyncClient, home: House) -> None:
    assert_problem(await client.get("/metrics"), 401, "token_missing")
    agent = home.token("room", "agent", Role.AGENT)
    assert_problem(await client.get("/metrics", headers=auth(agent)), 403, "token_forbidden")
    assert (await client.get("/metrics", headers=auth(home.operator()))).content == b"guard_up 1\n"
    local = httpx.ASGITransport(create_app(home.services), client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=local, base_url="https://guard.test") as near:
        assert (await near.get("/metrics")).content == b"guard_up 1\n"


async def test_whip_publishes_trickles_and_ends(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    token = auth(made["customer"])
    answer = await client.post(f"/whip/{made['id']}", content=PUBLISH, headers=SDP | token)
    assert (answer.status_code, answer.text) == (201, ANSWER)
    assert answer.headers["content-type"].startswith("application/sdp")
    assert answer.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
    where = answer.headers["location"]
    call = home.media.calls[0]
    assert (call.participant, call.publish, where) == ("customer", True, f"/whip/{made['id']}/{call.peer}")

    candidate = "candidate:1 1 udp 1 192.0.2.1 9 typ host"
    body = f"a=ice-ufrag:abcd\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na={candidate}\r\n"
    assert (await client.patch(where, content=body, headers=FRAGMENT | token)).status_code == 204
    assert home.media.candidates == [(call.peer, candidate, "0")]

    assert (await client.delete(where, headers=token)).status_code == 200
    assert home.media.open == set()
    assert_problem(await client.delete(where, headers=token), 404, "connection_unknown")


async def test_whip_again_replaces_the_first_connection(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    for _ in range(2):
        await client.post(f"/whip/{made['id']}", content=PUBLISH, headers=SDP | auth(made["customer"]))
    first, second = home.media.calls
    assert home.media.closed == [(first.peer, "replaced")]
    assert home.media.open == {second.peer}


async def test_an_ice_restart_is_refused_as_the_rfc_says(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    token = auth(made["customer"])
    answer = await client.post(f"/whip/{made['id']}", content=PUBLISH, headers=SDP | token)
    restart = "a=ice-ufrag:new\r\na=ice-pwd:newsecret\r\n"
    where = answer.headers["location"]
    assert_problem(
        await client.patch(where, content=restart, headers=FRAGMENT | token), 422, "ice_restart_unsupported"
    )


async def test_whep_subscribes_the_receiving_lines_to_the_one_asked_for(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await open_session(client, home)
    lines = offer(("audio", "a", "recvonly"), ("video", "v", "recvonly"), ("application", "d", "sendrecv"))
    url = f"/whep/{made['id']}/customer"
    answer = await client.post(url, content=lines, headers=SDP | auth(made["agent"]))
    call = home.media.calls[0]
    assert (call.participant, call.publish) == ("agent", False)
    assert call.subscriptions == {"a": "customer", "v": "customer"}
    where = answer.headers["location"]
    assert_problem(await client.delete(where, headers=auth(made["customer"])), 403, "token_forbidden")
    assert (await client.delete(where, headers=auth(made["agent"]))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "application/json"}, "{}", 415, "content_type"),
        ({}, PUBLISH, 415, "content_type"),
        (SDP, "", 400, "sdp_malformed"),
        (SDP, "hello", 400, "sdp_malformed"),
        (SDP, "v=0\r\n", 400, "sdp_malformed"),
        (SDP, b"v=0\r\n\xff\xfe", 400, "sdp_malformed"),
        (SDP, PUBLISH + "a=x:" + "y" * 270_000, 413, "body_too_large"),
        (SDP, "x" * 400_000, 413, "body_too_large"),
    ],
)
async def test_a_bad_offer_gets_its_own_status(
    client: httpx.AsyncClient, home: House, headers: dict[str, str], body: str | bytes, status: int, code: str
) -> None:
    made = await open_session(client, home)
    content = body.encode() if isinstance(body, str) else body
    for url in (f"/whip/{made['id']}", f"/whep/{made['id']}/customer"):
        answer = await client.post(url, content=content, headers=headers | auth(made["agent"]))
        assert_problem(answer, status, code)
    assert home.media.calls == []


@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=300) | st.lists(st.sampled_from(PUBLISH.encode().split(b"\r\n"))).map(b"\r\n".join),
    st.sampled_from(["application/sdp", "application/trickle-ice-sdpfrag", "application/json", "x", ""]),
    st.sampled_from(
        ["/whip/{id}", "/whep/{id}/customer", "/whep/{id}/\u0436", "/api/v1/sessions/{id}/actions"]
    ),
    st.sampled_from(["POST", "PATCH", "PUT", "DELETE"]),
)
def test_any_request_is_answered_and_never_with_a_fault(
    body: bytes, kind: str, url: str, method: str
) -> None:
    async def ask() -> httpx.Response:
        home = house()
        transport = httpx.ASGITransport(create_app(home.services))
        async with httpx.AsyncClient(transport=transport, base_url="https://guard.test") as client:
            made = await open_session(client, home)
            headers = auth(made["agent"]) | {"Content-Type": kind}
            return await client.request(method, url.format(**made), content=body, headers=headers)

    answer = asyncio.run(ask())
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert_problem(answer, answer.status_code, answer.json()["code"])


async def test_whip_and_whep_to_an_ended_session_are_gone(client: httpx.AsyncClient, home: House) -> None:
    made = await open_session(client, home)
    token = auth(made["customer"])
    where = (await client.post(f"/whip/{made['id']}", content=PUBLISH, headers=SDP | token)).headers[
        "location"
    ]
    ended = await client.post(
        f"/api/v1/sessions/{made['id']}/actions", json={"action": "end"}, headers=auth(made["agent"])
    )
    assert ended.status_code == 204
    await home.services.connections.settle()
    assert home.media.open == set()
    for url in (f"/whip/{made['id']}", f"/whep/{made['id']}/customer"):
        assert_problem(await client.post(url, content=PUBLISH, headers=SDP | token), 410, "session_ended")
    assert_problem(await client.delete(where, headers=token), 410, "session_ended")
    assert_problem(
        await client.get(f"/api/v1/sessions/{made['id']}", headers=auth(made["agent"])), 410, "session_ended"
    )


async def test_a_refusal_of_the_media_plane_reaches_the_client(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await open_session(client, home)
    home.media.refuse = Overload("relay_full", "no room for another connection")
    answer = await client.post(f"/whip/{made['id']}", content=PUBLISH, headers=SDP | auth(made["customer"]))
    assert_problem(answer, 503, "relay_full")
    assert answer.headers["retry-after"] == "5"
    assert len(home.services.connections) == 0


async def test_those_who_watch_may_start_a_check_and_nobody_else(
    client: httpx.AsyncClient, home: House
) -> None:
    made = await open_session(client, home)
    url = f"/api/v1/sessions/{made['id']}/challenges"
    body = {"participant": "customer", "kind": "visual", "language": "kk"}
    answer = await client.post(url, json=body, headers=auth(made["agent"]))
    assert (answer.status_code, answer.json()) == (201, {"id": "check-1"})
    assert home.checks.started == [(made["id"], "customer", "visual", "kk", "agent")]
    assert_problem(await client.post(url, json=body, headers=auth(made["customer"])), 403, "token_forbidden")
    nobody = {**body, "participant": "nobody"}
    answer = await client.post(url, json=nobody, headers=auth(made["agent"]))
    assert_problem(answer, 404, "participant_unknown")
    other = {**body, "needs": ["no_hands", "glasses"]}
    assert (await client.post(url, json=other, headers=auth(made["agent"]))).status_code == 201
    assert home.checks.started.pop()[-2:] == ("no_hands", "glasses")
    every = {**body, "needs": [need.value for need in Need]}
    assert (await client.post(url, json=every, headers=auth(made["agent"]))).status_code == 201
    assert home.checks.started.pop()[-len(Need) :] == tuple(Need)
    unknown = {**body, "needs": ["no_patience"]}
    assert_problem(await client.post(url, json=unknown, headers=auth(made["agent"])), 422, "request_invalid")
    odd = {**body, "kind": "palm_reading"}
    assert_problem(await client.post(url, json=odd, headers=auth(made["agent"])), 422, "request_invalid")
    assert len(home.checks.started) == 1


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (PeerError("challenge_not_analysed", "not analysed"), 409),
        (PeerError("challenge_absent", "not there"), 409),
        (PeerError("challenge_running", "one runs"), 409),
        (Overload("analysis_unavailable", "down"), 503),
    ],
)
async def test_a_check_that_cannot_run_is_refused_with_the_reason(
    client: httpx.AsyncClient, home: House, refusal: GuardError, status: int
) -> None:
    made = await open_session(client, home)
    home.checks.refusal = refusal
    url, body = f"/api/v1/sessions/{made['id']}/challenges", {"participant": "customer", "kind": "light"}
    assert_problem(await client.post(url, json=body, headers=auth(made["agent"])), status, refusal.code)


async def test_errors_are_problem_documents_everywhere(client: httpx.AsyncClient, home: House) -> None:
    operator = auth(home.operator())
    assert_problem(await client.get("/nowhere"), 404, "not_found")
    assert_problem(await client.put("/api/v1/sessions", headers=operator), 405, "method_not_allowed")
    assert_problem(await client.get("/whip/room"), 405, "method_not_allowed")
    secret = {"participants": [{"id": "870101300123 secret", "role": "customer"}]}
    wrong = await client.post("/api/v1/sessions", json=secret, headers=operator)
    assert_problem(wrong, 422, "request_invalid")
    assert "secret" not in wrong.text
    assert_problem(
        await client.post("/api/v1/sessions", content=b"{", headers=operator), 422, "request_invalid"
    )
    profile = {"profile": "none", "participants": [{"id": "a", "role": "agent"}]}
    assert_problem(
        await client.post("/api/v1/sessions", json=profile, headers=operator), 400, "profile_unknown"
    )


async def test_a_fault_of_the_server_shows_nothing_of_its_inside(home: House) -> None:
    app = create_app(home.services)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("inside")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://guard.test") as client:
        answer = await client.get("/broken")
    assert_problem(answer, 500, "internal_error")
    assert "inside" not in answer.text


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for url in ("/", "/healthz", "/nowhere", "/api/v1/sessions"):
        headers = (await client.get(url)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_the_description_names_every_route(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {
        "/whip/{session}",
        "/whep/{session}/{participant}",
        "/api/v1/sessions",
        "/api/v1/sessions/{session}",
        "/api/v1/sessions/{session}/events",
        "/api/v1/sessions/{session}/actions",
        "/api/v1/sessions/{session}/challenges",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(paths)


async def test_the_description_says_what_media_routes_take_and_how_errors_look(
    client: httpx.AsyncClient,
) -> None:
    description = (await client.get("/openapi.json")).json()
    schemas = description["components"]["schemas"]
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(description)))
    assert referred <= set(schemas)
    assert "HTTPValidationError" not in schemas
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            if path.startswith(("/whip/", "/whep/")):
                assert operation["security"] == [{"HTTPBearer": []}]
                assert ("requestBody" in operation) == (method != "delete")
    assert "application/sdp" in description["paths"]["/whip/{session}"]["post"]["requestBody"]["content"]
