"""The table of held-out engines says where a fold holds out fewer than were asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_modules, recipe_script

VOICE = models_dir() / "voice"
# clips of engines of stated licence, about as many as version 0.6 was trained on; it had twelve of festival's
ENGINES = {
    "Kokoro": 296, "Tortoise": 140, "Tacotron2": 43, "NeuralHMM": 57, "Matcha-TTS": 40, "FastSpeech2": 32,
    "Grad-TTS": 26, "WaveRNN": 18, "MelGAN": 15, "HiFi-GAN": 6, "VITS": 6, "Piper-VITS-joe": 152,
    "espeak-ng": 113, "espeak-klatt": 56, "flite": 50, "svox-pico": 84, "festival-a": 16, "festival-b": 50,
}  # fmt: skip


def clips(item: Callable[..., object], counts: dict[str, int]) -> list[Any]:
    """Clips of engines, as many of each as told."""
    return [
        item("set", n, f"{engine}-{n}", True, engine, "source", None)
        for engine, count in counts.items()
        for n in range(count)
    ]


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


def test_every_fold_holds_out_five_engines_with_all_their_relatives_and_copies() -> None:
    with recipe_modules(VOICE / "recipe", "clips", "folds") as recipe:
        item, folds = recipe["clips"].Item, recipe["folds"]
        own = clips(item, ENGINES)
        spoken = [item("set", n, f"person-{n}", False, f"site {n % 7}", "source", None) for n in range(90)]
        copies = [item("copies", n, f"copy-{n}", True, "fargan", "source", f"person-{n}") for n in range(90)]
        fold = folds.folds_of([*own, *spoken, *copies]).tolist()
    of_engine = {engine: {fold[n] for n, i in enumerate(own) if i.group == engine} for engine in ENGINES}
    assert all(len(found) == 1 for found in of_engine.values())
    assert min(sum(found == {k} for found in of_engine.values()) for k in range(3)) >= 5
    for relatives in (("VITS", "Piper-VITS-joe"), ("MelGAN", "HiFi-GAN"), ("festival-a", "festival-b")):
        assert len(set.union(*(of_engine[name] for name in relatives))) == 1
    first = len(own)
    assert fold[first : first + 90] == fold[first + 90 :]


def test_a_family_too_large_to_share_leaves_the_others_to_give() -> None:
    counts = {f"festival-{n}": 82 for n in range(11)} | {"Kokoro": 800} | {f"small-{n}": 12 for n in range(9)}
    with recipe_modules(VOICE / "recipe", "clips", "folds") as recipe:
        own = clips(recipe["clips"].Item, counts)
        fold = recipe["folds"].folds_of(own).tolist()
    held = [len({i.group for i, own_fold in zip(own, fold, strict=True) if own_fold == k}) for k in range(3)]
    assert min(held) >= 5


def test_few_engines_in_all_are_dealt_without_end() -> None:
    with recipe_modules(VOICE / "recipe", "clips", "folds") as recipe:
        own = clips(recipe["clips"].Item, {"a": 2, "b": 1})
        assert sorted(recipe["folds"].folds_of(own).tolist()) == [0, 0, 1]


def test_the_shipped_tables_say_it_of_their_own_folds() -> None:
    for name in ("rotation.md", "rotation-full.md"):
        text = (VOICE / name).read_text(encoding="utf-8")
        counts = [int(n) for n in re.findall(r"(?m)^\| \d \| (\d+) \|", text)]
        few = [fold for fold, count in enumerate(counts) if count < 5]
        assert len(counts) == 3
        assert [int(n) for n in re.findall(r"fold (\d) holds out", text)] == few
    page = (models_dir().parent / "docs" / "voice-training.md").read_text(encoding="utf-8")
    table = re.findall(r"(?m)^\| (?:\d|all) \|.*$", (VOICE / "rotation.md").read_text(encoding="utf-8"))
    assert len(table) == 4
    assert all(row in page for row in table)
    assert "fold 0 holds out 3 engines" in page


def test_nets_of_other_folds_are_never_judged_as_held_out(tmp_path: Path) -> None:
    with recipe_modules(VOICE / "recipe", "clips", "folds") as recipe:
        item, folds = recipe["clips"].Item, recipe["folds"]
        note, net = tmp_path / "0.folds.json", tmp_path / "0.pt"
        folds.keep_folds(clips(item, {"one": 1, "two": 4, "three": 9}), note, [net])
        net.touch()
        folds.keep_folds(clips(item, {"one": 1, "two": 4, "three": 9}), note, [net])
        with pytest.raises(SystemExit, match="other folds"):
            folds.keep_folds(clips(item, {"one": 9, "two": 4, "three": 1}), note, [net])
        note.unlink()
        with pytest.raises(SystemExit, match="other folds"):
            folds.keep_folds(clips(item, {"one": 1, "two": 4, "three": 9}), note, [net])
