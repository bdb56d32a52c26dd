"""A trial refuses calibrations that call everybody the same, and models whose scores are not their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from guard.app.model_checks import check_calibration
from guard.app.model_import import ImportRequest, bundled_pair, import_model
from guard.app.model_trial import trial
from guard.detectors.card import Card, load_card
from guard.errors import ModelError
from tests.app.toy_models import brightness, constant, good, model, written

SECOND = "[outputs]\ntimeline = [8]\n[calibration.second]\na = 1.0\nb = 0.0\nlimit_llr = 2.0\n[data]"


@pytest.fixture
def card(tmp_path: Path) -> Card:
    _, path = written(tmp_path, good())
    path.rename(tmp_path / "card.toml")
    return load_card(tmp_path)


def golden(genuine_llr: float, synthetic_llr: float, **others: tuple[float, float]) -> dict[str, Any]:
    """Return what a trial found of two clips; ``others`` is each other calibration's pair."""
    llrs = {"bona_fide": genuine_llr, "spoof": synthetic_llr}
    return {
        name: {"llr": llr, "llr_by": {other: pair[place] for other, pair in others.items()}}
        for place, (name, llr) in enumerate(llrs.items())
    }


def tried(folder: Path, content: ModelProto, *changes: tuple[str, str]) -> dict[str, Any]:
    """Try a model in this process, with the bundled pair."""
    path, card_path = written(folder, content, changes)
    path.rename(folder / "model.onnx")
    card_path.rename(folder / "card.toml")
    pair = bundled_pair()
    return trial(folder, {"bundled": (pair.bona_fide, pair.spoof)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("b = 0.0", "b = -8.0"), "everybody would be called genuine"),
        (("b = 0.0", "b = 8.0"), "everybody would be called a spoof"),
        (("b = 0.0", "b = -1000.0"), "no number of clips"),
        (("a = 1.0", "a = 1e-300"), "nothing tells them apart"),
        (("limit_llr = 3.0", "limit_llr = 1e-12"), "nothing tells them apart"),
        (("a = 1.0", "a = 1e300"), "no number of clips"),
    ],
    ids=["genuine", "spoof", "far", "flat", "narrow", "steep"],
)
def test_a_calibration_that_makes_everything_the_same_is_not_installed(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    changes = [change] if change[0].startswith("limit") else [change, ("limit_llr = 3.0", "limit_llr = 1e9")]
    files = written(tmp_path / "given", good(), changes)
    with pytest.raises(ModelError, match=reason) as error:
        import_model(ImportRequest(*files, tmp_path / "own"))
    assert error.value.code == "model_calibration"
    assert "--golden-bona-fide" in error.value.message
    assert str(files[1]) in error.value.message  # the operator's card, not the copy
    assert not (tmp_path / "own" / "toy").exists()


@pytest.mark.parametrize(
    "pair",
    [(-3.0, -2.9), (2.9, 3.0), (-0.02, 0.0), (-3.0, 3.0), (-6.9, -6.8), (-20.0, 20.0)],
)
def test_weak_or_onesided_llr_are_no_reason_to_refuse(card: Card, pair: tuple[float, float]) -> None:
    check_calibration(card, golden(*pair))


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (golden(0.5, -0.5), r"\[calibration\]"),
        (golden(-3.0, -3.0), r"\[calibration\]"),
        (golden(-8.0, -7.0), r"\[calibration\]"),
        (golden(7.0, 8.0), r"\[calibration\]"),
        (golden(-1.0, 1.0, narrow=(-9.0, -8.0)), "'narrow'"),
        (golden(-1.0, 1.0, lossy=(-1.0, 1.0), noisy=(0.0, 0.0)), "'noisy'"),
        (golden(-1.0, 1.0, second=(-30.0, -30.0)), "'second'"),
    ],
    ids=["order", "limit", "genuine", "spoof", "bin", "flat-bin", "second"],
)
def test_every_calibration_of_the_card_is_looked_at(card: Card, found: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named) as error:
        check_calibration(card, found)
    assert error.value.code == "model_calibration"


def test_seconds_of_one_pair_need_not_come_out_in_order(card: Card) -> None:
    check_calibration(card, golden(-1.0, 1.0, second=(0.3, 0.2)))


def added(last: str, *nodes: Any, weights: Any = ()) -> ModelProto:
    """Return the toy with nodes between ``bright`` and ``last``."""
    first, own = brightness("bright")
    return model([*first, *nodes, helper.make_node("Add", ["bright", last], ["score"])], [*own, *weights])


def random_model(scale: float) -> ModelProto:
    return added("chance", helper.make_node("RandomNormalLike", ["bright"], ["chance"], scale=scale))


def batch_model(share: float) -> ModelProto:
    """Return the toy with a share of the batch's mean added to every row."""
    return added(
        "shared",
        helper.make_node("ReduceMean", ["bright"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "share"], ["shared"]),
        weights=[constant("share", share)],
    )


def test_a_model_that_does_not_repeat_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the same window score is") as error:
        tried(tmp_path, random_model(1.0))
    assert error.value.code == "model_random"


def test_a_model_that_mixes_the_windows_of_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="among 8, score is") as error:
        tried(tmp_path, batch_model(0.5))
    assert error.value.code == "model_batch"


def test_a_model_that_sees_how_many_rows_there_are_is_refused(tmp_path: Path) -> None:
    counted = added(
        "count",
        helper.make_node("Shape", ["bright"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["count"], to=1),
    )
    with pytest.raises(ModelError) as error:
        tried(tmp_path, counted)
    assert error.value.code == "model_batch"


def test_what_rounding_does_is_no_reason_to_refuse(tmp_path: Path) -> None:
    for number, content in enumerate((random_model(1e-5), batch_model(1e-4))):
        assert tried(tmp_path / str(number), content)["golden"]["bundled"]["spoof"]["windows"] == 6


def test_how_much_is_noticeable_is_told_by_the_calibration(tmp_path: Path) -> None:
    gentle = tried(tmp_path / "gentle", random_model(1e-4))["golden"]["bundled"]
    assert gentle["bona_fide"]["llr"] < 0 < gentle["spoof"]["llr"]
    with pytest.raises(ModelError) as error:
        tried(tmp_path / "steep", random_model(1e-2), ("a = 1.0", "a = 100.0"))
    assert error.value.code == "model_random"


def test_a_trial_says_what_every_calibration_makes_of_the_pair(tmp_path: Path) -> None:
    nodes, weights = brightness()
    nodes += [
        helper.make_node("Unsqueeze", ["score", "axis"], ["column"]),
        helper.make_node("Expand", ["column", "wide"], ["timeline"]),
    ]
    content = model(nodes, [*weights, constant("wide", [1, 8], np.int64)])
    content.graph.output.append(helper.make_tensor_value_info("timeline", 1, ["batch", 8]))
    bins = '[[calibration.bins]]\nname = "narrow"\na = 2.0\nb = 1.0\n' + SECOND
    found = tried(tmp_path, content, ("[data]", bins))["golden"]["bundled"]
    for clip in found.values():
        assert clip["llr_by"]["narrow"] == pytest.approx(2 * clip["raw"] + 1, abs=1e-3)
        assert clip["llr_by"]["second"] == pytest.approx(clip["raw"], abs=1e-3)
