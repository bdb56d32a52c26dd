"""Profiles compared key by key, and `guard policy check` and `diff` on files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guard.cli import app
from guard.policy.compare import differences
from guard.policy.profile import PROFILES, load_profile, shipped_profiles

RUN = CliRunner()


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_profile_does_not_differ_from_itself(name: str) -> None:
    assert differences(load_profile(name), load_profile(name)) == []


def test_a_changed_key_is_named_with_both_values(tmp_path: Path) -> None:
    text = (PROFILES / "kz-ardfm.toml").read_text()
    own = tmp_path / "kz-ardfm.toml"
    longer = text.replace("limit_s = 30.0", "limit_s = 45.0")
    own.write_text(longer.replace("red_llr = 6.25", "red_llr = 5.0"))
    found = [(d.key, d.left, d.right) for d in differences(load_profile("kz-ardfm"), load_profile(own))]
    assert found == [("thresholds.red_llr", 6.25, 5.0), ("playbook.steps.hold.limit_s", 30.0, 45.0)]


def test_a_step_that_one_profile_lacks_is_absent_there_wherever_it_stands() -> None:
    found = differences(load_profile("meeting"), load_profile("kz-ardfm"))
    hold = {d.key: (d.left, d.right) for d in found if d.key.startswith("playbook.steps.hold.")}
    assert hold["playbook.steps.hold.autonomy"] == (None, "advise")
    swapped = differences(load_profile("kz-ardfm"), load_profile("meeting"))
    assert {d.key: (d.right, d.left) for d in swapped} == {d.key: (d.left, d.right) for d in found}


def test_the_command_says_what_differs_and_exits_1() -> None:
    done = RUN.invoke(app, ["policy", "diff", "kz-ardfm", "contact-centre", "--json"])
    keys = {json.loads(line)["key"] for line in done.stdout.splitlines()}
    assert done.exit_code == 1
    assert "thresholds.voice_alone_red" in keys
    assert RUN.invoke(app, ["policy", "diff", "meeting", "meeting"]).exit_code == 0


def test_the_command_refuses_a_wrong_file_with_file_key_and_reason(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    text = (PROFILES / "kz-ardfm.toml").read_text().replace('"kz-ardfm"', '"own"')
    own.write_text(text.replace('step = "second_person"', 'step = "hang_up"'))
    done = RUN.invoke(app, ["policy", "check", "meeting", str(own), "--json"])
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert (done.exit_code, good) == (1, {"profile": "meeting", "ok": True})
    assert bad["error"]["code"] == "profile_value"
    assert bad["error"]["message"].startswith("own.toml: playbook.steps.4.step: ")
    own.write_text(text)
    done = RUN.invoke(app, ["policy", "check", str(own), "--json"])
    assert json.loads(done.stdout)["error"]["code"] == "profile_value", "own names need own advice"


def test_the_command_refuses_thresholds_that_nothing_reaches(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^red_llr = .*$", "red_llr = 6.5", (PROFILES / "contact-centre.toml").read_text())
    (tmp_path / "contact-centre.toml").write_text(text)
    done = RUN.invoke(app, ["policy", "check", str(tmp_path / "contact-centre.toml"), "--json"])
    said = json.loads(done.stdout)["error"]["message"]
    assert done.exit_code == 1
    assert said.startswith("contact-centre.toml: thresholds.red_llr: 6.5 is never reached: voice_spoof alone")
