"""guard eval face --out: the page, the plots, the scores, the heat maps."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guard.errors import ConfigError, ModelError
from guard.evaluation import face, plots
from guard.evaluation.face import run
from guard.evaluation.face_data import KEY
from guard.evaluation.face_heat import PATCH_PX, changes, heat_map, typical
from guard.types import Abstain, FaceQuality, FaceWindow, Finding, FloatArray, Signal, Window

ASTRONAUT = Path(__file__).parents[1] / "fixtures" / "astronaut.jpg"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data <b>")
    with Image.open(ASTRONAUT) as picture:
        face = picture.convert("RGB").crop((100, 0, 400, 300))
    face.save(folder / "real.png")
    face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "fake.png")
    lines = "path,label,method,pair\nreal.png,real,camera,p\nfake.png,fake,<script>,p\n"
    (folder / "manifest.csv").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def written(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert run([data], as_json=True, out=out, quick=True) == 0
    return out


def test_page_stands_alone_and_escapes_what_the_manifest_says(written: Path) -> None:
    html = (written / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http:" not in html
    assert "https:" not in html
    assert html.count("data:image/png;base64,") == 5 + 2  # plots, and one face of each class
    for words in ("Bars", "fused", "face_frame", "Without the face", "Cost"):
        assert words in html, words


def test_plots_are_pictures_and_the_json_is_the_report(written: Path, data: Path) -> None:
    pictures = sorted(path.name for path in written.glob("*.png"))
    assert len(pictures) == 5
    for name in pictures:
        with Image.open(written / name) as picture:
            assert picture.width > 400
    report = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert [own["folder"] for own in report["folders"]] == [str(data)]


def test_scores_hold_every_signal_in_every_condition(written: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((written / "scores.csv").read_text(encoding="utf-8"))))
    assert [row["label"] for row in rows] == ["bonafide", "spoof"]
    assert float(rows[0]["clean face_frame"]) == pytest.approx(float(rows[0]["clean fused"]), abs=4)
    assert rows[1]["vp8_500k fused"]
    assert float(rows[0]["eye_px"]) > 24


def test_no_pictures_of_the_data_where_none_are_wanted(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([data], as_json=True, out=tmp_path, quick=True, pictures=False) == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 5
    assert "looks at" not in html
    assert "heat maps" not in capfd.readouterr().err  # none are made


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_measured(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as error:
        run([data], as_json=True, out=tmp_path / "file")
    assert error.value.code == "out_folder"
    assert "clean" not in capfd.readouterr().err


class Closed(io.StringIO):
    """A stdout whose reader has gone, as behind ``| head``."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_closed_stdout_leaves_all_files(
    data: Path, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        run([data], as_json=True, out=tmp_path, quick=True, pictures=False)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written.iterdir()}


def test_a_later_folder_that_fails_leaves_what_was_measured_before(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = face._measured

    def second_fails(folder: Path, *given: Any, **named: Any) -> Any:
        if folder != data:
            raise ModelError("model_run", "no")
        return measured(folder, *given, **named)

    monkeypatch.setattr(face, "_measured", second_fails)
    other = tmp_path / "other"
    shutil.copytree(data, other)
    with pytest.raises(ModelError):
        run([data, other], as_json=True, out=tmp_path / "out", quick=True, pictures=False)
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["folders"] == [json.loads(capsys.readouterr().out)]
    assert report["folders"][0]["folder"] == str(data)


class Spot:
    """Scores the brightness of one place; abstains from crops without any bright pixel."""

    signal = Signal.FACE_FRAME

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, FaceWindow)
        if window.crop.max() < 200:
            return Abstain("face_dark")
        return np.array([window.crop[64:96, 64:96].mean()], np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        return [Finding(float(row[0]) / 100) for row in batch]


def spot_window() -> FaceWindow:
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[64:96, 64:96] = 250
    quality = FaceQuality(60.0, 50.0, 0.0, 100.0, 1.0)
    return FaceWindow(KEY, 0, 0.0, 0.0, crop, np.zeros((468, 2), np.float32), quality)


def test_heat_lies_where_hiding_a_patch_lowers_the_score() -> None:
    window = spot_window()
    change = changes(Spot(), window, 2.5)
    top, left = np.unravel_index(int(change.argmax()), change.shape)
    assert 64 <= top < 96
    assert 64 <= left < 96
    far = np.ones_like(change, np.bool_)
    far[64 - PATCH_PX : 96 + PATCH_PX, 64 - PATCH_PX : 96 + PATCH_PX] = False
    assert np.abs(change[far]).max() < 1e-6
    picture = heat_map(Spot(), window, 2.5)
    assert picture[80, 80, 0] > picture[80, 80, 2]  # red: it spoke for spoof


def test_the_words_under_a_face_have_the_llr_of_its_file_and_its_own(written: Path) -> None:
    html = (written / "report.html").read_text(encoding="utf-8")
    found = re.findall(r"<figcaption>[^<]* file ([+-][\d.]+), this face ([+-][\d.]+)</figcaption>", html)
    assert len(found) == 2
    assert all(file == face for file, face in found)  # a picture has one look


def test_the_look_drawn_is_the_nearest_to_the_llr_of_the_file() -> None:
    looks = [(0, llr) for llr in (-2.5, -1.4, -1.0, -0.6, 2.5)]  # mean -0.6
    assert typical(looks, -0.6, 1) == typical(looks, -0.6, -1) == 3
    assert typical(looks, -0.8, -1) == 2  # not -0.6, which is as near but above the file


def test_of_several_faces_the_one_that_counted_is_drawn() -> None:
    looks = [(0, -1.0), (1, 0.9), (1, 1.1), (0, 0.98)]  # means -0.01 and 1.0
    assert typical(looks, 1.0, 1) == 2
    assert typical(looks, 1.0, -1) == 1


def test_faces_drawn_stand_in_the_same_order_as_their_files() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        low, high = sorted((rng.normal(size=int(rng.integers(1, 6))) for _ in range(2)), key=np.mean)
        drawn = [
            own[typical([(0, float(llr)) for llr in own], float(own.mean()), side)]
            for own, side in ((low, -1), (high, 1))
        ]
        assert drawn[0] <= drawn[1]


def test_heat_of_a_detector_that_abstains_from_every_hidden_crop_is_none() -> None:
    window = spot_window()
    dark = replace(window, crop=np.minimum(window.crop, 100))
    assert not changes(Spot(), dark, 1.0).any()


def test_a_line_with_more_points_is_the_same_line() -> None:
    values = np.array([1.0, 0.4, 0.4, 0.0])
    dense = plots._between(values)
    assert np.array_equal(dense[::15], values)
    assert np.allclose(np.diff(dense[:16]), -0.04)


def test_nothing_scored_at_all_still_gives_a_report(tmp_path: Path) -> None:
    for name in ("real.png", "fake.png"):
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / name)
    lines = "path,label,method\nreal.png,real,camera\nfake.png,fake,none\n"
    (tmp_path / "manifest.csv").write_text(lines, encoding="utf-8")
    out = tmp_path / "out"
    assert run([tmp_path], as_json=True, out=out, quick=True) == 0
    (report,) = json.loads((out / "report.json").read_text(encoding="utf-8"))["folders"]
    assert report["coverage"] == 0
    assert report["auc"]["value"] == 0.5
    assert report["cpu_ms_per_face"] is None
    assert (out / f"1-{tmp_path.name}-roc-signals.png").exists()
