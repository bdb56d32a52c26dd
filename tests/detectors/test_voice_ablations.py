"""The voice recipe's ablations: who is held out, what is left out, and what the report makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_modules

RECIPE = models_dir() / "voice" / "recipe"
ENGINES = ("VITS", "Piper-VITS-joe", "Kokoro", "WaveNet", "Tortoise", "flite", "espeak-ng")
SITES = ("site-a", "site-b", "site-c", "site-d", "site-e")


@pytest.fixture
def recipe() -> Iterator[dict[str, ModuleType]]:
    with recipe_modules(RECIPE, "clips", "ablate_rows", "ablate_report") as found:
        yield found


def items(clips: ModuleType) -> list[Any]:
    """20 clips of each engine and site, and one copy of each genuine clip and of each clip of VITS."""
    found: list[Any] = []
    for group in (*ENGINES, *SITES):
        for n in range(20):
            key, spoof = f"{group}-{n}", group in ENGINES
            source = SITES[n % 5] if spoof else group
            found.append(clips.Item("real", len(found), key, spoof, group, source, None))
    for origin in [i for i in found if not i.spoof or i.group == "VITS"]:
        found.append(
            clips.Item(
                "copy-world", len(found), f"w-{origin.key}", True, "copy-world", origin.source, origin.key
            )
        )
    return found


def test_whoever_is_held_out_no_clip_is_trained_on_in_its_own_fold_by_a_copy(
    recipe: dict[str, ModuleType],
) -> None:
    every, rows = items(recipe["clips"]), recipe["ablate_rows"]
    for held in ("engines and sources", "engines", "sources", "nothing", "one family"):
        fold = dict(zip((i.key for i in every), rows.held_out(every, held), strict=True))
        assert all(fold[i.key] == fold[i.origin] for i in every if i.origin)
        of = {group: {fold[i.key] for i in every if i.group == group} for group in (*ENGINES, *SITES)}
        new_engines = held in ("engines and sources", "engines", "one family")
        new_sources = held in ("engines and sources", "sources", "one family")
        assert all((len(of[engine]) == 1) is new_engines for engine in ENGINES), held
        assert all((len(of[site]) == 1) is new_sources for site in SITES), held
        assert of["VITS"] == of["Piper-VITS-joe"] or not new_engines  # relatives
    assert len(set(rows.held_out(every, "one family"))) == 6


def test_what_is_left_out_takes_its_copies_along(recipe: dict[str, ModuleType]) -> None:
    every, rows = items(recipe["clips"]), recipe["ablate_rows"]

    def left(select: Any, seed: int = 0) -> list[Any]:
        kept: list[Any] = select(every, np.random.default_rng(seed))
        known = {i.key for i in kept}
        assert all(i.origin in known for i in kept if i.origin)
        return kept

    for share, families in ((0.1, 1), (0.5, 3), (1.0, 6)):
        kept = left(rows.share_of_engines(share, True))
        assert len({rows.family(i.group) for i in kept if i.spoof and not i.origin}) == families
        assert len([i for i in kept if not i.spoof]) == 100
    assert not [i for i in left(rows.share_of_engines(0.5, False)) if i.origin]
    kept = left(rows.share_of_sources(0.4))
    assert len({i.group for i in kept if not i.spoof}) == 2
    assert len([i for i in kept if i.spoof and not i.origin]) == 140
    kept = left(rows.clips_an_engine(3))
    assert len([i for i in kept if i.group == "Kokoro"]) == 3
    assert len([i for i in kept if not i.spoof]) == 100
    assert left(rows.without_sets("copy-world")) == left(rows.without_copies)
    smaller = {i.key for i in left(rows.share_of_sources(0.2), seed=1)}
    assert smaller < {i.key for i in left(rows.share_of_sources(0.8), seed=1)}  # one draw, grown


def test_every_row_has_a_name_of_its_own_and_the_base_comes_first(recipe: dict[str, ModuleType]) -> None:
    rows = recipe["ablate_rows"].rows()
    keys = [(row.name, row.seeds if row.ensemble else None) for row in rows]
    assert len(keys) == len(set(keys))
    assert rows[0].name == "base"
    titles = recipe["ablate_report"].TITLES
    assert {row.part for row in rows} == set(titles)


def figures(name: str, part: str, eer: float, **other: Any) -> dict[str, Any]:
    drawn = (eer + 0.02 * np.random.default_rng(0).standard_normal(200)).tolist()
    own: dict[str, Any] = {
        "name": name,
        "part": part,
        "label": name,
        "place": None,
        "heads": 1,
        "families": 8.0,
    }
    own |= {
        "windows": 900,
        "engines": 35,
        "sources": 66,
        "eer": eer,
        "eer_of_seeds": [eer - 0.01, eer + 0.01],
    }
    own |= {"tpr": 0.5, "eer_clean": eer, "eer_chain": eer, "drawn_eer": drawn, "drawn_tpr": [0.4, 0.6]}
    return own | other


def test_the_report_says_what_a_doubling_of_engines_is_worth(recipe: dict[str, ModuleType]) -> None:
    report = recipe["ablate_report"]
    rows = {"base": figures("base", "data", 0.21)}
    for place, families, eer in ((0.1, 1.0, 0.30), (0.25, 2.0, 0.27), (0.5, 4.0, 0.24)):
        rows[f"e{place}"] = figures(f"e{place}", "engines", eer, place=place, families=families)
        rows[f"s{place}"] = figures(f"s{place}", "sources", 0.21, place=place)
    text = report.document(rows)
    assert "families of engines, with copies: -3.0 [-3.0, -3.0] points" in text
    assert "15 % would take 2.0 doublings" in text
    assert "sources of genuine speech: +0.0" in text
    assert "cannot be told from no effect" in text
    assert "n = 900 windows of 35 engines and 66 sources" in text
    assert "| +9.0 [+9.0, +9.0] |" in text
    # the last shares are drawn beside one another: sources trained on, none of them more than all
    assert report.curves(rows)["sources"][1] == [0.1, 0.25, 0.5, 1.0]
    assert report.picture(rows).axes[0].get_xlabel() == "families of engines trained on"
