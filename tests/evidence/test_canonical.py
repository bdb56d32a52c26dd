"""One value has one form in bytes, and it comes back from them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import RecordError
from guard.evidence.canonical import canonical, normal

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=8)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e12, 1e12)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
VALUES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=8
    ),
)


def shortest_number(value: float) -> str:
    """Return a number as ECMAScript writes it (RFC 8785, 3.2.2.3), for those that need no exponent."""
    if value == int(value):
        return str(int(value))
    digits = repr(value)  # the shortest digits that read back the same, as there
    assert "e" not in digits
    return digits


def rfc8785(value: object) -> str:
    """Write a value by the rules of the RFC, independently of the code under test."""
    if isinstance(value, dict):
        ordered = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{rfc8785(key)}:{rfc8785(value[key])}" for key in ordered) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(rfc8785, value)) + "]"
    if isinstance(value, str):
        short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
        escaped = (short.get(c) or (c if ord(c) >= 0x20 else f"\\u{ord(c):04x}") for c in value)
        return '"' + "".join(escaped) + '"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    assert isinstance(value, int | float)
    return shortest_number(value)


@given(VALUES)
def test_the_form_is_that_of_rfc_8785_and_comes_back(value: Mapping[str, object]) -> None:
    kept = normal(value)
    written = canonical(kept)
    assert written.decode() == rfc8785(kept)
    assert json.loads(written) == kept
    assert canonical(normal(json.loads(written))) == written


def test_numbers_are_rounded_to_four_decimals_and_whole_ones_written_whole() -> None:
    value = {"a": 1 / 3, "b": 2.0, "c": -0.00001, "d": 1e-4, "e": np.float64(0.5)}
    assert canonical(normal(value)) == b'{"a":0.3333,"b":2,"c":0,"d":0.0001,"e":0.5}'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -1e300,
        "\ud800",
        b"bytes",
        {1: "a"},
        {"ключ": 1},
        {"": 1},
        {"a"},
        pytest.param(object(), id="object"),
        [[[[[[[[[1]]]]]]]]],
    ],
    ids=repr,
)
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(RecordError) as caught:
        normal({"x": value})
    assert caught.value.code == "record_invalid"
