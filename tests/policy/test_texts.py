"""The words: complete in three languages, short enough, and each in its own language."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from guard.errors import ConfigError
from guard.policy.messages import Channel, advice, advice_of
from guard.policy.plan import StepName
from guard.policy.profile import load_profile, shipped_profiles
from guard.policy.texts import LANGUAGES, MAX_ADVICE_CHARS, MAX_BANNER_CHARS, Texts, load_texts
from guard.reasons import ALL_REASONS, FACE_REPLACED, PHOTO_MISMATCH
from guard.types import Role, Signal, State, Verdict

ROOT = Path(__file__).resolve().parents[2]
KAZAKH_LETTERS = set("әғқңөұүһі")
TEXTS = load_texts()


def test_every_code_that_can_reach_a_person_has_words() -> None:
    listed = re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "reasons.md").read_text(), re.MULTILINE)
    assert len(listed) > 5
    wanted = {f"reason.{code}" for code in (*ALL_REASONS, *listed, "detector_failed")}
    wanted |= {f"state.{state.value}" for state in State}
    wanted |= {f"role.{role.value}" for role in Role}
    wanted |= {f"signal.{signal.value}" for signal in Signal}
    wanted |= {f"{kind}.{state}" for kind in ("banner", "announcement") for state in ("suspect", "spoof")}
    assert wanted - TEXTS.keys == set()


@pytest.mark.parametrize("profile", shipped_profiles())
@pytest.mark.parametrize("state", [State.SUSPECT, State.SPOOF, State.DETECTOR_DOWN])
def test_advice_fits_and_begins_with_the_next_step(profile: str, state: State) -> None:
    words = advice(load_profile(profile), TEXTS, state)
    assert set(words) == set(LANGUAGES)
    for text in words.values():
        assert 40 < len(text) <= MAX_ADVICE_CHARS
    verbs = ("Hold", "Stop", "Verify", "Put", "Share")
    assert words["en"].startswith(verbs)


@pytest.mark.parametrize("reason", [PHOTO_MISMATCH, FACE_REPLACED])
@pytest.mark.parametrize("profile", shipped_profiles())
def test_who_only_has_another_face_is_spoken_of_in_words_of_its_own(profile: str, reason: str) -> None:
    own, seen = load_profile(profile), Verdict("s", "p", 1.0, State.SUSPECT, 1.0, reasons=(reason,))
    words = advice(own, TEXTS, State.SUSPECT, of=advice_of(own, seen))
    assert words["en"].startswith("Hold")
    assert "artificial" not in words["en"]
    assert all(40 < len(text) <= MAX_ADVICE_CHARS for text in words.values())
    for other in (
        replace(seen, llr=own.thresholds.amber_llr),
        replace(seen, state=State.SPOOF),
        replace(seen, reasons=("check_failed", reason)),
    ):
        assert advice_of(own, other) is None


@pytest.mark.parametrize(
    "key", ["banner.suspect", "banner.spoof", "banner.drill_suspect", "banner.drill_spoof"]
)
def test_banners_are_short_enough_to_be_burnt_in(key: str) -> None:
    for text in TEXTS.all(key).values():
        assert len(text) <= MAX_BANNER_CHARS


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_drill_says_first_that_it_is_one(language: str) -> None:
    word = TEXTS.get("drill.prefix", language).split(",")[0]
    assert TEXTS.get("banner.drill_suspect", language).startswith(word)
    assert TEXTS.get("banner.drill_spoof", language).startswith(word)
    assert word.isupper()
    for key in TEXTS.keys:
        drill = key.startswith(("drill.", "banner.drill_"))
        assert TEXTS.get(key, language).startswith(word) is drill, key


def test_steps_of_the_playbook_say_what_to_do_or_what_is_so() -> None:
    keys = {key for key in TEXTS.keys if key.startswith("playbook.")}
    assert {f"playbook.{step.value}" for step in StepName if step is not StepName.NOTICE} <= keys
    for key in keys:
        for text in TEXTS.all(key).values():
            assert 15 < len(text) <= MAX_ADVICE_CHARS
            assert text.endswith(".")
    for key in ("hold_failed", "release_failed", "hold_left_open"):
        first = TEXTS.get(f"playbook.{key}", "en").split()[0]
        assert first in {"Hold", "Release"}, "what went wrong comes after what to do"


def test_every_step_and_way_that_a_playbook_can_tell_has_words() -> None:
    source = (ROOT / "guard" / "policy" / "playbook.py").read_text()
    told = set(re.findall(r'text=(?:None if confirmed else )?"([a-z_]+)"', source))
    told |= set(re.findall(r'text = "([a-z_]+)"', source))
    assert len(told) >= 8
    assert {f"playbook.{key}" for key in told} <= TEXTS.keys


@pytest.mark.parametrize("key", sorted(TEXTS.keys))
def test_no_text_stands_in_the_wrong_language(key: str) -> None:
    words = {language: text.lower() for language, text in TEXTS.all(key).items()}
    assert not re.search(r"[а-яё]", words["en"]), words["en"]
    assert not KAZAKH_LETTERS & set(words["ru"]), words["ru"]
    assert re.search(r"[а-яё]", words["ru"])
    assert re.search(r"[а-яё]", words["kk"]) or KAZAKH_LETTERS & set(words["kk"])
    assert "guard" in words["kk"] or not re.search(r"[a-z]", words["kk"]), words["kk"]
    if len(words["kk"]) > 20:
        assert KAZAKH_LETTERS & set(words["kk"]), f"no Kazakh letter in {words['kk']!r}"
    same_word = {"role.operator", "role.customer", "signal.virtual_camera"}
    assert words["kk"] != words["ru"] or key in same_word


def test_a_missing_or_too_long_text_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"'a' is missing in kk\.po"):
        Texts({"ru": {"a": "а"}, "en": {"a": "a"}, "kk": {}})
    long = {"banner.x": "x" * (MAX_BANNER_CHARS + 1)}
    with pytest.raises(ConfigError, match=r"banner\.x"):
        Texts(dict.fromkeys(LANGUAGES, long))
    with pytest.raises(ConfigError, match="'nope'"):
        TEXTS.get("nope", "en")


def test_pages_get_a_prefix_of_the_texts() -> None:
    states = TEXTS.with_prefix("state.", "en")
    assert set(states) == {state.value for state in State}


def test_channel_names_are_those_of_the_profiles() -> None:
    means = load_profile("meeting").means[State.SPOOF]
    assert set(type(means).model_fields) == {channel.value for channel in Channel}
