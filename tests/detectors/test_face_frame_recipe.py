"""The face recipe takes its folder by GUARD_DATA only and refuses the demo's people."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from guard.resources import clips_dir, models_dir
from tests.detectors.recipes import recipe_script

DENYLIST = models_dir() / "denylist.toml"


@pytest.fixture
def recipe() -> ModuleType:
    return recipe_script(models_dir() / "face" / "recipe" / "data.py")


def make_folder(root: Path, names: list[str]) -> Path:
    folder = root / "face" / "real_train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (100, 100, 3)).astype(np.uint8)).save(folder / name)
    points = rng.uniform(10, 90, (len(names), 5, 2)).astype(np.float32)
    np.savez(folder / "landmarks.npz", names=np.array(names), lm=points, sub_idx=np.arange(5))
    return folder


def test_unset_folder_is_refused_with_what_to_set(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GUARD_DATA", raising=False)
    with pytest.raises(SystemExit, match="GUARD_DATA is not set: set it to the folder"):
        recipe.load(held_out=False)


def test_folder_without_faces_is_refused(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GUARD_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match=r"has no face/real_train/landmarks\.npz"):
        recipe.load(held_out=False)


def test_every_face_is_in_exactly_one_split(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = [f"face{i}.png" for i in range(40)]
    make_folder(tmp_path, names)
    monkeypatch.setenv("GUARD_DATA", str(tmp_path))
    train = [face.name for face in recipe.load(held_out=False).faces]
    held_out = [face.name for face in recipe.load(held_out=True).faces]
    assert train and held_out
    assert sorted([*train, *held_out]) == sorted(names)


def test_pictures_come_at_one_size_with_their_points(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path, [f"face{i}.png" for i in range(12)])
    stored = np.load(folder / "landmarks.npz")
    monkeypatch.setenv("GUARD_DATA", str(tmp_path))
    for face in recipe.load(held_out=False).faces:
        row = list(stored["names"]).index(face.name)
        assert face.image.shape == (200, 200, 3)
        np.testing.assert_allclose(face.points, stored["lm"][row] * 2, rtol=1e-6)


def test_a_demo_face_is_refused_by_its_content_under_any_name(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path, ["harmless.png"])
    digest = hashlib.sha256((folder / "harmless.png").read_bytes()).hexdigest()
    with pytest.raises(SystemExit, match=r"harmless\.png is on models/denylist\.toml"):
        recipe.refuse_denied(folder, ["harmless.png"], {digest})
    recipe.refuse_denied(folder, ["harmless.png"], set())


def test_a_demo_face_is_refused_by_its_name(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path, ["other.png"])
    shutil.copy(folder / "other.png", folder / "grace_hopper.jpg")
    with pytest.raises(SystemExit, match=r"grace_hopper\.jpg is on models/denylist\.toml"):
        recipe.refuse_denied(folder, ["grace_hopper.jpg"], recipe.denied())


def test_every_face_of_the_demo_is_on_the_deny_list(recipe: ModuleType) -> None:
    denied = recipe.denied(DENYLIST)
    clips = tomllib.loads((clips_dir() / "SOURCES.toml").read_text())["clip"]
    assert len(clips) == 3
    assert [clip["file"] for clip in clips if "engine" in clip] == ["customer_synthetic.webm"]
    for clip in clips:
        assert "engine" not in clip or clip["engine"] in denied
        for face in clip["face"]:
            assert face["sha256"] in denied
            assert Path(face["file"]).name in denied
            assert f"pypi:{face['package'].split('==')[0]}" in denied


def test_the_clips_and_voices_are_the_ones_written_down_and_small() -> None:
    clips = tomllib.loads((clips_dir() / "SOURCES.toml").read_text())["clip"]
    total = 0
    for clip in clips:
        content = (clips_dir() / clip["file"]).read_bytes()
        total += len(content)
        assert hashlib.sha256(content).hexdigest() == clip["sha256"]
        assert hashlib.sha256((clips_dir() / clip["voice"]).read_bytes()).hexdigest() == clip["voice_sha256"]
    assert total < 6_000_000
