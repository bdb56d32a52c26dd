"""In which language a check speaks, where who starts it does not say."""

from __future__ import annotations

import httpx
import pytest

from tests.api.support import auth, open_session
from tests.signalling.fakes import House


@pytest.mark.parametrize(
    ("said", "joined", "spoken"),
    [(None, "kk", "kk"), (None, "ru", "ru"), (None, "en", "en"), (None, None, "ru"), ("en", "kk", "en")],
)
async def test_a_check_speaks_the_language_its_participant_joined_with(
    client: httpx.AsyncClient, home: House, said: str | None, joined: str | None, spoken: str
) -> None:
    made = await open_session(client, home)
    home.sessions.get(made["id"]).participants["customer"].language = joined
    body = {"participant": "customer", "kind": "words", **({} if said is None else {"language": said})}
    url = f"/api/v1/sessions/{made['id']}/challenges"
    assert (await client.post(url, json=body, headers=auth(made["agent"]))).status_code == 201
    assert home.checks.started == [(made["id"], "customer", "words", spoken, "agent")]
