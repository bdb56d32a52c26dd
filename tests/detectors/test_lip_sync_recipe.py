"""The recipe of the lip-sync model: its simulated calls hold what they claim to hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from guard.detectors.card import load_card
from guard.detectors.lip_sync import LipSync
from guard.detectors.lip_sync_features import NAMES, compare
from guard.detectors.lip_sync_series import MouthTrace, VoiceTrace
from guard.detectors.onnx import OnnxModel
from guard.resources import models_dir
from guard.types import AudioWindow
from tests.detectors.recipes import recipe_modules

MODULES = ("lip_sync", "lip_sync_seen", "lip_sync_simulate", "data", "about", "calibrate")
RECIPE = models_dir() / "face" / "recipe"


@pytest.fixture(scope="module")
def recipe() -> Iterator[dict[str, ModuleType]]:
    with recipe_modules(RECIPE, *MODULES) as found:
        yield found


def voices(recipe: dict[str, ModuleType]) -> list[object]:
    """One voice of four made-up clips: a buzz in syllables."""
    rng = np.random.default_rng(3)
    clips = []
    for _ in range(4):
        loud = np.concatenate([np.hanning(n) * rng.uniform(0.3, 1) for n in rng.integers(1600, 4200, 20)])
        time = np.arange(len(loud)) / 16_000
        buzz = np.sum([np.sin(2 * np.pi * 130 * k * time + k * k) / k for k in range(1, 20)], axis=0)
        clips.append((0.1 * loud * buzz).astype(np.float32))
    return [recipe["lip_sync_simulate"].Voice("made up", "train", clips)]


def lag_found(recipe: dict[str, ModuleType], call: object) -> float:
    mouth, voice = MouthTrace(), VoiceTrace()
    for window in recipe["lip_sync_seen"].windows_of(call, np.random.default_rng(9)):
        if isinstance(window, AudioWindow):
            voice.add(window)
        else:
            mouth.add(window.glimpses)
    return compare(mouth.steps(450, 700), voice.steps(450, 700), None).lag_s


def test_a_simulated_call_is_late_by_what_it_says_and_by_the_lead_of_the_lips(
    recipe: dict[str, ModuleType],
) -> None:
    simulate = recipe["lip_sync_simulate"]
    for seed in range(3):
        call = simulate.make_call(voices(recipe), "genuine", np.random.default_rng(seed))
        # lips lead by 0.02 to 0.16 s, and a look takes 0.1 s at the slowest rate that is simulated
        assert call.lag_s - 0.1 < lag_found(recipe, call) < call.lag_s + 0.16 + 0.1


def test_moving_the_lips_of_a_call_moves_the_lag_by_as_much(recipe: dict[str, ModuleType]) -> None:
    simulate = recipe["lip_sync_simulate"]
    call = simulate.make_call(voices(recipe), "genuine", np.random.default_rng(1))
    later = replace(call, opening=np.roll(call.opening, 15), width=np.roll(call.width, 15))
    assert lag_found(recipe, call) - lag_found(recipe, later) == pytest.approx(0.15, abs=0.07)


def test_every_case_moves_as_it_should(recipe: dict[str, ModuleType]) -> None:
    simulate = recipe["lip_sync_simulate"]
    moved = {}
    for case in simulate.CASES:
        call = simulate.make_call(voices(recipe), case, np.random.default_rng(4))
        moved[case] = float(np.abs(np.diff(call.opening)).mean())
        assert np.isfinite(call.opening).all() and np.isfinite(call.sound).all()
        assert (abs(call.lag_s) > 0.3) == (case == "shifted")
    assert moved["still"] < 0.3 * moved["genuine"]
    assert moved["smoothed"] < 0.7 * moved["genuine"]


def test_a_call_is_the_same_whenever_it_is_made(recipe: dict[str, ModuleType]) -> None:
    rows = []
    for _ in range(2):
        rng = np.random.default_rng(6)
        call = recipe["lip_sync_simulate"].make_call(voices(recipe), "genuine", rng)
        detector = LipSync.from_card(load_card(models_dir() / "lip_sync"))
        found, _ = recipe["lip_sync_seen"].answers(detector, call, rng)
        rows.append(np.stack([row.features for row in found]))
    assert len(rows[0]) > 5
    assert np.array_equal(rows[0], rows[1])


def test_no_voice_serves_two_splits_and_every_split_is_used(recipe: dict[str, ModuleType]) -> None:
    simulate = recipe["lip_sync_simulate"]
    splits = [simulate.split_of(f"voice {n}") for n in range(400)]
    assert set(splits) == set(simulate.SPLITS)
    assert splits == [simulate.split_of(f"voice {n}") for n in range(400)]
    assert splits.count("train") > 180


def test_the_exported_graph_is_the_regression(recipe: dict[str, ModuleType], tmp_path: Path) -> None:
    made = recipe["lip_sync"]
    rng = np.random.default_rng(0)
    size = len(NAMES)
    model = made.Regression(
        rng.normal(size=size), rng.uniform(0.5, 2, size=size), rng.normal(size=size), 0.25
    )
    card = load_card(models_dir() / "lip_sync")
    made.export(model, tmp_path / "model.onnx")
    digest = hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    rows = rng.normal(0, 5, size=(7, size)).astype(np.float32)
    loaded = OnnxModel(replace(card, folder=tmp_path, sha256=digest))
    assert loaded.raw(rows) == pytest.approx(model.raw(rows.astype(np.float64)), abs=1e-4)


def test_the_regression_keeps_each_weight_on_the_side_its_feature_means(
    recipe: dict[str, ModuleType],
) -> None:
    made = recipe["lip_sync"]
    rng = np.random.default_rng(2)
    case = np.repeat(["genuine", "still"], 200)
    features = rng.normal(size=(400, len(NAMES)))
    features[200:, 0] += 2.0  # would say that correlated lips are spoof
    features[200:, 1] -= 2.0
    rows = made.Rows(
        features, case, np.array([f"{c}{n // 10}" for n, c in enumerate(case)]), np.ones(400), {}
    )
    weights = made.fit(rows).weights
    assert weights[0] == 0.0
    assert weights[1] < -0.5
