"""What an organisation is told before its faces are trained on, and what its cards then say."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from guard.codec.files import read_file
from guard.detectors.card import load_card
from guard.media.align import STABLE_INDICES
from guard.media.ring import BROWS, OVAL
from guard.resources import clips_dir, models_dir
from guard.types import VideoFrame
from tests.detectors.recipes import recipe_modules

RECIPE = models_dir() / "face" / "recipe"
MODULES = ("about", "calibrate", "check", "costs", "data", "faces", "lip_sync_simulate")
SIDE_PX = 100


@pytest.fixture(scope="module")
def recipe() -> Iterator[dict[str, ModuleType]]:
    with recipe_modules(RECIPE, *MODULES) as found:
        yield found


@pytest.fixture
def data(recipe: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 24 small faces that the check takes, named by GUARD_DATA."""
    monkeypatch.setattr(recipe["check"], "MIN_FACES", 20)
    monkeypatch.setattr(recipe["check"], "MIN_HELD_OUT", 1)
    # how full this machine's disk is decides no test
    monkeypatch.setattr(recipe["check"], "SPARE_BYTES", 0)
    folder = tmp_path / "org"
    write_faces(recipe, folder, [f"face{n}.png" for n in range(24)])
    monkeypatch.setenv("GUARD_DATA", str(folder))
    return folder


def write_faces(recipe: dict[str, ModuleType], folder: Path, names: list[str]) -> None:
    indices = list(dict.fromkeys((*OVAL, *recipe["check"].LIPS, *BROWS, *STABLE_INDICES)))
    faces = folder / "face" / "real_train"
    faces.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)).save(faces / name)
    points = rng.uniform(20, 80, (len(names), len(indices), 2)).astype(np.float32)
    np.savez(faces / "landmarks.npz", names=np.array(names), lm=points, sub_idx=np.array(indices))


