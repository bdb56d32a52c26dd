"""The voice recipe's calibration by bins: which bin a window takes, and what the report says of each."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from guard.fusion.calibration import Logistic
from guard.media.channel import bin_of
from guard.resources import models_dir
from guard.types import AudioQuality
from tests.detectors.recipes import recipe_modules
from tests.windows.test_audio_windows import silence, voice

RECIPE = models_dir() / "voice" / "recipe"
# a wide line and short pauses: a hiss lies far under the voice
HISS = np.random.default_rng(0).standard_normal(64_000) * 1e-3
HEARD = (voice(4.0) * (np.arange(64_000) % 16_000 < 13_600) + HISS).astype(np.float32)


@pytest.fixture
def bins() -> Iterator[ModuleType]:
    with recipe_modules(RECIPE, "bins") as found:
        yield found["bins"]


def scored(bins: ModuleType, shift: float = 3.0) -> Any:
    """20 engines and 20 sources, 40 windows of each; lossy ones (a half) score higher by ``shift``."""
    rng = np.random.default_rng(1)
    spoof = np.repeat([True, False], 800)
    names = np.tile(np.repeat(["default", "lossy"], 20), 40)
    raw = np.where(spoof, 1.0, -1.0) + np.where(names == "lossy", shift, 0.0) + rng.normal(0, 1.5, 1600)
    groups = np.array([f"{'e' if n < 20 else 's'}{n}" for n in range(40)]).repeat(40)
    return bins.Scored(raw.astype(np.float32), spoof, names, groups, np.ones(1600, np.float32))


@pytest.mark.parametrize(("share", "wanted"), [(0.0, "default"), (0.01, "default"), (0.05, "lossy")])
def test_what_the_call_lost_of_a_window_picks_its_bin(bins: ModuleType, share: float, wanted: str) -> None:
    quality = bins.quality_of(HEARD, float(np.float32(share)))
    assert isinstance(quality, AudioQuality)
    assert quality.concealed_ratio == pytest.approx(share)
    assert bin_of(HEARD, quality) == wanted


def test_what_a_call_would_skip_has_no_quality(bins: ModuleType) -> None:
    assert bins.quality_of(HEARD, 0.26) is None
    assert bins.quality_of(silence(4.0), 0.0) is None


def test_lossy_windows_get_a_line_of_their_own(bins: ModuleType) -> None:
    lines = bins.lines_of(scored(bins))
    assert set(lines.bins) == {"default", "lossy"}
    zero = {name: -line.b / line.a for name, line in lines.bins.items()}
    # the pooled fit, which counts as 12 sources, draws a bin of 20 and 20 nearer
    assert 1.5 < zero["lossy"] - zero["default"] < 3.0


def test_report_says_of_each_bin_what_its_line_is_worth(bins: ModuleType) -> None:
    report = bins.of_bins(scored(bins))
    assert set(report) == {"default", "lossy"}
    for row in report.values():
        assert (row["windows"], row["engines"], row["sources"]) == (800, 20, 20)
        assert row["cllr"][1] <= row["cllr"][0] <= row["cllr"][2]
        assert row["cllr_min"][0] < row["cllr"][0] < row["cllr_one_line"][0]


def test_no_window_is_scored_by_a_line_that_its_own_engine_helped_to_fit(bins: ModuleType) -> None:
    before, moved = scored(bins), scored(bins)
    own = moved.groups == "e3"
    moved.raw[own] += 5.0
    names = sorted(set(moved.groups.tolist()))
    part = np.array([names.index(group) % bins.PARTS for group in moved.groups])
    lines = bins.lines_of(before.rows(part != names.index("e3") % bins.PARTS)).bins
    slope = np.array([lines[name].a for name in moved.bins[own]])
    rise = bins.crossed(moved)["cllr"][own] - bins.crossed(before)["cllr"][own]
    np.testing.assert_allclose(rise, 5.0 * slope, rtol=1e-4)


def test_a_bin_of_one_class_has_no_cost(bins: ModuleType) -> None:
    s = scored(bins)
    s.bins[(s.bins == "lossy") & s.spoof] = "noisy"
    report = bins.of_bins(s)
    assert {name for name, row in report.items() if "cllr" in row} == {"default"}
    lines = bins.lines_of(s)
    for name in ("lossy", "noisy"):
        assert isinstance(lines.bins[name], Logistic)
        assert lines.bins[name].a == pytest.approx(lines.default.a)
