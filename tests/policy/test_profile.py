"""Profiles: what is wrong is refused with file, key and reason."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import ConfigError
from guard.policy.engine import Policy
from guard.policy.messages import advice
from guard.policy.plan import StepName
from guard.policy.profile import PROFILES, load_profile, parse_profile, shipped_profiles
from guard.policy.texts import load_texts
from guard.types import State

Table = dict[str, Any]


def meeting() -> Table:
    return tomllib.loads((PROFILES / "meeting.toml").read_text())


def step(table: Table, number: int) -> Table:
    found: Table = table["playbook"]["steps"][number]
    return found


def test_the_shipped_profiles_load() -> None:
    assert shipped_profiles() == ["contact-centre", "kz-ardfm", "meeting"]
    for name in shipped_profiles():
        assert load_profile(name).tell_suspect is False
    assert load_profile("kz-ardfm").thresholds.voice_alone_red is False


@pytest.mark.parametrize(
    ("spoil", "key", "reason"),
    [
        (lambda t: t.update(colour="red"), "colour", "unknown key"),
        (lambda t: t["thresholds"].update(redllr=3), "thresholds.redllr", "unknown key"),
        (lambda t: t["means"]["spoof"].update(sms=True), "means.spoof.sms", "unknown key"),
        (lambda t: t["thresholds"].pop("red_llr"), "thresholds.red_llr", "missing"),
        (lambda t: t["thresholds"].update(amber_llr=9.0), "thresholds", "amber_llr must be below red_llr"),
        (lambda t: t["thresholds"].update(red_llr=0), "thresholds.red_llr", "greater than 0"),
        (
            lambda t: t["thresholds"].update(red_llr=float("nan")),
            "thresholds.red_llr",
            "less than or equal to 12",
        ),
        (lambda t: t["thresholds"].update(bona_fide_llr=1.0), "thresholds.bona_fide_llr", "less than 0"),
        (lambda t: t["thresholds"].update(red_llr="5"), "thresholds.red_llr", "valid number"),
        (lambda t: t.update(tell=[]), "tell", "at least 1"),
        (lambda t: t.update(tell=["boss"]), "tell.0", "'customer'"),
        (lambda t: t.update(tell_suspect=True), "(file)", "warns the attacker"),
        (lambda t: t["means"].pop("spoof"), "(file)", "means needs the tables"),
        (lambda t: t.update(advice={"spoof": {"kk": "a", "ru": "a"}}), "advice.spoof.en", "missing"),
        (
            lambda t: t.update(advice={"spoof": {"kk": "", "ru": "a", "en": "a"}}),
            "advice.spoof.kk",
            "at least 1",
        ),
        (
            lambda t: t.update(advice={"spoof": {"kk": "a", "ru": "a", "en": " \n"}}),
            "advice.spoof.en",
            "is blank; write the words",
        ),
        (lambda t: t.update(name="other"), "name", "must equal the file's name"),
        (lambda t: t["means"]["spoof"].update(console=False), "(file)", "means.spoof.console must be true"),
        (lambda t: t.pop("playbook"), "playbook", "missing"),
        (lambda t: step(t, 0).update(sms=True), "playbook.steps.0.sms", "unknown key"),
        (lambda t: step(t, 2).update(step="hang_up"), "playbook.steps.2.step", "'second_person'"),
        (lambda t: step(t, 2).update(autonomy="automatic"), "playbook.steps.2", "cannot be automatic"),
        (lambda t: step(t, 2).update(autonomy="hang_up"), "playbook.steps.2.autonomy", "'automatic'"),
        (lambda t: step(t, 2).update(at="bona_fide"), "playbook.steps.2.at", "'spoof'"),
        (lambda t: step(t, 2).pop("limit_s"), "playbook.steps.2", "needs limit_s"),
        (lambda t: step(t, 2).update(limit_s=0), "playbook.steps.2.limit_s", "greater than 0"),
        (lambda t: step(t, 2).update(limit_s=1e9), "playbook.steps.2.limit_s", "less than or equal"),
        (lambda t: step(t, 2).update(kind="light"), "playbook.steps.2", "no other step takes one"),
        (lambda t: step(t, 1).pop("kind"), "playbook.steps.1", "needs kind"),
        (lambda t: step(t, 1).update(to=["boss"]), "playbook.steps.1.to.0", "'security'"),
        (lambda t: t.update(tell=["host"]), "(file)", "only to roles in tell"),
        (lambda t: step(t, 0).update(autonomy="advise"), "playbook.steps.0", "always given"),
        (lambda t: step(t, 0).update(limit_s=3), "playbook.steps.0", "neither limit_s nor to"),
        (lambda t: t["playbook"]["steps"].pop(0), "playbook", "must begin with notice"),
        (lambda t: t["playbook"].update(steps=[]), "playbook.steps", "at least 1"),
        (lambda t: t["playbook"]["steps"].append(step(t, 2)), "playbook", "once"),
        (lambda t: t["playbook"]["steps"].insert(1, step(t, 2)), "playbook", "once"),
        (lambda t: t["playbook"]["steps"].insert(1, t["playbook"]["steps"].pop()), "playbook", "order"),
        (lambda t: t["playbook"].update(second_person=True), "playbook", "needs the steps hold"),
        (lambda t: t["playbook"].update(release_roles=["guest"]), "playbook", "release_roles can hold"),
        (lambda t: t["playbook"].update(confirm_s=0), "playbook.confirm_s", "greater than or equal to 1"),
        (lambda t: step(t, 1).update(autonomy="automatic"), "(file)", "checks.at names a state"),
        (lambda t: t["checks"].update(at="spoof", kind="light"), "(file)", "checks.at names a state"),
        (lambda t: t["checks"].update(at="call_start"), "checks", "needs kind"),
        (lambda t: t["checks"].update(at="always"), "checks.at", "'never'"),
        (lambda t: t["checks"].update(kind="mood"), "checks.kind", "'visual'"),
    ],
)
def test_a_wrong_profile_is_refused(spoil: Callable[[Table], object], key: str, reason: str) -> None:
    table = meeting()
    spoil(table)
    with pytest.raises(ConfigError) as caught:
        parse_profile(table, "meeting.toml")
    assert caught.value.message.startswith(f"meeting.toml: {key}: ")
    assert reason in caught.value.message


def test_guard_does_only_what_can_be_taken_back_by_itself() -> None:
    for name in shipped_profiles():
        automatic = {s.step for s in load_profile(name).playbook.steps if s.autonomy == "automatic"}
        assert automatic <= {"notice", "hold", "challenge"}
    assert {s.step for s in load_profile("kz-ardfm").playbook.steps if s.autonomy == "automatic"} == {
        "notice"
    }
    assert {"end", "hang_up"}.isdisjoint(StepName)


def test_a_check_that_guard_starts_is_said_in_both_tables() -> None:
    table = meeting()
    step(table, 1).update(autonomy="automatic")
    table["checks"] = {"at": "suspect", "kind": "occlusion"}
    assert parse_profile(table, "meeting.toml").checks.at == "suspect"


def test_unknown_and_unreadable_profiles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contact-centre, kz-ardfm, meeting"):
        load_profile("nope")
    broken = tmp_path / "own.toml"
    broken.write_text("name = ")
    for text in ("name = ", "a = " + "[" * 50_000, f"a = {'9' * 5000}", "a = '\udcff'"):
        broken.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ConfigError, match=r"own\.toml: not valid TOML") as caught:
            load_profile(broken)
        assert caught.value.code == "profile_syntax"
    with pytest.raises(ConfigError, match="name a readable file"):
        load_profile(tmp_path / ("x" * 300 + ".toml"))


def test_a_site_can_bring_its_own_profile_with_its_own_advice(tmp_path: Path) -> None:
    words = {language: f"call 1234 ({language})" for language in ("kk", "ru", "en")}
    table = meeting() | {"name": "own", "advice": dict.fromkeys(("suspect", "spoof", "detector_down"), words)}
    profile = parse_profile(table, "own.toml")
    assert advice(profile, load_texts(), State.SPOOF) == words
    own = tmp_path / "own.toml"
    own.write_text((PROFILES / "meeting.toml").read_text().replace('"meeting"', '"own"'))
    with pytest.raises(ConfigError, match=r"own\.toml: advice\.suspect: missing; .* kk, ru, en"):
        Policy(load_profile(own), "s1")


def keys(table: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every value in a profile's table."""
    if isinstance(table, dict):
        return [p for key, value in table.items() for p in [(*path, key), *keys(value, (*path, key))]]
    if isinstance(table, list):
        return [p for n, value in enumerate(table) for p in [(*path, n), *keys(value, (*path, n))]]
    return []


ANY_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(list(StepName)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", shipped_profiles())
@given(data=st.data())
def test_any_value_anywhere_is_a_good_profile_or_refused_with_file_and_key(
    name: str, data: st.DataObject
) -> None:
    table: Any = tomllib.loads((PROFILES / f"{name}.toml").read_text())
    *way, last = data.draw(st.sampled_from(keys(table)))
    inner = table
    for key in way:
        inner = inner[key]
    inner[last] = data.draw(ANY_VALUE)
    try:
        profile = parse_profile(table, f"{name}.toml")
    except ConfigError as error:
        file, key, reason = error.message.split(": ", 2)
        assert (error.code, file) == ("profile_value", f"{name}.toml")
        assert key
        assert reason
    else:
        assert {s.step for s in profile.playbook.steps if s.autonomy == "automatic"} <= {
            StepName.NOTICE,
            StepName.HOLD,
            StepName.CHALLENGE,
        }
        assert profile.means[State.SPOOF].console
