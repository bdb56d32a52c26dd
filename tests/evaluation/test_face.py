"""guard eval face: manifests, averaging per video, what abstaining costs, the report."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guard.errors import ConfigError
from guard.evaluation.face import Item, Measured, read_manifest, report_of, run

ASTRONAUT = Path(__file__).parents[1] / "fixtures" / "astronaut.jpg"


def measured(
    llr: float | None, *, spoof: bool, method: str = "m", video: str = "", pair: str = ""
) -> Measured:
    item = Item(Path(f"{spoof}{method}{video}{pair}{llr}.png"), spoof, method, video, pair)
    return Measured(item, llr, 1, 0 if llr is None else 1, Counter(), 0.001)


def write_manifest(folder: Path, *lines: str) -> Path:
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_manifest_takes_both_ways_of_naming_labels_and_methods(tmp_path: Path) -> None:
    write_manifest(tmp_path, "path,label,system,source", "a.png,bonafide,,site", "b.png,spoof,engine,site")
    first, second = read_manifest(tmp_path)
    assert (first.is_spoof, first.method) == (False, "site")
    assert (second.is_spoof, second.method) == (True, "engine")


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"manifest\.csv cannot be read") as error:
        read_manifest(tmp_path)
    assert error.value.code == "manifest_missing"


@pytest.mark.parametrize("lines", [("path,source", "a.png,s"), ("path,label", "a.png,perhaps")])
def test_manifest_without_a_usable_label_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    write_manifest(tmp_path, *lines)
    with pytest.raises(ConfigError) as error:
        read_manifest(tmp_path)
    assert error.value.code == "manifest_invalid"


def test_pictures_of_one_video_are_averaged_before_anything_is_counted() -> None:
    report = report_of(
        [
            measured(5.0, spoof=True, video="v"),
            measured(-3.0, spoof=True, video="v"),
            measured(0.5, spoof=False, video="w"),
        ]
    )
    assert report["videos"] == 2
    assert report["auc"]["value"] == 1.0  # 1.0 against 0.5


def test_a_file_the_detector_abstained_on_counts_with_llr_0() -> None:
    report = report_of(
        [
            measured(None, spoof=True, video="v"),
            measured(2.0, spoof=True, video="u"),
            measured(1.0, spoof=False, video="w"),
            measured(-1.0, spoof=False, video="x"),
        ]
    )
    assert report["coverage"] == 0.75
    assert report["auc"]["value"] == 0.75  # 0 lies between -1 and 1, 2 above both
    assert report["covered_only"]["auc"]["value"] == 1.0


def test_macro_auc_takes_methods_of_five_or_more_videos() -> None:
    rows = [measured(-1.0, spoof=False, video=f"r{i}") for i in range(4)]
    rows += [measured(1.0, spoof=True, method="large", video=f"l{i}") for i in range(5)]
    rows += [measured(-2.0, spoof=True, method="small", video="s")]
    report = report_of(rows)
    assert report["methods"] == {
        "large": {"videos": 5, "auc": 1.0},
        "small": {"videos": 1, "auc": 0.0},
    }
    assert report["macro_auc"] == 1.0


def test_pairs_compare_the_same_clip_before_and_after_the_swap() -> None:
    report = report_of(
        [
            measured(3.0, spoof=True, pair="a"),
            measured(2.0, spoof=False, pair="a"),
            measured(-2.0, spoof=True, pair="b"),
            measured(-1.0, spoof=False, pair="b"),
        ]
    )
    assert report["pairs"] == {"pairs": 2, "swap_scores_higher": 0.5, "mean_gap_llr": 0.0}


def test_one_class_only_is_refused() -> None:
    with pytest.raises(ConfigError, match="both labels"):
        report_of([measured(1.0, spoof=True)])


def test_run_prints_one_json_object_a_folder_and_reports_what_it_could_not_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Image.open(ASTRONAUT) as picture:
        face = picture.convert("RGB")
        face.save(tmp_path / "real.png")
        face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "fake.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    write_manifest(
        tmp_path,
        "path,label,method",
        *("real.png,real,camera", "fake.png,fake,mirror", "empty.png,real,camera", "broken.png,fake,mirror"),
    )
    assert run([tmp_path], as_json=True) == 1
    report = json.loads(capfd.readouterr().out)
    assert report["videos"] == 3
    assert report["faces_scored"] == 2
    assert report["abstained"] == {"no_face": 1}
    assert [error["code"] for error in report["errors"]] == ["file_unreadable"]
    assert set(report["models"]) == {"face_frame"}


def test_report_for_people_names_every_method(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Image.open(ASTRONAUT) as picture:
        picture.convert("RGB").save(tmp_path / "real.png")
        picture.convert("RGB").save(tmp_path / "fake.png")
    write_manifest(tmp_path, "path,label,method", "real.png,real,camera", "fake.png,fake,copyist")
    assert run([tmp_path], as_json=False) == 0
    printed = capfd.readouterr().out
    assert "AUC copyist" in printed
    assert "0.500" in printed  # the same picture on both sides
