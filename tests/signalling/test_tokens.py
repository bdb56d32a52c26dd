from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from guard.clock import ManualClock
from guard.errors import AccessError, ConfigError
from guard.iin import is_iin
from guard.signalling.tokens import ANY_SESSION, Access, Tokens, load_key, valid_id
from guard.types import Role

KEY = bytes(range(32))


def tokens(clock: ManualClock | None = None, key: bytes = KEY) -> Tokens:
    return Tokens(key, clock or ManualClock())


def code(token: str | None, verifier: Tokens | None = None) -> str:
    with pytest.raises(AccessError) as caught:
        (verifier or tokens()).verify(token)
    return caught.value.code


@pytest.mark.parametrize("role", list(Role))
def test_a_token_gives_back_what_it_was_issued_for(role: Role) -> None:
    token = tokens().issue("room-1", "alice", role, ttl_s=60)
    assert tokens().verify(token) == Access("room-1", "alice", role)


def test_a_token_ends_at_its_expiry_and_not_before() -> None:
    clock = ManualClock()
    token = tokens(clock).issue("room", "alice", Role.AGENT, ttl_s=60)
    clock.advance(59.0)
    assert tokens(clock).verify(token).participant == "alice"
    clock.advance(1.0)
    assert code(token, tokens(clock)) == "token_expired"


def test_no_token_is_missing_and_another_servers_is_invalid() -> None:
    assert code(None) == code("") == "token_missing"
    assert code(tokens(key=bytes(32)).issue("room", "alice", Role.AGENT, ttl_s=60)) == "token_invalid"


def test_a_changed_role_breaks_the_signature() -> None:
    token = tokens().issue("room", "mallory", Role.CUSTOMER, ttl_s=60)
    head, body, tail = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["role"] = "operator"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert code(f"{head}.{forged}.{tail}") == "token_invalid"


def test_an_unsigned_token_is_refused() -> None:
    def part(obj: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(obj).encode()).decode().rstrip("=")

    claims = {"iss": "guard", "exp": 9_999_999_999, "session": "*", "participant": "x", "role": "operator"}
    assert code(f"{part({'alg': 'none'})}.{part(claims)}.") == "token_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"role": "root"},
        {"iss": "other"},
        {"session": 7},
        {"session": "*", "role": "agent"},
    ],
)
def test_a_well_signed_token_with_wrong_claims_is_refused(change: dict[str, object]) -> None:
    claims: dict[str, object] = {
        "iss": "guard",
        "exp": 9_999_999_999,
        "session": "room",
        "participant": "alice",
        "role": "operator",
    }
    claims = {k: v for k, v in (claims | change).items() if v is not None}
    assert code(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(KEY))) == "token_invalid"


@given(st.text(max_size=200))
def test_any_text_is_refused_with_a_code(text: str) -> None:
    assert code(text) in ("token_missing", "token_invalid")


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_any_three_parts_are_refused_with_a_code(a: bytes, b: bytes, c: bytes) -> None:
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (a, b, c))
    assert code(token) == "token_invalid"


def test_only_an_operator_can_be_bound_to_no_session() -> None:
    assert tokens().verify(tokens().issue(ANY_SESSION, "op", Role.OPERATOR, ttl_s=60)).site_operator
    with pytest.raises(ConfigError):
        tokens().issue(ANY_SESSION, "op", Role.AGENT, ttl_s=60)


@pytest.mark.parametrize(("session", "participant"), [("", "a"), ("a b", "a"), ("a", "a/b"), ("a", "x" * 65)])
def test_wrong_ids_are_not_signed(session: str, participant: str) -> None:
    with pytest.raises(ConfigError):
        tokens().issue(session, participant, Role.GUEST, ttl_s=60)


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    first = load_key(path)
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path) == first


def test_a_key_that_others_can_read_or_that_is_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    load_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="readable by others"):
        load_key(path)
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="shorter than 32"):
        load_key(path)


def test_an_id_that_holds_an_iin_is_refused() -> None:
    number = next(n for n in range(850101300000, 850101300011) if is_iin(str(n)))
    assert not valid_id(str(number))
    assert not valid_id(f"customer-{number}")
    assert valid_id(f"x{number}5"), "part of a longer number is none"
    assert valid_id(str(number + 1))
