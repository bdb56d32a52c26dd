"""The command line as an operator meets it: exit codes, plain reasons, no traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guard.app.model_files import verify
from guard.app.preflight import check, warnings
from guard.config import load_settings
from guard.errors import GuardError
from guard.policy.profile import PROFILES
from guard.resources import models_dir


def guard(*words: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line; ``stdout`` may be an open file descriptor."""
    out = subprocess.PIPE if stdout is None else stdout
    command = [sys.executable, "-m", "guard", *words]
    return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[analysis]\nmodels_dir = '/nowhere'\n", "models_dir"),
        ("[server]\ntls_cert = '/nowhere.pem'\ntls_key = '/nowhere.pem'\n", "tls_invalid"),
        ("[webhook]\nurl = 'http://bank.example/hook'\nsecret = '0123456789abcdef'\n", "config_invalid"),
        ("[webhook]\nurl = 'https://bank.example/hook'\nsecret = 'short'\n", "config_invalid"),
        ("[webhook]\nurl = 'https://bank.example/hook'\nsecret_file = '/nowhere'\n", "config_value"),
        ("[relay]\naddresses = ['192.0.2.77']\n", "relay_no_address"),
        ("[drills]\nclip = '/nowhere.webm'\n", "config_value"),
    ],
)
def test_check_config_refuses_what_serve_would_refuse(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(text)
    settings = load_settings(path)
    with pytest.raises(GuardError) as caught:
        check(settings)
    assert caught.value.code == code


def test_wrong_settings_exit_2_with_one_plain_line(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text("[analysis]\nmodels_dir = '/nowhere'\n")
    done = guard("check-config", "--config", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("guard: /nowhere")
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_model_of_the_configured_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(models_dir(), folder, ignore=shutil.ignore_patterns("recipe", "cache"))
    with (folder / "voice_spoof" / "model.onnx").open("ab") as file:
        file.write(b"x")
    (folder / "face_frame" / "model.onnx").unlink()
    results = {result["name"]: result for result in verify(folder)}
    assert [name for name, result in results.items() if not result["ok"]] == ["voice_spoof", "face_frame"]
    assert results["voice_spoof"]["error"]["code"] == "model_hash"
    path = tmp_path / "guard.toml"
    path.write_text(f"[analysis]\nmodels_dir = {json.dumps(str(folder))}\n")
    done = guard("models", "verify", "--config", str(path))
    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == list(results.values())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_a_full_disk_is_a_reason_and_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = guard("models", "list", stdout=full.fileno())
    assert done.returncode == 2
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr


CONTACT_CENTRE = 'profile = "contact-centre"\n'


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("", False),
        (CONTACT_CENTRE, True),
        (CONTACT_CENTRE + "[checks]\nrecogniser = true\n", False),
        (CONTACT_CENTRE + "[analysis]\nenabled = false\n", False),
    ],
)
def test_a_profile_whose_check_cannot_pass_is_told_with_file_key_and_remedy(
    tmp_path: Path, text: str, warned: bool
) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(text)
    found = warnings(load_settings(path))
    assert len(found) == warned
    for why in found:
        assert why.startswith("contact-centre.toml: checks.kind: words cannot pass while checks.recogniser")
        assert "pip install 'guard-relay[words]'" in why


def test_words_that_only_people_begin_are_told_as_well(tmp_path: Path) -> None:
    own = (PROFILES / "kz-ardfm.toml").read_text().replace('kind = "occlusion"', 'kind = "words"')
    own = own.replace('name = "kz-ardfm"', 'name = "own"')
    words = [f'[advice.{s}]\nkk = "k"\nru = "r"\nen = "e"\n' for s in ("suspect", "spoof", "detector_down")]
    (tmp_path / "own.toml").write_text("\n".join([own, *words]))
    path = tmp_path / "guard.toml"
    path.write_text(f"profile = {json.dumps(str(tmp_path / 'own.toml'))}\n")
    (why,) = warnings(load_settings(path))
    assert why.startswith("own.toml: playbook.steps.challenge.kind: words cannot pass")
    assert "a check of words that a person begins ends undecided" in why


def test_check_config_prints_what_works_otherwise_and_exits_0(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(CONTACT_CENTRE)
    done = guard("check-config", "--config", str(path))
    assert done.returncode == 0
    (why,) = json.loads(done.stdout)["warnings"]
    assert done.stderr == f"guard: warning: {why}\n"


def test_a_profile_without_advice_is_refused_by_file_and_key(tmp_path: Path) -> None:
    own = (PROFILES / "kz-ardfm.toml").read_text().replace('name = "kz-ardfm"', 'name = "own"')
    (tmp_path / "own.toml").write_text(own)
    path = tmp_path / "guard.toml"
    path.write_text(f"profile = {json.dumps(str(tmp_path / 'own.toml'))}\n")
    with pytest.raises(GuardError) as caught:
        check(load_settings(path))
    assert caught.value.message.startswith("own.toml: advice.suspect: missing")


def test_more_than_three_attempts_are_told(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text("[checks.course]\nattempts = 4\n")
    (why,) = warnings(load_settings(path))
    assert why.startswith("checks.course.attempts: 4 attempts; a session may name the profile kz-ardfm")
