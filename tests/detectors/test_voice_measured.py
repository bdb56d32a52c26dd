"""Figures of guard eval voice reach the card of the file they were measured on, and no other."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_script

MODELS = models_dir()
FILES = {
    "voice_spoof": MODELS / "voice" / "recipe" / "measured.toml",
    "voice_replay": MODELS / "voice_replay" / "recipe" / "measured.toml",
}


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    return recipe_script(MODELS / "voice_replay" / "recipe" / "figures.py")


@pytest.fixture(scope="module")
def measured() -> ModuleType:
    return recipe_script(MODELS / "voice" / "recipe" / "measured.py")


def report(module: ModuleType, sha256: str, eer: float, **more: Any) -> dict[str, Any]:
    figures = {name: {"value": 0.25, "low": 0.2, "high": 0.3} for name in module.FIGURES}
    figures["eer"] = {"value": eer, "low": eer - 0.05, "high": eer + 0.05}
    condition = {**figures, "coverage": 0.9, "coverage_speech": {"value": 1.0}}
    return {
        "model": {"sha256": sha256, "version": "9"},
        "clips": 4,
        "quick": False,
        "conditions": dict.fromkeys(module.CONDITIONS, condition),
        "unseen_engines": None,
        **more,
    }


@pytest.mark.parametrize("name", FILES)
def test_kept_figures_name_the_shipped_file_and_stand_on_its_card(measured: ModuleType, name: str) -> None:
    sha256 = hashlib.sha256((MODELS / name / "model.onnx").read_bytes()).hexdigest()
    text = measured.of_model(FILES[name], sha256)
    assert text
    assert text.strip() in (MODELS / name / "card.toml").read_text(encoding="utf-8")


def test_engines_in_training_by_name_are_left_out_of_lines_of_their_own(measured: ModuleType) -> None:
    whole = report(measured, "0" * 64, 0.25)
    unseen = {"left_out": {"WaveRNN": 2}, "conditions": report(measured, "0" * 64, 0.3)["conditions"]}
    text = measured.as_toml({**whole, "unseen_engines": unseen})
    assert "by name: WaveRNN 2\n" in text
    val = tomllib.loads(text)["measured"]["val"]
    assert (val["clean_eer"][0], val["unseen_clean_eer"][0]) == (0.25, 0.3)
    assert not any(
        name.startswith("unseen") for name in tomllib.loads(measured.as_toml(whole))["measured"]["val"]
    )


@pytest.mark.parametrize("name", FILES)
def test_another_file_gets_none_of_them(
    measured: ModuleType, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured.of_model(FILES[name], "0" * 64) == ""
    assert "make evaluate" in capsys.readouterr().err


def test_figures_that_name_no_file_are_nobodys(measured: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "measured.toml").write_text("[measured.val]\nclean_eer = [0.2, 0.1, 0.3]\n", encoding="utf-8")
    assert measured.of_model(tmp_path / "measured.toml", "0" * 64) == ""
    assert measured.of_model(tmp_path / "none.toml", "0" * 64) == ""


def made(folder: Path) -> tuple[Path, Path, str]:
    """Return a model with a card, where its figures go, and its sha256."""
    model = folder / "model.onnx"
    model.write_bytes(b"weights")
    card = "[measured.held_out]\neer = 0.3\n\n[measured.val]\nclean_eer = [0.9, 0.8, 1.0]\n"
    (folder / "card.toml").write_text(card, encoding="utf-8")
    return model, folder / "measured.toml", hashlib.sha256(b"weights").hexdigest()


def test_a_report_becomes_the_cards_figures_and_is_compared_with_those_before(
    measured: ModuleType, tmp_path: Path
) -> None:
    model, kept, sha256 = made(tmp_path)
    first = measured.main(report(measured, sha256, 0.25), model, kept)
    assert "nothing was measured before" in first
    assert measured.main(report(measured, sha256, 0.29), model, kept).endswith(": reproduced")
    assert measured.main(report(measured, sha256, 0.4), model, kept).endswith(": NOT reproduced")
    card = tomllib.loads((tmp_path / "card.toml").read_text(encoding="utf-8"))["measured"]
    assert card["held_out"] == {"eer": 0.3}
    assert card["val"]["clean_eer"] == [0.4, 0.35, 0.45]
    assert card["val"]["g711_coverage_speech"] == 1.0
    assert card["val"]["model_sha256"] == sha256
    assert measured.of_model(kept, sha256) == kept.read_text(encoding="utf-8")


def test_a_figure_without_an_interval_stands_alone_on_the_card(measured: ModuleType, tmp_path: Path) -> None:
    model, kept, sha256 = made(tmp_path)
    lone = report(measured, sha256, 0.25)
    for condition in lone["conditions"].values():
        condition["eer"] = {"value": 0.25, "low": None, "high": None}
    measured.main(lone, model, kept)
    assert tomllib.loads(kept.read_text(encoding="utf-8"))["measured"]["val"]["clean_eer"] == [0.25]
    said = measured.main(report(measured, sha256, 0.25), model, kept)
    assert said == "EER on clean clips 0.250, before 0.250 without an interval: nothing to hold it to"


def test_a_report_of_another_file_or_a_quick_one_changes_nothing(
    measured: ModuleType, tmp_path: Path
) -> None:
    model, kept, sha256 = made(tmp_path)
    before = (tmp_path / "card.toml").read_text(encoding="utf-8")
    for wrong in (report(measured, "0" * 64, 0.2), report(measured, sha256, 0.2, quick=True)):
        with pytest.raises(SystemExit):
            measured.main(wrong, model, kept)
    assert (tmp_path / "card.toml").read_text(encoding="utf-8") == before
    assert not kept.exists()


def test_figures_of_replays_name_the_judged_file_and_go_on_its_card(
    measured: ModuleType, figures: ModuleType, tmp_path: Path
) -> None:
    card = "name = 'toy'\n\n[measured.held_out]\neer = 0.3\n"
    text = figures.with_table("", "test", ["all_eer = [0.250, 0.200, 0.300]"], "ab")
    text = figures.with_table(text, "left_out", ["all_eer = [0.4, 0.3, 0.5]"], None)
    (tmp_path / "measured.toml").write_text(text, encoding="utf-8")
    assert measured.of_model(tmp_path / "measured.toml", "ab") == text
    found = tomllib.loads(figures.on_card(card, text))["measured"]
    assert found["held_out"] == {"eer": 0.3}
    assert found["test"] == {"model_sha256": "ab", "all_eer": [0.25, 0.2, 0.3]}
    assert found["left_out"] == {"all_eer": [0.4, 0.3, 0.5]}
    newer = figures.with_table(text, "test", ["all_eer = [0.1, 0.0, 0.2]"], "cd")
    assert "[0.25" not in figures.on_card(figures.on_card(card, text), newer)
    assert figures.on_card(figures.on_card(card, text), "") == card + "\n"


def test_the_shipped_figures_of_replays_are_as_their_recipe_writes_them(figures: ModuleType) -> None:
    text = FILES["voice_replay"].read_text(encoding="utf-8")
    written = ""
    for name, table in tomllib.loads(text)["measured"].items():
        sha256 = table.pop("model_sha256", None)
        lines = [f"{key} = {value}" for key, value in table.items()]
        written = figures.with_table(written, name, lines, sha256)
    assert written == text
    card = (MODELS / "voice_replay" / "card.toml").read_text(encoding="utf-8")
    assert figures.on_card(card, text) == card
