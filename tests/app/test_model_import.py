"""``guard models import``: tried, judged by golden pairs, installed whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from guard.app import model_import
from guard.app.model_import import ImportRequest, bundled_pair, golden_pair, import_model
from guard.app.model_trial import GoldenPair, TrialLimits, trial
from guard.app.parts import load_models
from guard.config import load_settings
from guard.errors import ConfigError, GuardError, MediaError, ModelError
from guard.resources import clips_dir, models_dir
from tests.app.toy_models import brightness, constant, endless, good, model, two_columns, written

VOICES = clips_dir() / "voices"


def request(tmp_path: Path, content: ModelProto | bytes, **fields: str) -> ImportRequest:
    return ImportRequest(*written(tmp_path / "given", content, **fields), tmp_path / "own")


def refused(wanted: ImportRequest) -> GuardError:
    """Import, expect a refusal that leaves nothing behind, and return it."""
    with pytest.raises(GuardError) as error:
        import_model(wanted)
    own = wanted.models_dir
    if own is not None and own.is_dir() and own != models_dir():
        assert [path.name for path in own.iterdir() if path.name.startswith(".")] == []
    return error.value


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let every trial succeed, for tests of what comes before and after; lists the folders tried."""
    tried: list[Path] = []

    def pretend(folder: Path, pairs: dict[str, GoldenPair], limits: TrialLimits) -> dict[str, Any]:
        tried.append(folder)
        clips = {"bona_fide": {"raw": -1.0, "llr": -1.0, "llr_by": {}}}
        clips["spoof"] = {"raw": 1.0, "llr": 1.0, "llr_by": {}}
        return {"cpu_ms_per_window": 1.0, "golden": dict.fromkeys(pairs, clips)}

    monkeypatch.setattr(model_import, "try_model", pretend)
    return tried


@dataclass(frozen=True)
class Imported:
    """What the command line said of an import with AASIST's length, and where it was told to put it."""

    report: dict[str, Any]
    given: Path
    own: Path


def guard(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guard", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    root = tmp_path_factory.mktemp("imported")
    fields = {"shape": "[64600]", "input": 'shorter = "repeat"'}
    given, card = written(root / "given", good(("batch", 64_600)), **fields)
    own = root / "own"
    done = guard("models", "import", given, "--card", card, "--json", "--models-dir", own)
    assert done.returncode == 0, done.stderr
    return Imported(json.loads(done.stdout), given, own)


def test_a_model_is_imported_whole(imported: Imported) -> None:
    golden = imported.report["golden"]
    genuine, synthetic = golden["bundled"]["bona_fide"], golden["bundled"]["spoof"]
    assert golden["decided_by"] == "bundled"
    assert genuine["raw"] < synthetic["raw"]
    assert genuine["windows"] == synthetic["windows"] == 6
    assert imported.report["replaces"]["origin"] == "packaged"
    folder = imported.own / "toy"
    assert [path.name for path in imported.own.iterdir()] == ["toy"]
    assert sorted(path.name for path in folder.iterdir()) == ["card.toml", "model.onnx"]
    assert (folder / "model.onnx").read_bytes() == imported.given.read_bytes()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "model.onnx").stat().st_mode) == 0o644


def test_analyze_is_judged_by_the_imported_model_and_says_so(imported: Imported, tmp_path: Path) -> None:
    settings = tmp_path / "guard.toml"
    settings.write_text(f"[analysis]\nmodels_dir = {json.dumps(str(imported.own))}\n")
    clip = VOICES / "customer_synthetic.opus"
    done = guard("analyze", "--json", clip, "--models-dir", imported.own)
    assert done.returncode == 0, done.stderr
    analysed = json.loads(done.stdout)
    assert analysed["models"]["toy"] == imported.report["sha256"]
    assert "voice_spoof" not in analysed["models"]
    llrs = [point["llr"] for point in analysed["timeline"] if point["signal"] == "voice_spoof"]
    expected = imported.report["golden"]["bundled"]["spoof"]["llr"]
    assert np.mean(llrs[:6]) == pytest.approx(expected, abs=1e-3)
    models = load_models(load_settings(settings).analysis.models_dir)
    assert models.sha256["toy"] == imported.report["sha256"]


def test_a_reversed_sign_is_refused_with_both_scores(tmp_path: Path) -> None:
    error = refused(request(tmp_path, good(), spoof_is="smaller"))
    assert (type(error), error.code) == (ModelError, "model_sign")
    genuine, synthetic = map(float, re.findall(r"clip (-?\d+\.\d{4})", error.message))
    assert genuine > 0 > synthetic
    assert not (tmp_path / "own" / "toy").exists()


def test_a_model_that_gives_every_clip_the_same_is_refused(tmp_path: Path) -> None:
    nodes, weights = brightness("bright")
    nodes.append(helper.make_node("Mul", ["bright", "zero_f"], ["score"]))
    error = refused(request(tmp_path, model(nodes, [*weights, constant("zero_f", 0.0)])))
    assert error.code == "model_sign"


