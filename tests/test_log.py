"""Logs: a constant event with keys; no token, secret or IIN gets through."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from guard.log import REDACTED, LogConfig, configure, get_logger, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYWdlbnQifQ.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, guard = logging.getLogger(), logging.getLogger("guard")
    kept = (root.handlers[:], root.level, guard.level)
    out = io.StringIO()
    configure(LogConfig(level="info"), out)
    yield out
    root.handlers[:], level, guard_level = kept
    root.setLevel(level)
    guard.setLevel(guard_level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_json_object_with_its_keys(stream: io.StringIO) -> None:
    get_logger("relay").info("peer_connected", peers=4, llr=1.5, up=True)
    (line,) = lines(stream)
    assert line["event"] == "peer_connected"
    assert (line["part"], line["peers"], line["llr"], line["up"]) == ("relay", 4, 1.5, True)
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_a_logger_made_before_the_settings_are_known_follows_them(capsys: pytest.CaptureFixture[str]) -> None:
    early = get_logger("serve")
    root, kept = logging.getLogger(), logging.getLogger().handlers[:]
    out = io.StringIO()
    try:
        configure(LogConfig(), out)
        early.info("analysis_up", note=JWT)
    finally:
        root.handlers[:] = kept
        structlog.reset_defaults()
    (line,) = lines(out)
    assert (line["event"], line["part"], line["note"]) == ("analysis_up", "serve", REDACTED)
    assert capsys.readouterr() == ("", "")


def test_the_level_is_kept(stream: io.StringIO) -> None:
    get_logger("relay").debug("unseen")
    get_logger("relay").warning("seen")
    assert [line["event"] for line in lines(stream)] == ["seen"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("token", "abc"),
        ("webhook_secret", "abc"),
        ("Authorization", "Basic abc"),
        ("headers", {"authorization": "Bearer abc", "cookie": "abc"}),
        ("url", "https://x/ws/s1?token=abc"),
        ("header", "Bearer abc"),
        ("note", JWT.replace("c2lnbmF0dXJl", "abc")),
        ("items", [{"deep": {"credential": "abc"}}]),
    ],
)
def test_secrets_do_not_get_through(stream: io.StringIO, key: str, value: object) -> None:
    get_logger("api").info("request", **{key: value})
    assert "abc" not in stream.getvalue()
    assert REDACTED in stream.getvalue()


@pytest.mark.parametrize("value", ["990101300123", "iin: 990101300123.", 990101300123, ["990101300123"]])
def test_identification_numbers_do_not_get_through(stream: io.StringIO, value: object) -> None:
    get_logger("api").info("request", note=value)
    assert "990101300123" not in stream.getvalue()


def test_exceptions_and_other_libraries_are_cleaned_too(stream: io.StringIO) -> None:
    try:
        raise ValueError(f"bad {JWT}")
    except ValueError:
        get_logger("api").error("request_failed", exc_info=True)
    logging.getLogger("uvicorn.error").warning("GET /ws?token=%s", "abcdef")
    text = stream.getvalue()
    assert "ValueError" in text
    assert JWT not in text
    assert "abcdef" not in text


@given(st.from_regex(r"\A\D{0,5}\d{12}\D{0,5}\Z"))
def test_no_twelve_digits_survive(text: str) -> None:
    cleaned = redact(text)
    assert isinstance(cleaned, str)
    assert REDACTED in cleaned


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary(), st.lists, max_leaves=20)
)
def test_anything_can_be_logged(value: object) -> None:
    json.dumps(redact(value))


def test_harmless_values_stay() -> None:
    assert redact({"session": "s-42", "packets": 1234567, "at": 1234567890.5}) == {
        "session": "s-42",
        "packets": 1234567,
        "at": 1234567890.5,
    }
