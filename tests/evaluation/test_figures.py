"""The report's figures: what an abstained clip counts as, engines, languages, bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from guard.evaluation.clips import Clip, Item
from guard.evaluation.figures import (
    BARS,
    Scores,
    bars,
    clean_threshold,
    engines,
    false_alarms,
    languages,
    scores_of,
    summary,
)
from guard.evaluation.tables import cell, verdict

NONE = np.zeros(0, np.float32)


def clip(name: str, *, spoof: bool, system: str = "", language: str = "en", speech_s: float = 3.0) -> Clip:
    item = Item(Path(name), spoof, system or ("E" if spoof else "natural"), name, language)
    return Clip(item, NONE, 16_000, speech_s)


def clips_of(genuine: int, spoof: int) -> list[Clip]:
    return [clip(f"g{n}", spoof=False) for n in range(genuine)] + [
        clip(f"s{n}", spoof=True) for n in range(spoof)
    ]


def scored(llr: list[float | None], genuine: int) -> Scores:
    reasons = [None if value is not None else "too_little_speech" for value in llr]
    return scores_of(clips_of(genuine, len(llr) - genuine), llr, reasons)


def test_abstained_spoof_scores_0_for_the_eer_and_is_no_detection() -> None:
    # every genuine clip below 0: at llr 0 the abstained spoof still lies above them all
    found = summary(scored([-3.0, -2.0, -1.0, -4.0, 2.0, None], 4), rounds=20)
    assert found["eer"]["value"] == 0
    assert found["tpr_at_5_fa"]["value"] == 0.5
    assert found["covered_only"]["tpr_at_5_fa"]["value"] == 1.0
    assert found["coverage"] == pytest.approx(5 / 6)
    assert found["abstained"] == {"too_little_speech": 1}


def test_abstained_genuine_clip_is_no_false_alarm_at_any_threshold() -> None:
    scores = scored([None, -2.0, 1.0, 2.0], 2)
    genuine = scores.rows(np.array([0, 1]))
    assert false_alarms(genuine, -1.0)["above_threshold"]["value"] == 0
    assert false_alarms(genuine, -3.0)["above_threshold"]["value"] == 0.5
    assert false_alarms(genuine, -3.0)["coverage"]["value"] == 0.5


def test_coverage_of_clips_with_two_seconds_of_speech_leaves_out_the_shorter_ones() -> None:
    own = [clip("g", spoof=False), clip("h", spoof=False, speech_s=1.0), clip("s", spoof=True)]
    found = summary(scores_of(own, [-1.0, None, None], [None, "too_little_speech", "clipped"]), rounds=20)
    assert found["coverage"] == pytest.approx(1 / 3)
    assert found["coverage_speech"]["clips"] == 2
    assert found["coverage_speech"]["value"] == 0.5


def test_false_alarms_have_the_coverage_that_the_bars_are_about_beside_that_of_all_clips() -> None:
    own = [clip("a", spoof=False), clip("b", spoof=False), clip("c", spoof=False, speech_s=1.9)]
    found = false_alarms(scores_of(own, [-1.0, None, None], [None, "clipped", "too_little_speech"]), 0.0)
    assert found["coverage"]["value"] == pytest.approx(1 / 3)
    assert (found["coverage_speech"]["clips"], found["coverage_speech"]["value"]) == (2, 0.5)
    assert found["coverage_speech"]["low"] < 0.5 < found["coverage_speech"]["high"]
    short = [clip("a", spoof=False, speech_s=1.0), clip("b", spoof=False, speech_s=1.0)]
    assert false_alarms(scores_of(short, [None, None], ["x", "x"]), 0.0)["coverage_speech"] is None


def test_all_figures_of_a_condition_come_from_the_same_draws() -> None:
    rng = np.random.default_rng(1)
    llr = [*rng.normal(-1, 1, 20), *rng.normal(1, 1, 20)]
    found = summary(scored([float(x) for x in llr], 20), rounds=200)
    gap = found["cllr_bits"]["value"] - found["cllr_min_bits"]["value"]
    assert found["cllr_gap_bits"]["value"] == pytest.approx(gap)
    assert 0 <= found["cllr_gap_bits"]["low"] <= found["cllr_gap_bits"]["high"]


@pytest.mark.parametrize(("scale", "is_exact"), [(1.0, True), (3.0, False)])
def test_the_gap_of_exact_llr_is_within_what_chance_gives_and_that_of_bold_ones_is_not(
    scale: float, is_exact: bool
) -> None:
    rng = np.random.default_rng(1)
    # llr of two normal classes one apart are exact; three times as bold they promise too much
    llr = scale * np.concatenate([rng.normal(-0.5, 1, 150), rng.normal(0.5, 1, 150)])
    found = summary(scored(llr.tolist(), 150), rounds=20)
    chance = found["cllr_gap_if_exact"]
    assert 0 < chance["low"] < chance["value"] < chance["high"]
    assert (found["cllr_gap_bits"]["value"] <= chance["high"]) == is_exact


def test_one_class_covered_has_no_covered_only_figures() -> None:
    assert summary(scored([-1.0, -2.0, None, None], 2), rounds=20)["covered_only"] is None


def test_share_of_0_keeps_an_interval_that_says_how_few_sources_there_were() -> None:
    few, many = (false_alarms(scored([-1.0] * n, n), 0.0)["above_0"] for n in (5, 100))
    assert few["value"] == many["value"] == 0
    assert few["high"] == pytest.approx(0.434, abs=1e-3)  # 3.841 / (5 + 3.841)
    assert many["high"] == pytest.approx(0.037, abs=1e-3)


def one_source(genuine: int, spoof: int) -> Scores:
    """Return scores of two clips of each of so many sources of either class, all told apart."""
    units = [f"g{n // 2}" for n in range(2 * genuine)] + [f"s{n // 2}" for n in range(2 * spoof)]
    own = [clip(unit, spoof=unit.startswith("s")) for unit in units]
    return scores_of(
        own, [2.0 + n if c.item.is_spoof else -2.0 - n for n, c in enumerate(own)], [None] * len(own)
    )


@pytest.mark.parametrize(("genuine", "spoof"), [(1, 1), (1, 6), (6, 1)])
def test_a_class_of_one_source_has_no_interval(genuine: int, spoof: int) -> None:
    found = summary(one_source(genuine, spoof), rounds=20)
    for name in ("eer", "min_dcf", "cllr_bits", "tpr_at_5_fa", "coverage_interval", "coverage_speech"):
        assert (found[name]["low"], found[name]["high"]) == (None, None)
    assert found["eer"]["value"] == 0
    assert found["covered_only"]["eer"]["low"] is None


def test_no_interval_is_of_zero_width() -> None:
    found = summary(one_source(6, 4), rounds=50)
    assert (found["eer"]["value"], found["eer"]["low"]) == (0, 0)
    assert found["eer"]["high"] == pytest.approx(0.490, abs=1e-3)  # of 4 sources: 3.841 / (4 + 3.841)
    assert found["min_dcf"] == {"value": 0, "low": None, "high": None}
    assert found["cllr_bits"]["low"] < found["cllr_bits"]["high"]


def test_one_genuine_speaker_has_shares_of_false_alarms_without_an_interval() -> None:
    genuine = one_source(1, 1).rows(np.array([0, 1]))
    found = false_alarms(genuine, 0.0)
    assert found["above_0"] == {"value": 0, "low": None, "high": None}
    assert found["mean_llr"]["low"] is None


def test_a_figure_without_an_interval_meets_no_bar_and_is_shown_without_one() -> None:
    report = {name: summary(one_source(1, 6), rounds=20) for name in BARS}
    found = bars(report)
    assert {bar["figure"] for bar in found} > {"eer", "tpr_at_5_fa", "cllr_gap_bits"}
    assert not any(bar["met"] for bar in found)
    assert all("cannot be told" in verdict(bar) for bar in found)
    assert cell("eer", report["clean"]["eer"]) == "0.0 [-]"
    assert cell("min_dcf", report["clean"]["min_dcf"]) == "0.00 [-]"
    both = summary(one_source(6, 6), rounds=20)
    assert cell("eer", both["eer"]) == "0.0 [0, 39]"


def test_clean_threshold_lets_5_percent_of_the_genuine_clips_pass_it() -> None:
    llr: list[float | None] = [float(n) for n in range(100)]
    threshold = clean_threshold(scored([*llr, 200.0], 100))
    assert sum(value > threshold for value in range(100)) == 5


def test_engines_stand_alone_against_all_genuine_clips() -> None:
    own = [clip("g0", spoof=False), clip("g1", spoof=False)]
    own += [clip("a0", spoof=True, system="A"), clip("a1", spoof=True, system="A")]
    own += [clip("b0", spoof=True, system="B")]
    scores = scores_of(own, [-2.0, -1.0, 3.0, None, -3.0], [None] * 5)
    found = engines(own, {"clean": scores})
    assert list(found) == ["natural", "A", "B"]
    assert found["A"]["eer"]["clean"]["value"] == 0
    assert found["B"]["eer"]["clean"]["value"] == 1
    assert found["A"]["tpr_at_5_fa"]["clean"]["value"] == 0.5
    assert found["A"]["coverage"]["clean"] == 0.5
    assert found["natural"]["above_0"]["clean"] == 0
    assert "eer" not in found["natural"]


def test_language_of_one_class_has_false_alarms_only() -> None:
    own = [clip("g0", spoof=False), clip("i0", spoof=False, language="it"), clip("s0", spoof=True)]
    own += [clip("i1", spoof=True, language="ru")]
    found = languages(own, {"clean": scores_of(own, [-1.0, 1.0, 2.0, 3.0], [None] * 4)}, 0.0)
    assert found["en"]["conditions"]["clean"]["figures"]["eer"]["value"] == 0
    assert found["it"]["conditions"]["clean"]["figures"] is None
    assert found["it"]["conditions"]["clean"]["false_alarms"]["above_0"]["value"] == 1
    assert found["ru"]["conditions"]["clean"]["false_alarms"] is None


def test_bars_are_met_at_their_own_value_and_missed_beyond() -> None:
    figure = {"low": 0.0, "high": 1.0}
    at_bar = {
        name: {f: {"value": bar, **figure} for f, bar in {**own, "cllr_gap_bits": 0.1}.items()}
        for name, own in BARS.items()
    }
    assert all(bar["met"] for bar in bars(at_bar))
    at_bar["clean"]["eer"]["value"] += 0.01
    at_bar["g711"]["tpr_at_5_fa"]["value"] -= 0.01
    at_bar["opus_24k"]["cllr_gap_bits"]["value"] += 0.01
    missed = {(bar["condition"], bar["figure"]) for bar in bars(at_bar) if not bar["met"]}
    assert missed == {("clean", "eer"), ("g711", "tpr_at_5_fa"), ("opus_24k", "cllr_gap_bits")}
