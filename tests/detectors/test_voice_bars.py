"""The recipe's bars on held-out engines: what a condition does, whose line scores whom, what is told."""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from guard.evaluation.conditions import BARRED
from guard.evaluation.figures import BARS
from guard.resources import models_dir
from tests.detectors.recipes import recipe_modules
from tests.windows.test_audio_windows import silence, voice

RECIPE = models_dir() / "voice" / "recipe"
# torch and what of the recipe needs it: no test here trains or hears
FAKES = {
    "torch": (),
    "calibrate": ("bins_of",),
    "cnn": ("SHIPPED", "folder", "net_file"),
    "cnn_rough": ("Heard",),
    "cnn_spectra": ("Fine",),
    "heads": ("Pooled", "tuned"),
    "mixture": ("Folds",),
    "rotate": ("Held", "held_scores"),
}
# a wide line and short pauses: a hiss lies far under the voice
HISS = np.random.default_rng(0).standard_normal(64_000) * 1e-3
VOICE = (voice(4.0) * (np.arange(64_000) % 16_000 < 13_600) + HISS).astype(np.float32)


@pytest.fixture
def modules() -> Iterator[None]:
    """Imports of the recipe's scripts by their plain names."""
    with recipe_modules(RECIPE):
        yield


@pytest.fixture
def bars(modules: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name, members in FAKES.items():
        fake = ModuleType(name)
        for member in members:
            setattr(fake, member, None)
        monkeypatch.setitem(sys.modules, name, fake)
    scipy = ModuleType("scipy")
    scipy.signal = ModuleType("signal")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scipy", scipy)
    return importlib.import_module("bars")


def scored(bars: ModuleType, each: int, shift: float = 0.0, seed: int = 1) -> Any:
    """20 engines and 20 sources, ``each`` windows of each; narrow ones (a half) score higher by ``shift``."""
    rng = np.random.default_rng(seed)
    spoof = np.repeat([True, False], 20 * each)
    names = np.tile(["default", "narrow"], 20 * each)
    raw = np.where(spoof, 1.0, -1.0) + np.where(names == "narrow", shift, 0.0) + rng.normal(0, 1, 40 * each)
    groups = np.array([f"{'e' if n < 20 else 's'}{n}" for n in range(40)]).repeat(each)
    return bars.Scored(raw, spoof, names, groups, np.ones(40 * each, np.float32))


def test_the_conditions_are_those_that_have_bars(bars: ModuleType) -> None:
    assert list(bars.CODECS) == list(BARS) == [condition.name for condition in BARRED]


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [("clean", "default"), ("opus_24k", "default"), ("opus_24k_loss_5", "lossy"), ("g711", "narrow")],
)
def test_a_window_takes_the_bin_of_its_condition(
    bars: ModuleType, tmp_path: Path, condition: str, wanted: str
) -> None:
    windows = np.stack([VOICE, silence(4.0)]) * 32768
    np.save(tmp_path / "set-0.npy", windows.astype(np.int16))
    fine = SimpleNamespace(sources=[tmp_path / "set-0.npy"], file=np.zeros(2, int), row=np.arange(2))
    heard, bins = bars.coded(np.arange(2), fine, bars.CODECS[condition])
    assert bins.tolist() == [wanted, "skipped"]
    assert heard.shape == (2, 64_000) and heard.dtype == np.float32
    again, _ = bars.coded(np.arange(2), fine, bars.CODECS[condition])
    np.testing.assert_array_equal(heard, again)
    if condition == "clean":
        np.testing.assert_allclose(heard[0], VOICE, atol=1 / 32768)


def test_five_in_a_hundred_are_lost_and_concealed_not_left_empty(bars: ModuleType) -> None:
    codec, rng = bars.CODECS["opus_24k_loss_5"], np.random.default_rng(2)
    got = codec(np.tile(VOICE, 8), rng)
    assert 0.03 < got.concealed.mean() < 0.07
    inside = np.convolve(got.concealed, np.ones(161), "same") > 160
    assert np.sqrt(np.mean(got.samples[inside] ** 2)) > 0.3 * np.sqrt(np.mean(got.samples**2))


