"""guard eval face with photos of the people who should be seen: column ``reference`` of a manifest."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guard.errors import ConfigError
from guard.evaluation.face import run
from guard.evaluation.face_data import read_manifest

ASTRONAUT = Path(__file__).parents[1] / "fixtures" / "astronaut.jpg"


def write_manifest(folder: Path, *lines: str) -> None:
    text = "\n".join(("path,label,method,reference", *lines)) + "\n"
    (folder / "manifest.csv").write_text(text, encoding="utf-8")


def test_a_photo_named_for_a_file_is_what_its_face_is_compared_with(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Image.open(ASTRONAUT) as picture:
        face = picture.convert("RGB").crop((100, 0, 400, 300))  # not made smaller under any condition
    for name in ("photo", "real", "fake"):
        face.save(tmp_path / f"{name}.png")
    lines = ["real.png,real,camera,photo.png", "fake.png,fake,copyist,"]
    write_manifest(tmp_path, *lines)
    assert run([tmp_path], as_json=True, quick=True, out=tmp_path / "out", pictures=False) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["references"] == 1
    for own in report["conditions"].values():
        found = own["signals"]["face_identity"]
        assert (found["coverage"], found["needs"]) == (0.5, None)
        assert found["abstained"] == {"no_reference_yet": 1}  # no photo of another file is left over
    text = (tmp_path / "out" / "scores.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert float(rows[0]["clean face_identity"]) < -0.4  # the same person
    assert rows[1]["clean face_identity"] == ""


@pytest.mark.parametrize(
    ("reference", "code"),
    [("none.png", "file_not_found"), ("broken.png", "photo_unreadable"), ("empty.png", "photo_no_face")],
)
def test_a_file_whose_photo_cannot_be_used_is_named_and_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], reference: str, code: str
) -> None:
    with Image.open(ASTRONAUT) as picture:
        for name in ("a", "b", "c"):
            picture.convert("RGB").save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "empty.png")
    lines = ("a.png,real,camera,", "b.png,fake,copyist,", f"c.png,fake,copyist,{reference}")
    write_manifest(tmp_path, *lines)
    assert run([tmp_path], as_json=True, quick=True) == 1
    report = json.loads(capfd.readouterr().out)
    assert report["files"] == 2
    (error,) = report["errors"]
    assert error["code"] == code
    assert error["path"].endswith("c.png")
    assert reference in error["message"]


@pytest.mark.parametrize("path", ["../a.png", "/a.png", " "])
def test_a_photo_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    write_manifest(tmp_path, f"a.png,real,camera,{path}")
    with pytest.raises(ConfigError) as error:
        read_manifest(tmp_path)
    assert error.value.code == "clip_outside"
