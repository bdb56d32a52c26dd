"""The recipe that takes the face networks out of their wheel agrees with the cards."""

from __future__ import annotations

import tomllib
from types import ModuleType

import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_script


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return recipe_script(models_dir() / "blazeface" / "recipe" / "fetch.py")


@pytest.mark.parametrize("name", ["blazeface", "facemesh"])
def test_the_card_names_the_wheel_and_the_member_the_recipe_takes(recipe: ModuleType, name: str) -> None:
    source = tomllib.loads((models_dir() / name / "card.toml").read_text())["source"]
    assert source["wheel_sha256"] == recipe.WHEEL_SHA256
    assert source["member"] == recipe.MEMBERS[name]
    assert source["package"].startswith(recipe.REQUIREMENT)
    assert (models_dir().parent / source["recipe"]).is_file()


def test_bytes_with_another_sha256_end_the_recipe(recipe: ModuleType) -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert recipe.checked(b"", empty, "nothing") == b""
    with pytest.raises(SystemExit, match="other has sha256"):
        recipe.checked(b"x", empty, "other")
