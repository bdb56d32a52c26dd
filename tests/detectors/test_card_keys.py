"""A misspelt key of a card is refused and the right one named; no shipped card and no template has one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from guard.app.model_files import NETWORKS
from guard.detectors.card import load_card
from guard.detectors.card_keys import DETECTOR, NETWORK, Keys, check_keys, vector
from guard.detectors.face_identity import load_face_identity_card
from guard.detectors.speaker_card import load_speaker_card
from guard.detectors.table import FACE_IDENTITY, SPEAKER
from guard.detectors.tflite import load_network_card
from guard.resources import models_dir
from tests.detectors.test_card import GOOD
from tests.detectors.test_card_table import Load, refusal

MODELS = Path(__file__).resolve().parents[2] / "models"
TEMPLATES = sorted(path.relative_to(MODELS).as_posix() for path in MODELS.glob("*/recipe/*.template.toml"))
CARDS = sorted(path.parent.name for path in models_dir().glob("*/card.toml"))


def load_of(name: str) -> Load:
    if name in NETWORKS:
        return load_network_card
    return {SPEAKER: load_speaker_card, FACE_IDENTITY: load_face_identity_card}.get(name, load_card)


def keys_of(name: str) -> Keys:
    people = {SPEAKER: ("speaker_change", "voice_match"), FACE_IDENTITY: ("call", "photo")}
    if name in people:
        return vector(people[name])
    return NETWORK if name in NETWORKS else DETECTOR


@pytest.mark.parametrize("name", CARDS)
def test_shipped_cards_have_known_keys_only(name: str) -> None:
    load_of(name)(models_dir() / name)


@pytest.mark.parametrize("path", TEMPLATES)
def test_templates_of_recipes_have_known_keys_only(path: str) -> None:
    text = (MODELS / path).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(\$\w+|\{\w+\})$", "", text)  # lines that the recipe writes whole
    table = tomllib.loads(re.sub(r"\$\w+|\{[\w.:]+\}", "1", text))
    check_keys(table, keys_of(table["name"]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[calibration]", "[gate]\nmin_quality = 2.0\n[calibration]", "no key 'gate'; did you mean gates?"),
        (
            'spoof_is = "larger"',
            'spoof_is = "larger"\nminus_colum = 1',
            "output has no key 'minus_colum'; did",
        ),
        (
            "limit_llr = 5.0",
            'limit_llr = 5.0\nbin = [{name = "narrow"}]',
            "calibration has no key 'bin'; did",
        ),
        (
            "[data]",
            '[[calibration.bins]]\nname="narrow"\na=1\nb=0\nlimit=2\n[data]',
            "calibration.bins has no",
        ),
        ("[data]", "[calibration.second]\na=1\nb=0\nlimit_llr=2\nc=1\n[data]", "calibration.second has no"),
        ("rate_hz = 16000", "rate_hz = 16000\nlonge = 'cut'", "did you mean longer?"),
        (
            "rate_hz = 16000",
            "rate_hz = 16000\nzzz = 1",
            "input has no key 'zzz'; known are colour_order, dtype",
        ),
        ("[data]", "[limits]\nknown_failure = []\n[data]", "did you mean known_failures?"),
        ("[data]", "[gates]\nmin_qualty = 2.0\n[data]", "did you mean min_quality?"),
        ("[data]", "[outputs]\ntimelin = [8]\n[data]", "did you mean timeline?"),
        ('licence = "Apache-2.0"', 'license = "MIT"\nlicence = "Apache-2.0"', "did you mean licence?"),
    ],
    ids=[*("gate", "column", "bin", "in-bin", "second", "input", "far", "limits", "gates", "outputs", "top")],
)
def test_a_misspelt_key_is_refused_and_the_nearest_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    assert message in refusal(tmp_path, GOOD.replace(old, new), load_card)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("speaker", "spoof_share", "spoof_shares = 0.1\nspoof_share"),
        (
            "speaker",
            "[calibration.voice_match]",
            "[calibration.voice_mach]\na = 1\n[calibration.voice_match]",
        ),
        ("face_identity", "meaning", "meening"),
        ("blazeface", "\noffset", "\nofset = 0.0\noffset"),
    ],
)
def test_cards_of_every_kind_are_looked_at(tmp_path: Path, name: str, old: str, new: str) -> None:
    text = (models_dir() / name / "card.toml").read_text(encoding="utf-8")
    assert old in text
    assert "no key" in refusal(tmp_path, text.replace(old, new, 1), load_of(name))


def test_what_is_for_people_holds_what_they_like(tmp_path: Path) -> None:
    text = GOOD.replace("[data]", "[data]\nanything = {at = ['all']}").replace(
        "[measured]", "[measured]\nx = 1"
    )
    (tmp_path / "card.toml").write_text(text, encoding="utf-8")
    assert load_card(tmp_path).data == {"anything": {"at": ["all"]}}