def test_an_own_pair_decides_where_it_is_given(tmp_path: Path) -> None:
    own = GoldenPair(VOICES / "customer_synthetic.opus", VOICES / "customer_genuine.opus")
    wanted = request(tmp_path, good(), spoof_is="smaller")
    found = import_model(replace(wanted, golden=own, dry_run=True))
    assert found["golden"]["decided_by"] == "given"
    assert set(found["golden"]) == {"decided_by", "bundled", "given"}
    assert not found["installed"]
    assert not (tmp_path / "own").exists()


def nan_model() -> ModelProto:
    nodes, weights = brightness("bright")
    nodes.append(helper.make_node("Add", ["bright", "nan"], ["score"]))
    return model(nodes, [*weights, constant("nan", np.nan)])


def huge_model() -> ModelProto:
    nodes, weights = brightness("bright")
    nodes += [
        helper.make_node("ConstantOfShape", ["huge"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["bright", "sum"], ["score"]),
    ]
    return model(nodes, [*weights, constant("huge", [2**36], np.int64)])


def external_model() -> ModelProto:
    nodes, weights = brightness()
    outside = constant("w", [0.0])
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="card.toml")
    return model(nodes, [*weights, outside])


def custom_model() -> ModelProto:
    nodes, weights = brightness()
    nodes.append(helper.make_node("Steal", ["audio"], ["unused"], domain="evil"))
    return model(nodes, weights, domains=("evil",))


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"not a model, but bytes of my own", {"model_load"}),
        (good().SerializeToString()[:300], {"model_load"}),
        (nan_model(), {"model_not_finite"}),
        (huge_model(), {"model_load", "model_run", "model_crashed"}),
        (external_model(), {"model_external"}),
        (custom_model(), {"model_ops"}),
        (good(("batch", 32_000)), {"model_input"}),
    ],
    ids=["garbage", "cut", "nan", "huge", "external", "custom", "shape"],
)
def test_hostile_models_are_refused_with_a_reason(
    tmp_path: Path, content: ModelProto | bytes, codes: set[str]
) -> None:
    error = refused(request(tmp_path, content))
    assert error.code in codes
    assert str(tmp_path / "own") not in error.message  # the operator's file is named, not the copy


def test_a_model_that_never_ends_is_ended(tmp_path: Path) -> None:
    error = refused(replace(request(tmp_path, endless()), limits=TrialLimits(wall_s=12)))
    assert error.code == "model_slow"
    assert "12 s" in error.message


def test_a_trial_that_dies_without_a_word_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    error = refused(request(tmp_path, good()))
    assert (error.code, type(error)) == ("model_crashed", ModelError)
    assert "exit status 1" in error.message


def test_two_columns_in_aasists_order_pass_the_trial(tmp_path: Path) -> None:
    fields = {"output": "column = 1", "spoof_is": "smaller"}
    model_path, card = written(tmp_path, two_columns(), **fields)
    model_path.rename(tmp_path / "model.onnx")
    card.rename(tmp_path / "card.toml")
    pair = bundled_pair()
    found = trial(tmp_path, {"bundled": (pair.bona_fide, pair.spoof)})
    clips = found["golden"]["bundled"]
    assert clips["bona_fide"]["raw"] < 0 < clips["spoof"]["raw"]


def test_a_golden_clip_without_speech_says_so(tmp_path: Path) -> None:
    model_path, card = written(tmp_path, good())
    model_path.rename(tmp_path / "model.onnx")
    card.rename(tmp_path / "card.toml")
    nothing = tmp_path / "nothing.wav"
    header = b"RIFF\x24\xfa\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00"
    nothing.write_bytes(header + b"\x02\x00\x10\x00data\x00\xfa\x00\x00" + bytes(64_000))
    with pytest.raises(MediaError) as error:
        trial(tmp_path, {"given": (nothing, nothing)})
    assert error.value.code == "golden_clip"


def test_half_a_pair_is_no_pair() -> None:
    with pytest.raises(ConfigError) as error:
        golden_pair(Path("a"), None)
    assert error.value.code == "golden_pair"
    assert golden_pair(None, None) is None


