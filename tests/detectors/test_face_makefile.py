"""`make -C models/face`: what is made before what, and what it writes over."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from guard.resources import models_dir

FACE = models_dir() / "face"


def steps(target: str, work: Path) -> list[str]:
    """Return the recipe scripts that a target runs in an empty WORK, in order."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    command = [make, "-n", "-C", str(FACE), target, f"WORK={work}", "GUARD_DATA=/nowhere"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("\\\n", " ")
    return [line for line in told.splitlines() if "recipe/" in line and ".py" in line]


def scripts(target: str, work: Path) -> list[str]:
    return [line.split("recipe/")[1].split(".py")[0] for line in steps(target, work)]


def test_signals_are_weighed_after_every_model_they_are_weighed_by(tmp_path: Path) -> None:
    found = scripts("all", tmp_path)
    made = {"export", "soft", "compare", "ring_export", "temporal_train", "lip_sync", "presentation"}
    assert made <= set(found[: found.index("fuse")])
    assert scripts("fuse", tmp_path) == found


def test_ablations_have_what_they_start_from(tmp_path: Path) -> None:
    assert {"pool", "train"} <= set(scripts("ablate", tmp_path)[:-1])
    assert {"pool", "ring_pairs"} <= set(scripts("ring-ablate", tmp_path)[:-1])


def test_the_model_in_use_is_written_over_by_the_rule_alone(tmp_path: Path) -> None:
    found = steps("all", tmp_path)
    naming = [line for line in found if "../face_frame" in line]
    assert len(naming) == 1
    assert "compare.py" in naming[0]
    assert "--ship ../face_frame" in naming[0]
    for script in ("export.py", "soft.py"):
        assert any(script in line and f"{tmp_path}/face_frame" in line for line in found)


@pytest.mark.parametrize("ships", [True, False])
def test_only_what_ships_is_copied(tmp_path: Path, ships: bool) -> None:
    spec = importlib.util.spec_from_file_location("face_recipe_ship", FACE / "recipe" / "ship.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        for name in (*module.FILES, "LICENSE"):
            (folder / name).write_text(folder.name, encoding="utf-8")
    said = module.settled(old, new, ships=ships)
    kept = "new" if ships else "old"
    assert [(old / name).read_text() for name in module.FILES] == [kept, kept]
    assert (old / "LICENSE").read_text() == "old"
    assert ("stays as it was" in said) is not ships
