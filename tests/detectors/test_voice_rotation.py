"""The table of held-out engines says where a fold holds out fewer than were asked for."""

from __future__ import annotations

import re

from guard.resources import models_dir
from tests.detectors.recipes import recipe_script

VOICE = models_dir() / "voice"


def explained(engines: list[list[str]], families: int) -> str:
    module = recipe_script(VOICE / "recipe" / "rotation_words.py")
    return str(module.explained(engines, families))


def test_folds_of_few_engines_are_named_with_their_engines() -> None:
    said = explained([["b", "A", "c"], list("defgh"), list("ij")], 7)
    assert "fold 0 holds out 3 (A, b, c)" in said
    assert "fold 2 holds out 2 (i, j)" in said
    assert "fold 1" not in said
    assert "each of the 10 engines once, 3, 5, 2 at a time" in said


def test_nothing_is_said_where_every_fold_has_enough() -> None:
    assert explained([list("abcde"), list("fghij")], 10) == ""


def test_the_shipped_tables_say_it_of_their_own_folds() -> None:
    for name in ("rotation.md", "rotation-full.md"):
        text = (VOICE / name).read_text(encoding="utf-8")
        counts = [int(n) for n in re.findall(r"(?m)^\| \d \| (\d+) \|", text)]
        few = [fold for fold, count in enumerate(counts) if count < 5]
        assert len(counts) == 3
        assert [int(n) for n in re.findall(r"fold (\d) holds out", text)] == few
    page = (models_dir().parent / "docs" / "voice.md").read_text(encoding="utf-8")
    assert "Fold 0 holds out 3 engines" in page