@pytest.mark.parametrize(
    ("fields", "changes", "code"),
    [
        ({"name": "../evil"}, [], "model_name"),
        ({"name": "Evil"}, [], "model_name"),
        ({"name": ".hidden"}, [], "model_name"),
        ({"name": "a" * 65}, [], "model_name"),
        ({"name": "blazeface"}, [], "model_name"),
        ({"name": "face_frame"}, [], "model_name"),
        ({}, [('file = "model.onnx"', 'file = "card.toml"')], "model_name"),
        ({}, [('file = "model.onnx"', 'file = ".onnx"')], "model_name"),
        ({}, [('file = "model.onnx"', 'file = "a/b.onnx"')], "card_invalid"),
        ({}, [('file = "model.onnx"', 'file = ".."')], "model_name"),
        ({}, [('level = "as_is"', "")], "card_invalid"),
        ({}, [('level = "as_is"', 'level = "loud"')], "card_invalid"),
        ({}, [("a = 1.0", "")], "card_invalid"),
        ({}, [("a = 1.0", "a = inf")], "card_invalid"),
        ({}, [("b = 0.0", "b = nan")], "card_invalid"),
        ({}, [("[calibration]", "[other]")], "card_invalid"),
        ({}, [("[data]", "x = " + "[" * 5000)], "card_invalid"),
        ({"signal": "face_frame"}, [], "model_signal"),
        ({"signal": "screen_light"}, [], "model_signal"),
        ({"sha256": "0" * 64}, [], "model_hash"),
        ({}, [("rate_hz = 16000", "rate_hz = 44100")], "model_contract"),
    ],
)
def test_a_wrong_card_is_refused_before_anything_runs(
    tmp_path: Path, believed: list[Path], fields: dict[str, str], changes: list[tuple[str, str]], code: str
) -> None:
    files = written(tmp_path / "given", good(), changes, **fields)
    error = refused(ImportRequest(*files, tmp_path / "own"))
    assert error.code == code
    assert believed == []


def test_nothing_is_overwritten_without_force(tmp_path: Path, believed: list[Path]) -> None:
    wanted = request(tmp_path, good())
    import_model(wanted)
    assert refused(wanted).code == "model_exists"
    newer = request(tmp_path, two_columns(), output="column = 0")
    before = (tmp_path / "own" / "toy" / "model.onnx").read_bytes()
    found = import_model(replace(newer, force=True))
    assert found["replaces"]["origin"] == "imported"
    assert (tmp_path / "own" / "toy" / "model.onnx").read_bytes() == newer.model.read_bytes() != before
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["toy"]


def test_a_damaged_import_can_be_replaced(tmp_path: Path, believed: list[Path]) -> None:
    wanted = request(tmp_path, good(), name="voice_spoof")
    import_model(wanted)
    (tmp_path / "own" / "voice_spoof" / "card.toml").write_text("damaged")
    assert import_model(replace(wanted, force=True))["replaces"]["version"] is None


def test_a_second_model_of_the_signal_is_refused(tmp_path: Path, believed: list[Path]) -> None:
    import_model(request(tmp_path, good()))
    error = refused(replace(request(tmp_path, good(), name="other"), force=True))
    assert error.code == "model_signal_taken"
    assert str(tmp_path / "own" / "toy") in error.message


def test_links_are_not_written_through(tmp_path: Path, believed: list[Path]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "toy").symlink_to(elsewhere)
    assert refused(replace(request(tmp_path, good()), force=True)).code == "model_exists"
    assert list(elsewhere.iterdir()) == []


def test_the_shipped_models_are_never_touched(tmp_path: Path, believed: list[Path]) -> None:
    wanted = request(tmp_path, good())
    (tmp_path / "link").symlink_to(models_dir())
    for folder in (models_dir(), models_dir() / "voice_spoof" / "more", tmp_path / "link"):
        assert refused(replace(wanted, models_dir=folder, force=True)).code == "models_dir"
    assert refused(replace(wanted, models_dir=None)).code == "models_dir"
    assert believed == []


def test_only_ordinary_files_are_read(tmp_path: Path, believed: list[Path]) -> None:
    wanted = request(tmp_path, good())
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / "absent"):
        assert refused(replace(wanted, model=path)).code == "import_file"
        assert refused(replace(wanted, card=path)).code == "import_file"


def test_a_file_over_the_limit_is_refused(
    tmp_path: Path, believed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_import, "MAX_MODEL_BYTES", 64)
    assert refused(request(tmp_path, good())).code == "model_too_large"


def test_a_folder_that_cannot_be_written_is_a_reason(tmp_path: Path, believed: list[Path]) -> None:
    (tmp_path / "own").write_text("a file, no folder")
    with pytest.raises(ConfigError) as error:
        import_model(request(tmp_path, good()))
    assert error.value.code == "models_dir"


def test_a_refusal_on_the_command_line_is_exit_1_and_json(tmp_path: Path) -> None:
    wanted = request(tmp_path, good(), sha256="0" * 64)
    done = guard("models", "import", wanted.model, "--card", wanted.card, "--json", "--dry-run")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["error"]["code"]) == (1, False, "model_hash")
    assert str(wanted.model) in answer["error"]["message"]


def test_a_trial_works_under_narrower_limits_of_the_service(tmp_path: Path) -> None:
    wanted = request(tmp_path, good())
    limits = 'ulimit -t 50 && ulimit -v 3500000 && exec "$@"'
    words = ["models", "import", wanted.model, "--card", wanted.card, "--json", "--dry-run"]
    command = ["sh", "-c", limits, "sh", sys.executable, "-m", "guard", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["ok"], done.stdout


def test_wrong_usage_on_the_command_line_is_exit_2_and_one_line(tmp_path: Path) -> None:
    done = guard("models", "import", tmp_path / "absent", "--card", tmp_path / "absent", "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "[import_file]" in done.stderr
