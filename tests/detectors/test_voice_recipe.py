"""The voice recipe takes its folder by GUARD_DATA only and refuses what the demo shows."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from guard.detectors.card import load_card
from guard.resources import clips_dir, models_dir
from tests.detectors.recipes import recipe_modules, recipe_script

RECIPE = models_dir() / "voice" / "recipe"
DENIED: dict[str, list[str]] = tomllib.loads((models_dir() / "denylist.toml").read_text())["voice"]


@pytest.fixture
def recipe() -> ModuleType:
    return recipe_script(RECIPE / "data.py")


def folder(root: Path, row: str) -> Path:
    train = root / "voice" / "train"
    train.mkdir(parents=True)
    text = "path,label,system,source,licence,speaker\n" + row + "\n"
    (train / "manifest.csv").write_text(text, encoding="utf-8")
    return root


def test_missing_data_folder_says_what_to_set(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARD_DATA", raising=False)
    with pytest.raises(SystemExit, match="GUARD_DATA"):
        recipe.training_clips()


def test_harmless_clip_is_listed(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GUARD_DATA", str(folder(tmp_path, "a.flac,spoof,VITS,some/demo,MIT,")))
    (clip,) = recipe.training_clips()
    assert clip.spoof
    assert clip.group == "VITS"


@pytest.mark.parametrize(
    "row",
    [
        "a.flac,spoof,open jtalk,x,MIT,",
        "a.flac,bonafide,natural,deb:asterisk-core-sounds-ru-g722,CC,",
        "a.flac,bonafide,natural,x,CC,June Wallack",
    ],
)
def test_what_the_demo_shows_is_refused(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: str
) -> None:
    monkeypatch.setenv("GUARD_DATA", str(folder(tmp_path, row)))
    with pytest.raises(SystemExit, match=r"denylist\.toml"):
        recipe.training_clips()


def test_shipped_card_names_nothing_from_the_deny_list() -> None:
    data = load_card(models_dir() / "voice_spoof").data
    named = {str(n).lower() for n in [*data["spoof_engines"], *data["bona_fide_sources"]]}
    for key in ("engines", "sources", "speakers"):
        for denied in DENIED[key]:
            assert not [n for n in named if denied.lower() in n], denied


def test_recipe_sources_name_nothing_from_the_deny_list() -> None:
    sources = tomllib.loads((RECIPE / "sources.toml").read_text())
    for package in [*sources["speech"], *sources["engine"]]:
        prefix = "deb" if package["registry"] == "Debian" else "pypi"
        assert f"{prefix}:{package['name']}" not in DENIED["sources"]


def test_every_engine_package_is_pinned_and_has_a_licence() -> None:
    for package in tomllib.loads((RECIPE / "sources.toml").read_text())["engine"]:
        assert package["licence"], package["name"]
        assert len(bytes.fromhex(package["sha256"])) == 32, package["name"]


def test_engines_have_sentences_of_their_own_in_every_language() -> None:
    texts = runpy.run_path(str(RECIPE / "texts.py"))
    assert set(texts["OPENINGS"]) == set(texts["MIDDLES"]) == set(texts["ENDINGS"]) >= {"en", "ru", "kk"}
    for language in texts["OPENINGS"]:
        drawn = {texts["sentence"](np.random.default_rng(seed), language) for seed in range(40)}
        assert len(drawn) > 20, language
        assert min(map(len, drawn)) > 25, language


def test_every_package_of_the_demo_voices_is_on_the_deny_list() -> None:
    voices = tomllib.loads((clips_dir() / "voices" / "SOURCES.toml").read_text(encoding="utf-8"))["voice"]
    for voice in voices:
        for package in voice["package"]:
            prefix = "deb" if package["registry"] == "Debian" else "pypi"
            assert any(f"{prefix}:{package['name']}".startswith(source) for source in DENIED["sources"])
            assert package["licence"]
            assert len(package["sha256"]) == 64


def test_card_and_template_state_the_same_failures_and_every_clip_has_a_licence() -> None:
    card = tomllib.loads((models_dir() / "voice_spoof" / "card.toml").read_text(encoding="utf-8"))
    template = (RECIPE / "card.template.toml").read_text(encoding="utf-8")
    failures = card["limits"]["known_failures"]
    assert all(f'  "{line}",\n' in template for line in failures)
    told = " ".join(failures)
    assert all(name in told for name in ("Kazakh", "FreeVC", "WaveGrad", "DiffWave", "Tortoise", "tones"))
    stated = [*card["data"]["bona_fide_licences"], *card["data"]["spoof_licences"]]
    assert all(line.endswith(" clips") for line in stated)
    assert not any("none stated" in line for line in stated)


def test_licence_file_says_of_the_parts_and_their_training_clips_what_the_card_says() -> None:
    folder = models_dir() / "voice_spoof"
    card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    told = " ".join((folder / "LICENSE").read_text(encoding="utf-8").split())
    unstated = ", ".join(card["data"]["sources_without_stated_licence"]) or "none"
    assert f"Sources without a stated licence: {unstated}." in told
    stated = " ".join([*card["data"]["bona_fide_licences"], *card["data"]["spoof_licences"]])
    for name in ("GPL", "LGPL", "CC-BY-SA", "GFDL"):
        assert bool(re.search(rf"\b{name}\b", stated)) == bool(re.search(rf"\b{name}\b", told)), name
    assert ("convolutional nets" in card["summary"]) == ("convolutional nets" in told)
    assert "Whisper base (MIT)" in card["licence"]
    assert "Whisper base, under: MIT License" in told


def test_licences_are_counted_by_class_and_copies_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GUARD_DATA", str(folder(tmp_path, "a.flac,bonafide,natural,x,MIT,")))
    monkeypatch.setenv("GUARD_CACHE", str(tmp_path / "cache"))
    made = {
        "engines": "path,label,group,origin,licence\n"
        "b.flac,spoof,E,,CC0\nc.flac,spoof,E,,\nd.flac,spoof,E,,CC0\n",
        "copy-world": "path,label,group,origin\nworld_a.flac,spoof,copy-world,a\n",
    }
    for name, text in made.items():
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "manifest.csv").write_text(text, encoding="utf-8")
    with recipe_modules(RECIPE, "clips") as recipe:
        clips = recipe["clips"]
        items = clips.training_items()
    assert len(items) == 5
    assert clips.licences(items, spoof=False) == ["MIT: 1 clips"]
    assert clips.licences(items, spoof=True) == ["CC0: 2 clips", "none stated: 1 clips"]


@pytest.mark.parametrize(
    ("named", "has_gpu", "device"),
    [("", False, "cpu"), ("", True, "cuda"), ("cpu", True, "cpu"), ("cuda:1", True, "cuda:1")],
)
def test_nets_are_trained_on_a_gpu_if_there_is_one_and_nobody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, named: str, has_gpu: bool, device: str
) -> None:
    """torch is scripted: it is not installed where guard's tests run."""
    rounding = [SimpleNamespace(allow_tf32=True), SimpleNamespace(allow_tf32=True)]
    torch = ModuleType("torch")
    torch.Tensor = torch.nn = object  # type: ignore[attr-defined]
    torch.device = lambda name: SimpleNamespace(type=name.split(":")[0], name=name)  # type: ignore[attr-defined]
    torch.cuda = SimpleNamespace(is_available=lambda: has_gpu)  # type: ignore[attr-defined]
    torch.backends = SimpleNamespace(  # type: ignore[attr-defined]
        cudnn=rounding[0], cuda=SimpleNamespace(matmul=rounding[1])
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setenv("GUARD_DEVICE", named)
    compute = runpy.run_path(str(RECIPE / "compute.py"))
    assert compute["device"]().name == device
    # on a GPU quiet bands of the log-mel would drown in the rounding of loud ones
    assert all(part.allow_tf32 == device.startswith("cpu") for part in rounding)
