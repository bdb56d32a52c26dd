"""Which models are in use: the shipped ones, and the operator's laid over them."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from guard.app.model_files import IMPORTED, PACKAGED, describe, in_use, verify
from guard.app.parts import load_models
from guard.errors import ConfigError, ModelError
from guard.resources import models_dir
from guard.types import Signal
from tests.app.toy_models import good, written


def placed(root: Path, folder: str, **fields: str) -> Path:
    """Put a toy into the operator's folder, as an import would."""
    root.mkdir(exist_ok=True)
    model, card = written(root / folder, good(), **fields)
    model.rename(root / folder / "model.onnx")
    card.rename(root / folder / "card.toml")
    return root / folder


def test_without_a_folder_the_shipped_models_are_in_use() -> None:
    for folder in (None, models_dir()):
        found = in_use(folder)
        origins = {place.origin for place in (*found.networks.values(), *found.detectors.values())}
        assert origins == {PACKAGED}


def test_a_model_takes_the_place_of_its_signals_shipped_one_only(tmp_path: Path) -> None:
    toy = placed(tmp_path / "own", "toy")
    before, found = in_use(None), in_use(tmp_path / "own")
    assert found.detectors[Signal.VOICE_SPOOF].folder == toy
    assert found.networks == before.networks
    rest = {signal: place for signal, place in found.detectors.items() if signal is not Signal.VOICE_SPOOF}
    assert rest == {signal: before.detectors[signal] for signal in rest}


def test_lists_and_checks_say_where_a_model_comes_from(tmp_path: Path) -> None:
    toy = placed(tmp_path / "own", "toy")
    listed = {card["signal"]: card for card in describe(tmp_path / "own") if card["signal"]}
    assert listed["voice_spoof"]["name"] == "toy"
    assert (listed["voice_spoof"]["origin"], listed["voice_spoof"]["folder"]) == (IMPORTED, str(toy))
    assert listed["face_frame"]["origin"] == PACKAGED
    checked = {result["name"]: result for result in verify(tmp_path / "own")}
    assert checked["toy"]["ok"]
    assert checked["toy"]["sha256"] == listed["voice_spoof"]["sha256"]
    assert {"origin", "folder", "signal", "licence", "version"} <= set(checked["toy"])


def test_a_damaged_own_model_leaves_its_signal_without_one(tmp_path: Path) -> None:
    toy = placed(tmp_path / "own", "toy")
    (toy / "model.onnx").write_bytes(b"damaged")
    models = load_models(tmp_path / "own")
    assert models.errors[Signal.VOICE_SPOOF].code == "model_hash"
    assert "toy" not in models.sha256
    assert "voice_spoof" not in models.sha256  # the shipped one does not step in unasked
    assert "face_frame" in models.sha256


def test_two_models_of_one_signal_are_refused(tmp_path: Path) -> None:
    placed(tmp_path / "own", "first", name="first")
    placed(tmp_path / "own", "second", name="second")
    with pytest.raises(ModelError, match=r"first.*second") as error:
        in_use(tmp_path / "own")
    assert error.value.code == "model_signal_taken"


def test_a_card_nobody_can_place_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    (placed(tmp_path / "own", "toy") / "card.toml").write_text("damaged")
    with pytest.raises(ModelError) as error:
        load_models(tmp_path / "own")
    assert error.value.code == "card_invalid"


def test_a_voice_card_under_a_face_models_name_is_refused(tmp_path: Path) -> None:
    placed(tmp_path / "own", "face_frame")
    result = {found["name"]: found for found in verify(tmp_path / "own")}["face_frame"]
    assert (result["ok"], result["error"]["code"]) == (False, "model_signal")


def test_signals_without_a_detector_are_refused(tmp_path: Path) -> None:
    placed(tmp_path / "own", "toy", signal="screen_light")
    with pytest.raises(ModelError) as error:
        in_use(tmp_path / "own")
    assert error.value.code == "model_signal"


def test_a_folder_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        in_use(tmp_path / "absent")
    assert error.value.code == "models_dir"


def test_a_folder_that_may_not_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    known = Path.exists

    def exists(path: Path) -> bool:
        if path.parent.name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return known(path)

    monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(ConfigError, match=r"closed.*Permission denied") as error:
        in_use(tmp_path)
    assert error.value.code == "models_dir"


def test_folders_without_a_card_and_half_an_import_are_passed_over(tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(placed(own, "toy"), own / ".import-x")
    (own / "notes").mkdir()
    (own / "readme.txt").write_text("no model")
    assert in_use(own).detectors[Signal.VOICE_SPOOF].folder == own / "toy"
