"""guard eval voice: the report's form, its files, what it refuses, and that it repeats."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
import wave
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guard.app.model_files import in_use
from guard.cli import app
from guard.codec.files import read_file
from guard.errors import ConfigError, ModelError
from guard.evaluation import voice
from guard.evaluation.channels import CHANNELS, clean
from guard.evaluation.clips import Clip, Item, read_clips
from guard.evaluation.conditions import BARRED, full
from guard.evaluation.voice import measure_clip, run
from guard.resources import clips_dir
from guard.types import Abstain, AudioFrame, AudioWindow, Finding, FloatArray, Signal, Window

VOICES = clips_dir() / "voices"
RATE = 16_000
EVIL = '<script>alert("1")</script> & [bold]'


class Pitch:
    """A detector that takes the brighter half of voices for spoof; instant, and the same every time."""

    signal = Signal.VOICE_SPOOF

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, AudioWindow)
        return window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        crossings = (np.diff(np.sign(batch), axis=1) != 0).mean(axis=1)
        return [Finding(float(40 * rate - 4)) for rate in crossings]


class Broken(Pitch):
    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        raise ModelError("model_run", "no")


class Silent(Pitch):
    def prepare(self, window: Window) -> FloatArray | Abstain:
        return Abstain("too_noisy")


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    from guard.detectors.card import load_card

    card = load_card(in_use(None).detectors[Signal.VOICE_SPOOF].folder)
    monkeypatch.setattr(voice, "_loaded", lambda folder: (card, Pitch()))
    few_draws(monkeypatch)


def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.evaluation.figures.ROUNDS", 20)
    monkeypatch.setattr("guard.evaluation.figures.PART_ROUNDS", 5)


def manifest(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "system", "source"), *rows])
    return folder


def excerpt(folder: Path, name: str, start_s: int = 0) -> str:
    """Write 5 s of a bundled voice as a WAV file of 16 kHz; return its name."""
    parts = [f for f in read_file(VOICES / f"{name}.opus") if isinstance(f, AudioFrame)]
    samples = np.concatenate([f.samples for f in parts])[start_s * 48_000 : (start_s + 5) * 48_000 : 3]
    with wave.open(str(folder / f"{name}{start_s}.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return f"{name}{start_s}.wav"


def four(folder: Path) -> list[tuple[str, str, str, str]]:
    return [
        (excerpt(folder, "customer_genuine"), "bonafide", "natural", "ru"),
        (excerpt(folder, "agent_genuine"), "bonafide", "natural", "fr"),
        (excerpt(folder, "customer_synthetic"), "spoof", "Engine", "e"),
        (excerpt(folder, "customer_synthetic", 5), "spoof", EVIL, "e"),
    ]


def report_of(folder: Path, capsys: pytest.CaptureFixture[str], *, quick: bool = True) -> dict[str, Any]:
    assert run([folder], True, quick=quick) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    report: dict[str, Any] = json.loads(out)
    return report


def test_quick_report_of_the_shipped_model_has_the_keys_of_version_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_draws(monkeypatch)
    rows = four(tmp_path)[:3]
    assert run([manifest(tmp_path, rows)], True, quick=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["v"] == 1
    assert re.fullmatch("[0-9a-f]{64}", report["model"]["sha256"])
    assert (report["clips"], report["failed"], report["errors"]) == (3, 0, [])
    assert set(report["conditions"]) == set(CHANNELS)
    for figures in report["conditions"].values():
        assert isinstance(figures["coverage"], float)
        for name in ("eer", "min_dcf", "cllr_bits", "cllr_min_bits", "tpr_at_5_fa", "tpr_at_1_fa"):
            # one engine tells nothing of others
            assert figures[name] == {"value": figures[name]["value"], "low": None, "high": None}
    assert not any(bar["met"] for bar in report["bars"])
    engine = report["systems"]["Engine"]
    assert engine["is_spoof"] is True
    assert set(engine["mean_llr"]) == set(engine["above_0"]) == set(CHANNELS)


def test_engines_that_the_card_names_are_left_out_of_figures_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], instant: None
) -> None:
    rows = four(tmp_path)
    known = [*rows[:3], (rows[3][0], "spoof", "kokoro", "e")]
    report = report_of(manifest(tmp_path, known), capsys)
    unseen = report["unseen_engines"]
    assert unseen["left_out"] == {"kokoro": 1}
    assert set(unseen["conditions"]) == set(CHANNELS)
    assert unseen["conditions"]["clean"]["clips"] == {"bona_fide": 2, "spoof": 1}
    assert report["conditions"]["clean"]["clips"] == {"bona_fide": 2, "spoof": 2}
    assert report_of(manifest(tmp_path, rows), capsys)["unseen_engines"] is None
    only_known = [*rows[:2], known[3]]
    assert report_of(manifest(tmp_path, only_known), capsys)["unseen_engines"] is None
    out = tmp_path / "out"
    assert run([manifest(tmp_path, known)], False, out=out, quick=True) == 0
    assert "names: kokoro (1)" in capsys.readouterr().out
    assert "in training: kokoro (1)." in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_full_report_has_every_breakdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], instant: None
) -> None:
    report = report_of(manifest(tmp_path, four(tmp_path)), capsys, quick=False)
    every = full([np.zeros(1, np.float32)])
    assert set(report["false_alarms"]) == {condition.name for condition in every}
    assert set(report["conditions"]) == {condition.name for condition in every if condition.both_classes}
    durations = report["durations"]
    assert list(durations) == ["1", "2", "4", "8", "15"]
    assert set(durations["1"]) == {"clips", "coverage", "coverage_interval", "abstained"}
    assert durations["1"]["coverage"] == 0.0
    assert durations["2"]["eer"]["value"] >= 0
    assert durations["15"] is None
    assert report["languages"]["unknown"]["conditions"]["noise_5db"]["false_alarms"]["clips"] == 2


def test_equal_input_gives_equal_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], instant: None
) -> None:
    folder = manifest(tmp_path, four(tmp_path))
    assert report_of(folder, capsys) == report_of(folder, capsys)


class Reader(HTMLParser):
    """Collects tags, addresses and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_one_engine_has_a_page_and_tables_without_intervals(
    tmp_path: Path, instant: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows = four(tmp_path)
    assert run([manifest(tmp_path, [rows[0], rows[2]])], False, out=out, quick=True) == 0
    printed = capsys.readouterr().out
    assert "[-]" in printed
    assert "cannot be told" in printed
    assert "[0, 0]" not in printed
    assert printed.count("2 s of speech") >= 2  # by condition, and of the false alarms
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "no interval" in page
    assert "0 to 0" not in page


def test_out_folder_holds_a_page_of_its_own_pictures_and_scores(tmp_path: Path, instant: None) -> None:
    out = tmp_path / "deep" / "out"
    assert run([manifest(tmp_path, four(tmp_path))], True, out=out, quick=True) == 0
    assert {path.name for path in out.iterdir()} == {"report.json", "report.html", "det.png", "scores.csv"}
    with Image.open(out / "det.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 500
    page = Reader()
    page.feed((out / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("img") == 3
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert EVIL in page.text
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for bar in report["bars"]:
        assert bar["met"] or "missed by" in page.text
    with (out / "scores.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["system"] for row in rows] == ["natural", "natural", "Engine", EVIL]
    engine = report["systems"]["Engine"]["mean_llr"]["g711"]
    assert float(rows[2]["g711"]) == pytest.approx(engine, abs=1e-4)


class Closed(io.StringIO):
    """A stdout whose reader has gone, as behind ``| head``."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("as_json", [True, False])
def test_a_closed_stdout_leaves_all_files(
    tmp_path: Path, instant: None, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    folder, out = manifest(tmp_path, four(tmp_path)), tmp_path / "out"
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises((OSError, SystemExit)):  # rich makes an exit of it
        run([folder], as_json, out=out, quick=True)
    assert {path.name for path in out.iterdir()} == {"report.json", "report.html", "det.png", "scores.csv"}
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["clips"] == 4


def test_files_that_cannot_be_written_leave_the_report_on_stdout(
    tmp_path: Path, instant: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: object) -> None:
        raise ConfigError("out_folder", "no space left")

    monkeypatch.setattr("guard.evaluation.report.write_folder", full_disk)
    with pytest.raises(ConfigError, match="no space left"):
        run([manifest(tmp_path, four(tmp_path))], True, out=tmp_path / "out", quick=True)
    assert json.loads(capsys.readouterr().out)["clips"] == 4


def test_pictures_are_the_same_each_time(tmp_path: Path, instant: None) -> None:
    folder = manifest(tmp_path, four(tmp_path))
    for name in ("one", "two"):
        assert run([folder], True, out=tmp_path / name, quick=True) == 0
    for file in ("report.html", "det.png", "scores.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_without_matplotlib_out_is_refused_before_measuring_and_json_works(
    tmp_path: Path, instant: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "guard.evaluation.plots", raising=False)
    import guard.evaluation

    monkeypatch.delattr(guard.evaluation, "plots", raising=False)
    folder = manifest(tmp_path, four(tmp_path))
    with pytest.raises(ConfigError, match=r"guard-relay\[eval\]") as error:
        run([folder], True, out=tmp_path / "out", quick=True)
    assert error.value.code == "plots_missing"
    assert not (tmp_path / "out").exists()
    assert run([folder], True, quick=True) == 0


def test_out_that_is_a_file_is_refused(tmp_path: Path, instant: None) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="--out") as error:
        run([manifest(tmp_path, four(tmp_path))], True, out=tmp_path / "out", quick=True)
    assert error.value.code == "out_folder"


def test_unreadable_clip_is_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], instant: None
) -> None:
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    rows = [*four(tmp_path), ("broken.flac", "fake", "Engine", "e")]
    assert run([manifest(tmp_path, rows)], False, quick=True) == 1
    captured = capsys.readouterr()
    assert "broken.flac" in captured.err
    assert "[file_unreadable]" in captured.err
    assert EVIL.rsplit(maxsplit=1)[-1] in captured.out
    assert "opus_24k" in captured.out
    assert "missed by" in captured.out or "met" in captured.out


def test_class_without_a_readable_clip_is_refused(tmp_path: Path, instant: None) -> None:
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    rows = [*four(tmp_path)[:2], ("broken.flac", "fake", "Engine", "e")]
    with pytest.raises(ConfigError, match="no readable spoof clip"):
        run([manifest(tmp_path, rows)], True, quick=True)


def test_failed_detector_stops_the_measuring(tmp_path: Path) -> None:
    path = tmp_path / excerpt(tmp_path, "customer_genuine")
    (clip,), _ = read_clips([Item(path, False, "n", "n")])
    with pytest.raises(ModelError) as error:
        measure_clip(clip, clean, Broken())
    assert error.value.code == "model_failed"


def test_clip_not_scored_says_why(tmp_path: Path) -> None:
    path = tmp_path / excerpt(tmp_path, "customer_genuine")
    (clip,), _ = read_clips([Item(path, False, "n", "n")])
    assert measure_clip(clip, clean, Silent()) == (None, "too_noisy")
    silence = Clip(clip.item, np.zeros(3 * RATE, np.float32), RATE, 0.0)
    assert measure_clip(silence, clean, Pitch()) == (None, "too_little_speech")


def test_models_folder_of_the_operator_is_measured(tmp_path: Path) -> None:
    shipped = in_use(None).detectors[Signal.VOICE_SPOOF].folder
    shutil.copytree(shipped, tmp_path / "mine")
    card = tmp_path / "mine" / "card.toml"
    card.write_text(
        card.read_text(encoding="utf-8").replace('name = "voice_spoof"', 'name = "mine"', 1), encoding="utf-8"
    )
    assert voice._loaded(tmp_path)[0].name == "mine"
    assert voice._loaded(None)[0].name == "voice_spoof"


def test_command_line_hands_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def fake(folders: list[Path], as_json: bool, **options: object) -> int:
        seen.append((folders, as_json, options))
        return 1

    monkeypatch.setattr(voice, "run", fake)
    settings = tmp_path / "guard.toml"
    settings.write_text('[analysis]\nmodels_dir = "mine"\n', encoding="utf-8")
    words = ["eval", "voice", "a", "b", "--json", "--quick", "--out", "o"]
    for more in (["--config", str(settings)], ["--models-dir", "yours", "--config", str(settings)], []):
        assert CliRunner().invoke(app, [*words, *more]).exit_code == 1
    folders = [Path("a"), Path("b")]
    assert seen == [
        (folders, True, {"out": Path("o"), "quick": True, "models_dir": chosen})
        for chosen in (Path("mine"), Path("yours"), None)
    ]


def test_only_the_conditions_with_bars_are_quick() -> None:
    assert [condition.name for condition in BARRED] == list(CHANNELS)


@pytest.mark.parametrize(
    "data",
    [
        b"path,source\na,b\n",
        b"path,label,source\na,maybe,b\n",
        b"label,source,path\nspoof,b\n",
        b"path,label\n\x8b\xff",
    ],
)
def test_manifest_that_cannot_be_used_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "manifest.csv").write_bytes(data)
    with pytest.raises(ConfigError, match=r"manifest\.csv") as error:
        run([tmp_path], True)
    assert error.value.code == "manifest_invalid"


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        run([tmp_path], True)
    assert error.value.code == "manifest_missing"
