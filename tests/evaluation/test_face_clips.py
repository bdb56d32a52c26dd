"""guard eval face on short clips: what a whole run over every condition finds and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from guard.app.parts import Models, load_models, settings_config
from guard.config import load_settings
from guard.evaluation.face import Results, measure_all, run
from guard.evaluation.face_conditions import CLEAN, CONDITIONS
from guard.evaluation.face_data import Item, read_manifest
from guard.evaluation.face_measure import Bench
from guard.evaluation.face_report import report_of
from guard.types import Signal

ASTRONAUT = Path(__file__).parents[1] / "fixtures" / "astronaut.jpg"
CONFIG = settings_config(load_settings(None))


def write_clip(path: Path, seconds: float, blur_px: float = 0.0) -> Path:
    """A portrait that sways, 25 pictures a second; its face blurred or not."""
    with Image.open(ASTRONAUT) as picture:
        still = picture.convert("RGB").crop((90, 0, 410, 320))
    if blur_px:
        box = (90, 60, 190, 180)
        still.paste(still.crop(box).filter(ImageFilter.GaussianBlur(blur_px)), box)
    pixels = np.asarray(still)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 320, "yuv420p", 4_000_000
        for n in range(round(25 * seconds)):
            moved = np.roll(pixels, round(4 * np.sin(n / 5)), axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "real.mp4", 0.6)
    write_clip(folder / "fake.mp4", 0.6, blur_px=2.0)
    lines = "path,label,method,pair\nreal.mp4,real,camera,p\nfake.mp4,fake,blur,p\n"
    (folder / "manifest.csv").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path, models: Models) -> Results:
    told: list[str] = []
    found = measure_all(read_manifest(folder), models, CONFIG, quick=False, progress=told.append)
    assert told[0] == f"[1/{len(CONDITIONS) + 1}] clean"
    return found


@pytest.fixture(scope="module")
def report(results: Results) -> dict[str, Any]:
    return report_of(results.conditions, results.masked, CONFIG)


def test_three_seconds_of_face_are_three_seconds_of_looks(tmp_path: Path, models: Models) -> None:
    item = Item(write_clip(tmp_path / "clip.mp4", 3.0), False, "camera", "", "")
    found = Bench(models, CONFIG).measure(item, CLEAN)
    assert found.looks == 15
    assert found.visible_s == pytest.approx(3.0)
    assert found.fps == pytest.approx(25.0, rel=0.01)
    assert found.cost.media_s == pytest.approx(3.0, rel=0.01)
    assert found.llr(Signal.FACE_FRAME) is not None
    assert not found.fused.is_early


def test_same_clip_gives_the_same_scores_again(folder: Path, models: Models) -> None:
    item, _ = read_manifest(folder)
    bench = Bench(models, CONFIG)
    first, again = (bench.measure(item, CONDITIONS[-1], 25.0) for _ in range(2))
    assert first.scores == again.scores
    assert first.fused == again.fused


def test_every_condition_and_signal_has_its_figures(report: dict[str, Any]) -> None:
    assert list(report["conditions"]) == [condition.name for condition in CONDITIONS]
    for own in report["conditions"].values():
        assert {"fused", "face_frame"} <= set(own["signals"])
        assert {"all", "face_frame alone", "all but face_frame"} <= set(own["ablation"])
        assert own["signals"]["face_frame"]["pairs"]["pairs"] == 1
    assert report["conditions"]["clean"]["kbit_s"] is None
    assert 50 < report["conditions"]["vp8_500k"]["kbit_s"] < 750
    assert report["conditions"]["vp8_150k"]["kbit_s"] < 300


def test_faceless_crops_are_told_about_and_the_report_is_plain_json(report: dict[str, Any]) -> None:
    assert "face_frame" in report["scene"]["detectors_without_face"]
    assert report["scene"]["videos"] == 2
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again["alarms"]["clean"]["genuine"]["clips"] == 1
    assert 0 < again["cost"]["core_share"] < 5
    assert again["cost"]["ms_per_face"]["face_frame"] > 0


def test_smaller_pictures_have_smaller_eyes(results: Results) -> None:
    eyes = {name: found[0].eye_px for name, found in results.conditions.items()}
    assert eyes["clean"] == pytest.approx(eyes["vp8_500k"], rel=0.1)
    assert eyes["half_size"] is None or eyes["half_size"] < 0.6 * (eyes["clean"] or 0)


def test_a_clip_that_breaks_off_is_named_and_the_rest_is_measured(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("real.mp4", "fake.mp4"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    whole = write_clip(tmp_path / "whole.mp4", 1.6)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    # what is missing must be more than the half second by which headers are wrong anyway
    content = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    lines = "path,label,method\nreal.mp4,real,camera\nfake.mp4,fake,blur\ncut.mkv,real,camera\n"
    (tmp_path / "manifest.csv").write_text(lines, encoding="utf-8")
    assert run([tmp_path], as_json=True, quick=True) == 1
    found = capfd.readouterr()
    report = json.loads(found.out)
    assert [error["code"] for error in report["errors"]] == ["clip_damaged"]
    assert "cut.mkv" in found.err
    assert report["files"] == 2
