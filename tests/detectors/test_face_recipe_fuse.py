"""The page of how the face signals were weighed: what its rows are of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_modules

RECIPE = models_dir() / "face" / "recipe"


@pytest.fixture(scope="module")
def fuse() -> Iterator[ModuleType]:
    with recipe_modules(RECIPE, "fuse") as found:
        yield found["fuse"]


def clip(
    face: int, llr: float, *, method: str = "swap", fake: str = "plain", spoof: bool = True
) -> dict[str, Any]:
    """One clip of one face on which face_frame alone has a llr."""
    case = {"method": method, "fake": fake}
    return {"face": f"{face}.jpg", "spoof": spoof, "case": case, "llrs": {"face_frame": [llr]}}


def rows_of(page: str) -> dict[str, list[str]]:
    """Return the cells of the page's first table by their first one."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if "|" in line
    ]
    return {row[0]: row[1:] for row in rows}


def test_held_out_methods_have_a_row_of_their_own_without_feeds_that_are_not_live(fuse: ModuleType) -> None:
    # each forgery lies beside the genuine clip of its face, whose case names the method, too
    forged = [
        *((2.0 + 0.1 * n, "pca", "plain") for n in range(6)),  # above every genuine clip
        *((1.0 + 0.1 * n, "morph", "stuck") for n in range(4)),
        *((-3.0 - 0.1 * n, "swap", "plain") for n in range(8)),  # trained on, and below them
        *((-5.0 - 0.1 * n, "pca", "loop") for n in range(5)),  # a genuine picture
    ]
    clips = [clip(n, llr, method=method, fake=fake) for n, (llr, method, fake) in enumerate(forged)]
    clips += [clip(n, -1.0 + 0.01 * n, method=m, fake=f, spoof=False) for n, (_, m, f) in enumerate(forged)]
    rows = rows_of(fuse.report(clips))
    assert rows["as shipped, held-out methods only (10 forged clips)"][1].startswith("1.00 [")
    assert rows["**as shipped**"][1].startswith(f"{10 / 23:.2f} [")


def test_without_held_out_methods_there_is_no_such_row(fuse: ModuleType) -> None:
    clips = [clip(n, llr, spoof=llr > 0) for n in range(6) for llr in (1.0, -1.0)]
    assert not any("held-out methods" in name for name in rows_of(fuse.report(clips)))


def test_the_names_are_those_of_the_recipe_of_the_clips(fuse: ModuleType) -> None:
    # that script needs OpenCV, which guard's own environment lacks: it is read, not imported
    tree = ast.parse((RECIPE / "temporal_fakes.py").read_text(encoding="utf-8"))
    named = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Tuple)
    }
    assert named["UNSEEN_METHODS"] == fuse.HELD_OUT
    assert named["EVENTS"] == fuse.EVENTS
