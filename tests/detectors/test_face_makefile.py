"""`make -C models/face`: what is made before what, and what it writes over."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_script

FACE = models_dir() / "face"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a list of voices: what make looks for."""
    folder = tmp_path / "data"
    (folder / "voice" / "train").mkdir(parents=True)
    (folder / "voice" / "train" / "manifest.csv").touch()
    return folder


def steps(target: str, work: Path, data: Path = Path("/nowhere")) -> list[str]:
    """Return the recipe scripts that a target runs in an empty WORK, in order."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    command = [make, "-n", "-C", str(FACE), target, f"WORK={work}", f"GUARD_DATA={data}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("\\\n", " ")
    return [line for line in told.splitlines() if "recipe/" in line and ".py" in line]


def scripts(target: str, work: Path, data: Path = Path("/nowhere")) -> list[str]:
    return [line.split("recipe/")[-1].split(".py")[0] for line in steps(target, work, data)]


def test_signals_are_weighed_after_every_model_they_are_weighed_by(tmp_path: Path, data: Path) -> None:
    found = scripts("all", tmp_path, data)
    made = {"export", "soft", "compare", "ring_export", "temporal_train", "lip_sync", "presentation"}
    assert made <= set(found[: found.index("fuse")])
    assert found[-2:] == ["costs", "made"]
    assert scripts("fuse", tmp_path, data) == found[:-2]


def test_without_voices_lip_sync_alone_is_left_out(tmp_path: Path, data: Path) -> None:
    left_out = {*scripts("all", tmp_path, data)} - {*scripts("all", tmp_path)}
    assert left_out == {"lip_sync"}
    assert steps("all", tmp_path, data)[-1].endswith(" temporal lip_sync")
    assert steps("all", tmp_path)[-1].rstrip().endswith(" temporal")


@pytest.mark.parametrize("target", ["all", "try", "evaluate"])
def test_the_data_are_looked_at_first(tmp_path: Path, data: Path, target: str) -> None:
    assert scripts(target, tmp_path, data)[0] == "check"


def test_trying_takes_every_step_of_a_full_run(tmp_path: Path, data: Path) -> None:
    assert scripts("try", tmp_path, data) == scripts("all", tmp_path, data)
    assert all(f"{tmp_path}/try" in line for line in steps("try", tmp_path, data))


def test_ablations_have_what_they_start_from(tmp_path: Path) -> None:
    assert {"pool", "train"} <= set(scripts("ablate", tmp_path)[:-1])
    assert {"pool", "ring_pairs"} <= set(scripts("ring-ablate", tmp_path)[:-1])


def test_a_run_writes_to_work_and_leaves_what_ships_alone(tmp_path: Path, data: Path) -> None:
    found = steps("all", tmp_path, data)
    shipped = [line for line in found if " ../face" in line or "--ship" in line]
    assert len(shipped) == 1
    assert "compare.py" in shipped[0] and "--ship" not in shipped[0]
    for line in found:
        for option in ("--out", "--card", "--models"):
            assert f" {option} " not in line or f" {option} {tmp_path}" in line


def test_what_ships_is_written_over_by_the_rule_or_by_hand(tmp_path: Path) -> None:
    assert "--ship ../face_frame" in steps("ship-face_frame", tmp_path)[-1]
    for name in ("face_ring", "presentation", "temporal", "lip_sync"):
        assert steps(f"ship-{name}", tmp_path)[-1].endswith(f"ship.py ../{name} {tmp_path}/{name}")


def test_an_evaluation_measures_the_models_it_is_noted_with(tmp_path: Path) -> None:
    make = ["make", "-n", "-C", str(FACE), "GUARD_DATA=/nowhere", f"WORK={tmp_path}"]
    own, shipped = (
        subprocess.run([*make, target], capture_output=True, text=True, check=True).stdout
        for target in ("evaluate", "evaluate-shipped")
    )
    assert f"--models-dir {tmp_path}" in own and f"--card {tmp_path}/face_frame" in own
    assert "--models-dir" not in shipped and "--card ../face_frame" in shipped


@pytest.mark.parametrize("ships", [True, False])
def test_only_what_ships_is_copied(tmp_path: Path, ships: bool) -> None:
    module = recipe_script(FACE / "recipe" / "ship.py")
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        for name in (*module.FILES, "held_out.json"):
            (folder / name).write_text(folder.name, encoding="utf-8")
    said = module.settled(old, new, ships=ships)
    kept = "new" if ships else "old"
    assert {(old / name).read_text() for name in module.FILES} == {kept}
    assert (old / "held_out.json").read_text() == "old"
    assert ("stays as it was" in said) is not ships
