"""The built wheel works outside the checkout: models, page, texts and clips travel inside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, to be put before the checkout on the path; dependencies are the tests' own."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def guard(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "guard", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def test_the_wheels_own_files_are_used(installed: Path, tmp_path: Path) -> None:
    code = "import guard, guard.resources as r; print(guard.__file__); print(r.models_dir())"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    package, models = done.stdout.split()
    assert Path(package).is_relative_to(installed)
    assert Path(models).is_relative_to(installed)


def test_models_travel_and_verify(installed: Path, tmp_path: Path) -> None:
    done = guard(installed, tmp_path, "models", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(json.loads(line)["ok"] for line in done.stdout.splitlines())


def test_texts_profiles_and_settings_travel(installed: Path, tmp_path: Path) -> None:
    done = guard(installed, tmp_path, "check-config")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


def test_page_sounds_and_clips_travel_and_training_data_does_not(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "guard/web/index.html",
        "guard/web/locales/kk.json",
        "guard/web/sounds/kk/command.turn_left.webm",
        "guard/web/sounds/SOURCES.toml",
        "guard/demo/clips/customer_genuine.webm",
        "guard/demo/clips/SOURCES.toml",
        "guard/_models/denylist.toml",
    ):
        assert wanted in names
    assert not [name for name in names if "/cache/" in name or name.endswith((".flac", ".npz", ".pt"))]


def test_a_clip_is_analysed_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    clip = installed / "guard" / "demo" / "clips" / "customer_genuine.webm"
    done = guard(installed, tmp_path, "analyze", "--json", str(clip))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["face"]["frames"] > 0
