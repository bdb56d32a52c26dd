"""guard eval face: manifests, averaging per video, what abstaining costs, the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guard.app.parts import PipelineConfig, settings_config
from guard.config import load_settings
from guard.errors import ConfigError
from guard.evaluation.face import run
from guard.evaluation.face_data import KEY, Item, read_manifest
from guard.evaluation.face_figures import signal_block
from guard.evaluation.face_fusion import Fused, fuse
from guard.evaluation.face_measure import Cost, Measured
from guard.evaluation.face_report import report_of
from guard.evaluation.face_tables import method_rows, reason_rows, scene_rows, signal_rows
from guard.evaluation.face_videos import visible
from guard.types import Score, Signal, State

ASTRONAUT = Path(__file__).parents[1] / "fixtures" / "astronaut.jpg"
NUMBERS = iter(range(10_000))


@pytest.fixture(scope="module")
def config() -> PipelineConfig:
    return settings_config(load_settings(None))


def scores_of(llr: float | None, looks: int, signal: Signal = Signal.FACE_FRAME) -> list[Score]:
    reason = "face_dark" if llr is None else None
    return [Score(KEY, signal, 0.2 * n, 0.2 * n + 0.2, llr, reason, 0) for n in range(looks)]


def measured(
    llr: float | None,
    *,
    spoof: bool,
    method: str = "m",
    video: str = "",
    pair: str = "",
    looks: int = 15,
    suffix: str = "mp4",
    scores: Sequence[Score] | None = None,
    **other: Any,
) -> Measured:
    """One file whose every look has the same llr; its name is of no one else."""
    item = Item(Path(f"{next(NUMBERS)}.{suffix}"), spoof, method, video, pair)
    own = scores_of(llr, looks) if scores is None else list(scores)
    fused = fuse(own, settings_config(load_settings(None)).fusion)
    found = Measured(
        item=item,
        scores=tuple(own),
        fused=fused,
        worst=State.UNDECIDED,
        looks=looks,
        visible_s=0.2 * looks,
        eye_px=60.0,
        scene=np.arange(26.0) + len(item.path.name),
        cost=Cost(0.1, {Signal.FACE_FRAME: 0.015}, looks, 0.2 * looks),
        fps=25.0,
        kbit_s=None,
    )
    return replace(found, **other)


def frame_block(files: Sequence[Measured]) -> dict[str, Any]:
    return signal_block(files, "face_frame", visible(files), rounds=50)


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
    block = frame_block(
        [
            measured(5.0, spoof=True, video="v"),
            measured(-3.0, spoof=True, video="v"),
            measured(0.5, spoof=False, video="w"),
        ]
    )
    assert block["videos"] == {"bona_fide": 1, "spoof": 1}
    assert block["auc"]["value"] == 1.0  # 1.0 against 0.5


def test_a_video_the_detector_abstained_on_counts_with_llr_0_and_is_no_detection() -> None:
    block = frame_block(
        [
            measured(None, spoof=True, video="v"),
            measured(2.0, spoof=True, video="u"),
            measured(-2.0, spoof=False, video="w"),
            measured(-1.0, spoof=False, video="x"),
        ]
    )
    assert block["coverage"] == 0.75
    assert block["abstained_videos"] == 1
    assert block["abstained"] == {"face_dark": 15}
    assert block["auc"]["value"] == 1.0  # 0 lies above both genuine videos
    assert block["tpr_at_5fa"]["value"] == 0.5  # but nothing was detected
    assert block["covered_only"]["tpr_at_5fa"]["value"] == 1.0


def test_macro_auc_takes_methods_of_five_or_more_videos() -> None:
    rows = [measured(-1.0, spoof=False, video=f"r{i}") for i in range(4)]
    rows += [measured(1.0, spoof=True, method="large", video=f"l{i}") for i in range(5)]
    rows += [measured(-2.0, spoof=True, method="small", video="s")]
    block = frame_block(rows)
    large, small = block["methods"]["large"], block["methods"]["small"]
    assert (large["videos"], large["auc"], small["videos"], small["auc"]) == (5, 1.0, 1, 0.0)
    assert block["macro_auc"] == block["macro_auc_interval"]["value"] == 1.0


def test_a_method_has_its_coverage_and_all_figures_with_intervals() -> None:
    rows = [measured(float(n), spoof=False) for n in range(-6, 2)]
    rows += [measured(llr, spoof=True, method="half seen") for llr in (None, None, 0.5, 3.0)]
    found = frame_block(rows)["methods"]["half seen"]
    assert (found["videos"], found["coverage"]) == (4, 0.5)
    figures = found["figures"]
    assert figures["auc"]["value"] == found["auc"]
    assert figures["auc"]["low"] < found["auc"] < figures["auc"]["high"]
    assert figures["tpr_at_5fa"]["value"] == 0.25  # what was not scored is no detection
    assert set(figures) == {"auc", "eer", "tpr_at_5fa", "tpr_at_1fa"}


def test_methods_of_a_signal_that_scored_nothing_have_no_figures_and_the_cause_is_named() -> None:
    rows = [measured(1.0, spoof=True), measured(-1.0, spoof=False)]
    for name, cause in (("virtual_camera", "call_page"), ("lip_sync", "sound"), ("face_identity", "photo")):
        block = signal_block(rows, name, visible(rows), rounds=50)
        assert block["needs"] == cause
        assert block["methods"]["m"]["figures"] is None
    assert frame_block(rows)["needs"] is None
    heard = [replace(m, has_sound=True) for m in rows]
    assert signal_block(heard, "lip_sync", visible(heard), rounds=50)["needs"] is None


def test_sizes_have_every_figure_in_every_condition_and_videos_without_a_face_are_not_lost(
    config: PipelineConfig,
) -> None:
    clean = [measured(2.0, spoof=True), measured(-2.0, spoof=False), measured(-1.0, spoof=False)]
    small = [replace(m, eye_px=eye_px) for m, eye_px in zip(clean, (35.0, 35.0, None), strict=True)]
    report = report_of({"clean": clean, "half_size": small}, [], config)
    assert set(report["sizes"]["face_frame"]) == {"48 to 64 px"}
    found = report["conditions"]["half_size"]["sizes"]["face_frame"]
    assert list(found) == ["32 to 40 px", "no face"]
    assert found["32 to 40 px"]["tpr_at_5fa"]["value"] == 1.0
    assert (found["32 to 40 px"]["videos"], found["32 to 40 px"]["spoof"]) == (2, 1)
    assert (found["no face"]["videos"], "auc" in found["no face"]) == (1, False)


def test_pairs_compare_the_same_clip_before_and_after_the_swap() -> None:
    block = frame_block(
        [
            measured(3.0, spoof=True, pair="a"),
            measured(2.0, spoof=False, pair="a"),
            measured(-2.0, spoof=True, pair="b"),
            measured(-1.0, spoof=False, pair="b"),
        ]
    )
    pairs = block["pairs"]
    assert (pairs["pairs"], pairs["swap_scores_higher"], pairs["mean_gap_llr"]) == (2, 0.5, 0.0)


def test_looks_are_counted_singly_and_abstained_ones_not_at_all() -> None:
    mixed = [*scores_of(1.0, 3), *scores_of(None, 2), *scores_of(-4.0, 1)]
    block = frame_block(
        [measured(None, spoof=True, scores=mixed), measured(-2.0, spoof=False, looks=4)],
    )
    assert block["looks"]["scored"] == 8
    assert block["looks"]["auc"]["value"] == 0.75  # three looks above all four, one below


def test_of_several_faces_the_highest_counts_unless_it_was_hardly_seen() -> None:
    stranger = [replace(score, face=1) for score in scores_of(2.0, 2)]
    guest = [replace(score, face=2) for score in scores_of(1.0, 9)]
    file = measured(None, spoof=False, scores=[*scores_of(-1.0, 10), *guest, *stranger])
    assert file.llr(Signal.FACE_FRAME) == pytest.approx(1.0)


def test_coverage_of_videos_with_three_seconds_of_face_leaves_out_the_shorter_ones() -> None:
    files = [
        measured(1.0, spoof=True),
        measured(None, spoof=True),
        measured(None, spoof=True, looks=14),  # 2.8 s
        measured(-1.0, spoof=False),
    ]
    found = frame_block(files)["coverage_visible"]
    assert (found["videos"], found["value"]) == (3, pytest.approx(2 / 3, abs=1e-4))


def test_coverage_as_the_product_says_it_leaves_out_what_it_still_waits_for() -> None:
    few = [*scores_of(1.0, 7), *scores_of(None, 8)]  # a look too few, in a clip that shows a face for 3 s
    files = [
        measured(1.0, spoof=True),
        measured(None, spoof=True, scores=few),
        measured(None, spoof=True),
        measured(-1.0, spoof=False),
        measured(-1.0, spoof=False, looks=14),  # 2.8 s
    ]
    fused = signal_block(files, "fused", visible(files), rounds=50)
    assert fused["early_files"] == 1
    assert (fused["coverage_visible"]["videos"], fused["coverage_visible"]["value"]) == (4, 0.75)
    said = fused["coverage_said"]
    assert (said["videos"], said["value"]) == (4, 0.5)
    assert said["low"] < 0.5 < said["high"]
    assert "coverage_said" not in frame_block(files)


def test_of_a_video_of_several_files_one_that_the_product_speaks_of_is_enough() -> None:
    files = [
        measured(1.0, spoof=True, video="v"),
        measured(1.0, spoof=True, video="v", looks=7),
        *(measured(-1.0, spoof=False, video="w", looks=7) for _ in range(3)),  # 4.2 s in all
    ]
    fused = signal_block(files, "fused", visible(files), rounds=50)
    assert fused["early_files"] == 4
    assert (fused["coverage_visible"]["videos"], fused["coverage_visible"]["value"]) == (2, 1.0)
    assert fused["coverage_said"]["value"] == 0.5


def test_visible_seconds_are_those_of_the_clean_file_under_every_condition() -> None:
    clean = [measured(1.0, spoof=True), measured(-1.0, spoof=False)]
    dark = [replace(m, scores=(), looks=15, visible_s=0.0) for m in clean]
    block = signal_block(dark, "face_frame", visible(clean), rounds=50)
    assert block["coverage_visible"]["videos"] == 2
    assert block["coverage_visible"]["value"] == 0.0


def test_report_holds_what_docs_and_recipes_read(config: PipelineConfig) -> None:
    clean = [measured(2.0, spoof=True, pair="a"), measured(-2.0, spoof=False, pair="a")]
    report = report_of({"clean": clean}, [], config)
    assert report["files"] == report["videos"] == 2
    assert report["faces_scored"] == 30
    assert report["cpu_ms_per_face"] == pytest.approx(1.0)
    assert report["auc"]["value"] == report["conditions"]["clean"]["signals"]["fused"]["auc"]["value"] == 1.0
    assert set(report["methods"]) == {"m"}
    assert report["pairs"]["pairs"] == 1


def test_covered_videos_have_a_line_of_their_own_where_some_are_not(config: PipelineConfig) -> None:
    clean = [measured(llr, spoof=True) for llr in (2.0, None)] + [measured(-2.0, spoof=False)]
    all_seen = [measured(2.0, spoof=True), measured(-2.0, spoof=False)]
    some, every = (
        report_of({"clean": files}, [], config)["conditions"]["clean"] for files in (clean, all_seen)
    )
    rows = {row[0]: row for row in signal_rows(some)}
    assert rows["face_frame"][3].startswith("0.500")  # one of two found
    assert rows["face_frame, covered only"][3].startswith("1.000")
    assert rows["face_frame"][6] == "0.67 (2 of 3)"
    assert [row[0] for row in signal_rows(every)] == ["fused", "face_frame"]
    assert reason_rows(some) == [["face_frame", "30", "15", "face_dark 15"]]


def test_methods_are_shown_for_signals_that_scored_with_what_they_found(config: PipelineConfig) -> None:
    clean = [measured(2.0, spoof=True, method="swap", video=f"v{n}") for n in range(5)]
    clean += [measured(None, spoof=True, method="whole"), measured(-2.0, spoof=False)]
    rows = method_rows(report_of({"clean": clean}, [], config)["conditions"]["clean"])
    found = {(row[0], row[1]): row[2:] for row in rows}
    assert found["face_frame", "swap"][:3] == ["5", "1.00", "1.000 [1.00, 1.00]"]
    assert found["face_frame", "whole"][:3] == ["1", "0.00", "1.000 [1.00, 1.00]"]  # 0 lies above -2
    assert found["face_frame", "whole"][4].startswith("0.000")  # but is no detection
    assert found["face_frame", "macro, methods of 5 or more videos"][2] == "1.000 [1.00, 1.00]"


def test_alarms_count_clips_by_the_worst_state_they_reached(config: PipelineConfig) -> None:
    clean = [
        measured(2.0, spoof=True, worst=State.SUSPECT),
        measured(2.0, spoof=True, worst=State.SPOOF),
        measured(-2.0, spoof=False, worst=State.BONA_FIDE),
        measured(-2.0, spoof=False, suffix="png", worst=State.SPOOF),  # a picture is no clip
    ]
    report = report_of({"clean": clean}, [], config)
    assert report["alarms"]["clean"]["spoof"] == {"clips": 2, "amber": 1, "red": 1}
    assert report["alarms"]["clean"]["genuine"] == {"clips": 1, "amber": 0, "red": 0}
    bars = {bar["figure"]: bar for bar in report["bars"]}
    assert bars["genuine clips red (0 of 22)"]["met"]
    assert bars["spoof clips amber or red (8 of 22)"]["value"] == 1.0


def test_bars_of_coverage_and_pairs_tell_what_was_missed(config: PipelineConfig) -> None:
    clean = [measured(2.0, spoof=False, pair="a"), measured(-2.0, spoof=True, pair="a")]
    clean += [measured(None, spoof=True)]
    bars = {bar["figure"]: bar for bar in report_of({"clean": clean}, [], config)["bars"]}
    assert not bars["paired clips, fused AUC"]["met"]
    coverage = bars["coverage, 3 s of visible face, as the product says it (any look: 0.67)"]
    assert coverage["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert not coverage["met"]
    assert bars["cores per participant at 5 looks a second"]["value"] == pytest.approx(0.345 / 9, abs=1e-4)


def test_the_bar_of_coverage_is_held_to_what_the_product_says(config: PipelineConfig) -> None:
    clean = [measured(2.0, spoof=True), measured(-2.0, spoof=False)]
    # seven of fifteen looks scored: one less than the product waits for
    half = [replace(m, scores=m.scores[:7], fused=Fused(1.0, is_early=True)) for m in clean]
    report = report_of({"clean": clean, "half_size": half}, [], config)
    seen = [bar for bar in report["bars"] if bar["figure"].startswith("coverage")]
    assert [(bar["condition"], bar["bar"], bar["value"], bar["met"]) for bar in seen] == [
        ("clean", 0.95, 1.0, True),
        ("half_size", 0.85, 0.0, False),
    ]
    assert seen[1]["figure"].endswith("(any look: 1.00)")
    rows = {row[0]: row for row in signal_rows(report["conditions"]["half_size"])}
    assert [cell[:5] for cell in rows["fused (2 files early)"][7:9]] == ["1.000", "0.000"]
    assert rows["face_frame"][8] == "-"


def test_the_scene_has_a_macro_figure_that_many_videos_of_one_method_do_not_rule(
    config: PipelineConfig,
) -> None:
    rng = np.random.default_rng(6)
    seen = {"genuine": (0.0, 40), "other": (3.0, 40), "same": (0.0, 6), "few": (3.0, 4)}
    clean = [
        measured(1.0, spoof=method != "genuine", method=method, suffix="png", looks=1)
        for method, (_, count) in seen.items()
        for _ in range(count)
    ]
    clean = [replace(m, scene=rng.normal(size=26) + seen[m.item.method][0]) for m in clean]
    report = report_of({"clean": clean}, [], config)
    pooled, macro = report["scene"]["auc"]["value"], report["scene"]["macro_auc"]
    assert pooled > 0.85  # nearly all fakes are of the method that the scene gives away
    assert 0.5 < macro["value"] < pooled - 0.1  # the mean of two methods; a method of four videos is left out
    assert macro["low"] < macro["value"] < macro["high"]
    assert any(f"scene alone, macro: {macro['value']:.2f}" in bar["figure"] for bar in report["bars"])
    about = {row[0]: row[2] for row in scene_rows(report)}
    assert about["the same, macro over methods of 5 or more videos"].startswith(f"{macro['value']:.3f}")


def test_a_scene_without_methods_of_five_videos_has_no_macro_figure(config: PipelineConfig) -> None:
    clean = [measured(2.0, spoof=True), measured(-2.0, spoof=False)]
    report = report_of({"clean": clean}, [], config)
    assert report["scene"]["macro_auc"] is None
    assert scene_rows(report)[1][2] == "-"


def test_pictures_are_held_to_the_macro_bar_with_the_scene_beside_it(config: PipelineConfig) -> None:
    clean = [measured(-1.0, spoof=False, suffix="png", looks=1) for _ in range(5)]
    clean += [measured(1.0, spoof=True, suffix="png", looks=1) for _ in range(5)]
    report = report_of({"clean": clean}, [], config)
    (bar,) = report["bars"]
    assert (bar["bar"], bar["value"], bar["met"]) == (0.80, 1.0, True)
    assert f"scene alone, macro: {report['scene']['macro_auc']['value']:.2f}" in bar["figure"]
    assert report["conditions"]["clean"]["signals"]["fused"]["early_files"] == 10


def test_run_prints_one_json_object_a_folder_and_reports_what_it_could_not_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Image.open(ASTRONAUT) as picture:
        face = picture.convert("RGB").crop((100, 0, 400, 300))  # small enough for a call's picture
        face.save(tmp_path / "real.png")
        face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "fake.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    write_manifest(
        tmp_path,
        "path,label,method",
        *("real.png,real,camera", "fake.png,fake,mirror", "empty.png,real,camera", "broken.png,fake,mirror"),
    )
    assert run([tmp_path], as_json=True, quick=True) == 1
    found = capfd.readouterr()
    report = json.loads(found.out)
    assert report["videos"] == 3
    assert report["faces_scored"] == 2
    assert report["abstained"] == {"no_face": 1}
    assert [error["code"] for error in report["errors"]] == ["file_unreadable"]
    assert "broken.png" in found.err
    assert {"face_frame", "blazeface", "facemesh"} <= set(report["models"])
    assert list(report["conditions"]) == ["clean", "vp8_500k"]
    assert report["conditions"]["vp8_500k"]["signals"]["face_frame"]["looks"]["scored"] == 2
    assert report["alarms"] is None  # pictures are no clips


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    with Image.open(ASTRONAUT) as picture:
        picture.save(tmp_path / "real.png")
    write_manifest(tmp_path, "path,label,method", "real.png,real,camera")
    with pytest.raises(ConfigError, match="both labels"):
        run([tmp_path], as_json=True, quick=True)


def test_report_for_people_names_methods_signals_and_bars(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Image.open(ASTRONAUT) as picture:
        picture.convert("RGB").save(tmp_path / "real.png")
        picture.convert("RGB").save(tmp_path / "fake.png")
    write_manifest(tmp_path, "path,label,method", "real.png,real,camera", "fake.png,fake,copyist")
    assert run([tmp_path], as_json=False, quick=True) == 0
    printed = capfd.readouterr().out
    needed = (
        "needs the call page",
        "no_device_report 2",
        "needs sound",
        "needs a photo",
        "no_reference_yet 2",
    )
    for words in ("copyist", "fused", "face_frame alone", "0.500", "without the face", *needed):
        assert words in printed, words


@pytest.mark.parametrize("path", ["../a.png", "/a.png", " "])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    write_manifest(tmp_path, "path,label,method", f"{path},real,camera")
    with pytest.raises(ConfigError) as error:
        read_manifest(tmp_path)
    assert error.value.code == "clip_outside"


def test_a_file_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path, "path,label,method", "a.png,real,camera", "./a.png,fake,camera")
    with pytest.raises(ConfigError) as error:
        read_manifest(tmp_path)
    assert error.value.code == "clip_repeated"
