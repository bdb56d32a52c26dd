"""No IIN comes into a record, however it is written; what only looks a little like one does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import RecordError
from guard.evidence.canonical import Json, normal
from guard.evidence.personal import REMOVED, forbid, load_pseudonym_key, pseudonym, redacted
from guard.iin import is_iin

# made up: 1 January 1901, serial 0000 and 0009; the check digits by hand:
# 1*0+2*1+3*0+4*1+5*0+6*1+7*3+8*0+9*0+10*0+11*0 = 33, 33 mod 11 = 0
IIN = "010101300000"
# 33 + 11*9 = 132, mod 11 = 0
ANOTHER = "010101300090"
# the first weights leave 10 (33 + 10*1 = 43), so the second: 4*1 + 6*1 + 8*1 + 9*3 + 1*1 = 46 = 4*11 + 2
SECOND_WEIGHTS = "010101300102"


def test_the_check_digit_is_that_of_the_rule() -> None:
    for good in (IIN, ANOTHER, SECOND_WEIGHTS):
        assert is_iin(good)
        assert [is_iin(good[:11] + str(digit)) for digit in range(10)].count(True) == 1
    assert not is_iin(IIN[:-1])
    assert not is_iin(IIN + "0")
    assert not is_iin("٠١٠١٠١٣٠٠٠٠٠")


@pytest.mark.parametrize("date", ["011301", "010132", "010230", "010001", "010100"])
def test_what_begins_with_no_date_is_no_iin(date: str) -> None:
    assert not any(is_iin(f"{date}30000{digit}") for digit in range(10))


@pytest.mark.parametrize(
    "value",
    [
        IIN,
        f"customer {IIN}, second call",
        f"iin{IIN}x",
        "010101 300 000",
        "010101-300000",
        {"deep": [{"deeper": IIN}]},
        {IIN: 1},
        f"3 {IIN}",
    ],
    ids=str,
)
def test_an_iin_is_found_wherever_it_stands(value: object) -> None:
    with pytest.raises(RecordError) as caught:
        forbid({"x": value})  # type: ignore[dict-item]
    assert caught.value.code == "record_personal"
    assert IIN not in caught.value.message
    assert "010101" not in caught.value.message


def test_a_whole_number_can_be_an_iin_too() -> None:
    number = next(n for n in range(850101300000, 850101300011) if is_iin(str(n)))
    with pytest.raises(RecordError):
        forbid({"x": number})


@pytest.mark.parametrize("key", ["iin", "name", "phone", "Surname", "full_name", "date_of_birth"])
def test_keys_that_name_a_person_are_refused(key: str) -> None:
    with pytest.raises(RecordError) as caught:
        forbid({"a": [{key: "x"}]})
    assert caught.value.code == "record_personal"


@pytest.mark.parametrize(
    "value",
    [
        "a0" + hashlib.sha256(b"x").hexdigest()[2:],
        "d" * 20 + IIN,  # 32 hex digits: a hash, which holds digits by chance
        f"550e8400-e29b-41d4-a716-{IIN}",
        "0" + IIN,
        IIN[:-1] + "1",
        "482 913",
        "2026-11-23T00:38:08.412Z",
        1_763_858_288_412,
        0.0101,
        True,
    ],
    ids=str,
)
def test_what_is_none_is_let_through(value: str | float) -> None:
    forbid({"x": value})


def test_a_pseudonym_is_the_same_for_a_person_and_a_key_only(tmp_path: Path) -> None:
    key = load_pseudonym_key(tmp_path)
    assert load_pseudonym_key(tmp_path) == key
    assert pseudonym(key, IIN) == pseudonym(key, IIN)
    assert len({pseudonym(key, IIN), pseudonym(key, ANOTHER), pseudonym(b"k" * 32, IIN)}) == 3
    forbid({"person": pseudonym(key, IIN)})
    with pytest.raises(RecordError) as caught:
        pseudonym(key, IIN[:-1] + "1")
    assert caught.value.code == "iin_invalid"
    assert "010101" not in caught.value.message


def test_what_people_and_pages_write_is_recorded_without_the_iin() -> None:
    value = {
        "reason": f"called {IIN}, then {ANOTHER}.",
        f"/web/{IIN}.js": [IIN, 7, None, True, 0.5],
        "number": next(n for n in range(850101300000, 850101300011) if is_iin(str(n))),
        "hash": hashlib.sha256(b"x").hexdigest(),
    }
    kept = redacted(value)
    forbid(normal(kept))
    assert kept == {
        "reason": f"called {REMOVED}, then {REMOVED}.",
        f"/web/{REMOVED}.js": [REMOVED, 7, None, True, 0.5],
        "number": REMOVED,
        "hash": value["hash"],
    }


@given(st.recursive(st.text("01 3-x", max_size=30) | st.just(IIN), lambda v: st.lists(v, max_size=3)))
def test_nothing_redacted_is_refused(value: Json) -> None:
    forbid(normal({"x": redacted(value)}))