def test_every_group_is_as_likely_as_the_next_and_no_window_is_taken_twice(bars: ModuleType) -> None:
    groups = ["large"] * 1000 + ["middle"] * 200 + ["small"] * 20
    taken = bars.sample(groups, np.random.default_rng(0))
    assert len(set(taken.tolist())) == len(taken) == bars.PER_CLASS
    count = Counter(groups[n] for n in taken)
    assert count["small"] >= 15
    assert 0.5 < count["large"] / count["middle"] < 2
    assert len(bars.sample(["few"] * 7, np.random.default_rng(0))) == 7


def test_no_window_is_scored_by_a_line_that_its_own_engine_or_the_judged_helped_to_fit(
    bars: ModuleType,
) -> None:
    fitted, judged = scored(bars, 40), scored(bars, 4, seed=2)
    before = bars.calibrated(fitted, judged).llr
    own = judged.groups == "e3"
    fitted.raw[fitted.groups == "e3"] += 5.0
    after = bars.calibrated(fitted, judged).llr
    np.testing.assert_array_equal(after[own], before[own])
    assert not np.array_equal(after, before)
    fitted.raw[fitted.groups == "e3"] -= 5.0
    judged.raw[~own] += 5.0
    np.testing.assert_allclose(bars.calibrated(fitted, judged).llr[own], before[own], rtol=0.02, atol=0.02)


def test_each_window_has_the_line_of_its_bin_and_none_where_a_call_would_not_score_it(
    bars: ModuleType,
) -> None:
    fitted, judged = scored(bars, 40, shift=3.0), scored(bars, 4, seed=2)
    judged.bins[:2] = "default", "narrow"
    judged.raw[:2] = 1.5
    judged.bins[2] = "skipped"
    scores = bars.calibrated(fitted, judged)
    assert scores.llr[0] > scores.llr[1] + 1.0
    assert scores.llr[2] == 0
    assert not scores.covered[2] and scores.covered.sum() == len(judged.raw) - 1
    assert scores.alarms()[2] < scores.llr.min()


def test_page_has_a_line_of_figures_and_bars_for_every_condition(
    bars: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "ROUNDS", 20)
    fitted, judged = scored(bars, 40), scored(bars, 4, seed=2)
    judged.bins[2] = "skipped"
    scores = {name: bars.calibrated(fitted, judged) for name in bars.CODECS}
    page = bars.table(scores, dict.fromkeys(bars.CODECS, judged.raw))
    lines = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[1:5] for line in lines] == [["160", "1", "20", "20"]] * 4
    wanted = [(15, 65), (16, 60), (19, 55), (22, 45)]
    for line, (error, rate) in zip(lines, wanted, strict=True):
        assert f"(at most {error})" in line and f"(at least {rate})" in line and "(at most 0.10)" in line
    assert "**160 clean windows of 4 s**, 80 of\n20 engines and 80 of 20 sources" in page
    assert "Bars met by the figures themselves: EER" in page


def test_scores_are_kept_until_the_net_or_the_windows_change(bars: ModuleType, tmp_path: Path) -> None:
    net, path, made = tmp_path / "net.pt", tmp_path / "kept.npz", []
    net.touch()

    def make() -> dict[str, Any]:
        made.append(1)
        return {"raw": np.full(3, len(made)), "bins": np.array(["narrow", "lossy", "skipped"])}

    for key, newer, wanted in [(1, False, 1), (1, False, 1), (2, False, 2), (2, True, 3)]:
        if newer:
            os.utime(net, (path.stat().st_mtime + 9,) * 2)
        got = bars.kept(path, np.full(3, key), [net], make)
        assert got["raw"].tolist() == [wanted] * 3
        assert got["bins"].tolist() == ["narrow", "lossy", "skipped"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.npz", "net.pt"]
