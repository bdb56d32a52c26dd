"""What a page says of itself is graded, bounded, and never speaks for anybody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.challenge import client as module
from guard.challenge.client import CLUE_REASONS, LIMIT_LLR, Client, ClientFinding, ClientLevel, grade
from guard.detectors.virtual_camera import CLUES

FILES = {"/web/js/main.js": "a" * 64, "/web/js/call.js": "b" * 64, "/web/css/guard.css": "c" * 64}
SERVED = Client("1.2.3", FILES)
QUICK = (0.05, 0.06, 0.04)
REASONS = sorted(module._WEIGHTS)


def found(
    client: Client | None = SERVED,
    clues: tuple[str, ...] | None = (),
    responses: tuple[float | None, ...] = QUICK,
) -> ClientFinding:
    return grade(client, clues, expected=SERVED, responses=responses)


def test_a_page_that_is_as_it_was_handed_out_is_plain_and_that_is_no_evidence() -> None:
    assert found().level is ClientLevel.PLAIN
    assert found().reasons == ()
    assert found().llr == 0.0
    assert found().details == {
        "files": 3,
        "files_changed": 0,
        "files_unnamed": 0,
        "steps": 3,
        "steps_not_shown": 0,
        "shown_least_s": 0.04,
        "shown_median_s": 0.05,
        "shown_most_s": 0.06,
    }


@pytest.mark.parametrize(
    ("client", "reason", "level"),
    [
        (None, "client_silent", ClientLevel.UNUSUAL),
        (Client("1.2.2", FILES), "client_version_other", ClientLevel.UNUSUAL),
        (
            Client("1.2.3", {**FILES, "/web/js/main.js": "f" * 64}),
            "client_files_changed",
            ClientLevel.SUSPICIOUS,
        ),
        (
            Client("1.2.3", {**FILES, "/web/js/swap.js": "f" * 64}),
            "client_files_changed",
            ClientLevel.SUSPICIOUS,
        ),
        (Client("1.2.3", {"/web/js/main.js": "a" * 64}), "client_files_unnamed", ClientLevel.UNUSUAL),
    ],
)
def test_other_files_stand_out(client: Client | None, reason: str, level: ClientLevel) -> None:
    assert found(client).reasons == (reason,)
    assert found(client).level is level
    assert 0 < found(client).llr <= LIMIT_LLR


def test_a_style_sheet_that_was_not_loaded_is_plain() -> None:
    scripts = {path: digest for path, digest in FILES.items() if path.endswith(".js")}
    assert found(Client("1.2.3", scripts)).level is ClientLevel.PLAIN


@pytest.mark.parametrize(
    ("responses", "reasons"),
    [
        ((0.0005, 0.05, 0.05), ("shown_too_fast",)),
        ((-0.2, 0.05, 0.05), ("shown_too_fast",)),
        ((4.0, 4.5, 0.2), ("shown_too_slow",)),
        ((9.0, 0.05, 0.05), ()),
        ((None, 0.05, 0.05), ()),
        ((None, None, 0.05), ("shown_missing",)),
        ((None,), ("shown_missing",)),
        ((float("nan"), float("inf"), 0.05), ("shown_missing",)),
        ((), ()),
    ],
)
def test_answers_of_the_screen_that_cannot_be_stand_out(
    responses: tuple[float | None, ...], reasons: tuple[str, ...]
) -> None:
    assert found(responses=responses).reasons == reasons


def test_a_page_without_a_camera_report_is_unusual() -> None:
    assert found(clues=None).reasons == ("no_device_report",)
    assert found(clues=None).level is ClientLevel.UNUSUAL


def test_every_clue_of_a_camera_has_a_reason_and_no_second_llr() -> None:
    assert set(CLUE_REASONS) == {clue.code for clue in CLUES}
    for clue in CLUES:
        assert found(clues=(clue.code,)).reasons == (CLUE_REASONS[clue.code],)
        assert found(clues=(clue.code,)).llr == 0.0
    assert found(clues=("kind_virtual",)).level is ClientLevel.SUSPICIOUS
    assert found(clues=("kind_effects",)).level is ClientLevel.UNUSUAL
    with pytest.raises(ValueError, match="unknown"):
        found(clues=("new_clue",))


TIMES = st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=8).map(tuple)
CLIENTS = st.none() | st.builds(
    Client,
    st.text(max_size=8),
    st.dictionaries(st.sampled_from([*FILES, "/web/js/x.js"]), st.sampled_from("ab")),
)
SEEN = st.none() | st.lists(st.sampled_from(sorted(CLUE_REASONS)), max_size=11).map(tuple)


@given(CLIENTS, SEEN, TIMES)
def test_whatever_is_claimed_it_adds_little_and_never_takes_away(
    client: Client | None, clues: tuple[str, ...] | None, responses: tuple[float | None, ...]
) -> None:
    result = found(client, clues, responses)
    assert 0 <= result.llr <= LIMIT_LLR
    assert (result.level is ClientLevel.PLAIN) == (result.reasons == ())
    more = found(None, clues, responses)
    assert more.level is not ClientLevel.PLAIN


def test_every_reason_is_documented_under_its_heading() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")
    section = page.partition("\n## Client\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert listed | {"no_device_report"} == set(REASONS)
