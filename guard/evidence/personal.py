"""Personal identifiers stay out of records; where a person must be found again, a keyed hash stands in.

An IIN (individual identification number of Kazakhstan) has 12 digits: date of birth as YYMMDD, a digit for
century and sex, four of serial, one check digit.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from guard.errors import ConfigError, RecordError
from guard.evidence.canonical import Json
from guard.iin import iin_spans, is_iin
from guard.keyfile import read_or_make

PSEUDONYM_KEY_NAME = "pseudonym.key"
KEY_BYTES = 32
REMOVED = "[iin removed]"
FORBIDDEN_KEYS = frozenset(
    {
        "iin",
        "name",
        "first_name",
        "last_name",
        "full_name",
        "middle_name",
        "surname",
        "patronymic",
        "phone",
        "telephone",
        "email",
        "address",
        "passport",
        "document_number",
        "birth_date",
        "date_of_birth",
    }
)
# hashes and random ids hold digits by chance
_HASH = re.compile(
    r"(?<![0-9A-Fa-f])(?:[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9A-Fa-f])"
)


def forbid(value: Json) -> None:
    """Raise where a value holds what looks like a personal identifier; the message does not repeat it.

    Raises:
        RecordError: ``record_personal``.
    """
    for key, text in _texts(value, ""):
        if key.lower() in FORBIDDEN_KEYS:
            raise RecordError("record_personal", f"key {key!r} names a personal identifier; use a pseudonym")
        if _spans(text):
            where = f"under key {key!r}" if key and not any(map(str.isdigit, key)) else "somewhere"
            raise RecordError("record_personal", f"an IIN stands {where}; use a pseudonym")


def redacted(value: object) -> object:
    """Return a value with every IIN in its texts, numbers and keys replaced by ``REMOVED``.

    For what people type and what pages send: nobody may keep a record from being written by putting an IIN
    into it.
    """
    if isinstance(value, Mapping):
        return {redacted(key): redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    text = str(value)
    spans = _spans(text)
    for start, end in reversed(spans):
        text = f"{text[:start]}{REMOVED}{text[end:]}"
    return text if spans else value


def _spans(text: str) -> list[tuple[int, int]]:
    """Return where the IINs of a text stand, outside of hashes and random ids."""
    return iin_spans(_HASH.sub(lambda found: "x" * len(found[0]), text))


def _texts(value: Json, key: str) -> Iterator[tuple[str, str]]:
    """Yield every text and number with the key it stands under, and every key with itself."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name, name
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield key, str(value)


def load_pseudonym_key(folder: Path) -> bytes:
    """Return the secret of ``pseudonym`` kept in ``folder``, made on first use.

    Raises:
        ConfigError: ``key_unreadable``, ``key_exposed`` or ``key_invalid``.
    """
    path = folder / PSEUDONYM_KEY_NAME
    key = read_or_make(path, lambda: secrets.token_bytes(KEY_BYTES), "the key of pseudonyms,")
    if len(key) < KEY_BYTES:
        raise ConfigError(
            "key_invalid", f"{path} is shorter than {KEY_BYTES} bytes; put it back from a backup"
        )
    return key


def pseudonym(key: bytes, iin: str) -> str:
    """Return what may stand for an IIN in a record: 64 hex digits, the same for the same person and key.

    HMAC-SHA256 (RFC 2104). There are few enough IINs to try them all, so whoever has the key can undo it:
    keep the key as secret as the numbers themselves.

    Raises:
        RecordError: ``iin_invalid``; the message does not repeat it.
    """
    if not is_iin(iin):
        raise RecordError("iin_invalid", "an IIN has 12 digits: a date of birth, a serial, a check digit")
    return hmac.new(key, b"guard pseudonym 1\n" + iin.encode(), hashlib.sha256).hexdigest()
