"""The figures by which the face recipe chooses: AUC, the crossed AUC, differences over faces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_script

RECIPE = models_dir() / "face" / "recipe"


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    return recipe_script(RECIPE / "measure.py")


def pairs_of(real: np.ndarray, fake: np.ndarray) -> SimpleNamespace:
    count = len(real)
    return SimpleNamespace(
        real=real, fake=fake, methods=["swap"] * count, names=[f"face{i // 2}" for i in range(count)]
    )


def pictures(rng: np.random.Generator, count: int) -> np.ndarray:
    strength = rng.uniform(2, 60, (count, 1, 1, 1))
    return np.clip(128 + rng.normal(0, 1, (count, 16, 16, 3)) * strength, 0, 255).astype(np.uint8)


def test_auc_counts_every_pair_and_half_of_the_ties(measure: ModuleType) -> None:
    rng = np.random.default_rng(1)
    real, fake = rng.integers(0, 6, 40).astype(float), rng.integers(2, 9, 30).astype(float)
    wanted = (fake[:, None] > real).mean() + 0.5 * (fake[:, None] == real).mean()
    assert measure.rank_auc(real, fake) == pytest.approx(wanted)


def test_sharpness_is_the_variance_of_the_laplacian(measure: ModuleType) -> None:
    picture = np.zeros((1, 5, 5, 3), np.uint8)
    picture[0, 2, 2] = 10
    inner = np.array([[0, -10, 0], [-10, 40, -10], [0, -10, 0]], float)
    assert measure.sharpness(picture) == pytest.approx([inner.var()], rel=1e-5)


def test_crossed_auc_finds_out_a_detector_that_takes_softness_for_forgery(measure: ModuleType) -> None:
    rng = np.random.default_rng(2)
    real, fake = pictures(rng, 90), pictures(rng, 90)
    softness = measure.Judged(-measure.sharpness(real), -measure.sharpness(fake))
    assert measure.crossed_auc(softness, pairs_of(real, fake), ("swap",)) == pytest.approx((0.0, 1.0))


def test_crossed_auc_of_a_detector_that_ignores_sharpness_is_the_same_both_ways(measure: ModuleType) -> None:
    rng = np.random.default_rng(3)
    real, fake = pictures(rng, 600), pictures(rng, 600)
    blind = measure.Judged(rng.normal(0, 1, 600), rng.normal(1.5, 1, 600))
    sharp, soft = measure.crossed_auc(blind, pairs_of(real, fake), ("swap",))
    assert sharp == pytest.approx(soft, abs=0.06)
    assert sharp > 0.8


def test_a_better_model_differs_by_an_interval_above_zero_and_itself_by_none(measure: ModuleType) -> None:
    rng = np.random.default_rng(4)
    pairs = pairs_of(pictures(rng, 120), pictures(rng, 120))
    noise = rng.normal(0, 1, (2, 120))
    poor, good = measure.Judged(noise[0], noise[1] + 0.2), measure.Judged(noise[0], noise[1] + 2.5)
    moved, low, high = measure.difference(poor, good, pairs, ("swap",))
    assert 0 < low < moved < high
    assert measure.difference(good, good, pairs, ("swap",)) == (0.0, 0.0, 0.0)


def test_bootstrap_draws_faces_with_all_their_rows(measure: ModuleType) -> None:
    names = ["b", "a", "b", "c", "a", "b"]
    for rows in measure.faces_drawn(names, rounds=20):
        counts = {name: sum(names[row] == name for row in rows) for name in "abc"}
        assert counts["a"] % 2 == 0
        assert counts["b"] % 3 == 0
        assert counts["a"] // 2 + counts["b"] // 3 + counts["c"] == 3


def test_llr_that_says_nothing_costs_one_bit(measure: ModuleType) -> None:
    assert measure.cllr(np.zeros(5), np.zeros(7)) == pytest.approx(1.0)
    assert measure.cllr(np.full(5, -4.0), np.full(7, 4.0)) < 0.05


REPORT = {
    "folder": "/data/val_clips", "videos": 44, "coverage": 1.0, "macro_auc": None, "pairs": None,
    "cpu_ms_per_face": 1.5, "methods": {"swap": {"auc": 0.5}},
    **{key: {"value": 0.5, "low": 0.4, "high": 0.6} for key in ("auc", "eer", "tpr_at_5fa")},
}  # fmt: skip


def noted(card: Path, reports: str) -> subprocess.CompletedProcess[str]:
    script = RECIPE / "note_evaluation.py"
    command = [sys.executable, str(script), "--card", str(card)]
    return subprocess.run(command, input=reports, capture_output=True, text=True, check=False)


def test_an_evaluation_is_noted_in_the_card_of_the_model_it_measured_and_in_no_other(tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    shutil.copy(models_dir() / "lip_sync" / "card.toml", card)
    before = card.read_text()
    sha256 = tomllib.loads(before)["sha256"]
    refused = noted(tmp_path, json.dumps(REPORT | {"models": {"face_frame": "0" * 64}}))
    assert refused.returncode == 1 and "another model file" in refused.stderr
    empty = noted(tmp_path, "")
    assert empty.returncode == 1 and "gave no report" in empty.stderr
    assert card.read_text() == before
    assert noted(tmp_path, json.dumps(REPORT | {"models": {"face_frame": sha256}})).returncode == 0
    written = tomllib.loads(card.read_text())
    assert written["measured"]["eval"][0]["auc"] == [0.5, 0.4, 0.6]
    assert written["measured"]["eval"][0]["folder"] == "val_clips"
