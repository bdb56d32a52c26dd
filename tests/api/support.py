"""Short hands for the HTTP tests."""

from __future__ import annotations

import httpx

from tests.signalling.fakes import House


def auth(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def open_session(client: httpx.AsyncClient, home: House) -> dict[str, str]:
    """Open a session of a customer and an agent; returns its id and their tokens."""
    body = {
        "profile": "kz-ardfm",
        "participants": [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}],
    }
    response = await client.post("/api/v1/sessions", json=body, headers=auth(home.operator()))
    assert response.status_code == 201, response.text
    answer = response.json()
    return {"id": answer["id"], **{p["id"]: p["token"] for p in answer["participants"]}}


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    """A problem document (RFC 9457) with this status and code."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
