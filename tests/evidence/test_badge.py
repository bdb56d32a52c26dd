"""The badge: one word that only this server can have written."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from guard.clock import ManualClock
from guard.errors import RecordError
from guard.evidence.badge import badge, read_badge
from guard.evidence.records import Place, sign
from tests.evidence.support import KEY, OTHER_KEY

STATEMENT = {"v": 1, "session": "a", "code": "482913", "agent": "agent-1", "at": "2026-11-23T00:38:08.412Z"}
WORD = badge(KEY, STATEMENT)
KEYS = {KEY.id: KEY.public}


def test_a_badge_is_read_with_the_key_that_signed_it_only() -> None:
    assert read_badge(WORD, KEYS) == STATEMENT
    assert read_badge(f" {WORD}\n", {OTHER_KEY.id: OTHER_KEY.public, **KEYS}) == STATEMENT
    with pytest.raises(RecordError) as caught:
        read_badge(WORD, {OTHER_KEY.id: OTHER_KEY.public})
    assert caught.value.code == "badge_invalid"


def test_any_jws_library_reads_it() -> None:
    pem = KEY.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    read = jws.deserialize_compact(WORD, OKPKey.import_key(pem), algorithms=["Ed25519"])
    assert read.headers() == {"alg": "Ed25519", "kid": KEY.id, "typ": "guard-badge"}


@given(st.integers(0, len(WORD) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_changed_badge_is_refused(at: int, letter: str) -> None:
    changed = WORD[:at] + letter + WORD[at + 1 :]
    if changed != WORD:
        with pytest.raises(RecordError):
            read_badge(changed, KEYS)


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        read_badge(text, KEYS)


def test_a_record_is_no_badge_and_a_badge_is_no_record() -> None:
    record = sign(KEY, Place("a", 1, "0" * 64), "attempt", ManualClock().utc(), {})
    assert record.signed_content().startswith(b"{")
    assert WORD.startswith("ey")


def test_no_iin_comes_onto_a_badge() -> None:
    with pytest.raises(RecordError) as caught:
        badge(KEY, {"agent": "010101300000"})
    assert caught.value.code == "record_personal"
