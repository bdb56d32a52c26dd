"""The page's report of its camera: what is taken, and that everything else ends the page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guard.errors import PeerError
from guard.signalling.messages import DeviceMessage, parse_message

SIZE = {"width": 640, "height": 360, "rate_hz": 30}
REPORT: dict[str, Any] = {
    "v": 1,
    "type": "device",
    "kind": "physical",
    "automated": False,
    "has_id": True,
    "facing": None,
    "changes": 0,
    "requested": SIZE,
    "reported": SIZE,
    "actual": {"width": None, "height": None, "rate_hz": None},
    "range": {"max_width": 1920, "max_height": 1080, "max_rate_hz": 59.94, "controls": 9},
    "first_picture_ms": 512.25,
    "resize_ms": None,
    "jitter_ms": None,
    "pictures": 0,
}


def test_a_whole_report_is_read() -> None:
    message = parse_message(json.dumps(REPORT))
    assert isinstance(message, DeviceMessage)
    assert json.loads(message.model_dump_json()) == REPORT


@pytest.mark.parametrize("key", sorted(set(REPORT) - {"v"}))
def test_a_report_without_one_of_its_keys_is_refused(key: str) -> None:
    part = {name: value for name, value in REPORT.items() if name != key}
    with pytest.raises(PeerError) as refused:
        parse_message(json.dumps(part))
    assert refused.value.code == "message_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"label": "OBS Virtual Camera"},
        {"kind": "OBS Virtual Camera"},
        {"kind": None},
        {"automated": 1},
        {"has_id": "yes"},
        {"facing": "north"},
        {"changes": -1},
        {"changes": 1.5},
        {"changes": "1"},
        {"pictures": 10**9},
        {"requested": SIZE | {"width": 0}},
        {"requested": SIZE | {"width": 1e6}},
        {"reported": SIZE | {"rate_hz": -1}},
        {"reported": SIZE | {"rate_hz": "30"}},
        {"reported": SIZE | {"label": "a name"}},
        {"actual": None},
        {"range": {"max_width": 1920}},
        {"range": REPORT["range"] | {"controls": 65}},
        {"first_picture_ms": -0.5},
        {"first_picture_ms": 1e9},
        {"resize_ms": True},
        {"jitter_ms": [1]},
        {"v": 2},
    ],
)
def test_what_is_unknown_out_of_range_or_of_another_type_is_refused_without_repeating_it(
    change: dict[str, Any],
) -> None:
    with pytest.raises(PeerError) as refused:
        parse_message(json.dumps(REPORT | change))
    assert refused.value.code == "message_malformed"
    assert "OBS" not in refused.value.message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number_that_is_none_is_taken(number: str) -> None:
    text = json.dumps(REPORT).replace("512.25", number)
    assert number in text
    with pytest.raises(PeerError) as refused:
        parse_message(text)
    assert refused.value.code == "message_malformed"