def check(recipe: dict[str, ModuleType], work: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", ["check.py", "--work", str(work), *more])
    recipe["check"].main()


def test_whole_data_are_taken_and_lip_sync_is_said_to_be_left_out(
    recipe: dict[str, ModuleType],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check(recipe, data.parent / "work", monkeypatch)
    said = capsys.readouterr().out
    assert "24 faces" in said
    assert "lip_sync is left out" in said
    with pytest.raises(SystemExit, match="lip_sync is made from voices"):
        check(recipe, data.parent / "work", monkeypatch, "--voices")


def test_every_fault_of_the_faces_names_the_file_and_what_to_do(
    recipe: dict[str, ModuleType], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = data / "face" / "real_train"
    whole = (faces / "face3.png").read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(SystemExit, match=match):
            check(recipe, data.parent / "work", monkeypatch)
        (faces / "face3.png").write_bytes(whole)

    (faces / "face3.png").unlink()
    refused(r"face3\.png is named by landmarks\.npz and not there: add it")
    (faces / "face3.png").write_bytes(b"no picture")
    refused(r"face3\.png cannot be read as a picture .*: take it out")
    Image.new("RGB", (SIDE_PX, SIDE_PX + 1)).save(faces / "face3.png")
    refused(r"face3\.png is 100 x 101: the recipe takes square pictures")
    with np.load(faces / "landmarks.npz") as table:
        kept = dict(table)
    np.savez(faces / "landmarks.npz", **{**kept, "lm": kept["lm"] + 500})
    refused("landmarks lie outside of the picture")
    np.savez(faces / "landmarks.npz", **{**kept, "sub_idx": kept["sub_idx"][::-1]})
    refused("sub_idx must begin with the face's outline and the lips")
    np.savez(
        faces / "landmarks.npz",
        **{name: kept[name][:10] for name in ("names", "lm")},
        sub_idx=kept["sub_idx"],
    )
    refused("10 faces with landmarks of 10 persons")
    np.savez(faces / "landmarks.npz", names=kept["names"])
    refused(r"landmarks\.npz is no landmarks file")


def test_places_that_make_would_look_for_elsewhere_are_refused(
    recipe: dict[str, ModuleType], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="WORK=work is no absolute path"):
        check(recipe, Path("work"), monkeypatch)
    with pytest.raises(SystemExit, match="lies among the shipped models"):
        check(recipe, models_dir() / "face_frame", monkeypatch)
    with pytest.raises(SystemExit, match="GB are needed"):
        check(recipe, data.parent / "work", monkeypatch, "--pairs", "900000000000")
    monkeypatch.setenv("GUARD_DATA", "")
    with pytest.raises(SystemExit, match="GUARD_DATA is not set: set it to the folder"):
        check(recipe, data.parent / "work", monkeypatch)
    monkeypatch.setenv("GUARD_DATA", "org")
    with pytest.raises(SystemExit, match="GUARD_DATA=org is no absolute path"):
        check(recipe, data.parent / "work", monkeypatch)


def test_parts_of_other_faces_are_not_gone_on_with(
    recipe: dict[str, ModuleType], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(recipe, data.parent / "work", monkeypatch)
    check(recipe, data.parent / "work", monkeypatch)
    write_faces(recipe, data, [f"other{n}.png" for n in range(30)])
    with pytest.raises(SystemExit, match=r"was begun with other faces \(faces of org/face/real_train\)"):
        check(recipe, data.parent / "work", monkeypatch)
    check(recipe, data.parent / "another", monkeypatch)


def test_voices_need_two_of_every_split_and_their_files(
    recipe: dict[str, ModuleType], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data / "voice" / "train"
    folder.mkdir(parents=True)
    manifest, work = folder / "manifest.csv", data.parent / "work"
    manifest.write_text("path,label\na.flac,bonafide\n")
    with pytest.raises(SystemExit, match="lacks the columns licence, source, speaker"):
        check(recipe, work, monkeypatch)
    head = "path,label,source,speaker,licence\n"
    rows = [f"{n}.flac,bonafide,own,speaker {n},consent\n" for n in range(60)]
    manifest.write_text(head + "".join(rows[:3]))
    with pytest.raises(SystemExit, match="two of each are the least"):
        check(recipe, work, monkeypatch)
    manifest.write_text(head + "".join(rows))
    with pytest.raises(SystemExit, match=r"names 0\.flac, which is not there"):
        check(recipe, work, monkeypatch)
    for n in range(60):
        (folder / f"{n}.flac").touch()
    check(recipe, work, monkeypatch, "--voices")


def test_cards_say_that_nobody_stated_a_licence(recipe: dict[str, ModuleType], data: Path) -> None:
    said = recipe["about"].about()
    assert said.card_faces.startswith(
        "faces of org/face/real_train (licence not stated by who trained it): 24 faces"
    )
    assert "UTKFace" not in said.card_licence("ring")
    assert said.card_licence("ring").endswith("GUARD_DATA=FOLDER make -C models/face ring")


def test_cards_say_what_the_owner_of_the_faces_states(recipe: dict[str, ModuleType], data: Path) -> None:
    path = data / "face" / "real_train" / "about.toml"
    path.write_text(
        'name = "Portraits of \\"our\\" staff"\nlicence = "consent"\n'
        'purpose = "Use at the bank"\npersons = 20\n'
    )
    said = recipe["about"].about()
    assert said.card_licence("").startswith('Use at the bank: trained on Portraits of "our" staff, consent.')
    assert "24 faces of 20 persons" in said.card_faces
    text = recipe["about"].toml_text(said.card_licence(""))
    assert tomllib.loads(f"licence = {text}")["licence"] == said.card_licence("")
    for wrong in ('name = "a"\nlicence = "b"\n', 'name = 3\nlicence = "b"\npurpose = "c"\n', "name = "):
        path.write_text(wrong)
        with pytest.raises(SystemExit, match=r"about\.toml"):
            recipe["about"].about()


def test_faces_of_utkface_are_known_by_their_names(recipe: dict[str, ModuleType], data: Path) -> None:
    theirs = [f"{n}_1_0_2017010918485{n}123.jpg.chip.jpg" for n in range(10, 34)]
    write_faces(recipe, data, theirs)
    said = recipe["about"].about()
    assert said.card_licence("").startswith("Evaluation only: trained on UTKFace aligned chips")
    write_faces(recipe, data, [*theirs[:20], "own.png"])
    with pytest.raises(SystemExit, match=r"20 of the 21 faces .* bear names of UTKFace"):
        recipe["about"].about()
    (data / "face" / "real_train" / "about.toml").write_text(
        'name = "ours"\nlicence = "consent"\npurpose = "any"\n'
    )
    assert "20 of the pictures bear names of UTKFace" in recipe["about"].about().card_licence("")


def test_pictures_of_one_person_lie_on_one_side(recipe: dict[str, ModuleType]) -> None:
    sides = {
        person: {recipe["data"].is_held_out(f"person{person}__{n}.jpg") for n in range(5)}
        for person in range(200)
    }
    assert all(len(side) == 1 for side in sides.values())
    assert 10 < sum(True in side for side in sides.values()) < 50


def test_a_model_that_learned_nothing_claims_nothing(
    recipe: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, spoof = np.random.default_rng(1), np.arange(200) >= 100
    scores = (rng.normal(size=200) - spoof).astype(np.float32)
    a, b = recipe["calibrate"].fit_or_nothing("face_ring", scores, spoof)
    assert "WARNING: face_ring" in capsys.readouterr().out
    assert "claims nothing" in recipe["calibrate"].note_of(a)
    text = (models_dir() / "face_ring" / "card.toml").read_text(encoding="utf-8").splitlines()
    lines = [f"a = {a:.6f}" if line.startswith("a = ") else line for line in text]
    lines = [f"b = {b:.6f}" if line.startswith("b = ") else line for line in lines]
    (tmp_path / "card.toml").write_text("\n".join(lines), encoding="utf-8")
    assert np.abs(load_card(tmp_path).calibration.llr(scores)).max() < 1e-4
    learned, _ = recipe["calibrate"].fit_or_nothing("face_ring", -scores, spoof)
    assert learned > 0.1 and recipe["calibrate"].note_of(learned) == ""


def test_costs_of_a_step_that_was_cut_off_are_added_and_taken_in_proportion(
    recipe: dict[str, ModuleType], tmp_path: Path
) -> None:
    log = tmp_path / "work" / "costs.jsonl"
    assert recipe["costs"].run(log, "pool", 256, [sys.executable, "-c", "raise SystemExit(3)"]) == 3
    note = json.loads(log.read_text())
    assert (note["step"], note["units"], note["status"]) == ("pool", 256, 3)
    notes = [{"step": "pool", "units": 256, "cpu_s": 30.0}] * 2 + [
        {"step": "curve", "units": 0, "cpu_s": 6.0}
    ]
    lines = recipe["costs"].table(notes, {"pool": 2560}).splitlines()
    assert lines[2] == "| pool | 256 | 1.0 | 2560 | 10.0 |"
    assert lines[3] == "| curve |  | 0.1 |  | 0.1 |"
    assert lines[4].startswith("| together | | 1.1 | | 10 = 0.2 CPU-hours")


def test_photographs_become_chips_that_the_check_takes_and_others_are_named(
    recipe: dict[str, ModuleType],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = next(f for f in read_file(clips_dir() / "customer_genuine.webm") if isinstance(f, VideoFrame))
    photos = data / "photos"
    photos.mkdir()
    whole = Image.fromarray(first.image)
    for angle in (-10, 0, 15):
        whole.rotate(angle, Image.Resampling.BICUBIC).save(photos / f"somebody__{angle}.png")
    whole.resize((160, 90)).save(photos / "far.png")
    whole.crop((0, 160, 640, 360)).save(photos / "cut.png")
    Image.new("RGB", (300, 300)).save(photos / "nobody.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    monkeypatch.setattr(sys, "argv", ["faces.py", str(photos)])
    with pytest.raises(SystemExit, match="nothing is written over"):
        recipe["faces"].main()
    monkeypatch.setenv("GUARD_DATA", str(data / "new"))
    recipe["faces"].main()
    said = capsys.readouterr().out
    assert "3 faces in" in said and "4 photographs left out" in said
    assert all(f"left out: {name}" in said for name in ("far.png", "cut.png", "nobody.png", "broken.jpg"))
    monkeypatch.setattr(recipe["check"], "MIN_FACES", 3)
    monkeypatch.setattr(recipe["check"], "MIN_HELD_OUT", 0)
    check(recipe, data / "work", monkeypatch)
    chosen = recipe["faces"].POINTS.index
    for face in (*recipe["data"].load(held_out=False).faces, *recipe["data"].load(held_out=True).faces):
        eyes = [face.points[[chosen(i) for i in pair]].mean(axis=0) for pair in ((33, 133), (362, 263))]
        assert eyes[0] == pytest.approx((100 - 40.5, 59), abs=0.5)
        assert eyes[1] == pytest.approx((100 + 40.5, 59), abs=0.5)
        pupils = face.image[50:68, 45:75].mean(), face.image[100:140, 60:80].mean()
        assert (
            pupils[0] < pupils[1]
        )  # the eye is darker than the cheek below it: the picture was cut as the points
