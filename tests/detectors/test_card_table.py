"""Cards of any form: refused by name in every kind of card, never a traceback, never raw on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.app.model_files import describe
from guard.detectors.card import load_card
from guard.detectors.face_identity import load_face_identity_card
from guard.detectors.speaker_card import load_speaker_card
from guard.detectors.tflite import load_network_card
from guard.errors import ModelError
from guard.resources import models_dir
from tests.detectors.test_card import GOOD

Load = Callable[[Path], object]
KINDS: dict[str, Load] = {
    "voice_spoof": load_card,
    "speaker": load_speaker_card,
    "face_identity": load_face_identity_card,
    "blazeface": load_network_card,
}


def refusal(folder: Path, text: str, load: Load) -> str:
    (folder / "card.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as error:
        load(folder)
    assert error.value.code == "card_invalid"
    assert error.value.message.isprintable()
    assert str(folder / "card.toml") in error.value.message
    return error.value.message


# what no card may hold wherever it stands
ANYWHERE = {
    "date": ("when = 2026-01-01", "when is a date or time"),
    "time in a list": ("when = [[07:32:00]]", "when is a date or time"),
    "nan": ("x = nan", "x is no finite number"),
    "infinity": ("x = -inf", "x is no finite number"),
    "400 digits": (f"x = 1{'0' * 400}", "x is a number of more than 64 bits"),
    "5,000 digits": (f"x = 1{'0' * 5000}", "is not TOML"),
    "20,000 bits": (f"x = 0x{'f' * 5000}", "x is a number of more than 64 bits"),
    "deep": (f"x = {'[' * 5000}{']' * 5000}", "is not TOML"),
    "colour": (r'x = "\u001b[31mred"', "x holds characters"),
    "title": (r'x = "\u001b]0;yours\u0007"', "x holds characters"),
    "backwards": (r'x = "\u202Egpj.exe"', "x holds characters"),
    "key": (r'"\u001b[2J" = 1', "a key holds characters"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ANYWHERE)
def test_what_neither_json_nor_a_terminal_should_get_is_in_no_card(
    tmp_path: Path, kind: str, case: str
) -> None:
    line, what = ANYWHERE[case]
    text = (models_dir() / kind / "card.toml").read_text(encoding="utf-8")
    assert what in refusal(tmp_path, f"{line}\n{text}", KINDS[kind])


TABLES = {
    "voice_spoof": ("input", "output", "outputs", "gates", "calibration", "data", "measured"),
    "speaker": ("input", "output", "calibration", "measured"),
    "face_identity": ("input", "output", "calibration", "measured"),
    "blazeface": ("input", "outputs"),
}
MAY_BE_EMPTY = {"gates", "data", "measured"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ['"abc"', "5", "[]", "[5]", '["min_quality"]', "true", "{}"])
def test_a_key_of_the_wrong_form_is_refused(tmp_path: Path, kind: str, value: str) -> None:
    """Each table of a shipped card, and texts beside them, are replaced by something else."""
    text = (models_dir() / kind / "card.toml").read_text(encoding="utf-8")
    top, *tables = re.split(r"(?m)^(?=\[)", text)
    for name in TABLES[kind]:
        others = [table for table in tables if not re.match(rf"\[+{name}[.\]]", table)]
        assert len(others) < len(tables)
        if value != "{}" or name not in MAY_BE_EMPTY:
            refusal(tmp_path, f"{name} = {value}\n{top}{''.join(others)}", KINDS[kind])
    for key in ("name", "version", "file", "licence"):
        changed = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", top)
        assert changed != top
        if value != '"abc"':
            refusal(tmp_path, changed + "".join(tables), KINDS[kind])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate_hz = 16000", "rate_hz = 16000.7"),
        ("rate_hz = 16000", "rate_hz = true"),
        ("rate_hz = 16000", "rate_hz = -1"),
        ("a = 1.0", 'a = "1"'),
        ("a = 1.0", "a = true"),
        ("limit_llr = 5.0", "limit_llr = 5.0\nbins = 5"),
        ("limit_llr = 5.0", "limit_llr = 5.0\nbins = [5]"),
        ("limit_llr = 5.0", "limit_llr = 5.0\nsecond = 5"),
        ("shape = [64000]", "shape = [1180591620717411303424]"),
        ("shape = [64000]", "shape = {a = 1}"),
        ("shape = [64000]", "shape = [true]"),
    ],
)
def test_numbers_are_the_numbers_they_should_be(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    refusal(tmp_path, GOOD.replace(old, new), load_card)


def test_one_wrong_card_in_the_operators_folder_is_named(tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.mkdir()
    (own / "card.toml").write_text("calibration = 5\n" + GOOD.replace("[calibration]", "[c]"))
    with pytest.raises(ModelError) as error:
        describe(tmp_path)
    assert error.value.code == "card_invalid"
    assert str(own) in error.value.message


def test_what_is_listed_of_the_shipped_cards_is_json() -> None:
    json.dumps(describe(), allow_nan=False)
